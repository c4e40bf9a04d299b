"""Colours on the device: hue, saturation and brightness, and grey, by OpenCV's 8-bit formulas."""

from __future__ import annotations

import torch
from torch import Tensor

SECTOR = 30.0
"""Half degrees of a sixth of the colour circle."""
HUES = 180.0
HAIR = 0.0002
"""Keeps whole numbers whole when they are rounded down; see `FLOOR` in `color.py`."""
GREY_WEIGHTS = (4899, 9617, 1868)
"""Shares of red, green and blue in grey, in 2**14 parts."""


def shift_hsv(images: Tensor, colour: Tensor) -> Tensor:
    """Shift hues, and multiply saturation and brightness.

    Args:
        images: (B, H, W, 3) uint8 RGB.
        colour: (B, 3) float32: steps of hue, 0…179, and the two factors.

    Returns:
        (B, H, W, 3) uint8 RGB.

    Example:
        >>> red = torch.tensor([[[[200, 0, 0]]]], dtype=torch.uint8)
        >>> shift_hsv(red, torch.tensor([[60.0, 0.5, 1.2]])).tolist()  # a third of the circle: green
        [[[[120, 240, 120]]]]
    """
    hue, saturation, value = _to_hsv(images.float())
    steps, more_saturation, more_value = colour[:, :, None, None].unbind(1)
    hue = (hue + steps).remainder_(HUES).div_(SECTOR)
    saturation = saturation.mul_(more_saturation).add_(HAIR).floor_().clamp_(max=255)
    value = value.mul_(more_value).add_(HAIR).floor_().clamp_(max=255)
    chroma = saturation.mul_(value).div_(255)
    planes = []
    for turn in (5, 3, 1):  # red, green, blue: each falls by the chroma, the further the hue is from it
        sector = (hue + turn).remainder_(6)
        share = torch.minimum(sector, 4 - sector).clamp_(0, 1)
        planes.append(torch.addcmul(value, chroma, share, value=-1).add_(0.5).to(torch.uint8))
    return torch.stack(planes, -1)


def _to_hsv(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return hue 0…179, saturation and value 0…255, rounded, each (B, H, W) float32."""
    red, green, blue = images.unbind(-1)
    value = torch.maximum(torch.maximum(red, green), blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    saturation = (spread * 255).div_(value.clamp(min=1)).add_(0.5).floor_()
    hue = torch.where(value == green, blue - red + 2 * spread, red - green + 4 * spread)
    hue = torch.where(value == red, green - blue, hue)
    hue = hue.mul_(SECTOR).div_(spread.clamp_(min=1)).add_(0.5).floor_()
    return hue.remainder_(HUES), saturation, value


def to_gray(images: Tensor) -> Tensor:
    """Turn grey, in three equal channels.

    Args:
        images: (n, H, W, 3) uint8 RGB.

    Returns:
        (n, H, W, 3) uint8, not to be written to.

    Example:
        >>> to_gray(torch.tensor([[[[255, 0, 0]]]], dtype=torch.uint8)).tolist()
        [[[[76, 76, 76]]]]
    """
    red, green, blue = (plane.int() * weight for plane, weight in zip(images.unbind(-1), GREY_WEIGHTS, strict=True))
    grey = ((red + green + blue + (1 << 13)) >> 14).to(torch.uint8)
    return grey[..., None].expand(images.shape)
