"""Between RGB and CIE L*a*b* on the device, in OpenCV's 8-bit form: sRGB's curve, white point D65."""

from __future__ import annotations

import torch
from torch import Tensor

TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
"""Linear RGB to XYZ, ITU-R BT.709."""
TO_RGB = ((3.240479, -1.53715, -0.498535), (-0.969256, 1.875991, 0.041556), (0.055648, -0.204043, 1.057311))
WHITE = (0.950456, 1.0, 1.088754)
SMALL, SLOPE, SHIFT = 0.008856, 7.787, 16 / 116
"""CIE's cube root is a straight line below `SMALL`."""
LINE, SRGB_SLOPE = 0.04045, 12.92
"""sRGB's curve is a straight line up to there."""
MIDDLE = 128
"""Added to a and b, to keep them in a byte."""


def rgb_to_lab(images: Tensor) -> Tensor:
    """Convert to L*a*b*: L in 0…255, a and b plus 128.

    Args:
        images: (n, H, W, 3) uint8 RGB.

    Returns:
        (n, H, W, 3) float32 of whole numbers.

    Example:
        >>> rgb_to_lab(torch.tensor([[[[255, 255, 255], [255, 0, 0]]]], dtype=torch.uint8)).tolist()
        [[[[255.0, 128.0, 128.0], [136.0, 208.0, 195.0]]]]
    """
    share = images.float() / 255
    linear = torch.where(share <= LINE, share / SRGB_SLOPE, ((share + 0.055) / 1.055) ** 2.4)
    x, y, z = (_dot(linear, row) / white for row, white in zip(TO_XYZ, WHITE, strict=True))
    fx, fy, fz = (torch.where(t > SMALL, t ** (1 / 3), SLOPE * t + SHIFT) for t in (x, y, z))
    lightness = (116 * fy - 16) * (255 / 100)
    lab = torch.stack((lightness, 500 * (fx - fy) + MIDDLE, 200 * (fy - fz) + MIDDLE), -1)
    return lab.round_().clamp_(0, 255)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Convert back from L*a*b*.

    Args:
        lab: (n, H, W, 3) float32, as `rgb_to_lab` returns it.

    Returns:
        (n, H, W, 3) uint8 RGB.

    Example:
        >>> lab_to_rgb(torch.tensor([[[[255.0, 128.0, 128.0], [0.0, 128.0, 128.0]]]])).tolist()
        [[[[255, 255, 255], [0, 0, 0]]]]
    """
    lightness, a, b = lab.unbind(-1)
    fy = (lightness * (100 / 255) + 16) / 116
    curved = (fy + (a - MIDDLE) / 500, fy, fy - (b - MIDDLE) / 200)
    lowest = SLOPE * SMALL + SHIFT
    xyz = [torch.where(f > lowest, f**3, (f - SHIFT) / SLOPE) * white for f, white in zip(curved, WHITE, strict=True)]
    linear = torch.stack([_dot(torch.stack(xyz, -1), row) for row in TO_RGB], -1).clamp_(0, 1)
    curve = 1.055 * linear ** (1 / 2.4) - 0.055
    share = torch.where(linear <= LINE / SRGB_SLOPE, linear * SRGB_SLOPE, curve)
    return share.mul_(255).round_().clamp_(0, 255).to(torch.uint8)


def _dot(images: Tensor, row: tuple[float, float, float]) -> Tensor:
    first, second, third = images.unbind(-1)
    return first * row[0] + second * row[1] + third * row[2]
