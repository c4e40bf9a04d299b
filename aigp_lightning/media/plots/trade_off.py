"""Figures against thresholds as pictures: arrays in, picture out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.charts import FAINT, GREY, INK, NORMAL, SMALL, add_axes, new_figure, pixels, unit
from aigp_lightning.media.plots.palette import STYLES, line_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Values = Sequence[float | None]

BOX = (95, 60, 800, 560)
"""Left, top, width and height of the data's area of the trade-off, pixels."""
PANEL, GAP = (330, 230), (95, 115)
"""Width and height of a panel's data area, and the room between panels, pixels."""
LEFT, TOP = 95, 90
CHOSEN, NOW = line_colour(5), line_colour(4)
UNLIMITED = "none"
"""In the place of no limit at an axis."""


@dataclass(frozen=True)
class Marked:
    """A point that is marked.

    Attributes:
        name: for the legend.
        x: its place.
        y: its place.
    """

    name: str
    x: float
    y: float


def front(x: Array, y: Array, less_x: bool = True, more_y: bool = True) -> tuple[Array, Array]:
    """Return the points that no other one beats in both figures, by rising x.

    Args:
        x: (n,) a figure; what is no number is left out.
        y: (n,) another one.
        less_x: less of x is better.
        more_y: more of y is better.

    Example:
        >>> xs, ys = front(np.array([0.0, 1.0, 1.0, 2.0]), np.array([0.2, 0.5, 0.4, 0.5]))
        >>> xs.tolist(), ys.tolist()
        ([0.0, 1.0], [0.2, 0.5])
    """
    known = np.isfinite(x) & np.isfinite(y)
    one, two = (x if less_x else -x)[known], (y if more_y else -y)[known]
    order = np.lexsort((-two, one))
    one, two = one[order], two[order]
    before = np.concatenate(([-np.inf], np.maximum.accumulate(two)[:-1])) if len(two) else two
    best = two > before
    xs, ys = (one if less_x else -one)[best], (two if more_y else -two)[best]
    return (xs, ys) if less_x else (xs[::-1], ys[::-1])


def trade_off_figure(
    x: Array, y: Array, labels: tuple[str, str], marked: Sequence[Marked], less_x: bool = True, more_y: bool = True
) -> Figure:
    """Build a figure of every combination as a dot, those that no other beats as a line, and some of them marked.

    Args:
        x: (n,) figure of each combination.
        y: (n,) another one.
        labels: of the two axes.
        marked: points with a name.
        less_x: less of x is better.
        more_y: more of y is better.

    Example:
        >>> x, y = np.array([0.0, 1.0]), np.array([0.2, 0.5])
        >>> figure = trade_off_figure(x, y, ("a", "b"), [Marked("chosen", 0, 0.2)])
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['every combination', 'beaten by none', 'chosen']
    """
    figure = new_figure(BOX[0] + BOX[2] + 45, BOX[1] + BOX[3] + 85)
    axes = add_axes(figure, BOX, f"{labels[1]} against {labels[0]}", labels)
    axes.grid(color=FAINT)
    known = np.isfinite(x) & np.isfinite(y)
    dots: dict[str, Any] = {"color": GREY, "markersize": 2.5, "markeredgewidth": 0, "clip_on": False}
    axes.plot(x[known], y[known], "o", label="every combination", zorder=1, **dots)
    axes.plot(*front(x, y, less_x, more_y), color=INK, linewidth=1.4, label="beaten by none", zorder=2)
    for point, colour, sign in zip(marked, (CHOSEN, NOW), ("o", "s"), strict=False):
        axes.plot(
            [point.x], [point.y], sign, color=unit(colour), markersize=9, markeredgecolor="white", label=point.name,
            clip_on=False, zorder=4,
        )  # fmt: skip
    axes.legend(loc="lower right" if more_y else "upper right", frameon=True, fontsize=SMALL, framealpha=0.9)
    return figure


