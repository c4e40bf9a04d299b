"""Colours and styles of plots, told apart by colour-blind people too."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

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
CONTRAST = 3.0
"""Least contrast of a line to the white page, as WCAG 2.1 asks of graphics."""


@lru_cache(maxsize=256)
def class_colour(index: int) -> Colour:
    """Return the colour of a class, told apart by colour-blind people too; the colours repeat after 28 classes.

    Args:
        index: class id, 0 or more.

    Returns:
        Red, green, blue, 0…255.

    Example:
        >>> class_colour(0), class_colour(7) == class_colour(0)
        ((230, 159, 0), False)
    """
    shade, part = SHADES[index // len(BASE) % len(SHADES)]
    red, green, blue = (round(value + (shade - value) * part) for value in BASE[index % len(BASE)])
    return red, green, blue


@lru_cache(maxsize=256)
def line_colour(index: int) -> Colour:
    """Return the colour of a class as a thin line on white: darker where its own would be lost.

    Example:
        >>> line_colour(4) == class_colour(4), line_colour(3) == class_colour(3)  # blue, and yellow
        (True, False)
    """
    colour = np.array(class_colour(index), np.float64)
    while 1.05 / (float(np.dot((colour / 255) ** 2.2, (0.2126, 0.7152, 0.0722))) + 0.05) < CONTRAST:
        colour *= 0.92
    red, green, blue = (round(value) for value in colour.tolist())
    return red, green, blue
