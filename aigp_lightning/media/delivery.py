"""Decides the destinations of a rendered picture, writes and delivers it, and records every outcome.

Longer than 250 lines: each decision is followed by its line in the ledger, and both are better read together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.errors import first_line
from aigp_lightning.files import write_atomic
from aigp_lightning.media.hand_over import HandOver
from aigp_lightning.media.ledger.lines import UNCHANGED
from aigp_lightning.media.ledger.writer import NO_LEDGER, LedgerWriter, unfailing
from aigp_lightning.media.routing import PER_EPOCH
from aigp_lightning.media.types import MediaStatus, RenderedImage, RenderGroup
from aigp_lightning.paths import HISTORY

if TYPE_CHECKING:
    from aigp_lightning.media.budget import Budget
    from aigp_lightning.media.hand_over import Sink
    from aigp_lightning.media.ledger.ledger import Entry, Ledger, Outcome
    from aigp_lightning.media.routing import Routing

MAX_FAILURES = 3
"""Failures in a row after which a logger gets no more pictures."""


@dataclass
class Delivery:
    """Writes pictures to the run folder and gives them to the loggers; each of both is a line in the ledger.

    No line, no sending: as long as the ledger cannot be written, remote destinations get nothing. Lines that are owed
    are written as soon as that is possible, before anything else is sent.

    Args:
        folder: the run folder.
        ledger: the record.
        routing: the destinations of each kind.
        budget: of the remote destinations.
        say: called with what the user should know.
        keep_history: keep every epoch's file.
        status: counts what was done.
        skip_unchanged: give a logger what is drawn after every validation only if it has other bytes.

    Example:
        >>> import tempfile
        >>> from aigp_lightning.media.budget import Budget
        >>> from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Ledger
        >>> from aigp_lightning.media.routing import Routes, Routing
        >>> from aigp_lightning.media.types import RenderJob
        >>> job = RenderJob("results", "results.png", draw=lambda masked: None)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ledger, budget = Ledger(Path(folder) / LEDGER_FILE), Budget(None, sent=0, say=print)
        ...     delivery = Delivery(Path(folder), ledger, Routing(Routes(), []), budget, say=print)
        ...     image = RenderedImage(job, Path(folder) / job.name, data=b"a picture's bytes")
        ...     delivery.deliver([image], RenderGroup([job], epoch=0, step=0))
        ...     delivery.record.close()
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
    skip_unchanged: bool = False
    _failures: dict[str, int] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Let the ledger be written in order."""
        self.say = unfailing(self.say)
        self.record = LedgerWriter(self.folder, self.ledger, self.say)

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
                for path, data in (*((path, data) for _, path, data in image.attached()), (image.path, image.data)):
                    write_atomic(path, data, sync=False, own=True)
                    if self.keep_history:
                        kept = self.folder / HISTORY / f"epoch{group.epoch:04d}" / path.name
                        write_atomic(kept, data, sync=False, own=True)
            except Exception as error:
                reason = first_line(error)
        if reason:
            self.status.failed += 1
            self._note(replace(image, data=b"", attachments={}), group, "file", "failed", reason)
            self.say(f"{image.job.name} could not be drawn: {reason}")
            return False
        self.status.drawn += 1
        for entry in reversed(self.record.entries(image, group, "file", "written")):  # the picture last
            if not self.ledger.has("file", entry.key, group.epoch, entry.sha256):  # else: a resumed run
                self.record.add(entry)
        return True

    @staticmethod
    def _write_masked(image: RenderedImage) -> RenderedImage:
        """Write the variant with masked cells, if there is one; without its file it is withheld."""
        masked = image.masked
        if masked is None or masked.reason:
            return image
        try:
            write_atomic(masked.path, masked.data, sync=False, own=True)
        except Exception as error:
            reason = f"private image, and masking it failed: {first_line(error)}"
            return replace(image, masked=replace(image, reason=reason))
        return image

    # ---- the loggers ------------------------------------------------------------------------------------------------

    def _allocate_budget(self, remote: Sequence[RenderedImage], group: RenderGroup) -> None:
        """Let the budget decide on the validation mosaics of this epoch and those to come."""
        sizes: dict[int, int] = {}
        once: dict[int, int] = {}
        for image in remote:
            if image.job.kind not in PER_EPOCH or image.reason:
                continue
            remote_sinks = [sink for sink in self.routing.recipients(image.job.kind) if sink.remote]
            size = sum(image.size for sink in remote_sinks if self._unchanged(image, sink) is None)
            place, stays = image.job.mosaic, self.skip_unchanged and image.job.fixed
            sizes[place] = sizes.get(place, 0) + size * (not stays)
            once[place] = once.get(place, 0) + size * stays
        self.budget.allocate(sizes, 1 + group.validations_left, once)

    def _unchanged(self, image: RenderedImage, sink: Sink) -> int | None:
        """Return since which epoch a logger has these very bytes, where that is reason not to send them again."""
        if not self.skip_unchanged or image.job.kind not in PER_EPOCH:
            return None
        files = [(image.key, image.data), *((key, data) for key, _, data in image.attached())]
        since = [self.ledger.unchanged_since(sink.name, key, sha256(data).hexdigest()) for key, data in files]
        known = [epoch for epoch in since if epoch is not None]
        return max(known) if len(known) == len(files) else None

    def _offer(self, images: Sequence[RenderedImage], sink: Sink, group: RenderGroup) -> None:
        """Send a logger those pictures that it is to get, may get and has not got."""
        given: list[RenderedImage] = []
        for image in images:
            if sink not in self.routing.recipients(image.job.kind):
                continue
            if self.ledger.has(sink.name, image.key, group.epoch):
                self._tell_doubts(image, sink, group)
                continue
            if (since := self._unchanged(image, sink)) is not None:
                self.status.unchanged += 1
                self.record.add(*self.record.entries(image, group, sink, "withheld", f"{UNCHANGED} {since}"))
                continue
            reason = self._refusal(image) if sink.remote else ""
            if reason:
                self._withhold([image], sink, group, reason)
            else:
                given.append(image)
                self.budget.sent += image.size * sink.remote
        if given:
            self._send(given, sink, group)

    def _withhold(self, images: Sequence[RenderedImage], sink: Sink, group: RenderGroup, reason: str) -> None:
        self.status.withheld += len(images)
        for image in images:
            self.record.add(*self.record.entries(image, group, sink, "withheld", reason))

    def _tell_doubts(self, image: RenderedImage, sink: Sink, group: RenderGroup) -> None:
        """Say, once, why a logger does not get what it may have."""
        if self.ledger.doubts(sink.name, image.key, group.epoch) and sink.name not in self._said:
            self._said.add(sink.name)
            lost = "what it was given when the run ended; that is not sent again"
            self.say(f"{sink.name}: nobody can tell whether it has {lost}")

    def _refusal(self, image: RenderedImage) -> str:
        """Return why a remote destination may not have a picture; empty if it may."""
        if image.reason:
            return image.reason
        return "" if self.budget.admits(image.job.kind, image.size, image.job.mosaic) else "budget"

    def _send(self, given: list[RenderedImage], sink: Sink, group: RenderGroup) -> None:
        """Note pictures in the ledger, send them, and note what became of each, whatever interrupts that."""
        progress, off = HandOver(given), self._failures.get(sink.name, 0) >= MAX_FAILURES
        with contextlib.ExitStack() as stack:
            entries = [self.record.entries(image, group, sink, "unknown") for image in given]
            noted = self.record.hand_over(stack, [entry for mine in entries for entry in mine])
            if noted is None and sink.remote:
                self.budget.sent -= sum(image.size for image in given)
                self._withhold(given, sink, group, NO_LEDGER)
                return
            reason = ""
            became: list[Outcome] = []
            outcomes: list[Entry] = []
            try:
                reason = "switched off after repeated failures" if off else self._try(progress, sink, group)
            except BaseException as error:
                reason = first_line(error)
                raise
            finally:
                for image, mine in zip(given, entries, strict=True):
                    outcome, why = self._outcome(image, sink, progress, reason)
                    became.append(outcome)
                    outcomes += [replace(entry, outcome=outcome, reason=why) for entry in mine]
                if noted is not None:
                    noted += outcomes
        if noted is None:
            self.record.add(*outcomes)
        if reason and not off:
            self._tell_failure(became, sink, reason)

    def _try(self, progress: HandOver, sink: Sink, group: RenderGroup) -> str:
        """Send; returns why that failed, or nothing."""
        try:
            sink.send(progress, group.epoch, group.step)
        except Exception as error:
            self._failures[sink.name] = self._failures.get(sink.name, 0) + 1
            return first_line(error)
        self._failures[sink.name] = 0
        return ""

    def _outcome(self, image: RenderedImage, sink: Sink, progress: HandOver, reason: str) -> tuple[Outcome, str]:
        """Count what became of a picture, and return what the ledger is to say of it, with the reason."""
        outcome, size = progress.outcome(image), image.size * sink.remote
        if outcome == "failed":
            self.status.failed += 1
            self.budget.sent -= size
            return outcome, reason or "the logger did not take it"
        waits = sink.remote and sink.waits
        self.status.waiting_megabytes += size / 1e6 * waits
        self.status.megabytes += size / 1e6 * (not waits)
        if outcome == "unknown":
            self.status.unknown += 1
            return outcome, reason or "the logger did not say whether it took it"
        self.status.kept += not sink.remote
        self.status.waiting += waits
        self.status.sent += sink.remote and not waits
        return outcome, ""

    def _tell_failure(self, became: Sequence[Outcome], sink: Sink, reason: str) -> None:
        """Say what a logger did not take, and after the third time in a row that it gets no more."""
        failed, unknown = became.count("failed"), became.count("unknown")
        text = f"{sink.name} did not take {failed + unknown} pictures: {reason}"
        text += f"; {unknown} of them may have arrived all the same, and count as sent" if unknown else ""
        self.say(text + ("; it gets no more" if self._failures[sink.name] >= MAX_FAILURES else ""))

    def _note(
        self, image: RenderedImage, group: RenderGroup, to: Sink | str, outcome: Outcome, reason: str = ""
    ) -> None:
        self.record.add(self.record.entry(image, group, to, outcome, reason))
