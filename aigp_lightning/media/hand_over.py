"""The interface of a logger as a destination of pictures, and the outcome of each picture while it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, Protocol

from aigp_lightning.types import ShowsPictures

if TYPE_CHECKING:
    from aigp_lightning.media.types import RenderedImage


Reach = Literal["stays", "waits", "leaves"]
"""How far pictures go: they stay on this machine, wait on its disk until somebody syncs them, or leave at once."""


class HandOver:
    """The outcome of each picture of a group that is sent to a logger, kept up to date while it is sent.

    So it holds whatever interrupts that: an error, a signal, memory that runs out.

    Args:
        images: to be handed over; none of them is begun.

    Example:
        >>> from pathlib import Path
        >>> from aigp_lightning.media.types import RenderedImage, RenderJob
        >>> job = RenderJob("results", "results.png", draw=lambda masked: None)
        >>> first, second, third = images = [RenderedImage(job, Path("run/results.png"), b"") for _ in range(3)]
        >>> progress = HandOver(images)
        >>> progress.begin([first, second])
        >>> progress.took([first])
        >>> [progress.outcome(image) for image in images]
        ['sent', 'unknown', 'failed']
    """

    def __init__(self, images: Sequence[RenderedImage]) -> None:
        self.images = images
        self._outcomes: dict[int, Literal["sent", "unknown", "failed"]] = {}

    def begin(self, images: Iterable[RenderedImage]) -> None:
        """Note that the logger is about to get pictures: from now on nobody can tell whether it has them."""
        self._outcomes.update((id(image), "unknown") for image in images)

    def took(self, images: Iterable[RenderedImage]) -> None:
        """Note that the logger has pictures, for certain."""
        self._outcomes.update((id(image), "sent") for image in images)

    def outcome(self, image: RenderedImage) -> Literal["sent", "unknown", "failed"]:
        """Return what became of a picture so far; one that was never begun was certainly not taken."""
        return self._outcomes.get(id(image), "failed")


def reach_of(sink: Sink) -> Reach:
    """Return how far what a logger takes goes.

    Example:
        >>> from types import SimpleNamespace
        >>> [reach_of(SimpleNamespace(remote=remote, waits=waits)) for remote, waits in ((True, True), (True, False))]
        ['waits', 'leaves']
    """
    return "stays" if not sink.remote else "waits" if sink.waits else "leaves"


class Sink(Protocol):
    """A logger as a destination of pictures.

    Attributes:
        name: its name in the ledger; every logger of a run has another.
        destination: its name in the routes, which loggers of one kind share.
        remote: whether what it takes leaves this machine, now or when it is synced.
        waits: whether it is remote, and what it takes stays on this disk until somebody syncs it.

    Example:
        >>> class Listing:  # any logger's pictures, as the drawing thread sends them
        ...     name = destination = "other"
        ...     remote = waits = False
        ...     def send(self, hand_over, epoch, step):
        ...         for image in hand_over.images:
        ...             hand_over.begin([image])
        ...             print(epoch, image.key)
        ...             hand_over.took([image])
        >>> Listing().send(HandOver([]), epoch=3, step=40)
    """

    name: str
    destination: str
    remote: bool

    @property
    def waits(self) -> bool:
        """True if it is remote, and what it takes stays on this disk until somebody syncs it."""

    def send(self, hand_over: HandOver, epoch: int, step: int) -> None:
        """Give pictures to the logger, and keep up to date what it has; what is raised is the caller's to report."""


def found_with(logger: object, images: Sequence[RenderedImage], epoch: int) -> list[RenderedImage]:
    """Find those pictures that a logger has on this machine; none if it cannot be asked.

    Args:
        logger: any.
        images: that it was given.
        epoch: of the pictures.

    Example:
        >>> found_with(object(), [], epoch=3)
        []
    """
    if not isinstance(logger, ShowsPictures):
        return []
    try:
        there = logger.logged_pictures(epoch)
    except Exception:  # it was just seen to fail
        return []
    return [image for image in images if (image.key, sha256(image.data).hexdigest()) in there]
