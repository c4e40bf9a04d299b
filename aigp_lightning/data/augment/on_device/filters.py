"""Blurs on the device, with OpenCV's borders."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def blur(images: Tensor, kernel: int) -> Tensor:
    """Take the mean over a square around each pixel; the picture is mirrored at its border pixels.

    Args:
        images: (n, H, W, 3) uint8.
        kernel: side of the square, odd.

    Returns:
        (n, H, W, 3) uint8.

    Example:
        >>> stripe = torch.zeros(1, 3, 3, 3, dtype=torch.uint8)
        >>> stripe[:, :, 1] = 90
        >>> blur(stripe, 3)[0, :, :, 0].tolist()
        [[60, 30, 60], [60, 30, 60], [60, 30, 60]]
    """
    padded = functional.pad(images.permute(0, 3, 1, 2).float(), (kernel // 2,) * 4, mode="reflect")
    return functional.avg_pool2d(padded, kernel, stride=1).add_(0.5).to(torch.uint8).permute(0, 2, 3, 1)


def median_blur(images: Tensor, kernel: int) -> Tensor:
    """Take the median over a square around each pixel, of each channel; border pixels are repeated outside.

    Args:
        images: (n, H, W, 3) uint8.
        kernel: side of the square, odd.

    Returns:
        (n, H, W, 3) uint8.

    Example:
        >>> stripe = torch.zeros(1, 3, 3, 3, dtype=torch.uint8)
        >>> stripe[:, :, 1] = 90
        >>> median_blur(stripe, 3)[0, :, :, 0].tolist()
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]]
    """
    height, width = images.shape[1:3]
    reach = kernel // 2
    padded = functional.pad(images.permute(0, 3, 1, 2).float(), (reach,) * 4, mode="replicate").to(torch.uint8)
    around = [padded[..., y : y + height, x : x + width] for y in range(kernel) for x in range(kernel)]
    return torch.stack(around).median(0).values.permute(0, 2, 3, 1)
