"""The images of a mosaic: their places on a canvas, their labels, and the warp of each straight into the output.

Warping goes through four channels, since OpenCV's vectorised kernel takes those three times as fast as three; the
values are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from aigp_lightning.data.augment.instances import Instances, areas, concatenate

if TYPE_CHECKING:
    from random import Random

    from aigp_lightning.data.augment import Sample


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


def draw_centre(imgsz: int, random: Random) -> tuple[int, int]:
    """Draw the point of a mosaic's canvas where its tiles meet, whole pixels.

    Args:
        imgsz: half of the canvas's side, pixels.
        random: source of the draws.

    Example:
        >>> import random
        >>> all(320 <= place < 960 for place in draw_centre(640, random.Random(0)))
        True
    """
    return int(random.uniform(imgsz / 2, imgsz * 1.5)), int(random.uniform(imgsz / 2, imgsz * 1.5))


def join_labels(first: Instances, partners: Sequence[Sample], tiles: Sequence[Tile], canvas: int) -> Instances:
    """Join the labels of a mosaic's images; those that are not on the canvas go.

    Args:
        first: labels of the first image.
        partners: the other images.
        tiles: places of all of them.
        canvas: side of the canvas, pixels.

    Example:
        >>> labels = Instances(np.array([[0, 0, 9, 9], [70, 0, 99, 9]], np.float32), np.arange(2), None)
        >>> tile = Tile(np.zeros((64, 64, 3), np.uint8), rect=(0, 0, 64, 64), offset=(4, 4), seams=(False, False))
        >>> join_labels(labels, [], [tile], canvas=128).bboxes.tolist()
        [[4.0, 4.0, 13.0, 13.0]]
    """
    labels = [first]
    labels += [Instances(item["bboxes"], item["cls"], item["keypoints"], item.get("segments")) for item in partners]
    # Labels may reach a little beyond their image: what is there belongs to the next tile.
    labels = [one.clipped(*tile.image.shape[1::-1]) for one, tile in zip(labels, tiles, strict=True)]
    joined = concatenate(labels, [tile.offset for tile in tiles]).clipped(canvas, canvas)
    return joined.select(areas(joined.bboxes) > 0)


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
    # Plain numbers: for matrices as small as these, NumPy's calls take longer than the warp of a small image.
    (xx, xy, shift_x), (yx, yy, shift_y) = matrix.tolist()
    shift_x, shift_y = _moved((xx, xy, shift_x, yx, yy, shift_y), *tile.offset)
    # Only source pixels that the output can see, and two more for the interpolation.
    x1, y1, x2, y2 = _hull(_inverse((xx, xy, shift_x, yx, yy, shift_y)), (0, 0, width - 1, height - 1))
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
    shift_x, shift_y = _moved((xx, xy, shift_x, yx, yy, shift_y), left, top)
    u1, v1, u2, v2 = _hull((xx, xy, shift_x, yx, yy, shift_y), (-1, -1, shape[1], shape[0]))
    first_x, first_y = max(math.floor(u1), 0), max(math.floor(v1), 0)
    last_x, last_y = min(math.ceil(u2) + 1, width), min(math.ceil(v2) + 1, height)
    if first_x >= last_x or first_y >= last_y:
        return
    cv2.warpAffine(
        source,
        np.array(((xx, xy, shift_x - first_x), (yx, yy, shift_y - first_y))),
        (last_x - first_x, last_y - first_y),
        dst=out[first_y:last_y, first_x:last_x],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


Affine = tuple[float, float, float, float, float, float]
"""An affine map by rows: two factors and a shift for x, then for y."""


def _moved(matrix: Affine, x: float, y: float) -> tuple[float, float]:
    """Return the shifts of a map whose origin is moved to a point."""
    xx, xy, shift_x, yx, yy, shift_y = matrix
    return shift_x + (xx * x + xy * y), shift_y + (yx * x + yy * y)


def _inverse(matrix: Affine) -> Affine:
    """Return the inverse, as `cv2.invertAffineTransform` does: zeros where there is none."""
    xx, xy, shift_x, yx, yy, shift_y = matrix
    determinant = xx * yy - xy * yx
    factor = 1 / determinant if determinant else 0.0
    a, b, c, d = yy * factor, -xy * factor, -yx * factor, xx * factor
    return a, b, -a * shift_x - b * shift_y, c, d, -c * shift_x - d * shift_y


def _hull(matrix: Affine, rect: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Return the bounds x1, y1, x2, y2 of a rectangle that an affine map has moved."""
    xx, xy, shift_x, yx, yy, shift_y = matrix
    x1, y1, x2, y2 = rect
    # The extremes of a sum over x and y are the sums of the extremes: no need to visit the corners.
    left, right = (xx * x1, xx * x2) if xx >= 0 else (xx * x2, xx * x1)
    low, high = (xy * y1, xy * y2) if xy >= 0 else (xy * y2, xy * y1)
    first_x, last_x = left + low + shift_x, right + high + shift_x
    left, right = (yx * x1, yx * x2) if yx >= 0 else (yx * x2, yx * x1)
    low, high = (yy * y1, yy * y2) if yy >= 0 else (yy * y2, yy * y1)
    return first_x, left + low + shift_y, last_x, right + high + shift_y
