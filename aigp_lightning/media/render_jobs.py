"""What each kind of picture is made of: data in, jobs out. Nothing is drawn here, only said how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.jobs import Job
from aigp_lightning.media.plots.mosaic import Cell, draw_mosaic

if TYPE_CHECKING:
    from aigp_lightning.media.plots.skeleton import Edges
    from aigp_lightning.types import CornerErrors, Curves

Names = Mapping[int, str]
Which = Literal["PR", "F1", "P", "R"]
CURVES: tuple[Which, ...] = ("PR", "F1", "P", "R")


@dataclass(frozen=True)
class Seen:
    """What a model found in one image; arrays as in `Prediction`, on the CPU."""

    boxes: NDArray[Any]
    scores: NDArray[Any]
    labels: NDArray[Any]
    keypoints: NDArray[Any] | None = None


NOTHING = Seen(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


@dataclass(frozen=True)
class BatchSnapshot:
    """A training batch as the network got it, copied.

    Attributes:
        images: (B, H, W, 3) uint8 RGB.
        bboxes: (N, 4) cxcywh as fractions.
        cls: (N,) class ids.
        batch_idx: (N,) which image a box belongs to.
        keypoints: (N, K, 3) x and y as fractions, visibility; or None.
        files: (B,) name of every image.
        sources: (B,) every image whose pixels are in it.
    """

    images: NDArray[np.uint8]
    bboxes: NDArray[Any]
    cls: NDArray[Any]
    batch_idx: NDArray[Any]
    keypoints: NDArray[Any] | None
    files: list[str]
    sources: list[tuple[str, ...]]

    def cells(self, limit: int) -> list[Cell]:
        """The first images with their ground truth."""
        height, width = self.images.shape[1:3]
        size = np.array([width, height], np.float32)
        corners = np.concatenate((_low(self.bboxes), _high(self.bboxes)), 1) * np.tile(size, 2)
        points = None if self.keypoints is None else self.keypoints * np.array([*size, 1], np.float32)
        cells = []
        for row, image in enumerate(self.images[:limit]):
            mine = self.batch_idx == row
            own = None if points is None else points[mine]
            cells.append(Cell(image, corners[mine], self.cls[mine], None, own, Path(self.files[row]).name))
        return cells


def _low(boxes: NDArray[Any]) -> NDArray[Any]:
    return boxes[:, :2] - boxes[:, 2:] / 2


def _high(boxes: NDArray[Any]) -> NDArray[Any]:
    return boxes[:, :2] + boxes[:, 2:] / 2


def train_job(
    number: int, snapshots: Callable[[], Sequence[BatchSnapshot]], sources: Sequence[tuple[str, ...]], names: Names,
    limit: int, edges: Edges = (),
) -> Job:  # fmt: skip
    """`train_batch<number>.jpg`.

    Args:
        number: of the batch, from 0.
        snapshots: gives the batch, each process's share; called in the drawing thread.
        sources: for every image of the batch, those whose pixels are in it.
        names: class names by id.
        limit: most cells.
        edges: pairs of keypoints that are joined.
    """

    def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
        cells = [cell for share in snapshots() for cell in share.cells(limit)][:limit]
        return draw_mosaic(cells, names, masked, edges)

    return Job("train_batch", f"train_batch{number}.jpg", draw, tuple(sources[:limit]), number)


def label_jobs(cls: NDArray[Any], bboxes: NDArray[Any], names: Names) -> list[Job]:
    """`labels.jpg` and `labels_correlogram.jpg`; (N,) class ids and (N, 4) cxcywh as fractions."""

    def statistics(masked: frozenset[int]) -> NDArray[np.uint8]:
        from aigp_lightning.media.plots.labels import draw_labels

        return draw_labels(cls, bboxes, names)

    def correlogram(masked: frozenset[int]) -> NDArray[np.uint8]:
        from aigp_lightning.media.plots.labels import draw_correlogram

        return draw_correlogram(bboxes)

    return [
        Job("labels", "labels.jpg", statistics),
        Job("labels_correlogram", "labels_correlogram.jpg", correlogram),
    ]


def val_jobs(
    mosaic: int, files: Sequence[str], truth: Callable[[], Sequence[Cell]], found: Sequence[Seen], names: Names,
    edges: Edges = (),
) -> list[Job]:  # fmt: skip
    """`val_batch<mosaic>_labels.jpg` and `val_batch<mosaic>_pred.jpg`.

    Args:
        mosaic: number of the mosaic, from 0.
        files: its images.
        truth: gives their cells with ground truth; called in the drawing thread.
        found: what the model found in each.
        names: class names by id.
        edges: pairs of keypoints that are joined.
    """

    def labels(masked: frozenset[int]) -> NDArray[np.uint8]:
        return draw_mosaic(truth(), names, masked, edges)

    def predictions(masked: frozenset[int]) -> NDArray[np.uint8]:
        cells = [
            replace(cell, boxes=seen.boxes, labels=seen.labels, scores=seen.scores, keypoints=seen.keypoints)
            for cell, seen in zip(truth(), found, strict=True)
        ]
        return draw_mosaic(cells, names, masked, edges)

    sources = tuple((file,) for file in files)
    return [
        Job("val_labels", f"val_batch{mosaic}_labels.jpg", labels, sources, mosaic, fixed="\n".join(files)),
        Job("val_pred", f"val_batch{mosaic}_pred.jpg", predictions, sources, mosaic),
    ]


def curve_jobs(curves: Iterable[Curves]) -> list[Job]:
    """`PR_curve.png` and its like."""
    return [Job("curves", f"{one.prefix}{which}_curve.png", _curve(one, which)) for one in curves for which in CURVES]


def _curve(curves: Curves, which: Which) -> Callable[[frozenset[int]], NDArray[np.uint8]]:
    def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
        from aigp_lightning.media.plots.curves import draw_curve

        return draw_curve(curves, which)

    return draw


def confusion_jobs(matrix: NDArray[Any], names: Names) -> list[Job]:
    """`confusion_matrix.png` and `confusion_matrix_normalized.png`; (nc + 1, nc + 1) counts [predicted, true]."""

    def draw(normalize: bool) -> NDArray[np.uint8]:
        from aigp_lightning.media.plots.confusion import draw_confusion

        return draw_confusion(matrix, names, normalize)

    return [
        Job("confusion_matrix", "confusion_matrix.png", lambda masked: draw(False)),
        Job("confusion_matrix", "confusion_matrix_normalized.png", lambda masked: draw(True)),
    ]


def results_job(rows: Callable[[], Sequence[Mapping[str, Any]]]) -> Job:
    """`results.png`, of the rows of `results.csv`."""

    def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
        from aigp_lightning.media.plots.results import draw_results

        return draw_results(rows())

    return Job("results", "results.png", draw)


def corner_error_job(errors: CornerErrors) -> Job:
    """`corner_error.png`."""

    def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
        from aigp_lightning.media.plots.corner_error import draw_corner_error

        return draw_corner_error(errors)

    return Job("corner_error", "corner_error.png", draw)
