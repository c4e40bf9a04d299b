"""Contrast-limited adaptive histogram equalisation (CLAHE) of lightness on the device, as OpenCV does it.

The method is Zuiderveld's ("Contrast limited adaptive histogram equalization", Graphics Gems IV, 1994): every tile of
a grid has a look-up table, made of its histogram with the peaks cut; a pixel goes by the four tables around it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from aigp_lightning.data.augment.on_device.lab import lab_to_rgb, rgb_to_lab

GRID = 8
BINS = 256


def clahe(images: Tensor, limits: Tensor) -> Tensor:
    """Equalise the lightness of pictures locally, in CIE L*a*b*.

    Args:
        images: (n, H, W, 3) uint8 RGB, H and W multiples of 8.
        limits: (n,) int64, the most pixels that a bin of a tile's histogram keeps.

    Returns:
        (n, H, W, 3) uint8 RGB.

    Example:
        >>> flat = torch.full((1, 160, 160, 3), 50, dtype=torch.uint8)
        >>> clahe(flat, torch.tensor([1])).unique().tolist()
        [64]
    """
    lab = rgb_to_lab(images)
    lab[..., 0] = equalised(lab[..., 0].long(), limits)
    return lab_to_rgb(lab)


def equalised(lightness: Tensor, limits: Tensor) -> Tensor:
    """Equalise one channel locally.

    Args:
        lightness: (n, H, W) int64 in 0…255, H and W multiples of 8.
        limits: (n,) int64, the most pixels that a bin of a tile's histogram keeps.

    Returns:
        (n, H, W) float32 of whole numbers.

    Example:
        >>> equalised(torch.zeros(1, 160, 160, dtype=torch.int64), torch.tensor([1])).unique().tolist()
        [2.0]
    """
    return _looked_up(_tables(lightness, limits), lightness)


def _tables(lightness: Tensor, limits: Tensor) -> Tensor:
    """Return the look-up tables of (n, H, W) int64 pictures, (n, 64, 256) float32 of whole numbers."""
    count, height, width = lightness.shape
    tiles = lightness.view(count, GRID, height // GRID, GRID, width // GRID).transpose(2, 3).reshape(count, GRID**2, -1)
    area = tiles.shape[-1]
    counts = torch.zeros(count, GRID**2, BINS, dtype=torch.int64, device=lightness.device)
    counts.scatter_add_(-1, tiles, torch.ones_like(tiles))
    kept = torch.minimum(counts, limits[:, None, None])
    cut = (counts - kept).sum(-1, keepdim=True)
    rest = cut % BINS  # what is left over goes to single bins, evenly spaced
    step = (BINS // rest.clamp(min=1)).clamp(min=1)
    bins = torch.arange(BINS, device=lightness.device)
    kept = kept + cut // BINS + ((bins % step == 0) & (bins // step < rest)).long()
    return (kept.cumsum(-1).float() * (255 / area)).round().clamp(0, 255)


def _looked_up(tables: Tensor, lightness: Tensor) -> Tensor:
    """Return (n, H, W) float32 of whole numbers: every pixel by the tables of the four nearest tiles."""
    count, height, width = lightness.shape
    flat = tables.view(count, -1)
    (up, down, part_y), (left, right, part_x) = (_nearest(side, tables.device) for side in (height, width))

    def read(row: Tensor, column: Tensor) -> Tensor:
        place = (row[:, None] * GRID + column)[None] * BINS + lightness
        return flat.gather(1, place.view(count, -1)).view(lightness.shape)

    upper = read(up, left).lerp(read(up, right), part_x)
    lower = read(down, left).lerp(read(down, right), part_x)
    return upper.lerp(lower, part_y[:, None]).round()


def _nearest(side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return for every pixel along a side the two tiles whose middles are nearest, and the way between them, 0…1."""
    place = torch.arange(side, device=device) * (GRID / side) - 0.5
    before = place.floor()
    tile = before.long()
    return tile.clamp(min=0), (tile + 1).clamp(max=GRID - 1), place - before
