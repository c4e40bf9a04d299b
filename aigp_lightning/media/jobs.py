"""What the drawing thread works on: pictures to draw, in groups of one moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aigp_lightning.media.image_patterns import ImagePatterns
    from aigp_lightning.media.sinks import Picture


@dataclass(frozen=True)
class Job:
    """A picture to draw.

    Attributes:
        kind: one of `KINDS`.
        name: the file's.
        draw: given the numbers of the cells to mask, the picture as (H, W, 3) uint8 RGB.
        cells: for every cell the images whose pixels are in it; empty where a picture shows none.
        mosaic: which of its kind it is, from 0.
        fixed: something that stays the same as long as the picture does; it is then drawn once. None: always drawn.
    """

    kind: str
    name: str
    draw: Callable[[frozenset[int]], NDArray[np.uint8]]
    cells: tuple[tuple[str, ...], ...] = ()
    mosaic: int = 0
    fixed: str | None = None

    @property
    def key(self) -> str:
        """What loggers call it."""
        return Path(self.name).stem

    def private_cells(self, private: ImagePatterns) -> frozenset[int]:
        """The cells with a private image in them, be it one of several."""
        return frozenset(number for number, cell in enumerate(self.cells) if private.any(cell))

    def sources(self, hidden: frozenset[int] = frozenset()) -> list[str]:
        """Every image in it, once, but those of hidden cells alone."""
        shown = (cell for number, cell in enumerate(self.cells) if number not in hidden)
        return list(dict.fromkeys(image for cell in shown for image in cell))


@dataclass(frozen=True)
class Group:
    """Pictures of one moment; what a logger gets of them goes in one row.

    Attributes:
        jobs: the pictures, or a function that says which: called in the thread.
        epoch: from 0.
        step: optimizer steps so far.
        more: validations with pictures that are still to come after this one.
    """

    jobs: Sequence[Job] | Callable[[], Sequence[Job]]
    epoch: int
    step: int
    more: int = 0


@dataclass
class Status:
    """How much was done so far.

    Attributes:
        drawn: files written.
        kept: pictures handed to loggers on this machine.
        sent: pictures handed to remote destinations.
        withheld: pictures a remote destination did not get, for privacy or budget.
        failed: pictures that could not be drawn or handed over.
        megabytes: handed to remote destinations, 10⁶ bytes.
        pending: groups that wait.
    """

    drawn: int = 0
    kept: int = 0
    sent: int = 0
    withheld: int = 0
    failed: int = 0
    megabytes: float = 0.0
    pending: int = 0


@dataclass(frozen=True)
class Done:
    """A picture that was drawn.

    Attributes:
        job: what was asked for.
        picture: the file.
        group: the moment it belongs to.
        reason: why it did not get where it should, if it did not.
        hidden: its masked cells.
    """

    job: Job
    picture: Picture
    group: Group
    reason: str = ""
    hidden: frozenset[int] = frozenset()


def reason_of(error: BaseException) -> str:
    """One line that says what went wrong."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
