"""How good a detector is, by confidence and recall: curves as a picture."""

from __future__ import annotations

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
CURVE_PAGE, CURVE_BOX = (1350, 880), (90, 55, 800, 740)
"""Width and height; left, top, width and height of the data's area; pixels."""
LEGEND_LEFT, LEGEND_LINE = 30, 50
"""From the data's area to the legend, and the length of a line in it, pixels."""
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
        (880, 1350, 3)
    """
    return pixels(curve_figure(curves, which))


def curve_figure(curves: Curves, which: Which) -> Figure:
    """Build the figure of `draw_curve`; its artists hold the values as they were given."""
    if not len(curves.names):
        return notice("no labels: there is no curve")
    lines = {"PR": curves.pr, "F1": curves.f1, "P": curves.precision, "R": curves.recall}[which]
    mean = lines.mean(0)
    if which == "PR":
        label = f"all classes {curves.ap50.mean():.3f} mAP@0.5"
        endings = [f" {value:.3f}" for value in curves.ap50.tolist()]
    else:
        mean, endings = smooth(mean), [""] * len(curves.names)
        label = f"all classes {mean.max():.2f} at {curves.x[mean.argmax()]:.3f}"
    below, beside = AXES[which]
    what = beside if which == "F1" or not curves.prefix else beside.lower()
    title = f"{curves.prefix}{': ' * bool(curves.prefix)}{what} against {below.lower()}"
    figure = new_figure(*CURVE_PAGE)
    axes = add_axes(figure, CURVE_BOX, title, (below, beside))
    axes.grid(color=FAINT)
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=FIFTHS, yticks=FIFTHS)
    handles, words = _class_lines(axes, curves, lines, endings)
    bold = axes.plot(curves.x, mean, color=INK, linewidth=2.8, clip_on=False, zorder=3)
    _legend(figure, [*bold, *handles], [label, *words])
    return figure


def _class_lines(axes: Axes, curves: Curves, lines: NDArray[Any], endings: list[str]) -> tuple[list[Any], list[str]]:
    """Plot a line a class; return the legend's lines and words, one for each class or one for all."""
    if len(curves.names) > NAMED:
        from matplotlib.collections import LineCollection

        x = np.broadcast_to(curves.x, lines.shape)
        bundle = LineCollection(list(np.stack((x, lines), axis=2)), colors=GREY, linewidths=0.6)
        axes.add_collection(bundle, autolim=False)
        return [bundle], [f"{len(curves.names)} classes"]
    room = CURVE_PAGE[0] - CURVE_BOX[0] - CURVE_BOX[2] - LEGEND_LEFT - LEGEND_LINE - 25 - widest(endings, NORMAL)
    names = told_apart(curves.names, NORMAL, room)
    for row, values in enumerate(lines):
        colour, style = unit(line_colour(row)), STYLES[row // 7 % 4]
        axes.plot(curves.x, values, color=colour, linestyle=style, linewidth=1.4, clip_on=False)
    return list(axes.lines), [f"{name}{ending}" for name, ending in zip(names, endings, strict=True)]


def _legend(figure: Figure, lines: list[Any], words: list[str]) -> None:
    """Put a legend beside the axes, all lines as long as each other."""
    place = ((CURVE_BOX[0] + CURVE_BOX[2] + LEGEND_LEFT) / CURVE_PAGE[0], 1 - CURVE_BOX[1] / CURVE_PAGE[1])
    letters = NORMAL * DPI / 72
    legend = figure.legend(
        lines, [str(row) for row in range(len(words))], loc="upper left", bbox_to_anchor=place, frameon=False,
        fontsize=NORMAL, handlelength=LEGEND_LINE / letters, labelspacing=0.85, borderaxespad=0, borderpad=0.2,
    )  # fmt: skip
    for text, line in zip(legend.get_texts(), words, strict=True):
        text.set(text=line, parse_math=False, color=INK)  # later, as Matplotlib leaves out names that begin with "_"


def smooth(values: NDArray[Any], part: float = SMOOTH) -> NDArray[np.float64]:
    """Return the mean over a window of this part of the length, the ends repeated."""
    half = round(len(values) * part * 2) // 2 // 2
    padded = np.pad(np.asarray(values, np.float64), half, mode="edge")
    return np.convolve(padded, np.full(2 * half + 1, 1 / (2 * half + 1)), mode="valid")
