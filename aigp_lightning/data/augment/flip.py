"""Flips of images with boxes and keypoints; a mirrored keypoint takes the index of its mirror image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import albumentations as A  # type: ignore[import-untyped,unused-ignore]
import cv2
import numpy as np

from aigp_lightning.data.augment.instances import Instances


class Flip(A.DualTransform):  # type: ignore[misc,unused-ignore]
    """Left-right or upside-down flip.

    Args:
        axis: 0 for left-right, 1 for upside-down.
        permutation: (K,) the keypoint that takes each place; needed where there are keypoints.
        p: Probability.

    Example:
        >>> labels = Instances(np.array([[0, 0, 10, 20]], np.float32), np.zeros(1, np.int64), None)
        >>> flipped = Flip(axis=0, p=1.0)(image=np.zeros((64, 64, 3), np.uint8), instances=labels)
        >>> flipped["instances"].bboxes.tolist()
        [[54.0, 0.0, 64.0, 20.0]]
    """

    def __init__(self, axis: int = 0, permutation: Sequence[int] | None = None, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.axis = axis
        self.permutation = permutation

    @property
    def targets(self) -> dict[str, Callable[..., Any]]:
        """The method for each key of a sample that this transform changes."""
        return {"image": self.apply, "instances": self.apply_to_instances}

    def apply(self, img: np.ndarray, **params: Any) -> np.ndarray:
        """Mirror the pixels.

        Args:
            img: (H, W, 3) uint8.
            **params: Albumentations' own.
        """
        return np.asarray(cv2.flip(img, 1 - self.axis), np.uint8)

    def apply_to_instances(self, instances: Instances, shape: tuple[int, ...], **params: Any) -> Instances:
        """Mirror the labels.

        Args:
            instances: Labels.
            shape: Height, width and channels of the image.
            **params: Albumentations' own.
        """
        return instances.flipped(shape[1 - self.axis], self.axis, self.permutation)
