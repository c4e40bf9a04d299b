"""How far off the corners of gates are, by how far away the gates are. Arrays in, picture out."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.figure import INK, NORMAL, SMALL, Frame, Page, Range, extent, notice, number, steps
from aigp_lightning.media.plots.palette import line_colour

if TYPE_CHECKING:
    from aigp_lightning.types import CornerErrors

FRAME = (95, 105, 1000, 700)
"""Left, top, width and height, pixels."""
TITLE = "corner error against distance"
LOWEST = 0.05
"""Pixels; a smaller error is drawn as this one."""
LEAST_SPAN = 10
"""The y axis goes over one power of ten at least."""
BEYOND = 3.0
"""Gates that are further away than so many times the last limit are drawn at the right edge."""
CROWD = 300
"""With more gates than this the dots are small and let others shine through."""
MEDIAN = line_colour(5)


def draw_corner_error(errors: CornerErrors) -> NDArray[np.uint8]:
    """One dot a gate, and in each band of distance the median with the number of gates.

    The errors' axis is logarithmic: a few gates that were found wrongly leave the others apart.

    Args:
        errors: of a validation; what is not finite is left out.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    distance, error = (np.asarray(values, np.float64).ravel() for values in (errors.distance, errors.error))
    known = np.isfinite(distance) & np.isfinite(error) & (distance >= 0) & (error >= 0)
    distance, error = distance[known], error[known].clip(LOWEST)
    if not len(distance):
        return notice("no gates were found: there is no corner error")
    far = _far(distance, errors.bands)
    y = _decades(error)
    frame = Frame(*FRAME, (0.0, far), y)
    page = Page(FRAME[0] + FRAME[2] + 45, FRAME[1] + FRAME[3] + 85)
    labels = "distance of the gate, metres", "mean error of its corners, pixels"
    page.text(frame.left - 3, 42, TITLE, NORMAL, ("low", "high"))
    page.axes(frame, "", labels, (steps(0, far, 10), _ticks(y)), beside=_power)
    _bands(page, frame, distance, error, errors.bands)  # below the dots: one may be all that a band has
    look = {"markersize": 2.2, "alpha": 0.45} if len(distance) > CROWD else {"markersize": 3.5, "alpha": 0.8}
    page.line(
        frame, distance.clip(0, far), np.log10(error), line_colour(4), linestyle="", marker="o", markeredgewidth=0,
        **look,
    )  # fmt: skip
    right = frame.left + frame.width
    page.text(right, 42, _words(distance, far), SMALL, ("high", "high"))
    return page.pixels()


def _far(distance: NDArray[np.float64], bands: tuple[float, ...]) -> float:
    """The right end of the axis: the furthest gate, or as far as makes sense with these bands."""
    furthest, last = float(distance.max()), max(bands, default=0.0)
    return max(min(furthest, BEYOND * last) if last else furthest, last * 1.2, 1.0)


def _decades(error: NDArray[np.float64]) -> Range:
    """Exponents at the bottom and the top of the axis."""
    low, high = math.log10(float(error.min())) - 0.05, math.log10(float(error.max())) + 0.05
    missing = max(math.log10(LEAST_SPAN) - (high - low), 0)
    return low - missing / 2, high + missing / 2


def _ticks(y: Range) -> list[float]:
    """Exponents of 1, 2 and 5 times the powers of ten; of the powers alone where there are many."""
    units = (1, 2, 5) if y[1] - y[0] < 4 else (1,)  # noqa: PLR2004
    powers = range(math.floor(y[0]), math.ceil(y[1]) + 1)
    values = [power + math.log10(unit) for power in powers for unit in units]
    return [value for value in values if y[0] <= value <= y[1]]


def _power(exponent: float) -> str:
    return number(float(f"{10**exponent:.3g}"))


def _bands(
    page: Page, frame: Frame, distance: NDArray[np.float64], error: NDArray[np.float64], bands: tuple[float, ...]
) -> None:
    """Each band's limit as a dashed line, its median as a bold one, and what both are in words above the frame."""
    limits = [0.0, *(limit for limit in sorted(bands) if 0 < limit < frame.x[1]), math.inf]
    for low, high in pairwise(limits):
        mine = error[(distance >= low) & (distance < high)]
        left, right = frame.across([low, min(high, frame.x[1])]).tolist()
        if high < math.inf:
            page.line(frame, (high, high), frame.y, (150, 150, 150), 1.5, linestyle=(0, (4, 3)))
        _said(page, left, right, frame.top - 42, f"{len(mine):,} gate{'s' * (len(mine) != 1)}")
        if len(mine):
            median = float(np.median(mine))
            level = np.log10([median, median])
            page.line(frame, (low, min(high, frame.x[1])), level, MEDIAN, 7, solid_capstyle="butt")
            _said(page, left, right, frame.top - 19, f"{median:.3g} px", MEDIAN)


def _said(page: Page, left: float, right: float, y: float, words: str, ink: Any = INK) -> None:
    """Words in the middle of a band, small if it is narrow."""
    room = right - left - 4
    letters = next((size for size in (NORMAL, SMALL, 13, 11) if extent([words], size) <= room), 9)
    page.text((left + right) / 2, y, words, letters, ("middle", "middle"), ink)


def _words(distance: NDArray[np.float64], far: float) -> str:
    beyond = int((distance > far).sum())
    return "bold: median of a band" + (f"; {beyond} beyond {number(far)} m at the right edge" if beyond else "")
