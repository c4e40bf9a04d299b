"""Decides the destinations of a rendered picture, writes and delivers it, and records every outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.errors import first_line
from aigp_lightning.files import write_atomic
from aigp_lightning.media.ledger import Entry, Outcome
from aigp_lightning.media.routing import PER_EPOCH
from aigp_lightning.media.types import MediaStatus, RenderedImage, RenderGroup

if TYPE_CHECKING:
    from aigp_lightning.media.budget import Budget
    from aigp_lightning.media.ledger import Ledger
    from aigp_lightning.media.routing import Routing
    from aigp_lightning.media.sinks import Sink

MAX_FAILURES = 3
"""Failures in a row after which a logger gets no more pictures."""
HISTORY = "history"


@dataclass
class Delivery:
    """Writes pictures to the run folder and gives them to the loggers; each of both is a line in the ledger.

    Args:
        folder: the run folder.
        ledger: the record.
        routing: the destinations of each kind.
        budget: of the remote destinations.
        say: called with what the user should know.
        keep_history: keep every epoch's file.
        status: counts what was done.

    Example:
        >>> import tempfile
        >>> from aigp_lightning.media.budget import Budget
        >>> from aigp_lightning.media.ledger import LEDGER_FILE, Ledger
        >>> from aigp_lightning.media.routing import Routes, Routing
        >>> from aigp_lightning.media.types import RenderJob
        >>> job = RenderJob("results", "results.png", draw=lambda masked: None)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ledger, budget = Ledger(Path(folder) / LEDGER_FILE), Budget(None, sent=0, say=print)
        ...     delivery = Delivery(Path(folder), ledger, Routing(Routes(), []), budget, say=print)
        ...     image = RenderedImage(job, Path(folder) / job.name, data=b"a picture's bytes")
        ...     delivery.deliver([image], RenderGroup([job], epoch=0, step=0))
        ...     ledger.close()
        ...     image.path.read_bytes(), delivery.status.drawn
        (b"a picture's bytes", 1)
    """

    folder: Path
    ledger: Ledger
    routing: Routing
    budget: Budget
    say: Callable[[str], None]
    keep_history: bool = False
    status: MediaStatus = field(default_factory=MediaStatus)
    _failures: dict[str, int] = field(default_factory=dict)
    _allowed: set[int] | None = None

    def deliver(self, images: Sequence[RenderedImage], group: RenderGroup) -> None:
        """Write a group's pictures, give each logger what it may have, and record both.

        Args:
            images: the pictures of the group that were due.
            group: says their epoch and step.
        """
        written = [self._write_masked(image) for image in images if self._write(image, group)]
        self._allocate_budget([image.variant(remote=True) for image in written], group)
        for sink in self.routing.sinks:
            self._offer([image.variant(sink.remote) for image in written], sink, group)

    # ---- the run folder ---------------------------------------------------------------------------------------------

    def _write(self, image: RenderedImage, group: RenderGroup) -> bool:
        """Write a picture's file; returns whether it is there."""
        reason = image.reason
        if not reason:
            try:
                write_atomic(image.path, image.data, sync=False)
                if self.keep_history:
                    kept = self.folder / HISTORY / f"epoch{group.epoch:04d}" / image.job.name
                    write_atomic(kept, image.data, sync=False)
            except Exception as error:
                reason = first_line(error)
        if reason:
            self.status.failed += 1
            self.say(f"{image.job.name} could not be drawn: {reason}")
            self._record(replace(image, data=b""), group, "file", "failed", reason)
            return False
        self.status.drawn += 1
        self._record(image, group, "file", "written")
        return True

    @staticmethod
    def _write_masked(image: RenderedImage) -> RenderedImage:
        """Write the variant with masked cells, if there is one; without its file it is withheld."""
        masked = image.masked
        if masked is None or masked.reason:
            return image
        try:
            write_atomic(masked.path, masked.data, sync=False)
        except Exception as error:
            reason = f"private image, and masking it failed: {first_line(error)}"
            return replace(image, masked=replace(image, reason=reason))
        return image

    # ---- the loggers ------------------------------------------------------------------------------------------------

    def _allocate_budget(self, remote: Sequence[RenderedImage], group: RenderGroup) -> None:
        """Let the budget decide on the validation mosaics of this epoch and those to come."""
        sizes: dict[int, int] = {}
        for image in remote:
            if image.job.kind in PER_EPOCH and not image.reason:
                recipients = self.routing.remote_recipients(image.job.kind)
                sizes[image.job.mosaic] = sizes.get(image.job.mosaic, 0) + recipients * len(image.data)
        if any(sizes.values()):
            order = sorted(sizes)
            self.budget.allocate([sizes[mosaic] for mosaic in order], 1 + group.validations_left)
            self._allowed = None if self.budget.mosaics is None else set(order[: self.budget.mosaics])

    def _offer(self, images: Sequence[RenderedImage], sink: Sink, group: RenderGroup) -> None:
        """Send a logger those pictures that it is to get, may get and has not got."""
        given: list[RenderedImage] = []
        for image in images:
            if sink not in self.routing.recipients(image.job.kind):
                continue
            if self.ledger.has(sink.name, image.key, group.epoch):
                continue
            reason = self._refusal(image) if sink.remote else ""
            if reason:
                self.status.withheld += 1
                self._record(image, group, sink.name, "withheld", reason)
            else:
                given.append(image)
                self.budget.sent += len(image.data) * sink.remote
        if given:
            self._send(given, sink, group)

    def _refusal(self, image: RenderedImage) -> str:
        """Return why a remote destination may not have a picture; empty if it may."""
        kind = image.job.kind
        if image.reason:
            return image.reason
        if self._allowed is not None and kind in PER_EPOCH and image.job.mosaic not in self._allowed:
            return "budget"
        return "" if self.budget.admits(kind, len(image.data)) else "budget"

    def _send(self, given: list[RenderedImage], sink: Sink, group: RenderGroup) -> None:
        size = sum(len(image.data) for image in given)
        off = self._failures.get(sink.name, 0) >= MAX_FAILURES
        reason = "switched off after repeated failures" if off else self._try(given, sink, group)
        if reason:
            self.status.failed += len(given)
            self.budget.sent -= size * sink.remote
        else:
            self.status.kept += len(given) * (not sink.remote)
            self.status.sent += len(given) * sink.remote
            self.status.megabytes += size * sink.remote / 1e6
        for image in given:
            self._record(image, group, sink.name, "failed" if reason else "sent", reason)

    def _try(self, given: list[RenderedImage], sink: Sink, group: RenderGroup) -> str:
        """Send; returns why that failed, or nothing."""
        try:
            sink.send(given, group.epoch, group.step)
        except Exception as error:
            self._failures[sink.name] = self._failures.get(sink.name, 0) + 1
            ended = "; it gets no more" if self._failures[sink.name] >= MAX_FAILURES else ""
            self.say(f"{sink.name} did not take {len(given)} pictures: {first_line(error)}{ended}")
            return first_line(error)
        self._failures[sink.name] = 0
        return ""

    # ---- the record -------------------------------------------------------------------------------------------------

    def _record(
        self, image: RenderedImage, group: RenderGroup, destination: str, outcome: Outcome, reason: str = ""
    ) -> None:
        """Add a line to the ledger, unless a resumed run has written the same file before."""
        entry = Entry(
            kind=image.job.kind,
            key=image.key,
            file=image.path.relative_to(self.folder).as_posix(),
            sha256=sha256(image.data).hexdigest(),
            bytes=len(image.data),
            step=group.step,
            epoch=group.epoch,
            sources=image.job.sources(image.hidden),
            destination=destination,
            outcome=outcome,
            reason=reason,
        )
        if outcome == "written" and self.ledger.has("file", entry.key, entry.epoch, entry.sha256):
            return
        try:
            self.ledger.add(entry)
        except OSError as error:
            self.say(f"the ledger could not be written: {first_line(error)}")
