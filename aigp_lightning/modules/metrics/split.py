"""Detections and labelled objects of many images as arrays, brought from the device in one copy each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from aigp_lightning.types import Prediction

SCORE, LABEL, POINTS = 4, 5, 6
"""Columns of a detection behind its box."""


@dataclass(frozen=True)
class Found:
    """Detections of many images, image by image.

    Attributes:
        boxes: (n, 4) xyxy, network-input pixels.
        scores: (n,) confidence.
        labels: (n,) class ids.
        image: (n,) which image each is in, rising from 0.
        points: (n, K · numbers) keypoints, side by side; without columns where there are none.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    image: NDArray[np.int64]
    points: NDArray[np.float32]


@dataclass(frozen=True)
class Labelled:
    """Labelled objects of many images.

    Attributes:
        boxes: (m, 4) xyxy, network-input pixels.
        labels: (m,) class ids.
        image: (m,) which image each is in.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    image: NDArray[np.int64]


@dataclass(frozen=True)
class Waiting:
    """A batch that is not held against its labels yet.

    Attributes:
        predictions: one an image.
        boxes: (m, 4) xyxy, labelled boxes, network-input pixels.
        labels: (m,) their classes.
        image: (m,) which image of the batch each is in.
        places: of its images among those of all processes.
    """

    predictions: Sequence[Prediction]
    boxes: Tensor
    labels: Tensor
    image: Tensor
    places: Sequence[int]


def join_true(waiting: Sequence[Waiting]) -> Labelled:
    """Join the labels of many batches, their images numbered through.

    Args:
        waiting: the batches.

    Example:
        >>> import torch
        >>> one = Waiting([None, None], torch.zeros(1, 4), torch.tensor([3]), torch.tensor([1]), [0, 1])
        >>> join_true([one, one]).image.tolist()
        [1, 3]
    """
    if not waiting:
        return Labelled(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))
    first = np.cumsum([0, *(len(batch.predictions) for batch in waiting[:-1])])
    before = np.repeat(first, [len(batch.image) for batch in waiting])
    return Labelled(
        joined([batch.boxes for batch in waiting]),
        joined([batch.labels for batch in waiting]).astype(np.int64),
        joined([batch.image for batch in waiting]).astype(np.int64) + before,
    )


def join_found(predictions: Sequence[Prediction]) -> Found:
    """Join the detections of many images.

    Args:
        predictions: one an image.

    Example:
        >>> import torch
        >>> from aigp_lightning.types import Prediction
        >>> one = Prediction(torch.zeros(2, 4), torch.tensor([0.9, 0.8]), torch.tensor([3, 1]))
        >>> found = join_found([one, one])
        >>> found.labels.tolist(), found.image.tolist()
        ([3, 1, 3, 1], [0, 0, 1, 1])
    """
    import torch

    image = np.repeat(np.arange(len(predictions)), [len(one.scores) for one in predictions])
    if not predictions:
        table = np.zeros((0, POINTS), np.float32)
    else:
        columns = [
            torch.cat([one.boxes for one in predictions]).float(),
            torch.cat([one.scores for one in predictions])[:, None].float(),
            torch.cat([one.labels for one in predictions])[:, None].float(),  # exact up to 16 million classes
        ]
        if points := [one.keypoints.flatten(1) for one in predictions if one.keypoints is not None]:
            columns.append(torch.cat(points).float())
        table = joined([torch.cat(columns, 1)])
    return Found(table[:, :4], table[:, SCORE], table[:, LABEL].astype(np.int64), image, table[:, POINTS:])


def joined(parts: Sequence[Tensor]) -> NDArray[Any]:
    """Join tensors in an array, by one copy from the device.

    Example:
        >>> import torch
        >>> joined([torch.tensor([1, 2]), torch.tensor([3])]).tolist()
        [1, 2, 3]
    """
    import torch

    whole = parts[0] if len(parts) == 1 else torch.cat(list(parts))
    values: NDArray[Any] = (whole.float() if whole.is_floating_point() else whole).detach().cpu().numpy()
    return values


def image_places(step: int, images: int) -> list[int]:
    """Return the places of this process's images among those of all processes, as `EvalBatchSampler` shares them.

    Args:
        step: number of the batch.
        images: in this process's share of it.

    Example:
        >>> image_places(0, 2), image_places(1, 1) > image_places(0, 2)
        ([0, 1], True)
    """
    import torch

    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    rank = torch.distributed.get_rank() if together else 0
    world = torch.distributed.get_world_size() if together else 1
    return [(step << 32) + index * world + rank for index in range(images)]
