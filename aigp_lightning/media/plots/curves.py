"""How good a detector is: curves against confidence and recall, and the confusion matrix. Arrays in, picture out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.figure import (
    EDGE,
    INK,
    NORMAL,
    SMALL,
    Frame,
    Page,
    extent,
    notice,
    number,
    steps,
    told_apart,
)
from aigp_lightning.media.plots.palette import STYLES, heat, line_colour
from aigp_lightning.media.plots.text import text_colour

if TYPE_CHECKING:
    from aigp_lightning.types import Curves

NAMED = 20
"""With more classes than this, single lines are grey and have no name."""
GREY = (190, 190, 190)
FIFTHS = (0, 0.2, 0.4, 0.6, 0.8, 1)
CURVE_FRAME = Frame(90, 55, 800, 740)
LEGEND = CURVE_FRAME.left + CURVE_FRAME.width + 92
"""Where its words begin, pixels."""
SMOOTH = 0.1
"""Width of the box filter over the mean curve, of its length; as Ultralytics', so that its best value is theirs."""
NUMBERED = 31
"""With more rows than this (background is one), cells have no numbers."""
MATRIX_SIDE = 1080
NAME_ROOM = 340
"""Most pixels of a class's name beside the matrix."""
MOST_ROWS = 1000

Which = Literal["PR", "F1", "P", "R"]
AXES: dict[str, tuple[str, str]] = {
    "PR": ("Recall", "Precision"),
    "F1": ("Confidence", "F1"),
    "P": ("Confidence", "Precision"),
    "R": ("Confidence", "Recall"),
}


