"""The types on a picture's way: a copied batch, what to draw, what was drawn, how many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.media.ledger.lines import BOXES_FILE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aigp_lightning.media.patterns.image_patterns import ImagePatterns


@dataclass(frozen=True)
class BatchSnapshot:
    """A training batch as the network got it, copied.

    Attributes:
        images: (B, H, W, 3) uint8 RGB.
        bboxes: (N, 4) cxcywh as fractions.
        cls: (N,) class ids.
        batch_idx: (N,) which image a box belongs to.
        keypoints: (N, K, 3) x and y as fractions, visibility; or None.
        files: (B,) path of every image.
        sources: (B,) every image whose pixels are in it.
        masks: as in the batch, one of numbers for each image, or one an object; or None.
        overlap_mask: masks are one for each image.

    Example:
        >>> import numpy as np
        >>> nothing = {"bboxes": np.zeros((0, 4)), "cls": np.zeros(0), "batch_idx": np.zeros(0), "keypoints": None}
        >>> images = np.zeros((1, 32, 32, 3), np.uint8)
        >>> BatchSnapshot(images, **nothing, files=["a.jpg"], sources=[("a.jpg", "b.jpg")]).sources[0]
        ('a.jpg', 'b.jpg')
    """

    images: NDArray[np.uint8]
    bboxes: NDArray[Any]
    cls: NDArray[Any]
    batch_idx: NDArray[Any]
    keypoints: NDArray[Any] | None
    files: list[str]
    sources: list[tuple[str, ...]]
    masks: NDArray[Any] | None = None
    overlap_mask: bool = True


@dataclass(frozen=True)
class RenderJob:
    """A picture to draw.

    Attributes:
        kind: one of `KINDS`.
        name: of the file.
        draw: given the numbers of the cells to mask, returns the picture as (H, W, 3) uint8 RGB.
        cells: for every cell the images whose pixels are in it; empty where a picture shows none.
        mosaic: number among the mosaics of its kind, from 0.
        cache_key: stays the same as long as the picture does, which is then drawn once. None: drawn every time.
        fixed: it will be the same in all epochs to come.
        attachments: gives the files that go with it, by the name that is added to the picture's; None for none. A
            masked picture has none.

    Example:
        >>> import numpy as np
        >>> job = RenderJob("results", "results.png", lambda masked: np.zeros((8, 8, 3), np.uint8))
        >>> job.key
        'results'
    """

    kind: str
    name: str
    draw: Callable[[frozenset[int]], NDArray[np.uint8]]
    cells: tuple[tuple[str, ...], ...] = ()
    mosaic: int = 0
    cache_key: str | None = None
    fixed: bool = False
    attachments: Callable[[], Mapping[str, bytes]] | None = None

    @property
    def key(self) -> str:
        """The name that loggers know it by: the file's stem."""
        return Path(self.name).stem

    def private_cells(self, private: ImagePatterns) -> frozenset[int]:
        """Return the numbers of the cells that have pixels of a private image."""
        return frozenset(number for number, cell in enumerate(self.cells) if private.any(cell))

    def sources(self, hidden: frozenset[int] = frozenset()) -> list[str]:
        """Return every image that the picture shows, once, without those of hidden cells alone."""
        shown = (cell for number, cell in enumerate(self.cells) if number not in hidden)
        return list(dict.fromkeys(image for cell in shown for image in cell))


@dataclass(frozen=True)
class RenderGroup:
    """The pictures of one moment; a logger gets them together, with one epoch and step.

    Attributes:
        jobs: the pictures.
        epoch: from 0.
        step: that scalars are logged at now.
        validations_left: validations with pictures that are still to come after this one.

    Example:
        >>> import numpy as np
        >>> job = RenderJob("results", "results.png", lambda masked: np.zeros((8, 8, 3), np.uint8))
        >>> RenderGroup([job], epoch=3, step=40).validations_left
        0
    """

    jobs: Sequence[RenderJob]
    epoch: int
    step: int
    validations_left: int = 0


