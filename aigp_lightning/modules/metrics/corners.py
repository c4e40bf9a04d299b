"""How far off the keypoints of objects are, in pixels of the picture and, where it is known how they lie, in metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.modules.metrics.confusion import pair
from aigp_lightning.modules.metrics.corner_report import (
    AMBIGUITY,
    DISTANCE,
    FOUND,
    GATE_CORNERS,
    HEAD,
    POSITION,
    QUALITIES,
    REFUSED,
    REPROJECTION,
    ROTATION,
    WHOLE,
    CornerReport,
    Rows,
    row_width,
)
from aigp_lightning.modules.metrics.gate_camera import Array, GateCamera, degrees_between
from aigp_lightning.modules.metrics.rigid_pose import solve_in_pictures, target_of
from aigp_lightning.types import Keypoints, PoseBatch, Prediction

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CornerReport", "corner_and_pose_rows", "corner_rows", "row_width"]

VISIBLE = 0.5
"""A keypoint found with more confidence than this is taken as visible; of more than four, poses are solved from those
alone, as in flight with the usual thresholds."""


def corner_rows(
    predictions: Sequence[Prediction],
    batch: PoseBatch,
    camera: GateCamera | None,
    count: int = GATE_CORNERS,
    target: Array | None = None,
) -> Rows:
    """Measure what was found in a batch against its labels, see `corner_and_pose_rows`.

    Args:
        predictions: one an image, in network-input pixels.
        batch: the labels; a keypoint with visibility 0 is not labelled.
        camera: that took the pictures; None: no metres.
        count: keypoints an object, K; an empty batch does not say.
        target: (K, 3) where they are on it, metres; None: four are the corners of the camera's square.

    Returns:
        (m, `row_width(K)`) one row a labelled object, in the batch's order; see `FOUND` and so on.

    Example:
        >>> import torch
        >>> corners = torch.tensor([[[0.25, 0.25, 2], [0.75, 0.25, 2], [0.75, 0.75, 2], [0.25, 0.75, 2]]])
        >>> batch = {"img": torch.zeros(1, 3, 64, 64), "bboxes": torch.tensor([[0.5, 0.5, 0.5, 0.5]]),
        ...          "batch_idx": torch.tensor([0]), "keypoints": corners, "ori_shape": [(64, 64)],
        ...          "ratio_pad": [((1.0, 1.0), (0.0, 0.0))]}
        >>> places = corners * torch.tensor([64, 64, 0.5]) + torch.tensor([3.0, 4.0, 0.0])  # 5 pixels off
        >>> found = Prediction(torch.tensor([[16.0, 16, 48, 48]]), torch.tensor([0.9]), torch.tensor([0]), places)
        >>> corner_rows([found], batch, camera=None)[0, HEAD : HEAD + 4].tolist()
        [5.0, 5.0, 5.0, 5.0]
    """
    return corner_and_pose_rows(predictions, batch, camera, count, target)[0]


def corner_and_pose_rows(
    predictions: Sequence[Prediction],
    batch: PoseBatch,
    camera: GateCamera | None,
    count: int,
    target: Array | None = None,
) -> tuple[Rows, Rows]:
    """Measure what was found in a batch against its labels, and how good the poses look that it gives.

    An object is found by the detection that the confusion matrix counts for it: surer than 0.25, overlapping by more
    than 0.45, the surest first, of any class. Its pose is that of the found keypoints that are taken as visible, four
    at least; of an object of four keypoints that of all, so that errors compare with those of earlier versions.
    Position and rotation are held against the pose of the labelled ones.

    Args:
        predictions: as of `corner_rows`; also what follows.
        batch: the labels.
        camera: that took the pictures.
        count: keypoints an object, K.
        target: where they are on it.

    Returns:
        (m, `row_width(K)`), see `FOUND` and so on, and (m, `QUALITIES`), see `REPROJECTION` and so on.

    Example:
        >>> [rows.shape for rows in corner_and_pose_rows([], {"keypoints": []}, None, 8)]
        [(0, 21), (0, 3)]
    """
    if camera is not None and target is None:
        target = target_of(Keypoints(count, 3, ()), camera)
    if not predictions or not len(batch["keypoints"]):
        return np.zeros((0, row_width(count)), np.float32), np.zeros((0, QUALITIES), np.float32)
    true, image = _labels(batch)
    found, start = _found(predictions, count)
    mine = _detections(true.boxes, image, found, start)
    _undo_letterbox(true.points, image, batch)
    matched = found.points[np.maximum(mine, 0)] if len(found.points) else np.full_like(true.points, np.nan)
    matched[mine < 0] = np.nan
    _undo_letterbox(matched, image, batch)

    labelled = true.points[..., 2] > 0
    rows = np.full((len(image), row_width(count)), np.nan)
    rows[:, FOUND], rows[:, WHOLE] = mine >= 0, labelled.all(1)
    away = np.linalg.norm(matched[..., :2] - true.points[..., :2], axis=2)
    right = np.where(np.isnan(matched[..., 2]), np.nan, (matched[..., 2] > VISIBLE) == labelled)
    rows[:, HEAD:] = np.concatenate((np.where(labelled, away, np.nan), right), 1)
    qualities = np.full((len(image), QUALITIES), np.nan)
    if camera is not None and target is not None:
        shapes = np.array(batch["ori_shape"], np.float64)[image]
        off, qualities = _off(true.points, matched, labelled, shapes, target, camera)
        rows[:, [DISTANCE, POSITION, ROTATION]] = off
    return rows.astype(np.float32), qualities.astype(np.float32)


@dataclass(frozen=True)
class _Objects:
    """Boxes (n, 4) xyxy, scores (n,), and keypoints (n, K, 3); network-input pixels."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    points: NDArray[np.float64]


