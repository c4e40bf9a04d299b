"""A batch as it goes to the device before it is augmented: the pixels that can be seen, and what was drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor

from aigp_lightning.data.augment.on_device.warp import GREY

if TYPE_CHECKING:
    from aigp_lightning.data.augment.on_device.draws import Draws
    from aigp_lightning.data.augment.tiles import Tile

INPUTS = "augment_inputs"
"""Key under which a batch whose pictures are still to be made has its `AugmentInputs`."""
ORDER = ("blur", "median_blur", "to_gray", "clahe")
"""Transforms that few samples get, in the order in which a sample gets them."""
MOST_TILES = 4
UNUSED = (0, 0, 0, 0, 0, 0)


class AugmentInputs(TypedDict):
    """What the pictures of a batch are made of.

    Attributes:
        size: side of the pictures, pixels.
        straight: no picture is turned or sheared.
        recolour: the pictures get other colours.
        pixels: (n, 3) uint8 RGB, parts of pictures, one after the other; the first pixel is grey.
        tiles: (B, T, 6) int32, see `warp`.
        to_canvas: (B, 2, 3) float32, output pixels to canvas pixels.
        colour: (B, 3) float32, see `shift_hsv`.
        rare: of each transform that few samples get, its name, a number of its own, and from where to where the
            samples stand in `rows`; in order.
        rows: (R, 2) int64, samples, and a number for each.
    """

    size: int
    straight: bool
    recolour: bool
    pixels: Tensor
    tiles: Tensor
    to_canvas: Tensor
    colour: Tensor
    rare: list[tuple[str, int, int, int]]
    rows: Tensor


class Part(NamedTuple):
    """The part of a picture that an augmented picture can show.

    Attributes:
        image: (h, w, 3) uint8, a view.
        corner: x and y of its first pixel on the canvas.

    Example:
        >>> Part(np.zeros((4, 6, 3), np.uint8), (10, 20)).rect
        (10, 20, 16, 24)
    """

    image: np.ndarray
    corner: tuple[int, int]

    @property
    def rect(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom on the canvas."""
        (left, top), (height, width) = self.corner, self.image.shape[:2]
        return left, top, left + width, top + height


def visible_parts(tiles: Sequence[Tile], to_canvas: np.ndarray, size: int) -> list[Part]:
    """Cut from the pictures of a sample what its augmented picture can show; no pixel is copied.

    Args:
        tiles: the pictures and their places on the canvas.
        to_canvas: (2, 3) output pixels to canvas pixels.
        size: side of the output, pixels.

    Example:
        >>> from aigp_lightning.data.augment.tiles import Tile
        >>> tile = Tile(np.zeros((48, 64, 3), np.uint8), rect=(0, 0, 64, 48), offset=(0, 0), seams=(False, False))
        >>> [part.rect for part in visible_parts([tile], np.array([[0.5, 0, 0], [0, 0.5, 30]]), size=64)]
        [(0, 30, 33, 48)]
    """
    (xx, xy, shift_x), (yx, yy, shift_y) = to_canvas.tolist()
    last = size - 1
    # The extremes of a sum over x and y are the sums of the extremes; one more pixel on the right to interpolate with.
    first_x = math.floor(min(0, xx * last) + min(0, xy * last) + shift_x)
    first_y = math.floor(min(0, yx * last) + min(0, yy * last) + shift_y)
    end_x = math.floor(max(0, xx * last) + max(0, xy * last) + shift_x) + 2
    end_y = math.floor(max(0, yx * last) + max(0, yy * last) + shift_y) + 2
    parts = []
    for tile in tiles:
        (x, y), (x1, y1, x2, y2) = tile.offset, tile.rect
        left, top = max(x1, first_x - x), max(y1, first_y - y)
        right, bottom = min(x2, end_x - x), min(y2, end_y - y)
        if left < right and top < bottom:
            parts.append(Part(tile.image[top:bottom, left:right], (left + x, top + y)))
    return parts


def pack_inputs(draws: Sequence[Draws], size: int, *, straight: bool, recolour: bool) -> AugmentInputs:
    """Put the draws of a batch, and the pixels that they need, into a few tensors.

    Args:
        draws: of each sample.
        size: side of the output, pixels.
        straight: no sample is turned or sheared.
        recolour: samples get other colours.

    Example:
        >>> from aigp_lightning.data.augment.instances import Instances
        >>> from aigp_lightning.data.augment.on_device.draws import Draws
        >>> from aigp_lightning.data.augment.tiles import Tile
        >>> tile = Tile(np.full((2, 2, 3), 255, np.uint8), rect=(0, 0, 2, 2), offset=(0, 0), seams=(False, False))
        >>> nothing = Instances(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), None)
        >>> draws = Draws(nothing, [tile], np.eye(2, 3), (0, 1.0, 1.0), {"blur": 3})
        >>> inputs = pack_inputs([draws], size=2, straight=True, recolour=False)
        >>> inputs["pixels"][:, 0].tolist(), inputs["tiles"].shape, inputs["rare"], inputs["rows"].tolist()
        ([114, 255, 255, 255, 255], torch.Size([1, 4, 6]), [('blur', 3, 0, 1)], [[0, 3]])
    """
    parts = [visible_parts(each.tiles, each.to_canvas, size) for each in draws]
    table, room = [], 1
    for mine in parts:
        lines = [UNUSED] * MOST_TILES
        for number, part in enumerate(mine):
            left, top, right, bottom = part.rect
            width = right - left
            lines[number] = (room - top * width - left, width, left, top, right, bottom)
            room += width * (bottom - top)
        table.append(lines)
    rare, rows = _rare([each.rare for each in draws])
    return {
        "size": size,
        "straight": straight,
        "recolour": recolour,
        "pixels": _joined([part.image for mine in parts for part in mine], room),
        "tiles": torch.tensor(table, dtype=torch.int32).reshape(-1, MOST_TILES, len(UNUSED)),
        "to_canvas": torch.from_numpy(np.array([each.to_canvas for each in draws], np.float32).reshape(-1, 2, 3)),
        "colour": torch.tensor([each.colour for each in draws], dtype=torch.float32).reshape(-1, 3),
        "rare": rare,
        "rows": torch.tensor(rows, dtype=torch.int64).reshape(-1, 2),
    }


def _joined(images: Sequence[np.ndarray], room: int) -> Tensor:
    """Copy all pixels into one tensor after a grey one, (room, 3)."""
    pixels = torch.empty(room, 3, dtype=torch.uint8)
    flat = pixels.numpy()
    flat[0], end = GREY, 1
    for image in images:
        height, width = image.shape[:2]
        flat[end : end + height * width].reshape(image.shape)[:] = image
        end += height * width
    return pixels


def _rare(drawn: Sequence[dict[str, int]]) -> tuple[list[tuple[str, int, int, int]], list[tuple[int, int]]]:
    """Sort samples by the rare transforms that they get: the blurs of one size together."""
    groups: list[tuple[str, int, int, int]] = []
    rows: list[tuple[int, int]] = []
    for name in ORDER:
        found = [(row, each[name]) for row, each in enumerate(drawn) if name in each]
        sizes = sorted({number for _, number in found}) if name.endswith("blur") else [0][: len(found)]
        for size in sizes:
            mine = [pair for pair in found if size in (0, pair[1])]
            groups.append((name, size, len(rows), len(rows) + len(mine)))
            rows += mine
    return groups, rows