def draw_trade_off(
    x: Array, y: Array, labels: tuple[str, str], marked: Sequence[Marked], less_x: bool = True, more_y: bool = True
) -> NDArray[np.uint8]:
    """Draw `trade_off_figure`: (H, W, 3) uint8 RGB; takes what that takes.

    Example:
        >>> draw_trade_off(np.array([0.0, 1.0]), np.array([0.2, 0.5]), ("a", "b"), []).shape
        (705, 940, 3)
    """
    return pixels(trade_off_figure(x, y, labels, marked, less_x, more_y))


@dataclass(frozen=True)
class Slice:
    """Figures against one threshold, the others as chosen.

    Attributes:
        threshold: its name.
        values: of the threshold, in the order of the axis; None is no limit.
        chosen: number of the chosen value.
        figures: by name, each with a figure for every value.
    """

    threshold: str
    values: tuple[float | None, ...]
    chosen: int
    figures: Mapping[str, Array]


def slices_figure(slices: Sequence[Slice], rows: Sequence[tuple[str, Sequence[str]]]) -> Figure:
    """Build a figure with a column of panels for each threshold and a row for each kind of figure.

    Args:
        slices: one a threshold.
        rows: title of each row, and the figures that it shows.

    Example:
        >>> part = Slice("conf", (0.1, 0.2), 0, {"usable": np.array([0.5, 0.4])})
        >>> figure = slices_figure([part], [("share", ["usable"])])
        >>> figure.axes[0].get_xlabel(), figure.axes[0].lines[0].get_ydata().tolist()
        ('conf', [0.5, 0.4])
    """
    wide, high = PANEL[0] + GAP[0], PANEL[1] + GAP[1]
    figure = new_figure(LEFT + wide * len(slices), TOP + high * len(rows))
    for row, (title, names) in enumerate(rows):
        for column, part in enumerate(slices):
            box = (LEFT + column * wide, TOP + row * high, *PANEL)
            axes = add_axes(figure, box, title if column == 0 else "", (part.threshold, ""))
            _panel(axes, part, [name for name in names if name in part.figures], legend=column == 0)
    figure.text(
        LEFT / figure.bbox.width, 1 - 30 / figure.bbox.height, "one threshold at a time, the others as chosen (dashed)",
        fontsize=NORMAL, color=INK, parse_math=False,
    )  # fmt: skip
    return figure


def _panel(axes: Axes, part: Slice, names: Sequence[str], legend: bool) -> None:
    """Plot the figures of a row against one threshold, and where the chosen value is."""
    from matplotlib.ticker import FixedFormatter, FixedLocator

    x: Any = np.array([np.nan if value is None else value for value in part.values], np.float64)
    if np.isnan(x).any():  # no limit has no place on a scale
        x = np.arange(len(x), dtype=np.float64)
        axes.xaxis.set_major_locator(FixedLocator(x.tolist()))
        axes.xaxis.set_major_formatter(
            FixedFormatter([UNLIMITED if value is None else f"{value:g}" for value in part.values])
        )
    axes.grid(color=FAINT)
    for number, name in enumerate(names):
        looks: dict[str, Any] = {"color": unit(line_colour(number)), "linestyle": STYLES[number % len(STYLES)]}
        axes.plot(x, part.figures[name], marker="o", markersize=3, linewidth=1.4, label=name, **looks)
    axes.axvline(x[part.chosen], color=unit(CHOSEN), linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    room = 0.04 * (x[-1] - x[0])
    axes.set_xlim(x[0] - room, x[-1] + room)  # the same in every row: figures that cannot be had leave a gap
    axes.set_ylim(bottom=0)
    if legend and len(names) > 1:
        axes.legend(loc="best", fontsize=SMALL, frameon=True, framealpha=0.9)


def draw_slices(slices: Sequence[Slice], rows: Sequence[tuple[str, Sequence[str]]]) -> NDArray[np.uint8]:
    """Draw `slices_figure`: (H, W, 3) uint8 RGB; takes what that takes.

    Example:
        >>> part = Slice("conf", (0.1, 0.2), 0, {"usable": np.array([0.5, 0.4])})
        >>> draw_slices([part], [("share", ["usable"])]).shape
        (435, 520, 3)
    """
    return pixels(slices_figure(slices, rows))
