"""Which class is taken for which: Ultralytics' confusion matrix, counted with arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from aigp_lightning.types import Prediction

CONF = 0.25
"""Weaker detections are not counted, as in Ultralytics' `ConfusionMatrix`; what a user sees is as sure as this."""
IOU = 0.45
"""A detection and an object belong together above this overlap, as in Ultralytics' `ConfusionMatrix`."""


def count_confusion(
    predictions: Sequence[Prediction], boxes: Tensor, labels: Tensor, image: Tensor, nc: int, conf: float = CONF
) -> NDArray[np.int64]:
    """Count which class is taken for which in a batch.

    Ultralytics' own `process_batch` gives the same numbers, four times slower.

    Args:
        predictions: one an image, boxes in the labels' pixels.
        boxes: (N, 4) xyxy, labelled boxes of all images.
        labels: (N,) their classes.
        image: (N,) which prediction each is held against.
        nc: number of classes.
        conf: detections at most this sure are left out.

    Returns:
        (nc + 1, nc + 1) [predicted, true]; the last row is objects that were missed, the last column false alarms.

    Example:
        >>> import torch
        >>> from aigp_lightning.types import Prediction
        >>> boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
        >>> found = Prediction(boxes[:1], torch.tensor([0.9]), torch.tensor([1]))
        >>> matrix = count_confusion([found], boxes, labels=torch.tensor([0, 0]), image=torch.tensor([0, 0]), nc=2)
        >>> matrix.tolist()  # one of class 0 is taken for class 1, the other is missed
        [[0, 0, 0], [1, 0, 0], [1, 0, 0]]
    """
    matrix = np.zeros((nc + 1, nc + 1), np.int64)
    if not predictions:
        return matrix
    order = np.argsort(_joined([image]), kind="stable")
    true_image, true_box, true_class = (_joined([values])[order] for values in (image, boxes, labels))
    scores = _joined([found.scores for found in predictions])
    kept = scores > conf
    scores, box = scores[kept], _joined([found.boxes for found in predictions])[kept]
    found_class = _joined([found.labels for found in predictions])[kept]
    found_image = np.repeat(np.arange(len(predictions)), [len(found.scores) for found in predictions])[kept]
    taken_for, alarm = np.full(len(true_class), nc), np.ones(len(found_class), np.bool_)
    for number in np.intersect1d(true_image, found_image).tolist():
        mine = slice(*np.searchsorted(true_image, (number, number + 1)).tolist())
        sure = slice(*np.searchsorted(found_image, (number, number + 1)).tolist())
        objects, detections = pair(true_box[mine], box[sure], scores[sure])
        taken_for[mine][objects] = found_class[sure][detections]
        alarm[sure][detections] = False
    np.add.at(matrix, (taken_for, true_class), 1)
    np.add.at(matrix[:, nc], found_class[alarm], 1)
    return matrix


def pair(
    true_boxes: NDArray[np.float32], boxes: NDArray[np.float32], scores: NDArray[np.float32], iou: float = IOU
) -> tuple[list[int], list[int]]:
    """Pair objects with detections of any class: the most confident detection first, with the object it covers best.

    Args:
        true_boxes: (m, 4) xyxy.
        boxes: (n, 4) xyxy.
        scores: (n,) confidence.
        iou: overlap that a pair must exceed.

    Returns:
        Rows of the objects and of their detections, pair by pair.

    Example:
        >>> objects = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
        >>> found = np.array([[20, 20, 30, 29]], np.float32)
        >>> pair(objects, found, np.array([0.9], np.float32))
        ([1], [0])
    """
    overlap = _overlaps(true_boxes, boxes)
    near = np.flatnonzero((overlap > iou).any(0))
    objects, detections = [], []
    for detection in near[np.argsort(-scores[near], kind="stable")].tolist():
        best = int(overlap[:, detection].argmax())
        if overlap[best, detection] > iou:
            objects.append(best)
            detections.append(detection)
            overlap[best] = 0
    return objects, detections


def _overlaps(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute intersection over union, (m, n), to the last bit as Ultralytics' `box_iou` does."""
    sides = [
        np.minimum(one[:, None, axis + 2], other[:, axis + 2]) - np.maximum(one[:, None, axis], other[:, axis])
        for axis in (0, 1)
    ]
    shared = np.maximum(sides[0], 0) * np.maximum(sides[1], 0)
    areas = [(box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) for box in (one, other)]
    overlap: NDArray[np.float32] = shared / (areas[0][:, None] + areas[1] - shared + np.float32(1e-7))
    return overlap


def _joined(parts: Sequence[Tensor]) -> NDArray[Any]:
    """Join all images' values in one array: one copy from the device for the batch."""
    import torch

    whole = parts[0] if len(parts) == 1 else torch.cat(list(parts))
    values: NDArray[Any] = (whole.float() if whole.is_floating_point() else whole).detach().cpu().numpy()
    return values
