"""Masks of objects laid over a picture: arrays in, pixels changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.palette import class_colour

SHARE = 0.45
"""Of a mask's colour in what is seen of it."""


def paint_masks(canvas: NDArray[np.uint8], masks: NDArray[Any], labels: NDArray[Any]) -> None:
    """Colour the pixels of objects, the last on top; the picture shows through.

    Args:
        canvas: (H, W, 3) uint8 RGB, drawn into; may be a view.
        masks: (n, h, w) 0 or 1, of the whole picture; smaller ones are enlarged.
        labels: (n,) class ids.

    Example:
        >>> canvas = np.zeros((8, 8, 3), np.uint8)
        >>> mask = np.zeros((1, 4, 4), np.uint8)
        >>> mask[0, :2, :2] = 1
        >>> paint_masks(canvas, mask, np.array([0]))
        >>> canvas[0, 0].any(), canvas[7, 7].any()
        (np.True_, np.False_)
    """
    import cv2

    height, width = canvas.shape[:2]
    for mask, label in zip(masks, np.asarray(labels).astype(np.int64).tolist(), strict=True):
        if mask.shape != (height, width):
            mask = cv2.resize(np.asarray(mask, np.float32), (width, height)) > 0.5  # noqa: PLR2004, PLW2901
        rows, columns = np.nonzero(mask)
        ink = np.array(class_colour(label)) * SHARE
        canvas[rows, columns] = np.round(canvas[rows, columns] * (1 - SHARE) + ink).astype(np.uint8)


def masks_of_image(drawn: NDArray[Any], image: int, count: int, first: int) -> NDArray[np.bool_]:
    """Return the masks of an image's objects, (n, h, w), from those of a batch.

    Args:
        drawn: of all images one of numbers each, (B, h, w), or one an object, (N, h, w).
        image: its number; -1 where there is one an object.
        count: objects of the image.
        first: the first of them among those of the batch.

    Example:
        >>> masks_of_image(np.array([[[0, 1, 2]]]), image=0, count=2, first=0).astype(int).tolist()
        [[[0, 1, 0]], [[0, 0, 1]]]
    """
    if image < 0:
        return np.asarray(drawn[first : first + count] > 0)
    return np.asarray(drawn[image] == np.arange(1, count + 1)[:, None, None])
