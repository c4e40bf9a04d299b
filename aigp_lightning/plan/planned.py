"""What a run to come will draw, and how much of it goes where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aigp_lightning.media.ledger.ledger import LEFT
from aigp_lightning.plan.earlier import EarlierStarts

if TYPE_CHECKING:
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

    def pictures(self, name: str, remote: bool) -> int:
        """Return how many of its drawings a destination gets."""
        if (name != "file" and name not in self.destinations) or (remote and not self.remote_bytes):
            return 0
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
        pictures: how many.
        bytes: of all of them.
        earlier_bytes: that it has, or may have, from earlier starts of the run.
    """

    name: str
    remote: bool
    pictures: int
    bytes: int
    earlier_bytes: int = 0


@dataclass
class Forecast:
    """The pictures of a run to come.

    Attributes:
        files: every file.
        epochs: epochs after which validation pictures are drawn, from 0.
        routing: the destinations of each kind.
        withheld: what the budget would hold back, in words.
        earlier: what earlier starts of the run have sent.
    """

    files: list[PlannedFile]
    epochs: list[int]
    routing: Routing
    withheld: list[str] = field(default_factory=list)
    earlier: EarlierStarts = field(default_factory=EarlierStarts)

    def totals(self) -> list[Total]:
        """Sum up what the run folder and every logger get, before the budget."""
        totals = []
        for name, remote in [("file", False), *((sink.name, sink.remote) for sink in self.routing.sinks)]:
            pictures = sum(file.pictures(name, remote) for file in self.files)
            size = sum(file.size(name, remote) for file in self.files)
            before = sum(self.earlier.counts.total(outcome, [name]) for outcome in ("written", *LEFT))
            totals.append(Total(name, remote, pictures, size, before))
        return totals

    @property
    def remote_bytes(self) -> int:
        """Bytes that would leave the machine from now on without a budget."""
        return sum(total.bytes for total in self.totals() if total.remote)

    @property
    def left_bytes(self) -> int:
        """Bytes that have left the machine, or may have, to whatever destination; the limit counts them."""
        return self.earlier.counts.left