@dataclass(frozen=True)
class RenderedImage:
    """A picture that was drawn, as the bytes of a file in the run folder.

    Attributes:
        job: what was asked for.
        path: of the file.
        data: its bytes; empty where there is no picture.
        hidden: its masked cells.
        reason: why no destination may have it, or why it could not be drawn; empty if all is well.
        masked: the variant for remote destinations, where that is another one.
        attachments: bytes of the files that go with it, JSON, by the name that is added to its own.

    Example:
        >>> from dataclasses import replace
        >>> job = RenderJob("val_pred", "val_batch0_pred.jpg", draw=lambda masked: None)
        >>> image = RenderedImage(job, Path("run/val_batch0_pred.jpg"), data=b"as it is")
        >>> masked = RenderedImage(job, Path("run/masked/val_batch0_pred.jpg"), data=b"masked", hidden=frozenset({2}))
        >>> replace(image, masked=masked).variant(remote=True).data
        b'masked'
    """

    job: RenderJob
    path: Path
    data: bytes
    hidden: frozenset[int] = frozenset()
    reason: str = ""
    masked: RenderedImage | None = None
    attachments: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name that loggers know it by."""
        return self.job.key

    @property
    def size(self) -> int:
        """Bytes of the picture and of the files that go with it."""
        return len(self.data) + sum(map(len, self.attachments.values()))

    def attached(self) -> Iterator[tuple[str, Path, bytes]]:
        """Yield key, path and bytes of each file that goes with it."""
        for name, data in self.attachments.items():
            key = f"{self.key}.{name}"
            yield key, self.path.with_name(f"{key}{BOXES_FILE}"), data

    def variant(self, remote: bool) -> RenderedImage:
        """Return what a destination may have: the masked picture if it is remote and there is one."""
        return self.masked if remote and self.masked is not None else self


@dataclass
class MediaStatus:
    """Counters of what was drawn and delivered so far, in this start of the run.

    Attributes:
        drawn: files written.
        kept: pictures given to loggers on this machine.
        sent: pictures that left this machine: given to remote destinations.
        waiting: pictures in a record on this disk that waits to be synced: W&B's, offline.
        unknown: pictures of which nobody can tell whether a logger took them.
        withheld: pictures that a remote destination did not get, for privacy, budget or want of a ledger.
        unchanged: pictures that were not sent again, since a logger has the very bytes from an earlier epoch.
        failed: pictures that could not be drawn or delivered.
        megabytes: that left this machine, those unknown included, 10⁶ bytes.
        waiting_megabytes: the same of what waits to be synced.
        earlier: of both, in earlier starts of the run, as the ledger says.
        pending: groups that wait.

    Example:
        >>> print(MediaStatus(drawn=9, kept=9, sent=6, megabytes=1.25))
        9 drawn, 9 to loggers on this machine, 6 left this machine (1.2 MB), 0 withheld, 0 failed
        >>> print(MediaStatus(drawn=9, kept=9, waiting=6, waiting_megabytes=1.25))
        9 drawn, 9 to loggers on this machine, 6 wait on this disk to be synced (1.2 MB), none left this machine, \
0 withheld, 0 failed
        >>> print(MediaStatus(drawn=9, sent=5, unknown=1, megabytes=1.25, earlier=3.5))
        9 drawn, 0 to loggers on this machine, 5 left this machine (1.2 MB), 0 withheld, 0 failed, 1 of which nobody \
can tell whether it arrived; 4.8 MB left or wait with earlier starts
    """

    drawn: int = 0
    kept: int = 0
    sent: int = 0
    waiting: int = 0
    unknown: int = 0
    withheld: int = 0
    unchanged: int = 0
    failed: int = 0
    megabytes: float = 0.0
    waiting_megabytes: float = 0.0
    earlier: float = 0.0
    pending: int = 0

    def __str__(self) -> str:
        """Say in words what there was."""
        parts = [f"{self.drawn} drawn", f"{self.kept} to loggers on this machine"]
        if self.waiting:
            parts.append(f"{self.waiting} wait on this disk to be synced ({self.waiting_megabytes:.1f} MB)")
        left = f"{self.sent} left this machine ({self.megabytes:.1f} MB)"
        parts.append(left if self.sent or self.megabytes else "none left this machine")
        parts += [f"{self.withheld} withheld", f"{self.failed} failed"]
        if self.unchanged:
            parts.append(f"{self.unchanged} unchanged, so not sent again")
        if self.unknown:
            parts.append(f"{self.unknown} of which nobody can tell whether it arrived")
        whole = self.earlier + self.megabytes + self.waiting_megabytes
        return ", ".join(parts) + (f"; {whole:.1f} MB left or wait with earlier starts" if self.earlier else "")
