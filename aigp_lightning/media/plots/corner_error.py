"""The corner errors of gates against the gates' distance as a picture: arrays in, picture out."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.charts import (
    EDGE,
    FAINT,
    INK,
    NORMAL,
    SMALL,
    add_axes,
    new_figure,
    notice,
    pixels,
    text_width,
    unit,
)
from aigp_lightning.media.plots.palette import line_colour
from aigp_lightning.media.plots.ticks import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from aigp_lightning.types import CornerErrors

BOX = (95, 105, 1000, 700)
"""Left, top, width and height of the data's area, pixels."""
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
    """Draw one dot a gate, and in each band of distance the median with the number of gates.

    The errors' axis is logarithmic: a few gates that were found wrongly leave the others apart.

    Args:
        errors: of a validation; what is not finite is left out.

    Returns:
        (H, W, 3) uint8 RGB.

    Example:
        >>> from aigp_lightning.types import CornerErrors
        >>> draw_corner_error(CornerErrors(np.array([4.0, 12.0]), np.array([3.0, 1.5]), (5.0, 10.0))).shape
        (890, 1140, 3)
    """
    return pixels(corner_error_figure(errors))


def corner_error_figure(errors: CornerErrors) -> Figure:
    """Build the figure of `draw_corner_error`: a line of dots, and for each band a limit, a median and two texts.

    Example:
        >>> from aigp_lightning.types import CornerErrors
        >>> figure = corner_error_figure(CornerErrors(np.array([4.0, 12.0]), np.array([3.0, 1.5]), (5.0, 10.0)))
        >>> figure.axes[0].get_ylabel()
        'mean error of its corners, pixels'
    """
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

    distance, error = (np.asarray(values, np.float64).ravel() for values in (errors.distance, errors.error))
    known = np.isfinite(distance) & np.isfinite(error) & (distance >= 0) & (error >= 0)
    distance, error = distance[known], error[known].clip(LOWEST)
    if not len(distance):
        return notice("no gates were found: there is no corner error")
    far = _far(distance, errors.bands)
    low, high = _range(error)
    figure = new_figure(BOX[0] + BOX[2] + 45, BOX[1] + BOX[3] + 85)
    axes = add_axes(figure, BOX, "", ("distance of the gate, metres", "mean error of its corners, pixels"))
    axes.set(xlim=(0, far))
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(FixedLocator(_ticks(low, high)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: number(float(f"{value:.3g}")))
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(color=FAINT)
    _bands(axes, distance, error, errors.bands)  # below the dots: one may be all that a band has
    crowd = len(distance) > CROWD
    axes.plot(
        distance.clip(0, far), error, "o", color=unit(line_colour(4)), markersize=2.6 if crowd else 4,
        alpha=0.45 if crowd else 0.8, markeredgewidth=0, clip_on=False, zorder=3,
    )  # fmt: skip
    top = 1 - 38 / figure.bbox.height
    figure.text(BOX[0] / figure.bbox.width, top, TITLE, fontsize=NORMAL, color=INK)
    right = (BOX[0] + BOX[2]) / figure.bbox.width
    figure.text(right, top, _words(distance, far), fontsize=SMALL, color=INK, ha="right")
    return figure


def _far(distance: NDArray[np.float64], bands: tuple[float, ...]) -> float:
    """Return the right end of the axis: the furthest gate, or as far as makes sense with these bands."""
    furthest, last = float(distance.max()), max(bands, default=0.0)
    return max(min(furthest, BEYOND * last) if last else furthest, last * 1.2, 1.0)


def _range(error: NDArray[np.float64]) -> tuple[float, float]:
    """Return the bottom and the top of the axis, over one power of ten at least."""
    low, high = math.log10(float(error.min())) - 0.05, math.log10(float(error.max())) + 0.05
    missing = max(math.log10(LEAST_SPAN) - (high - low), 0)
    return float(10 ** (low - missing / 2)), float(10 ** (high + missing / 2))


def _ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times the powers of ten within a range; the powers alone where there are many."""
    units = (1, 2, 5) if high / low < 1e4 else (1,)  # noqa: PLR2004
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [factor * 10.0**power for power in powers for factor in units]
    return [value for value in values if low <= value <= high]


def _bands(axes: Axes, distance: NDArray[np.float64], error: NDArray[np.float64], bands: tuple[float, ...]) -> None:
    """Draw each band's limit as a dashed line, its median as a bold one, and write both above the frame."""
    far = axes.get_xlim()[1]
    limits = [0.0, *(limit for limit in sorted(bands) if 0 < limit < far), math.inf]
    for low, high in pairwise(limits):
        mine, right = error[(distance >= low) & (distance < high)], min(high, far)
        if high < math.inf:
            axes.axvline(high, color=EDGE, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        _write(axes, low, right, 42, f"{len(mine):,} gate{'s' * (len(mine) != 1)}", INK)
        if len(mine):
            median = float(np.median(mine))
            axes.hlines(median, low, right, colors=[unit(MEDIAN)], linewidth=4, zorder=2)
            _write(axes, low, right, 19, f"{median:.3g} px", unit(MEDIAN))


def _write(axes: Axes, left: float, right: float, above: float, words: str, ink: Any) -> None:
    """Write in the middle of a band, so many pixels above the frame; smaller if the band is narrow."""
    room = (right - left) / axes.get_xlim()[1] * BOX[2] - 6
    points = next((size for size in (NORMAL, SMALL, 7, 6) if text_width(words, size) <= room), 5)
    axes.text((left + right) / 2, 1 + above / BOX[3], words, transform=axes.get_xaxis_transform(), fontsize=points,
              color=ink, ha="center", va="center")  # fmt: skip


def _words(distance: NDArray[np.float64], far: float) -> str:
    """Return the chart's legend in words."""
    beyond = int((distance > far).sum())
    return "bold: median of a band" + (f"; {beyond} beyond {number(far)} m at the right edge" if beyond else "")
