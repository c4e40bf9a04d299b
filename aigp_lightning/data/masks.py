"""Masks of objects, drawn from their outlines as Ultralytics draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import ConfigError
from aigp_lightning.types import DetectionBatch

if TYPE_CHECKING:
    from torch import Tensor

    from aigp_lightning.data.augment import Sample
    from aigp_lightning.data.items import Item

    Labelled = TypeVar("Labelled", Sample, Item)

MOST_BYTES = 255
"""Objects of an image whose numbers fit into a byte each."""


class SegmentBatch(DetectionBatch):
    """A detection batch with masks.

    Attributes:
        masks: with overlap, uint8 or int32 (B, h, w): 0, or 1 + the number of the object among those of its image;
            without, uint8 (N, h, w) 0 or 1, one an object.
        overlap_mask: whether with overlap.

    Example:
        >>> SegmentBatch.__annotations__["masks"].__forward_arg__
        'Tensor'
    """

    masks: Tensor
    overlap_mask: bool


@dataclass(frozen=True)
class MaskDrawing:
    """Rules by which masks are drawn.

    Args:
        ratio: pixels of the picture for one of the mask, along each side.
        overlap: one picture of numbers for all objects of an image, the smaller ones on top, which may be in any
            number; or a picture an object.

    Raises:
        ConfigError: the ratio is no number of pixels.

    Example:
        >>> square = np.float32([[[0, 0], [31, 0], [31, 31], [0, 31]]])
        >>> item = {"image": np.zeros((64, 64, 3), np.uint8), "bboxes": np.zeros((1, 4)), "cls": np.zeros(1),
        ...         "keypoints": None, "segments": square}
        >>> int(MaskDrawing(ratio=4).added(item)["masks"].sum())
        64
    """

    ratio: int = 4
    overlap: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.ratio, bool) or not isinstance(self.ratio, int) or not 1 <= self.ratio <= 32:  # noqa: PLR2004
            raise ConfigError(f"--data.mask_ratio {self.ratio} must be a whole number from 1 to 32.")

    def added(self, item: Labelled) -> Labelled:
        """Return a sample with masks in place of outlines; with overlap its objects come largest first.

        Args:
            item: with `segments`, in pixels of its image.
        """
        segments = item.get("segments")
        shape = item["image"].shape[0], item["image"].shape[1]
        assert segments is not None, "an image without outlines gets no masks"
        masks = np.zeros((len(segments), shape[0] // self.ratio, shape[1] // self.ratio), np.uint8)
        for mask, outline in zip(masks, segments, strict=True):
            draw_mask(outline, shape, self.ratio, mask)
        found = {**item, "segments": None, "masks": masks}
        if self.overlap:
            found["masks"], order = overlapped(masks)
            for key in ("bboxes", "cls", "keypoints"):
                values = found[key]
                found[key] = None if values is None else cast("NDArray[np.float32]", values)[order]
        return cast("Labelled", found)


def draw_mask(outline: NDArray[np.floating], shape: tuple[int, int], ratio: int, mask: NDArray[np.uint8]) -> None:
    """Draw the inside of an outline into a mask, as if at the picture's size and then made smaller.

    Only the part of the picture is drawn in which the outline lies, where that gives the same.

    Args:
        outline: (P, 2) pixels of the picture.
        shape: height and width of the picture, pixels.
        ratio: see `MaskDrawing`.
        mask: (h, w) zeros, drawn into.

    Example:
        >>> mask = np.zeros((4, 4), np.uint8)
        >>> draw_mask(np.float32([[0, 0], [7, 0], [7, 7], [0, 7]]), (16, 16), 4, mask)
        >>> mask[:3, :3].tolist()
        [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    """
    import cv2

    corners = outline.astype(np.int32)  # as OpenCV wants them: cut, not rounded
    left = top = 0
    (right, bottom), height, width = (shape[1], shape[0]), *mask.shape
    if not shape[0] % ratio and not shape[1] % ratio:
        low, high = corners.min(0) // ratio, corners.max(0) // ratio + 1
        left, top = np.maximum(low, 0).tolist()
        width, height = np.minimum(high, (width, height)).tolist()
        right, bottom = width * ratio, height * ratio
    if left >= width or top >= height:
        return
    x, y = left * ratio, top * ratio
    whole = np.zeros((bottom - y, right - x), np.uint8)
    cv2.fillPoly(whole, [corners - (x, y)], color=1)
    mask[top:height, left:width] = cv2.resize(whole, (width - left, height - top))


def overlapped(masks: NDArray[np.uint8]) -> tuple[NDArray[np.uint8] | NDArray[np.int32], NDArray[np.int64]]:
    """Put masks into one, the smaller ones on top.

    Args:
        masks: (n, h, w) 0 or 1.

    Returns:
        (h, w): 0, or 1 + the number of the object in the new order; and that order, (n,), by falling area.

    Example:
        >>> small, large = [[0, 1]], [[1, 1]]
        >>> whole, order = overlapped(np.array([small, large], np.uint8))
        >>> whole.tolist(), order.tolist()
        ([[1, 2]], [1, 0])
    """
    area = masks.sum((1, 2), dtype=np.int64)
    order = np.argsort(np.where(area > 0, -area, -masks[:1].size - 1))  # as Ultralytics': those without a pixel first
    kind = np.int32 if len(masks) > MOST_BYTES else np.uint8
    whole = np.zeros(masks.shape[1:], kind)
    for number, index in enumerate(order.tolist(), 1):
        np.maximum(whole, masks[index] * kind(number), out=whole)
    return whole, order
