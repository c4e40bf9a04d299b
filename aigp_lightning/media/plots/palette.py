"""Colours and styles of plots, told apart by colour-blind people too."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.text import Colour

# Okabe & Ito, "Color Universal Design" (2008), without the black, which is lost on dark pictures.
BASE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
# What further classes are mixed with, and how much of it: the same hues, darker and lighter by turns.
SHADES = ((0, 0.0), (0, 0.4), (255, 0.5), (0, 0.6))
STYLES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (6, 2, 1, 2)), (0, (1.5, 1.5)))
CONTRAST = 1.9
"""Least contrast of a line to the white page."""
# ColorBrewer's "Blues" (Brewer 2002), from pure white: lightness falls evenly, also for colour-blind people.
BLUES = ((255, 255, 255), (222, 235, 247), (198, 219, 239), (158, 202, 225), (107, 174, 214), (66, 146, 198),
         (33, 113, 181), (8, 81, 156), (8, 48, 107))  # fmt: skip


@lru_cache(maxsize=256)
def class_colour(index: int) -> Colour:
    """Colour of a class, told apart by colour-blind people too; the colours repeat after 28 classes.

    Args:
        index: class id, 0 or more.

    Returns:
        Red, green, blue, 0…255.
    """
    shade, part = SHADES[index // len(BASE) % len(SHADES)]
    red, green, blue = (round(value + (shade - value) * part) for value in BASE[index % len(BASE)])
    return red, green, blue


@lru_cache(maxsize=256)
def line_colour(index: int) -> Colour:
    """Colour of a class as a thin line on white: darker where its own would be lost."""
    colour = np.array(class_colour(index), np.float64)
    while 1.05 / (float(np.dot((colour / 255) ** 2.2, (0.2126, 0.7152, 0.0722))) + 0.05) < CONTRAST:
        colour *= 0.92
    red, green, blue = (round(value) for value in colour.tolist())
    return red, green, blue


@lru_cache(maxsize=1)
def _blues() -> NDArray[np.uint8]:
    at, anchors = np.linspace(0, 1, len(BLUES)), np.array(BLUES, np.float64)
    channels = [np.interp(np.linspace(0, 1, 256), at, anchors[:, channel]) for channel in range(3)]
    table = np.round(np.stack(channels, axis=1)).astype(np.uint8)
    table.flags.writeable = False
    return table


def heat(share: Any) -> NDArray[np.uint8]:
    """White to dark blue.

    Args:
        share: any shape, 0…1; all but 0 differs from white.

    Returns:
        The shape and (red, green, blue), uint8.
    """
    picked: NDArray[np.uint8] = _blues()[np.ceil(np.clip(share, 0, 1) * 255).astype(np.int64)]
    return picked


def density(counts: NDArray[Any]) -> NDArray[np.uint8]:
    """Counts (h, w) as colours (h, w, 3); by their square root, so that what is rare shows too."""
    share = np.sqrt(counts / max(counts.max(), 1))
    return heat(np.where(counts > 0, 0.08 + 0.92 * share, 0))
