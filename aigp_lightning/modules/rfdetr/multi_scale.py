"""The sizes that training batches are drawn at, around the size of the input."""

from __future__ import annotations

import random

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.rfdetr.variants import variant_of

MULTI_SCALE = ("off", "normal", "expanded")
"""Ranges of sizes that training batches are drawn from."""


def multi_scale_sizes(name: str, imgsz: int, expanded: bool) -> list[int]:
    """Return the sizes among which each training batch's is drawn, as the package does.

    Args:
        name: of the variant.
        imgsz: side of the input, pixels.
        expanded: from five windows' worth of patches less to five more, rather than from three less to four more.

    Returns:
        Sides in pixels, rising; none below two strides.
    """
    stride = variant_of(name).stride
    offsets = range(-5, 6) if expanded else range(-3, 5)
    sizes = [(imgsz // stride + offset) * stride for offset in offsets]
    return [size for size in sizes if size >= 2 * stride]


def check_multi_scale(multi_scale: str) -> None:
    """Refuse a range of sizes that there is not.

    Args:
        multi_scale: its name.

    Raises:
        ConfigError: there is none of that name.
    """
    if multi_scale not in MULTI_SCALE:
        raise ConfigError(f"--model.multi_scale {multi_scale}: it must be one of {', '.join(MULTI_SCALE)}.")


def training_sizes(name: str, imgsz: int, multi_scale: str) -> list[int]:
    """Return the sizes that training batches are drawn from, pixels.

    Args:
        name: of the variant.
        imgsz: side of the input, pixels.
        multi_scale: see `MULTI_SCALE`.
    """
    return [imgsz] if multi_scale == "off" else multi_scale_sizes(name, imgsz, expanded=multi_scale == "expanded")


def drawn_size(name: str, imgsz: int, multi_scale: str, step: int) -> int:
    """Return the size of a step's batch, pixels: of its number alone, so that all processes draw the same.

    Args:
        name: of the variant.
        imgsz: side of the input, pixels.
        multi_scale: see `MULTI_SCALE`.
        step: of the optimizer, from 0.
    """
    return random.Random(step).choice(training_sizes(name, imgsz, multi_scale))
