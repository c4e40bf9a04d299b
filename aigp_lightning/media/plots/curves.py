"""How good a detector is, by confidence and recall: curves as a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.charts import (
    DPI,
    FAINT,
    GREY,
    INK,
    NORMAL,
    add_axes,
    new_figure,
    notice,
    pixels,
    told_apart,
    unit,
    widest,
)
from aigp_lightning.media.plots.palette import STYLES, line_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from aigp_lightning.types import Curves

NAMED = 20
"""With more classes than this, single lines are grey and have no name."""
FIFTHS = (0, 0.2, 0.4, 0.6, 0.8, 1)
CURVE_BOX = (90, 55, 800, 740)
"""Left, top, width and height of the data's area, pixels."""
WIDEST = 1350
"""Most pixels of the page's width."""
BESIDE = 6
"""With more curves than this, the legend is beside the data's area, else below it."""
LEGEND_LEFT, LEGEND_LINE, LEGEND_ROOM = 30, 50, 110
"""From the data's area to the legend, the length of a line in it, and what an entry has beside its words, pixels."""
SMOOTH = 0.1
"""Width of the box filter over the mean curve, of its length; as Ultralytics', so that its best value is theirs."""

Which = Literal["PR", "F1", "P", "R"]
AXES: dict[str, tuple[str, str]] = {
    "PR": ("Recall", "Precision"),
    "F1": ("Confidence", "F1"),
    "P": ("Confidence", "Precision"),
    "R": ("Confidence", "Recall"),
}


def draw_curve(curves: Curves, which: Which) -> NDArray[np.uint8]:
    """Draw one line a class, and a bold one for the mean of all.

    Args:
        curves: what a validation found.
        which: precision against recall, or F1, precision or recall against confidence.

    Returns:
        (H, W, 3) uint8 RGB.

    Example:
        >>> from aigp_lightning.types import Curves
        >>> x, one = np.linspace(0, 1, 1000), np.ones((1, 1000))
        >>> draw_curve(Curves("", ("gate",), x, one, one, one, one, one[:, 0]), "PR").shape
        (913, 930, 3)
    """
    return pixels(curve_figure(curves, which))


def curve_figure(curves: Curves, which: Which) -> Figure:
    """Build the figure of `draw_curve`; its artists hold the values as they were given.

    Example:
        >>> from aigp_lightning.types import Curves
        >>> x, one = np.linspace(0, 1, 1000), np.ones((1, 1000))
        >>> figure = curve_figure(Curves("", ("gate",), x, one, one, one, one, one[:, 0]), "PR")
        >>> figure.axes[0].get_title(loc="left")
        'Precision against recall'
    """
    if not len(curves.names):
        return notice("no labels: there is no curve")
    lines = {"PR": curves.pr, "F1": curves.f1, "P": curves.precision, "R": curves.recall}[which]
    mean = lines.mean(0) if which == "PR" else smooth(lines.mean(0))
    below, beside = AXES[which]
    what = beside if which == "F1" or not curves.prefix else beside.lower()
    title = f"{curves.prefix}{': ' * bool(curves.prefix)}{what} against {below.lower()}"
    words = _words(curves, which, mean)
    figure, place, columns = _page(words)
    axes = add_axes(figure, CURVE_BOX, title, (below, beside))
    axes.grid(color=FAINT)
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=FIFTHS, yticks=FIFTHS)
    handles = _class_lines(axes, curves, lines) if len(words) > 1 else []
    bold = axes.plot(curves.x, mean, color=INK, linewidth=2.8, clip_on=False, zorder=3)
    _legend(figure, [*bold, *handles], words, place, columns)
    return figure


