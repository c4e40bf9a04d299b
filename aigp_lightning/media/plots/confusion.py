"""Which class is taken for which: the confusion matrix as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.charts import (
    DPI,
    EDGE,
    INK,
    NORMAL,
    SMALL,
    add_axes,
    count_colours,
    new_figure,
    pixels,
    told_apart,
    unit,
    widest,
)
from aigp_lightning.media.plots.text import text_colour
from aigp_lightning.media.plots.ticks import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUMBERED = 31
"""With more rows than this (background is one), cells have no numbers."""
SIDE = 1080
"""Most pixels of the matrix, with fewer rows than pixels."""
NAME_ROOM = 400
"""Most pixels of a class's name beside the matrix."""
MOST_ROWS = 1000


def draw_confusion(matrix: NDArray[Any], names: Mapping[int, str], normalize: bool) -> NDArray[np.uint8]:
    """Draw which class is taken for which.

    Args:
        matrix: (nc + 1, nc + 1) [predicted, true] counts; background is the last row and column.
        names: class names by id.
        normalize: show parts of each column, so what becomes of a class's objects.

    Returns:
        (H, W, 3) uint8 RGB.

    Example:
        >>> draw_confusion(np.array([[8, 1], [2, 0]]), {0: "gate"}, normalize=True).dtype
        dtype('uint8')
    """
    return pixels(confusion_figure(matrix, names, normalize))


def confusion_figure(matrix: NDArray[Any], names: Mapping[int, str], normalize: bool) -> Figure:
    """Build the figure of `draw_confusion`: an image of the values, 0 masked, and a scale of its colours.

    Example:
        >>> figure = confusion_figure(np.array([[8, 1], [2, 0]]), {0: "gate"}, normalize=False)
        >>> figure.axes[0].images[0].get_array().tolist()
        [[8.0, 1.0], [2.0, None]]
    """
    from matplotlib.colors import Normalize, PowerNorm

    matrix = np.asarray(matrix, np.float64)
    values = matrix / np.maximum(matrix.sum(0), 1) if normalize else matrix
    # The root keeps a crowded background from hiding all other counts.
    norm = Normalize(0, 1) if normalize else PowerNorm(0.5, 0, max(float(matrix.max()), 1.0))
    rows = len(matrix)
    side = rows * min(SIDE // rows, 120) if rows <= MOST_ROWS else MOST_ROWS
    points = min(max(0.5 * side / rows, 6.5), NORMAL)
    labels = [*told_apart([names.get(index, str(index)) for index in range(rows - 1)], points, NAME_ROOM), "background"]
    margin = math.ceil(widest(labels, points))
    upright = margin > side / rows - 4
    title = "Confusion matrix, parts of each true class" if normalize else "Confusion matrix, counts"
    if widest([title], NORMAL) > side:
        title = title.replace(", ", "\n")
    left, top = margin + 60, 55 + 22 * title.count("\n")
    figure = new_figure(max(left + side + 175, 480), top + side + (margin if upright else 25) + 55)
    axes = add_axes(figure, (left, top, side, side), title, ("True", "Predicted"))
    shown = _pooled(np.ma.masked_equal(values, 0))
    extent = (-0.5, rows - 0.5, rows - 0.5, -0.5)  # in cells, also where there are more of them than pixels
    image = axes.imshow(shown, count_colours(), norm, aspect="auto", interpolation="nearest", extent=extent)
    _name_ticks(axes, labels, points, upright, side)
    if rows <= NUMBERED:
        _numbers(axes, values, norm, normalize, side // rows)
    _scale(figure, image, (left + side + 30, top, 24, side), normalize)
    return figure


def _scale(figure: Figure, image: Any, box: tuple[float, float, float, float], normalize: bool) -> None:
    """Draw the colours' values beside the matrix: whole numbers for counts, and a word where it is not linear."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=not normalize)
    scale = add_axes(figure, box)
    bar = figure.colorbar(image, cax=scale, ticks=ticks, format=FuncFormatter(lambda value, _: number(value)))
    bar.outline.set_visible(False)
    if not normalize:
        bar.set_label("square root scale", fontsize=SMALL, color=INK)
    scale.tick_params(labelsize=SMALL, color=EDGE, labelcolor=INK)


def _pooled(values: Any) -> Any:
    """Return the values themselves, or the greatest of each block where there are more cells than pixels."""
    if len(values) <= MOST_ROWS:
        return values
    starts = np.arange(0, len(values), -(-len(values) // MOST_ROWS))
    blocks = np.maximum.reduceat(np.maximum.reduceat(values.filled(0), starts, 0), starts, 1)
    return np.ma.masked_equal(blocks, 0)


def _name_ticks(axes: Axes, labels: list[str], points: float, upright: bool, side: int) -> None:
    """Name rows and columns; where they are too narrow for a name each, every second one or fewer."""
    step = math.ceil((points * DPI / 72 + 1) / (side / len(labels)))
    places = range(0, len(labels), step)
    looks: dict[str, Any] = {"fontsize": points, "parse_math": False}
    axes.set_xticks(places, labels[::step], rotation=90 if upright else 0, **looks)
    axes.set_yticks(places, labels[::step], **looks)
    axes.tick_params(length=0, pad=5)


def _numbers(axes: Axes, values: NDArray[Any], norm: Any, normalize: bool, cell: int) -> None:
    """Write into every cell that is not 0, in black or white, as large as fits."""
    texts = [[_short(value, normalize, cell) for value in row] for row in values.tolist()]
    longest = max((text for row in texts for text in row), key=len)
    sizes = (NORMAL + 2, NORMAL, 9, 8, 7, 6, 5.5)
    points = next((size for size in sizes if widest([longest], size) <= cell - 3), 5)
    colours = np.round(count_colours()(norm(values))[..., :3] * 255).astype(int).tolist()
    for row, column in np.argwhere(values > (0.005 if normalize else 0)).tolist():
        red, green, blue = colours[row][column]
        ink = unit(text_colour((red, green, blue)))
        axes.text(column, row, texts[row][column], fontsize=points, color=ink, ha="center", va="center")


def _short(value: float, normalize: bool, cell: int) -> str:
    """Return a cell's number in as many letters as can be read in it."""
    if normalize:
        return f"{value:.2f}"
    if len(f"{value:.0f}") <= cell / 7:
        return f"{value:.0f}"
    return f"{value / 1000:.0f}k" if value < 999_500 else f"{value / 1e6:.1f}M"  # noqa: PLR2004
