"""Mosaic and affine on the device: every output pixel is looked up in the picture that lies there on the canvas."""

from __future__ import annotations

import torch
from torch import Tensor

GREY = 114
BYTES = 4
"""Of a pixel in memory: it is fetched as one 32-bit number, the last byte means nothing."""


def pack(pixels: Tensor) -> Tensor:
    """Make one number of each pixel.

    Args:
        pixels: (n, 3) uint8.

    Returns:
        (n,) int32.

    Example:
        >>> pack(torch.tensor([[1, 2, 3]], dtype=torch.uint8)).view(torch.uint8).tolist()
        [1, 2, 3, 0]
    """
    return torch.nn.functional.pad(pixels, (0, 1)).view(torch.int32).view(-1)


def warp(source: Tensor, tiles: Tensor, to_canvas: Tensor, size: int, straight: bool) -> Tensor:
    """Sample the canvas of every picture, between its pixels linearly; where nothing lies it is grey.

    Args:
        source: (n,) int32, the pixels of all pictures, as `pack` makes them; the first is grey.
        tiles: (B, T, 6) int32, the pictures on each canvas, which do not overlap: place in `source` that the canvas
            pixel (0, 0) would have, pixels of a row in `source`, and on the canvas left, top, right and bottom.
        to_canvas: (B, 2, 3) float32, output pixels to canvas pixels.
        size: side of the square output, pixels.
        straight: nothing is turned or sheared, so that rows stay rows; it saves most of the work.

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
    left, top = u.floor(), v.floor()
    part_x, part_y = (u - left)[..., None], (v - top)[..., None]
    columns, rows = left.int(), top.int()
    upper = _between(source, tiles, columns, rows, part_x)
    lower = _between(source, tiles, columns, rows + 1, part_x)
    return upper.lerp_(lower, part_y).add_(0.5)[..., :3].to(torch.uint8)


def _between(source: Tensor, tiles: Tensor, columns: Tensor, rows: Tensor, part: Tensor) -> Tensor:
    """Return (B, H, W, 4) float32 between two neighbours of a row."""
    one, other = _fetch(source, tiles, columns, rows), _fetch(source, tiles, columns + 1, rows)
    return one.lerp_(other, part)


def _fetch(source: Tensor, tiles: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """Return (B, H, W, 4) float32, the canvas pixels at these places, each (B, 1 or H, 1 or W) int32."""
    found = torch.zeros((), dtype=torch.int32, device=source.device)
    for tile in tiles.unbind(1):
        first, step, left, top, right, bottom = tile[..., None, None].unbind(1)
        inside = ((columns >= left) & (columns < right)) & ((rows >= top) & (rows < bottom))
        found = torch.where(inside, (first + rows * step) + columns, found)
    return source.index_select(0, found.view(-1)).view(*found.shape, 1).view(torch.uint8).float()
