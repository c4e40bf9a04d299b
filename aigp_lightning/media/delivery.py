"""Who gets a picture that was drawn, and the record of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aigp_lightning.media.jobs import Done, Group, Job, Status, reason_of
from aigp_lightning.media.ledger import Entry
from aigp_lightning.media.routing import PER_EPOCH

if TYPE_CHECKING:
    from aigp_lightning.media.budget import Budget
    from aigp_lightning.media.ledger import Ledger
    from aigp_lightning.media.routing import Routing
    from aigp_lightning.media.sinks import Sink

PATIENCE = 3
"""Failures in a row after which a logger is left alone."""
Outcome = Literal["written", "sent", "withheld", "failed"]


@dataclass
class Delivery:
    """Hands files to the loggers that may have them; every hand-over, and every refusal, is a line in the ledger.

    Args:
        folder: the run folder.
        ledger: the record.
        routing: who gets which.
        budget: of the remote destinations.
        say: told what the user should know.
        status: counts what was done.
    """

    folder: Path
    ledger: Ledger
    routing: Routing
    budget: Budget
    say: Callable[[str], None]
    status: Status = field(default_factory=Status)
    _failures: dict[str, int] = field(default_factory=dict)
    _allowed: set[int] | None = None

    def deliver(self, local: Sequence[Done], remote: Sequence[Done], group: Group) -> None:
        """Hand the pictures of a moment over.

        Args:
            local: as they were drawn.
            remote: as remote destinations may see them.
            group: the moment.
        """
        self._allocate_budget(remote, group)
        for sink in self.routing.sinks:
            self._to(sink, remote if sink.remote else local, group)

    def done(self, job: Job, group: Group) -> bool:
        """Whether a run that goes on has this picture already, and everybody who is to have it."""
        takers = ("file", *(sink.name for sink in self.routing.takers(job.kind)))
        return all(self.ledger.has(taker, job.key, group.epoch) for taker in takers)

    def note(self, done: Done, destination: str, outcome: Outcome) -> None:
        """Add a line to the ledger; a file that was written before with the same bytes has one."""
        picture = done.picture
        entry = Entry(
            kind=done.job.kind,
            key=done.job.key,
            file=picture.path.relative_to(self.folder).as_posix(),
            sha256=sha256(picture.data).hexdigest(),
            bytes=len(picture.data),
            step=done.group.step,
            epoch=done.group.epoch,
            sources=done.job.sources(done.hidden),
            destination=destination,
            outcome=outcome,
            reason=done.reason,
        )
        if outcome == "written" and self.ledger.has("file", entry.key, entry.epoch, entry.sha256):
            return
        try:
            self.ledger.add(entry)
        except OSError as error:
            self.say(f"the ledger could not be written: {reason_of(error)}")

    # ---- one logger -------------------------------------------------------------------------------------------------

    def _allocate_budget(self, remote: Sequence[Done], group: Group) -> None:
        """Let the budget decide on the validation mosaics of this epoch and those to come."""
        sizes: dict[int, int] = {}
        for done in remote:
            if done.job.kind in PER_EPOCH and not done.reason:
                takers = self.routing.remote_takers(done.job.kind)
                sizes[done.job.mosaic] = sizes.get(done.job.mosaic, 0) + takers * len(done.picture.data)
        if any(sizes.values()):
            order = sorted(sizes)
            self.budget.allocate([sizes[mosaic] for mosaic in order], 1 + group.more)
            self._allowed = None if self.budget.mosaics is None else set(order[: self.budget.mosaics])

    def _to(self, sink: Sink, offered: Sequence[Done], group: Group) -> None:
        given: list[Done] = []
        for done in offered:
            if sink not in self.routing.takers(done.job.kind):
                continue
            if self.ledger.has(sink.name, done.job.key, group.epoch):
                continue
            reason = self._refusal(done) if sink.remote else ""
            if reason:
                self.status.withheld += 1
                self.note(replace(done, reason=reason), sink.name, "withheld")
            else:
                given.append(done)
                self.budget.sent += len(done.picture.data) * sink.remote
        if given:
            self._send(sink, given, group)

    def _refusal(self, done: Done) -> str:
        kind = done.job.kind
        if done.reason:
            return done.reason
        if self._allowed is not None and kind in PER_EPOCH and done.job.mosaic not in self._allowed:
            return "budget"
        return "" if self.budget.admits(kind, len(done.picture.data)) else "budget"

    def _send(self, sink: Sink, given: list[Done], group: Group) -> None:
        size = sum(len(done.picture.data) for done in given)
        reason = "switched off after repeated failures" if self._failures.get(sink.name, 0) >= PATIENCE else ""
        if not reason:
            reason = self._try(sink, given, group)
        if reason:
            self.status.failed += len(given)
            self.budget.sent -= size * sink.remote
        else:
            self.status.kept += len(given) * (not sink.remote)
            self.status.sent += len(given) * sink.remote
            self.status.megabytes += size * sink.remote / 1e6
        for done in given:
            self.note(replace(done, reason=reason), sink.name, "failed" if reason else "sent")

    def _try(self, sink: Sink, given: list[Done], group: Group) -> str:
        try:
            sink.send([done.picture for done in given], group.epoch, group.step)
        except Exception as error:
            self._failures[sink.name] = self._failures.get(sink.name, 0) + 1
            ended = "; it gets no more" if self._failures[sink.name] >= PATIENCE else ""
            self.say(f"{sink.name} did not take {len(given)} pictures: {reason_of(error)}{ended}")
            return reason_of(error)
        self._failures[sink.name] = 0
        return ""
