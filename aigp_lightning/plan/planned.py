"""What a run to come will draw, and how much of it goes where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aigp_lightning.media.hand_over import Reach, reach_of
from aigp_lightning.media.ledger.ledger import LEFT
from aigp_lightning.plan.earlier import EarlierStarts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aigp_lightning.media.routing import Routing


@dataclass(frozen=True)
class PlannedFile:
    """A file that the run will draw, and the loggers that will get it.

    Attributes:
        file: its name.
        kind: see `KINDS`.
        count: how often it is drawn from now on.
        width: pixels.
        height: pixels.
        bytes: of one drawing.
        remote_bytes: of one drawing as remote destinations see it, with private cells masked; 0 where withheld.
        private: images in it that are private.
        destinations: names of the loggers that get it.
        had: how many of the drawings a logger has already, or was denied, by its name: the run was stopped after that.
        mosaic: number among the mosaics of its kind, from 0.
        fixed: all its drawings are the same.
        once: a logger gets it only once, since they are (media.unchanged skip).
        known: names of the loggers that have these very bytes already, from earlier starts of the run.
    """

    file: str
    kind: str
    count: int
    width: int
    height: int
    bytes: int
    remote_bytes: int
    private: int
    destinations: tuple[str, ...]
    had: dict[str, int] = field(default_factory=dict)
    mosaic: int = 0
    fixed: bool = False
    once: bool = False
    known: tuple[str, ...] = ()

    def pictures(self, name: str, remote: bool) -> int:
        """Return how many of its drawings a destination gets."""
        if (name != "file" and name not in self.destinations) or (remote and not self.remote_bytes):
            return 0
        return self._due(name) - (self.repeats(name) if self.once else 0)

    def repeats(self, name: str) -> int:
        """Return how many of its drawings a logger has, or would have, from an epoch before."""
        return max(self._due(name) - (name not in self.known), 0) if self.fixed and name != "file" else 0

    def _due(self, name: str) -> int:
        return self.count - self.had.get(name, 0)

    def size(self, name: str, remote: bool) -> int:
        """Return how many bytes of it a destination gets."""
        return self.pictures(name, remote) * (self.remote_bytes if remote else self.bytes)


@dataclass(frozen=True)
class Total:
    """The pictures that one destination gets from now on.

    Attributes:
        name: as in the ledger; `file` is the run folder.
        remote: whether it leaves the machine, now or when synced.
        reach: whether it stays on this machine, waits on its disk to be synced, or leaves at once.
        pictures: how many.
        bytes: of all of them.
        earlier_bytes: that it has, or may have, from earlier starts of the run.
    """

    name: str
    remote: bool
    reach: Reach
    pictures: int
    bytes: int
    earlier_bytes: int = 0


@dataclass(frozen=True)
class HeldBack:
    """The pictures of one kind that a destination would not get.

    Attributes:
        destination: name of the logger.
        kind: of picture.
        pictures: how many.
        bytes: of all of them.
        epochs: of the pictures, from 0.
    """

    destination: str
    kind: str
    pictures: int
    bytes: int
    epochs: tuple[int, ...]


@dataclass
class Forecast:
    """The pictures of a run to come.

    Attributes:
        files: every file.
        epochs: epochs after which validation pictures are drawn, from 0.
        routing: the destinations of each kind.
        withheld: what the run would say when it steps down to keep the limit.
        held_back: the pictures that the limit would hold back.
        earlier: what earlier starts of the run have sent.
        left_out: loggers of the configuration that would get nothing, each with the reason.
        scalars_only: loggers without pictures of which nobody here knows where they keep scalars.
        last_epoch: in which the closing pictures are drawn, from 0.
    """

    files: list[PlannedFile]
    epochs: list[int]
    routing: Routing
    withheld: list[str] = field(default_factory=list)
    held_back: Sequence[HeldBack] = ()
    earlier: EarlierStarts = field(default_factory=EarlierStarts)
    left_out: Sequence[str] = ()
    scalars_only: Sequence[str] = ()
    last_epoch: int = 0

    def totals(self) -> list[Total]:
        """Sum up what the run folder and every logger get, before the budget."""
        totals = []
        places: list[tuple[str, Reach]] = [("file", "stays"), *((s.name, reach_of(s)) for s in self.routing.sinks)]
        for name, reach in places:
            remote = reach != "stays"
            pictures = sum(file.pictures(name, remote) for file in self.files)
            size = sum(file.size(name, remote) for file in self.files)
            before = sum(self.earlier.counts.total(outcome, [name]) for outcome in ("written", *LEFT))
            totals.append(Total(name, remote, reach, pictures, size, before))
        return totals

    def repeats(self) -> tuple[int, int, bool]:
        """Count what is the same as in an epoch before, at all loggers: pictures, bytes, and whether it is skipped."""
        remote = {sink.name: sink.remote for sink in self.routing.sinks}
        found = [
            (file.repeats(name), file.remote_bytes if remote[name] else file.bytes)
            for file in self.files
            for name in file.destinations
            if file.remote_bytes or not remote[name]
        ]
        skipped = any(file.once for file in self.files)
        return sum(count for count, _ in found), sum(count * size for count, size in found), skipped

    def bytes_that(self, reach: Reach) -> int:
        """Return the bytes that stay, wait or leave, from now on and without a budget."""
        return sum(total.bytes for total in self.totals() if total.reach == reach)

    @property
    def remote_bytes(self) -> int:
        """Bytes that would leave the machine, at once or when synced, from now on and without a budget."""
        return sum(total.bytes for total in self.totals() if total.remote)

    @property
    def left_bytes(self) -> int:
        """Bytes that have left the machine, or may have, to whatever destination; the limit counts them."""
        return self.earlier.counts.left
