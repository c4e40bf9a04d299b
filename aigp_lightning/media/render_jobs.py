"""Builds the render jobs of each kind of picture: data in, jobs out. Nothing is drawn before `RenderJob.draw`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.boxes import to_pixels, xywh_to_xyxy
from aigp_lightning.media.detections import ImageDetections
from aigp_lightning.media.plots.masks import masks_of_image
from aigp_lightning.media.plots.mosaic import Cell, draw_mosaic
from aigp_lightning.media.types import BatchSnapshot, RenderJob

if TYPE_CHECKING:
    from aigp_lightning.media.plots.skeleton import Edges
    from aigp_lightning.types import CornerErrors, Curves

Names = Mapping[int, str]
Which = Literal["PR", "F1", "P", "R"]
CURVES: tuple[Which, ...] = ("PR", "F1", "P", "R")


def snapshot_cells(snapshot: BatchSnapshot, limit: int) -> list[Cell]:
    """Return the first images of a batch as cells with their ground truth.

    Args:
        snapshot: the batch.
        limit: most cells.

    Example:
        >>> nothing = {"bboxes": np.zeros((0, 4)), "cls": np.zeros(0), "batch_idx": np.zeros(0), "keypoints": None}
        >>> images = np.zeros((2, 32, 32, 3), np.uint8)
        >>> batch = BatchSnapshot(images, **nothing, files=["in/a.jpg", "in/b.jpg"], sources=[("a.jpg",), ("b.jpg",)])
        >>> [cell.caption for cell in snapshot_cells(batch, limit=1)]
        ['a.jpg']
    """
    height, width = snapshot.images.shape[1:3]
    corners = to_pixels(xywh_to_xyxy(snapshot.bboxes), (height, width))
    points = None
    if snapshot.keypoints is not None:
        points = snapshot.keypoints * np.array([width, height, 1], np.float32)
    cells = []
    for row, image in enumerate(snapshot.images[:limit]):
        mine = snapshot.batch_idx == row
        own, masks = None if points is None else points[mine], None
        if snapshot.masks is not None:
            first, place = int((snapshot.batch_idx < row).sum()), row if snapshot.overlap_mask else -1
            masks = masks_of_image(snapshot.masks, place, int(mine.sum()), first)
        cells.append(Cell(image, corners[mine], snapshot.cls[mine], None, own, Path(snapshot.files[row]).name, masks))
    return cells


def train_job(
    number: int, shares: Sequence[Callable[[], BatchSnapshot]], sources: Sequence[tuple[str, ...]], names: Names,
    limit: int, edges: Edges = (),
) -> RenderJob:  # fmt: skip
    """Build the job for `train_batch<number>.jpg`: training images as the network gets them, with ground truth.

    Args:
        number: of the batch, from 0.
        shares: each gives one process's share of the batch; called in the drawing thread.
        sources: for every image of the batch, those whose pixels are in it.
        names: class names by id.
        limit: most cells.
        edges: pairs of keypoints that are joined.

    Example:
        >>> nothing = {"bboxes": np.zeros((0, 4)), "cls": np.zeros(0), "batch_idx": np.zeros(0), "keypoints": None}
        >>> images = np.zeros((2, 32, 32, 3), np.uint8)
        >>> batch = BatchSnapshot(images, **nothing, files=["a.jpg", "b.jpg"], sources=[("a.jpg",), ("b.jpg", "c.jpg")])
        >>> job = train_job(0, [lambda: batch], batch.sources, {0: "gate"}, limit=16)
        >>> job.name, job.sources(), job.draw(frozenset()).shape
        ('train_batch0.jpg', ['a.jpg', 'b.jpg', 'c.jpg'], (32, 64, 3))
    """

    def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
        cells = [cell for share in shares for cell in snapshot_cells(share(), limit)][:limit]
        return draw_mosaic(cells, names, masked, edges)

    return RenderJob("train_batch", f"train_batch{number}.jpg", draw, tuple(sources[:limit]), number)


def label_jobs(cls: NDArray[Any], bboxes: NDArray[Any], names: Names) -> list[RenderJob]:
    """Build the jobs for `labels.jpg` and `labels_correlogram.jpg`.

    Args:
        cls: (N,) class ids of all labels.
        bboxes: (N, 4) cxcywh as fractions of their images.
        names: class names by id.

    Example:
        >>> [job.name for job in label_jobs(np.array([0]), np.array([[0.5, 0.5, 0.2, 0.2]]), {0: "gate"})]
        ['labels.jpg', 'labels_correlogram.jpg']
    """

    def statistics(masked: frozenset[int]) -> NDArray[np.uint8]:
        from aigp_lightning.media.plots.labels import draw_labels

        return draw_labels(cls, bboxes, names)

    def correlogram(masked: frozenset[int]) -> NDArray[np.uint8]:
        from aigp_lightning.media.plots.labels import draw_correlogram

        return draw_correlogram(bboxes)

    return [
        RenderJob("labels", "labels.jpg", statistics),
        RenderJob("labels_correlogram", "labels_correlogram.jpg", correlogram),
    ]


def val_jobs(
    mosaic: int, files: Sequence[str], truth: Callable[[], Sequence[Cell]], found: Sequence[ImageDetections],
    names: Names, edges: Edges = (), fixed: bool = False,
) -> list[RenderJob]:  # fmt: skip
    """Build the jobs for `val_batch<mosaic>_labels.jpg` and `val_batch<mosaic>_pred.jpg`.

    Args:
        mosaic: number of the mosaic, from 0.
        files: its images.
        truth: gives their cells with ground truth; called in the drawing thread.
        found: what the model found in each.
        names: class names by id.
        edges: pairs of keypoints that are joined.
        fixed: all validations to come show these images.

    Example:
        >>> from aigp_lightning.media.detections import NOTHING
        >>> cells = [Cell(np.zeros((32, 32, 3), np.uint8), np.zeros((0, 4)), np.zeros(0))]
        >>> [job.name for job in val_jobs(0, ["a.jpg"], lambda: cells, [NOTHING], {0: "gate"})]
        ['val_batch0_labels.jpg', 'val_batch0_pred.jpg']
    """

    def labels(masked: frozenset[int]) -> NDArray[np.uint8]:
        return draw_mosaic(truth(), names, masked, edges)

    def predictions(masked: frozenset[int]) -> NDArray[np.uint8]:
        cells = [
            replace(
                cell, boxes=one.boxes, labels=one.labels, scores=one.scores, keypoints=one.keypoints, masks=one.masks
            )
            for cell, one in zip(truth(), found, strict=True)
        ]
        return draw_mosaic(cells, names, masked, edges)

    sources, cache_key = tuple((file,) for file in files), "\0".join(files)
    return [
        RenderJob("val_labels", f"val_batch{mosaic}_labels.jpg", labels, sources, mosaic, cache_key, fixed),
        RenderJob("val_pred", f"val_batch{mosaic}_pred.jpg", predictions, sources, mosaic),
    ]


def curve_jobs(curves: Iterable[Curves]) -> list[RenderJob]:
    """Build the jobs for `PR_curve.png`, `F1_curve.png`, `P_curve.png` and `R_curve.png` of each set of curves.

    Example:
        >>> from aigp_lightning.types import Curves
        >>> x, one = np.linspace(0, 1, 1000), np.ones((1, 1000))
        >>> [job.name for job in curve_jobs([Curves("Box", ("gate",), x, one, one, one, one, one[:, 0])])][:2]
        ['BoxPR_curve.png', 'BoxF1_curve.png']
    """
    return [
        RenderJob("curves", f"{one.prefix}{which}_curve.png", _curve(one, which)) for one in curves for which in CURVES
    ]


def _curve(curves: Curves, which: Which) -> Callable[[frozenset[int]], NDArray[np.uint8]]:
    def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
        from aigp_lightning.media.plots.curves import draw_curve

        return draw_curve(curves, which)

    return draw


def confusion_jobs(matrix: NDArray[Any], names: Names) -> list[RenderJob]:
    """Build the jobs for `confusion_matrix.png` and `confusion_matrix_normalized.png`.

    Args:
        matrix: (nc + 1, nc + 1) counts [predicted, true], background last.
        names: class names by id.

    Example:
        >>> [job.key for job in confusion_jobs(np.array([[9, 1], [2, 0]]), {0: "gate"})]
        ['confusion_matrix', 'confusion_matrix_normalized']
    """

    def draw(normalize: bool) -> NDArray[np.uint8]:
        from aigp_lightning.media.plots.confusion import draw_confusion

        return draw_confusion(matrix, names, normalize)

    return [
        RenderJob("confusion_matrix", "confusion_matrix.png", lambda masked: draw(False)),
        RenderJob("confusion_matrix", "confusion_matrix_normalized.png", lambda masked: draw(True)),
    ]


def results_job(rows: Callable[[], Sequence[Mapping[str, Any]]], best: int | None = None) -> RenderJob:
    """Build the job for `results.png`.

    Args:
        rows: gives the rows of `results.csv`; called in the drawing thread.
        best: the epoch that is marked, from 1; None for none.

    Example:
        >>> results_job(lambda: [{"epoch": 1, "train/box_loss": 0.5}]).name
        'results.png'
    """

    def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
        from aigp_lightning.media.plots.results import draw_results

        return draw_results(rows(), best)

    return RenderJob("results", "results.png", draw)


def corner_error_job(errors: CornerErrors) -> RenderJob:
    """Build the job for `corner_error.png`.

    Example:
        >>> from aigp_lightning.types import CornerErrors
        >>> corner_error_job(CornerErrors(np.array([4.0]), np.array([3.0]), (5.0, 10.0))).name
        'corner_error.png'
    """

    def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
        from aigp_lightning.media.plots.corner_error import draw_corner_error

        return draw_corner_error(errors)

    return RenderJob("corner_error", "corner_error.png", draw)
