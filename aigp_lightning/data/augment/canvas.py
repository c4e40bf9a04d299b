"""The canvas of a mosaic where it has to be there: under a tilt, or to paste objects on it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from aigp_lightning.data.augment.tiles import Tile

GREY = 114
MARGIN = 2
"""Pixels round what can be seen of a canvas, for the interpolation."""


def paste(tiles: Sequence[Tile], rect: tuple[int, int, int, int]) -> np.ndarray:
    """Paste tiles on a part of the grey canvas.

    Args:
        tiles: images and their places; later ones cover earlier ones.
        rect: x1, y1, x2, y2 of the part, canvas pixels.

    Returns:
        (y2 - y1, x2 - x1, 3) uint8.

    Example:
        >>> white = Tile(np.full((2, 2, 3), 255, np.uint8), rect=(0, 0, 2, 2), offset=(1, 0), seams=(False, False))
        >>> paste([white], rect=(0, 0, 2, 2))[..., 0].tolist()
        [[114, 255], [114, 255]]
    """
    x1, y1, x2, y2 = rect
    out = np.full((y2 - y1, x2 - x1, 3), GREY, np.uint8)
    for tile in tiles:
        (dx, dy), (left, top, right, bottom) = tile.offset, tile.rect
        left, top, right, bottom = max(left, x1 - dx), max(top, y1 - dy), min(right, x2 - dx), min(bottom, y2 - dy)
        if left < right and top < bottom:
            out[top + dy - y1 : bottom + dy - y1, left + dx - x1 : right + dx - x1] = tile.image[top:bottom, left:right]
    return out


def warp_canvas(
    tiles: Sequence[Tile], matrix: np.ndarray, canvas: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """Paste what can be seen of a canvas, and warp it.

    Tiles that are warped each by itself, as affine maps do, would have the same values but where they meet.

    Args:
        tiles: images and their places.
        matrix: (3, 3) canvas pixels to output pixels.
        canvas: width and height, pixels.
        size: height and width of the output, pixels.

    Returns:
        (height, width, 3) uint8; grey where no tile lies.

    Example:
        >>> white = Tile(np.full((2, 2, 3), 255, np.uint8), rect=(0, 0, 2, 2), offset=(1, 0), seams=(False, False))
        >>> warp_canvas([white], np.eye(3), canvas=(4, 4), size=(4, 4))[:, :, 0].tolist()
        [[114, 255, 255, 114], [114, 255, 255, 114], [114, 114, 114, 114], [114, 114, 114, 114]]
    """
    x1, y1, x2, y2 = seen = _seen(matrix, canvas, size)
    if x1 >= x2 or y1 >= y2:
        return np.full((*size, 3), GREY, np.uint8)
    source = cv2.cvtColor(paste(tiles, seen), cv2.COLOR_RGB2RGBA)  # four channels are warped faster
    shifted = matrix @ np.array(((1, 0, x1), (0, 1, y1), (0, 0, 1)))
    out = cv2.warpPerspective(source, shifted, size[::-1], flags=cv2.INTER_LINEAR, borderValue=(GREY,) * 4)
    return np.asarray(cv2.cvtColor(out, cv2.COLOR_RGBA2RGB), np.uint8)


def _seen(matrix: np.ndarray, canvas: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the part of a canvas that the output can show: all of it where the output has the vanishing line."""
    bottom, right = size[0] - 1, size[1] - 1
    corners = np.array(((0, 0, 1), (right, 0, 1), (right, bottom, 1), (0, bottom, 1))) @ np.linalg.inv(matrix).T
    depth = corners[:, 2]
    if depth.min() <= 0 <= depth.max():
        return 0, 0, *canvas
    places = corners[:, :2] / depth[:, None]
    (x1, y1), (x2, y2) = places.min(0).tolist(), places.max(0).tolist()
    left, top = max(math.floor(x1) - MARGIN, 0), max(math.floor(y1) - MARGIN, 0)
    return left, top, min(math.ceil(x2) + MARGIN + 1, canvas[0]), min(math.ceil(y2) + MARGIN + 1, canvas[1])
