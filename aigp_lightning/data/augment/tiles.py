"""The images of a mosaic: their places on a canvas, and the warp of each straight into the output.

Warping goes through four channels, since OpenCV's vectorised kernel takes those three times as fast as three; the
values are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np


class Tile(NamedTuple):
    """An image and its place on the canvas.

    Attributes:
        image: (h, w, 3) uint8.
        rect: x1, y1, x2, y2 of the part that lies on the canvas, pixels of `image`.
        offset: x and y from image pixels to canvas pixels.
        seams: True where a tile drawn later begins: at its right edge, at its bottom edge.

    Example:
        >>> tile = Tile(np.zeros((48, 64, 3), np.uint8), rect=(14, 0, 64, 48), offset=(-14, 12), seams=(True, True))
        >>> tile.image.shape, tile.offset
        ((48, 64, 3), (-14, 12))
    """

    image: np.ndarray
    rect: tuple[int, int, int, int]
    offset: tuple[int, int]
    seams: tuple[bool, bool]


def lay_tiles(images: Sequence[np.ndarray], centre: tuple[int, int], canvas: int) -> list[Tile]:
    """Place four images around a point: top left, top right, bottom left, bottom right.

    Args:
        images: Four (h, w, 3) arrays.
        centre: x and y of the point, canvas pixels.
        canvas: Side of the canvas, pixels; what reaches beyond it is cut.

    Example:
        >>> tiles = lay_tiles([np.zeros((48, 64, 3), np.uint8)] * 4, centre=(50, 60), canvas=128)
        >>> [tile.offset for tile in tiles]
        [(-14, 12), (50, 12), (-14, 60), (50, 60)]
    """
    tiles = []
    for index, image in enumerate(images):
        height, width = image.shape[:2]
        right, bottom = index % 2, index // 2
        dx, dy = centre[0] - (0 if right else width), centre[1] - (0 if bottom else height)
        rect = (max(-dx, 0), max(-dy, 0), min(width, canvas - dx), min(height, canvas - dy))
        tiles.append(Tile(image, rect, (dx, dy), (not right, not bottom)))
    return tiles


def warp_tile(tile: Tile, matrix: np.ndarray, out: np.ndarray, scratch: np.ndarray) -> None:
    """Warp one tile into the output, blending its edge over the pixels below.

    Args:
        tile: The tile.
        matrix: (2, 3) canvas pixels to output pixels.
        out: (H, W, 4) uint8, written in place; the fourth channel means nothing.
        scratch: uint8 memory for four channels of the tile and one more row and column.

    Example:
        >>> white = Tile(np.full((2, 2, 3), 255, np.uint8), rect=(0, 0, 2, 2), offset=(1, 1), seams=(False, False))
        >>> out = np.zeros((4, 4, 4), np.uint8)
        >>> warp_tile(white, np.eye(2, 3), out, scratch=np.empty(36, np.uint8))
        >>> out[..., 0].tolist()
        [[0, 0, 0, 0], [0, 255, 255, 0], [0, 255, 255, 0], [0, 0, 0, 0]]
    """
    height, width = out.shape[:2]
    to_out = matrix.copy()
    to_out[:, 2] += matrix[:, :2] @ tile.offset
    # Only source pixels that the output can see, and two more for the interpolation.
    x1, y1, x2, y2 = _hull(cv2.invertAffineTransform(to_out), (0, 0, width - 1, height - 1))
    left, top = max(tile.rect[0], math.floor(x1) - 2), max(tile.rect[1], math.floor(y1) - 2)
    right, bottom = min(tile.rect[2], math.ceil(x2) + 3), min(tile.rect[3], math.ceil(y2) + 3)
    if left >= right or top >= bottom:
        return
    # Where a later tile joins, one repeated row or column lets that tile's edge blend with this one, not with grey.
    pad_x, pad_y = (int(seam) for seam in tile.seams)
    shape = (bottom - top + pad_y, right - left + pad_x, 4)
    source = scratch[: math.prod(shape)].reshape(shape)
    cv2.cvtColor(tile.image[top:bottom, left:right], cv2.COLOR_RGB2RGBA, dst=source[: bottom - top, : right - left])
    if pad_x:
        source[:, shape[1] - 1] = source[:, shape[1] - 2]
    if pad_y:
        source[shape[0] - 1] = source[shape[0] - 2]
    to_out[:, 2] += to_out[:, :2] @ (left, top)
    u1, v1, u2, v2 = _hull(to_out, (-1, -1, shape[1], shape[0]))
    first_x, first_y = max(math.floor(u1), 0), max(math.floor(v1), 0)
    last_x, last_y = min(math.ceil(u2) + 1, width), min(math.ceil(v2) + 1, height)
    if first_x >= last_x or first_y >= last_y:
        return
    to_out[:, 2] -= (first_x, first_y)
    cv2.warpAffine(
        source,
        to_out,
        (last_x - first_x, last_y - first_y),
        dst=out[first_y:last_y, first_x:last_x],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def _hull(matrix: np.ndarray, rect: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Return the bounds x1, y1, x2, y2 of a rectangle that an affine map has moved."""
    xx, xy, shift_x, yx, yy, shift_y = (float(value) for value in matrix.flat)
    x1, y1, x2, y2 = rect
    corners = ((x1, y1), (x1, y2), (x2, y1), (x2, y2))
    xs = [xx * x + xy * y + shift_x for x, y in corners]
    ys = [yx * x + yy * y + shift_y for x, y in corners]
    return min(xs), min(ys), max(xs), max(ys)
