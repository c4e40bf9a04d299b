"""Judges what was found in validation images, and keeps the images with the most mistakes to be drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.boxes import to_pixels, xywh_to_xyxy
from aigp_lightning.media.detections import ImageDetections
from aigp_lightning.media.routing import FIRST_GIVEN_UP
from aigp_lightning.media.types import RenderJob
from aigp_lightning.types import Detector, Prediction

if TYPE_CHECKING:
    from aigp_lightning.media.plots.mosaic import Cell
    from aigp_lightning.media.plots.skeleton import Edges
    from aigp_lightning.types import DetectionBatch


CONFIDENT = 0.9
"""Confidence of the stand-ins for predictions."""


@dataclass(frozen=True)
class Judged:
    """What was found in an image, and what of it is right.

    Attributes:
        found: the boxes that are shown.
        right: (n,) True for those that are right at IoU 0.5.
        labelled: how many objects the image has.

    Example:
        >>> found = ImageDetections(np.zeros((2, 4)), np.ones(2), np.zeros(2, np.int64))
        >>> judged = Judged(found, np.array([True, False]), labelled=2)
        >>> judged.f1, judged.mistakes
        (0.5, 2)
    """

    found: ImageDetections
    right: NDArray[np.bool_]
    labelled: int

    @property
    def f1(self) -> float:
        """F1, 0…1; 1 for nothing where nothing is."""
        both = self.labelled + len(self.right)
        return 2 * int(self.right.sum()) / both if both else 1.0

    @property
    def mistakes(self) -> int:
        """Objects that were not found, and boxes that are wrong."""
        return self.labelled + len(self.right) - 2 * int(self.right.sum())


def judge(found: ImageDetections, batch: DetectionBatch, row: int, detector: Detector) -> Judged:
    """Tell what is right of what was found in an image.

    Args:
        found: the boxes that are shown.
        batch: it holds the labels.
        row: the image in the batch.
        detector: says which boxes are right.

    Example:
        >>> import torch
        >>> class AllRight:
        ...     def match(self, prediction, boxes, labels):
        ...         return torch.ones(len(prediction.boxes), 10)
        >>> found = ImageDetections(np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
        >>> batch = {"img": torch.zeros(1, 3, 8, 8), "batch_idx": torch.tensor([0, 0, 0]), "cls": torch.zeros(3),
        ...          "bboxes": torch.full((3, 4), 0.5)}
        >>> judge(found, batch, 0, AllRight()).f1  # one of three objects is found
        0.5
    """
    import torch

    height, width = batch["img"].shape[2:]
    mine = batch["batch_idx"] == row
    labels = batch["cls"][mine].cpu()
    if not len(labels) or not len(found.boxes):
        return Judged(found, np.zeros(len(found.boxes), np.bool_), len(labels))
    truth = xywh_to_xyxy(to_pixels(batch["bboxes"], (height, width)))[mine].cpu()
    prediction = Prediction(*(torch.from_numpy(part) for part in (found.boxes, found.scores, found.labels)))
    right = detector.match(prediction, truth, labels)[:, 0]
    return Judged(found, right.numpy().astype(np.bool_), len(labels))


class WorstImages:
    """Keeps those images of a validation in which most goes wrong, and lists their mosaics.

    Args:
        mosaics: most mosaics.
        per_mosaic: most images in one.

    Example:
        >>> worst, nothing = WorstImages(mosaics=1, per_mosaic=2), np.zeros((0, 4))
        >>> for number in range(3):
        ...     found = ImageDetections(nothing, np.zeros(0), np.zeros(0, np.int64))
        ...     worst.add(f"{number}.jpg", Judged(found, np.zeros(0, np.bool_), labelled=number))
        >>> list(worst.share())
        ['2.jpg', '1.jpg']
    """

    def __init__(self, mosaics: int, per_mosaic: int) -> None:
        self.mosaics, self.per_mosaic = mosaics, per_mosaic
        self._judged: dict[str, Judged] = {}

    def reset(self) -> None:
        """Forget the images of an earlier validation."""
        self._judged = {}

    def add(self, file: str, judged: Judged) -> None:
        """Add an image. Its masks are left out, since they are not drawn."""
        found = judged.found if judged.found.masks is None else replace(judged.found, masks=None)
        self._judged[file] = replace(judged, found=found)
        if len(self._judged) >= 2 * self.mosaics * self.per_mosaic + 64:  # so that a large split needs no large memory
            self._judged = self.share()

    def share(self) -> dict[str, Judged]:
        """Return as many as are drawn at most, the worst first: lowest F1, then most mistakes, then by name."""
        order = sorted(self._judged.items(), key=lambda item: (item[1].f1, -item[1].mistakes, item[0]))
        return dict(order[: self.mosaics * self.per_mosaic])

    def merge(self, shares: Sequence[Mapping[str, Judged]]) -> None:
        """Take over the shares of all processes."""
        for share in shares:
            self._judged.update(share)

    def jobs(
        self, loader: Callable[[Sequence[str]], Callable[[], list[Cell]]], names: Mapping[int, str], edges: Edges = ()
    ) -> list[RenderJob]:
        """List the mosaics of the validation just done.

        Args:
            loader: of images' files returns a function that reads them with their labels.
            names: class names by id.
            edges: pairs of keypoints that are joined.
        """
        return self._jobs(list(self.share().items()), loader, names, edges)

    def examples(
        self, files: Sequence[str], loader: Callable[[Sequence[str]], Callable[[], list[Cell]]],
        names: Mapping[int, str], edges: Edges = (),
    ) -> list[RenderJob]:  # fmt: skip
        """List as many mosaics as a validation makes, with labels in place of predictions: to be weighed beforehand.

        Args:
            files: all images of the split.
            loader: of images' files returns a function that reads them with their labels.
            names: class names by id.
            edges: pairs of keypoints that are joined.
        """
        shown = files[: self.mosaics * self.per_mosaic]
        return self._jobs([(file, _example(loader([file])()[0])) for file in shown], loader, names, edges)

    def _jobs(
        self, worst: Sequence[tuple[str, Judged]], loader: Callable[[Sequence[str]], Callable[[], list[Cell]]],
        names: Mapping[int, str], edges: Edges,
    ) -> list[RenderJob]:  # fmt: skip
        chunks = [worst[start : start + self.per_mosaic] for start in range(0, len(worst), self.per_mosaic)]
        return [
            errors_job(number, [file for file, _ in some], loader([file for file, _ in some]),
                       [judged for _, judged in some], names, edges)
            for number, some in enumerate(chunks)
        ]  # fmt: skip


def found_as_labelled(cell: Cell) -> ImageDetections:
    """Return an image's labels as if they had been found, for pictures that are drawn before a training.

    Args:
        cell: the image and its labels.

    Example:
        >>> from aigp_lightning.media.plots.mosaic import Cell
        >>> image, box = np.zeros((8, 8, 3), np.uint8), np.zeros((1, 4), np.float32)
        >>> found_as_labelled(Cell(image, box, np.zeros(1, np.int64))).scores.tolist()
        [0.8999999761581421]
    """
    scores = np.full(len(cell.boxes), CONFIDENT, np.float32)
    return ImageDetections(cell.boxes, scores, np.asarray(cell.labels, np.int64), cell.keypoints, masks=cell.masks)


def _example(cell: Cell) -> Judged:
    """Judge an image as if all that is labelled had been found."""
    count = len(cell.boxes)
    return Judged(found_as_labelled(cell), np.ones(count, np.bool_), count)


def errors_job(
    number: int, files: Sequence[str], truth: Callable[[], Sequence[Cell]], judged: Sequence[Judged],
    names: Mapping[int, str], edges: Edges = (),
) -> RenderJob:  # fmt: skip
    """Build the job for `val_errors<number>.jpg`: truth and predictions in one cell an image.

    Args:
        number: of the mosaic, from 0.
        files: its images.
        truth: gives their cells with ground truth; called in the drawing thread.
        judged: what was found in each.
        names: class names by id.
        edges: pairs of keypoints that are joined.

    Example:
        >>> job = errors_job(0, ["a.jpg"], lambda: [], [], {0: "gate"})
        >>> job.kind, job.name, job.sources()
        ('val_errors', 'val_errors0.jpg', ['a.jpg'])
    """

    def draw(masked: frozenset[int]) -> NDArray[Any]:
        from aigp_lightning.media.plots.errors import draw_errors, error_cell

        cells = [error_cell(cell, one.found, one.right, names) for cell, one in zip(truth(), judged, strict=True)]
        return draw_errors(cells, names, masked, edges)

    sources = tuple((file,) for file in files)
    return RenderJob("val_errors", f"val_errors{number}.jpg", draw, sources, FIRST_GIVEN_UP + number)
