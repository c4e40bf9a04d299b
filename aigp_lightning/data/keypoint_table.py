"""All objects of a split in one table, for questions about the data set as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.boxes import xywh_to_xyxy
from aigp_lightning.data.keypoint_checks import layout
from aigp_lightning.types import Keypoints

if TYPE_CHECKING:
    from aigp_lightning.data.records import ImageRecord

FEW = 5
"""Objects with all their keypoints labelled that it takes to tell a mirror order from the labels."""


@dataclass
class KeypointTable:
    """All objects of a split, in pixels of their pictures.

    Attributes:
        records: images without the second of two that are listed twice.
        keypoints: number and names of an object's keypoints.

    Example:
        >>> from aigp_lightning.data.records import ImageRecord
        >>> points = np.array([[[0.0, 0.0, 2.0], [1.0, 1.0, 2.0]]], np.float32)
        >>> record = ImageRecord("000.jpg", (100, 200), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), points)
        >>> table = KeypointTable([record], Keypoints(2, 3, ("nose", "tail")))
        >>> table.boxes.tolist(), table.points.tolist()
        ([[50.0, 25.0, 150.0, 75.0]], [[[0.0, 0.0], [200.0, 100.0]]])
    """

    records: Sequence[ImageRecord]
    keypoints: Keypoints

    @cached_property
    def image(self) -> NDArray[np.int64]:
        """(n,) index of the record of every object."""
        return np.repeat(np.arange(len(self.records)), [len(record.cls) for record in self.records])

    @cached_property
    def size(self) -> NDArray[np.float64]:
        """(n, 2) width and height of every object's picture, pixels."""
        return np.array([record.shape[::-1] for record in self.records], np.float64).reshape(-1, 2)[self.image]

    @cached_property
    def boxes(self) -> NDArray[np.float64]:
        """(n, 4) xyxy, pixels."""
        boxes = np.concatenate([np.zeros((0, 4)), *(record.bboxes for record in self.records)])
        return xywh_to_xyxy(boxes * np.tile(self.size, (1, 2)))

    @cached_property
    def labels(self) -> NDArray[np.float64]:
        """(n, K, 3) as in the records."""
        empty = np.zeros((0, self.keypoints.count, 3))
        return np.concatenate([empty, *(record.keypoints for record in self.records if record.keypoints is not None)])

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """(n, K, 2) x and y, pixels."""
        return np.asarray(self.labels[..., :2] * self.size[:, None])

    @cached_property
    def complete(self) -> NDArray[np.bool_]:
        """(n,) True where all keypoints are labelled, hidden ones too."""
        return np.asarray((self.labels[..., 2] > 0).all(1))

    @cached_property
    def layout(self) -> NDArray[np.float64] | None:
        """(K, 2) mean place in the box of each keypoint, or None where too few objects have them all."""
        return layout(self.points[self.complete], self.boxes[self.complete]) if self.complete.sum() >= FEW else None

    def place(self, index: int) -> int:
        """Return which of its image's objects an object is, from 0."""
        return index - int(np.searchsorted(self.image, self.image[index]))


def keypoint_table(records: Sequence[ImageRecord], keypoints: Keypoints) -> KeypointTable:
    """Make the table of a split, with every image once.

    Args:
        records: of a scan with keypoints.
        keypoints: number and names of an object's keypoints.

    Example:
        >>> from aigp_lightning.data.records import ImageRecord
        >>> points = np.array([[[0.0, 0.0, 2.0], [1.0, 1.0, 2.0]]], np.float32)
        >>> record = ImageRecord("000.jpg", (100, 200), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), points)
        >>> len(keypoint_table([record, record], Keypoints(2, 3, ("nose", "tail"))).image)
        1
    """
    return KeypointTable(list({record.im_file: record for record in records}.values()), keypoints)
