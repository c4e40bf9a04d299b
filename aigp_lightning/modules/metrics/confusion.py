"""Which class is taken for which: Ultralytics' confusion matrix, counted with arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.modules.metrics.pairing import Floats, Indices, choose, overlapping
from aigp_lightning.modules.metrics.split import join_found, joined

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
    found = join_found(predictions)
    true_image = joined([image])
    order = np.argsort(true_image, kind="stable")  # of equal overlaps the first of its image counts, in any case
    true = joined([boxes])[order], joined([labels])[order], true_image[order]
    pairs = pair(found.boxes, found.scores, found.image, true[0], true[2], conf)
    return count_pairs(pairs, found.labels, found.scores, true[1], nc, conf)


def count_pairs(
    pairs: tuple[Indices, Indices], found: Indices, scores: Floats, true: Indices, nc: int, conf: float = CONF
) -> NDArray[np.int64]:
    """Count which class is taken for which, from pairs of detections and objects.

    Args:
        pairs: rows of the detections and of their objects, see `pair`.
        found: (n,) the detections' classes.
        scores: (n,) confidence.
        true: (m,) the objects' classes.
        nc: number of classes.
        conf: detections at most this sure are left out.

    Returns:
        See `count_confusion`.

    Example:
        >>> two = np.array([0, 1])
        >>> count_pairs((two[:1], two[:1]), two, np.float32([0.9, 0.8]), two, nc=2).tolist()
        [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    """
    taken_for, alarm = np.full(len(true), nc), scores > conf
    taken_for[pairs[1]] = found[pairs[0]]
    alarm[pairs[0]] = False
    matrix = np.bincount(taken_for * (nc + 1) + true, minlength=(nc + 1) ** 2).reshape(nc + 1, nc + 1)
    matrix[:nc, nc] += np.bincount(found[alarm], minlength=nc)
    return matrix.astype(np.int64)


def pair(
    boxes: Floats, scores: Floats, image: Indices, true_boxes: Floats, true_image: Indices, conf: float = CONF
) -> tuple[Indices, Indices]:
    """Pair detections with objects of any class: the most confident one first, with the object it covers best.

    Args:
        boxes: (n, 4) xyxy, detections of any number of images.
        scores: (n,) confidence.
        image: (n,) which image each detection is in, rising.
        true_boxes: (m, 4) xyxy, objects.
        true_image: (m,) which image each object is in.
        conf: detections at most this sure are left out.

    Returns:
        Rows of the detections and of their objects, pair by pair.

    Example:
        >>> objects = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
        >>> found, image = np.array([[20, 20, 30, 29]], np.float32), np.zeros(1, np.int64)
        >>> [rows.tolist() for rows in pair(found, np.float32([0.9]), image, objects, np.zeros(2, np.int64))]
        [[0], [1]]
    """
    sure = np.flatnonzero(scores > conf)
    sure = sure[np.lexsort((-scores[sure], image[sure]))]
    found, true, overlap = overlapping(boxes[sure], true_boxes, image[sure], true_image, IOU)
    chosen = choose(found, true, overlap)
    return sure[found[chosen]], true[chosen]
