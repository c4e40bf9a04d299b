"""Training augmentation: one visible list of Albumentations transforms, from sample to sample.

`pipeline.TrainPipeline` is the entry; nothing here imports OpenCV or Albumentations until an image needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from aigp_lightning.data.augment.config import AugmentConfig, TransformSpec

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import NotRequired

__all__ = ["AugmentConfig", "Sample", "TransformSpec"]


class Sample(TypedDict):
    """One image with its labels.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        bboxes: (n, 4) float32 xyxy, pixels of `image`.
        cls: (n,) int64 class ids.
        keypoints: (n, K, 3) float32 x, y in pixels of `image` and visibility 0, 1 or 2; None for plain detection.
        im_file: the image's path, as it was found.
        segments: (n, P, 2) float32 outlines, pixels of `image`; None, or not there, where nobody asked for them.
        ori_shape: height and width of the picture on disk, pixels; where it is not told, it has those of `image`.

    Example:
        >>> import numpy as np
        >>> sample = Sample(
        ...     image=np.zeros((48, 64, 3), np.uint8),
        ...     bboxes=np.array([[0, 0, 32, 24]], np.float32),
        ...     cls=np.zeros(1, np.int64),
        ...     keypoints=None,
        ...     im_file="000.jpg",
        ... )
        >>> sample["image"].shape, sample["im_file"]
        ((48, 64, 3), '000.jpg')
    """

    image: np.ndarray
    bboxes: np.ndarray
    cls: np.ndarray
    keypoints: np.ndarray | None
    im_file: str
    ori_shape: NotRequired[tuple[int, int]]
    segments: NotRequired[np.ndarray | None]