def draw_curve(curves: Curves, which: Which) -> NDArray[np.uint8]:
    """One line a class, and a bold one for the mean of all.

    Args:
        curves: what a validation found.
        which: precision against recall, or F1, precision or recall against confidence.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    if not len(curves.names):
        return notice("no labels: there is no curve")
    lines = {"PR": curves.pr, "F1": curves.f1, "P": curves.precision, "R": curves.recall}[which]
    page, below, beside = Page(1350, 880), *AXES[which]
    what = beside if which == "F1" or not curves.prefix else beside.lower()
    title = f"{curves.prefix}{': ' * bool(curves.prefix)}{what} against {below.lower()}"
    page.axes(CURVE_FRAME, title, (below, beside), (FIFTHS, FIFTHS))
    mean = lines.mean(0)
    if which == "PR":
        label = f"all classes {curves.ap50.mean():.3f} mAP@0.5"
        endings = [f" {value:.3f}" for value in curves.ap50.tolist()]
    else:
        mean, endings = smooth(mean), [""] * len(curves.names)
        label = f"all classes {mean.max():.2f} at {curves.x[mean.argmax()]:.3f}"
    named = len(curves.names) <= NAMED
    room = page.width - LEGEND - 10 - extent(endings, NORMAL)
    names = told_apart(curves.names, NORMAL, room) if named else curves.names
    for row, (name, ending) in enumerate(zip(names, endings, strict=True)):
        colour, style = (line_colour(row), STYLES[row // 7 % 4]) if named else (GREY, "-")
        page.line(CURVE_FRAME, curves.x, lines[row], colour, 2 if named else 1, linestyle=style)
        if named:
            _legend(page, row + 1, f"{name}{ending}", colour, 2, style)
    page.line(CURVE_FRAME, curves.x, mean, INK, 5)
    _legend(page, 0, label, INK, 5, "-")
    if not named:
        _legend(page, 1, f"{len(curves.names)} classes", GREY, 1, "-")
    return page.pixels()


def _legend(page: Page, row: int, words: str, colour: tuple[int, int, int], width: float, style: Any) -> None:
    left, y = LEGEND - 62, CURVE_FRAME.top + 15 + row * 35
    page.line(None, (left, left + 50), (y, y), colour, width, linestyle=style)
    page.text(LEGEND, y, words, NORMAL)


def smooth(values: NDArray[Any], part: float = SMOOTH) -> NDArray[np.float64]:
    """Mean over a window of this part of the length, the ends repeated."""
    half = round(len(values) * part * 2) // 2 // 2
    padded = np.pad(np.asarray(values, np.float64), half, mode="edge")
    return np.convolve(padded, np.full(2 * half + 1, 1 / (2 * half + 1)), mode="valid")


def draw_confusion(matrix: NDArray[Any], names: Mapping[int, str], normalize: bool) -> NDArray[np.uint8]:
    """Which class is taken for which.

    Args:
        matrix: (nc + 1, nc + 1) [predicted, true] counts; background is the last row and column.
        names: class names by id.
        normalize: show parts of each column, so what becomes of a class's objects.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    matrix = np.asarray(matrix, np.float64)
    values = matrix / np.maximum(matrix.sum(0), 1) if normalize else matrix
    top, rows = (1.0 if normalize else max(float(matrix.max()), 1.0)), len(matrix)
    # The root keeps a crowded background from hiding all other counts.
    colours = heat(values if normalize else np.sqrt(values / top))
    side = rows * min(MATRIX_SIDE // rows, 120) if rows <= MOST_ROWS else MOST_ROWS
    letters = round(min(max(0.85 * side / rows, 11), NORMAL))
    classes = [names.get(index, str(index)) for index in range(rows - 1)]
    labels = [*told_apart(classes, letters, NAME_ROOM), "background"]
    margin = extent(labels, letters)
    upright = margin > side / rows
    frame = Frame(margin + 60, 55, side, side)
    below = side + frame.top + (margin if upright else letters + 8)
    page = Page(max(frame.left + side + 140, 480), below + 55)
    page.image(frame, _pooled(colours))
    page.axes(frame, "Confusion matrix, parts of each true class" if normalize else "Confusion matrix, counts")
    _names(page, frame, labels, letters, upright)
    page.text(frame.left + side / 2, page.height - 10, "True", NORMAL, ("middle", "high"))
    page.text(8, frame.top + side / 2, "Predicted", NORMAL, upright=True)
    if rows <= NUMBERED:
        _numbers(page, frame, values, colours, normalize)
    _scale(page, frame, top, normalize)
    return page.pixels()


def _pooled(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The colours themselves, or the darkest of each block where there are more cells than pixels."""
    if len(colours) <= MOST_ROWS:
        return colours
    starts = np.arange(0, len(colours), -(-len(colours) // MOST_ROWS))
    return np.asarray(np.minimum.reduceat(np.minimum.reduceat(colours, starts, 0), starts, 1), np.uint8)


def _names(page: Page, frame: Frame, labels: list[str], letters: int, upright: bool) -> None:
    """Name rows and columns; where they are too narrow for a name each, every second one or fewer."""
    step = frame.width / len(labels)
    for index in range(0, len(labels), math.ceil((letters + 2) / step)):
        middle = (index + 0.5) * step
        page.text(frame.left - 6, frame.top + middle, labels[index], letters, ("high", "middle"))
        place = (frame.left + middle, frame.top + frame.height + 6)
        page.text(*place, labels[index], letters, ("middle", "low"), upright=upright)


def _numbers(page: Page, frame: Frame, values: NDArray[Any], colours: NDArray[np.uint8], normalize: bool) -> None:
    """Write into every cell that is not 0, in black or white, as large as fits."""
    cell = frame.width // len(values)
    texts = [[_short(value, normalize, cell) for value in row] for row in values.tolist()]
    widest = max((text for row in texts for text in row), key=len)
    letters = next((size for size in range(NORMAL + 3, 9, -1) if extent([widest], size) <= cell - 2), 9)
    for row, column in np.argwhere(values > (0.005 if normalize else 0)).tolist():
        red, green, blue = colours[row, column].tolist()
        x, y = frame.left + (column + 0.5) * cell, frame.top + (row + 0.5) * cell
        page.text(x, y, texts[row][column], letters, ("middle", "middle"), text_colour((red, green, blue)))


def _short(value: float, normalize: bool, cell: int) -> str:
    if normalize:
        return f"{value:.2f}"
    room = cell / 7  # letters of the smallest size that can be read
    if len(f"{value:.0f}") <= room:
        return f"{value:.0f}"
    return f"{value / 1000:.0f}k" if value < 999_500 else f"{value / 1e6:.1f}M"  # noqa: PLR2004


def _scale(page: Page, frame: Frame, top: float, normalize: bool) -> None:
    """The colours' values, beside the matrix."""
    bar = Frame(frame.left + frame.width + 30, frame.top, 24, frame.height, y=(0, top))
    share = np.linspace(1, 0, bar.height)[:, None]
    page.image(bar, heat(share if normalize else np.sqrt(share)))
    for value in steps(0, top, 5):
        row = float(bar.down(value))
        page.fill(bar.left + bar.width, row, bar.left + bar.width + 6, row + 1, EDGE)
        page.text(bar.left + bar.width + 8, row, number(value), SMALL)
