"""Mirror images with boxes and keypoints; keypoints change their names with their sides."""

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
    """

    def __init__(self, axis: int = 0, permutation: Sequence[int] | None = None, p: float = 0.5) -> None:
        super().__init__(p=p)
        self.axis = axis
        self.permutation = permutation

    @property
    def targets(self) -> dict[str, Callable[..., Any]]:
        """What this transform changes."""
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