def _labels(batch: PoseBatch) -> tuple[_Objects, NDArray[np.int64]]:
    """Return labelled objects and which image each is in: one copy from the device."""
    import torch

    from aigp_lightning.modules.metrics.detection import true_boxes

    points = batch["keypoints"]
    columns = [true_boxes(batch), points.flatten(1), batch["batch_idx"][:, None]]
    table = _array(torch.cat([column.to(points.device, torch.float32) for column in columns], 1))
    height, width = batch["img"].shape[2:]
    pixels = table[:, 4:-1].reshape(len(table), -1, 3).astype(np.float64) * (width, height, 1)
    return _Objects(table[:, :4], table[:, :0], pixels), table[:, -1].astype(np.int64)


def _found(predictions: Sequence[Prediction], count: int) -> tuple[_Objects, NDArray[np.int64]]:
    """Return detections of all images, and where each image's begin and the last one's end: one copy from the device.

    A model without visibility gives NaN for it.
    """
    import torch

    start = np.concatenate(([0], np.cumsum([len(one.scores) for one in predictions]))).astype(np.int64)
    parts: list[Tensor] = []
    for one in predictions:
        assert one.keypoints is not None, "a model that finds keypoints says where"
        parts.append(torch.cat((one.boxes, one.scores[:, None], one.keypoints.flatten(1)), 1))
    table = _array(torch.cat(parts))
    given = table[:, 5:].reshape(len(table), count, (table.shape[1] - 5) // count)
    points = np.full((len(table), count, 3), np.nan)
    points[..., : given.shape[2]] = given
    return _Objects(table[:, :4], table[:, 4], points), start


def _detections(
    boxes: NDArray[np.float32], image: NDArray[np.int64], found: _Objects, start: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the row of the detection of each object, (m,); -1 where there is none."""
    mine = np.full(len(image), -1)
    number = np.repeat(np.arange(len(start) - 1), np.diff(start))
    detections, objects = pair(found.boxes, found.scores, number, boxes, image)
    mine[objects] = detections
    return mine


def _undo_letterbox(points: NDArray[np.float64], image: NDArray[np.int64], batch: PoseBatch) -> None:
    """Turn network-input pixels (m, K, 3) into pixels of the originals, in place."""
    gain = np.array([pair[0][::-1] for pair in batch["ratio_pad"]], np.float64)[image, None]
    offset = np.array([pair[1] for pair in batch["ratio_pad"]], np.float64)[image, None]
    points[..., :2] = (points[..., :2] - offset) / gain


def _off(
    true: NDArray[np.float64],
    matched: NDArray[np.float64],
    labelled: NDArray[np.bool_],
    shapes: NDArray[np.float64],
    target: Array,
    camera: GateCamera,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distance of each object, and the errors of its position and rotation, (m, 3); and `QUALITIES`.

    The limit of the reprojection error is for what is found: labels are the truth, whatever they look like.
    """
    truth = solve_in_pictures(true[..., :2], labelled, shapes, target, replace(camera, reprojection_px=None))
    seen = ~(matched[..., 2] <= VISIBLE) | (len(target) == GATE_CORNERS)  # of a model that does not say, all
    found = solve_in_pictures(matched[..., :2], seen & truth.solved[:, None], shapes, target, camera)
    distance = np.linalg.norm(truth.position, axis=1)
    position = np.linalg.norm(found.position - truth.position, axis=1)
    qualities = np.full((len(true), QUALITIES), np.nan)
    tried = np.isfinite(found.reprojection_px)
    qualities[:, REPROJECTION] = found.reprojection_px
    qualities[found.solved, AMBIGUITY] = found.ambiguity[found.solved]
    qualities[tried, REFUSED] = ~found.solved[tried] if camera.reprojection_px is not None else np.nan
    return np.stack((distance, position, degrees_between(found.rotation, truth.rotation)), 1), qualities


def _array(values: Tensor) -> NDArray[np.float32]:
    return np.asarray(values.detach().float().cpu().numpy(), np.float32)
