"""Mosaic and affine on the device: every output pixel is looked up in the picture that lies there on the canvas."""

from __future__ import annotations

import torch
from torch import Tensor

GREY = 114
NOWHERE = -(1 << 30)
"""Added to any place in memory it gives less than nothing; twice it still is a 32-bit number."""
FAR = 1e6
"""A place on no canvas, pixels; points on the vanishing line go there."""


def pack(pixels: Tensor) -> Tensor:
    """Make one number of each pixel, so that one look-up fetches its three channels.

    Args:
        pixels: (n, 3) uint8.

    Returns:
        (n,) int32.

    Example:
        >>> pack(torch.tensor([[1, 2, 3]], dtype=torch.uint8)).view(torch.uint8).tolist()
        [1, 2, 3, 0]
    """
    return torch.nn.functional.pad(pixels, (0, 1)).view(torch.int32).view(-1)


def warp(
    source: Tensor, tiles: Tensor, to_canvas: Tensor, size: int, straight: bool, cropped: Tensor | None = None
) -> Tensor:
    """Sample the canvas of every picture, between its pixels linearly; where nothing lies it is grey.

    Args:
        source: (n,) int32, the pixels of all pictures, as `pack` makes them; the first is grey.
        tiles: (B, T, 6) int32, the pictures on each canvas, which do not overlap: place in `source` that the canvas
            pixel (0, 0) would have, pixels of a row in `source`, and on the canvas left, top, right and bottom.
        to_canvas: (B, 2, 3) float32, output pixels to canvas pixels; (B, 3, 3) where some are tilted.
        size: side of the square output, pixels.
        straight: nothing is turned or sheared, so that rows stay rows; it saves most of the work.
        cropped: (B,) bool, where the edge of the first tile is repeated beyond it; None or empty if nowhere.

    Returns:
        (B, size, size, 3) uint8.

    Example:
        >>> white = pack(torch.tensor([[114] * 3, [255] * 3], dtype=torch.uint8))
        >>> tiles = torch.tensor([[[0, 1, 1, 0, 2, 1]]], dtype=torch.int32)
        >>> warp(white, tiles, torch.eye(2, 3)[None], size=2, straight=True)[0, ..., 0].tolist()
        [[114, 255], [114, 114]]
    """
    place = torch.arange(size, device=source.device, dtype=torch.float32)
    x, y = place[None, None, :], place[None, :, None]
    matrix = to_canvas[..., None, None]
    u, v = matrix[:, 0, 0] * x + matrix[:, 0, 2], matrix[:, 1, 1] * y + matrix[:, 1, 2]
    if not straight:
        u, v = u + matrix[:, 0, 1] * y, v + matrix[:, 1, 0] * x
    if to_canvas.shape[1] == to_canvas.shape[2]:
        depth = matrix[:, 2, 0] * x + matrix[:, 2, 1] * y + matrix[:, 2, 2]
        u, v = (u / depth).nan_to_num(FAR).clamp(-FAR, FAR), (v / depth).nan_to_num(FAR).clamp(-FAR, FAR)
    if cropped is not None and len(cropped):
        first_x, first_y, end_x, end_y = tiles[:, 0, 2:, None, None].float().unbind(1)
        here = cropped[:, None, None]
        u = torch.where(here, u.clamp(first_x, end_x - 1), u)
        v = torch.where(here, v.clamp(first_y, end_y - 1), v)
    left, top = u.floor(), v.floor()
    part_x, part_y = (u - left)[..., None], (v - top)[..., None]
    columns, rows = left.int(), top.int()
    xs = [_columns(tiles, columns), _columns(tiles, columns + 1)]
    upper, lower = (
        _fetch(source, x0, ys).lerp_(_fetch(source, x1, ys), part_x)
        for (x0, x1), ys in ((xs, _rows(tiles, rows)), (xs, _rows(tiles, rows + 1)))
    )
    return upper.lerp_(lower, part_y).add_(0.5)[..., :3].to(torch.uint8)


def _columns(tiles: Tensor, columns: Tensor) -> list[Tensor]:
    """Return for each tile the columns that lie on it, and far less than none where they do not."""
    return [
        torch.where((columns >= left) & (columns < right), columns, NOWHERE)
        for _, _, left, _, right, _ in (tile[..., None, None].unbind(1) for tile in tiles.unbind(1))
    ]


def _rows(tiles: Tensor, rows: Tensor) -> list[Tensor]:
    """Return for each tile where the rows that lie on it would begin in the source, and far less than none."""
    return [
        torch.where((rows >= top) & (rows < bottom), first + rows * step, NOWHERE)
        for first, step, _, top, _, bottom in (tile[..., None, None].unbind(1) for tile in tiles.unbind(1))
    ]


def _fetch(source: Tensor, columns: list[Tensor], rows: list[Tensor]) -> Tensor:
    """Return (B, H, W, 4) float32, the canvas pixels at these places: of the tile that has both row and column."""
    found = rows[0] + columns[0]
    for x, y in zip(columns[1:], rows[1:], strict=True):
        found = torch.maximum(found, y + x)
    found = found.clamp_(min=0)  # grey
    return source.index_select(0, found.view(-1)).view(*found.shape, 1).view(torch.uint8).float()