def _words(curves: Curves, which: Which, mean: NDArray[Any]) -> list[str]:
    """Return the legend's words, the mean's first; they fit on the page.

    The mean of a single class is its own curve, which has no second line unless one of the two is smoothed.
    """
    if which == "PR":
        ending = f" {curves.ap50.mean():.3f} mAP@0.5"
        endings = [f" {value:.3f}" for value in curves.ap50.tolist()]
    else:
        ending = f" (smoothed) {mean.max():.2f} at {curves.x[mean.argmax()]:.3f}"
        endings = [""] * len(curves.names)
    if len(curves.names) > NAMED:
        return [f"all classes{ending}", f"{len(curves.names)} classes"]
    single = len(curves.names) == 1
    room = (CURVE_BOX[2] if len(curves.names) < BESIDE else WIDEST - CURVE_BOX[0] - CURVE_BOX[2]) - LEGEND_ROOM
    names = told_apart(curves.names, NORMAL, room - widest([ending] if single else endings, NORMAL))
    if single:
        return [f"{names[0]}{ending}", *names][: 1 if which == "PR" else 2]
    return [f"all classes{ending}", *(f"{name}{ending}" for name, ending in zip(names, endings, strict=True))]


def _page(words: list[str]) -> tuple[Figure, tuple[float, float], int]:
    """Make a page that is as large as the axes and the legend need.

    Returns:
        The page; left and top of the legend, pixels; its columns.
    """
    entry = math.ceil(widest(words, NORMAL)) + LEGEND_ROOM
    left, top, width, height = CURVE_BOX
    if len(words) > BESIDE:
        return new_figure(left + width + entry, top + height + 85), (left + width + LEGEND_LEFT, top), 1
    columns = max((width + 40) // entry, 1)
    lines = -(-len(words) // columns)
    return new_figure(left + width + 40, top + height + 85 + 33 * lines), (left, top + height + 75), columns


def _class_lines(axes: Axes, curves: Curves, lines: NDArray[Any]) -> list[Any]:
    """Plot a line a class; return the legend's lines, one for each class or one for all."""
    if len(curves.names) > NAMED:
        from matplotlib.collections import LineCollection

        x = np.broadcast_to(curves.x, lines.shape)
        bundle = LineCollection(list(np.stack((x, lines), axis=2)), colors=GREY, linewidths=0.6)
        axes.add_collection(bundle, autolim=False)
        return [bundle]
    over = 4 if len(lines) == 1 else 2  # a single class would be hidden under the mean, which is nearly the same
    for row, values in enumerate(lines):
        looks: dict[str, Any] = {"color": unit(line_colour(row)), "linestyle": STYLES[row // 7 % 4], "linewidth": 1.4}
        axes.plot(curves.x, values, clip_on=False, zorder=over, **looks)
    return list(axes.lines)


def _legend(figure: Figure, lines: list[Any], words: list[str], place: tuple[float, float], columns: int) -> None:
    """Put a legend on the page, all lines as long as each other.

    Args:
        figure: the page.
        lines: the curves.
        words: one for each.
        place: left and top, pixels.
        columns: of the legend.
    """
    letters = NORMAL * DPI / 72
    legend = figure.legend(
        lines, [str(row) for row in range(len(words))], loc="upper left", frameon=False, ncols=columns,
        bbox_to_anchor=(place[0] / figure.bbox.width, 1 - place[1] / figure.bbox.height),
        fontsize=NORMAL, handlelength=LEGEND_LINE / letters, labelspacing=0.85, borderaxespad=0, borderpad=0.2,
    )  # fmt: skip
    for text, line in zip(legend.get_texts(), words, strict=True):
        text.set(text=line, parse_math=False, color=INK)  # later, as Matplotlib leaves out names that begin with "_"


def smooth(values: NDArray[Any], part: float = SMOOTH) -> NDArray[np.float64]:
    """Return the mean over a window of this part of the length, the ends repeated.

    Example:
        >>> smooth(np.array([0.0, 0.0, 3.0, 0.0, 0.0]), part=0.6).round(6).tolist()
        [0.0, 1.0, 1.0, 1.0, 0.0]
    """
    half = round(len(values) * part * 2) // 2 // 2
    padded = np.pad(np.asarray(values, np.float64), half, mode="edge")
    return np.convolve(padded, np.full(2 * half + 1, 1 / (2 * half + 1)), mode="valid")
