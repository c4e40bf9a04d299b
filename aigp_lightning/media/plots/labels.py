"""The labels of a data set as pictures: their classes, sizes and places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.boxes import xywh_to_xyxy
from aigp_lightning.media.plots.charts import (
    EDGE,
    INK,
    NORMAL,
    SMALL,
    add_axes,
    count_colours,
    new_figure,
    notice,
    pixels,
    told_apart,
    unit,
    widest,
)
from aigp_lightning.media.plots.palette import class_colour, line_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BARS = 40
"""More classes than this are summed up in one bar."""
NAME_ROOM = 320
"""Most pixels of a class's name beside its bar."""
FEW, FLAT = 7, 60
"""So many bars or fewer are above the other plots, each this high; pixels."""
BINS = 64
OVERLAID = 300
"""Boxes drawn over each other."""
OPAQUE, FAINTEST = 30, 0.2
"""With more boxes than this, their lines let others shine through; the least opacity."""
SIDE = 384
"""Of the square plots, pixels."""
PAIR_BINS, PAIR_SIDE, PAIR_GAP = 48, 240, 20
"""Of the correlogram's plots; pixels."""
NONE = "no labels: every image is background"
QUARTERS = (0, 0.25, 0.5, 0.75, 1)
REACHES = (0.125, 0.25, 0.5)
"""Plots of sizes end at the first of these that no box is larger than, or at 1: small boxes fill them too."""


def draw_labels(cls: NDArray[Any], bboxes: NDArray[Any], names: Mapping[int, str]) -> NDArray[np.uint8]:
    """Draw a class histogram, some boxes over each other, their centres and their sizes.

    Args:
        cls: (N,) class ids.
        bboxes: (N, 4) cxcywh, fractions of the image.
        names: class names by id; an id without a name is shown as a number.

    Returns:
        (H, W, 3) uint8 RGB.

    Example:
        >>> draw_labels(np.array([0]), np.array([[0.5, 0.5, 0.2, 0.1]]), {0: "gate"}).shape
        (1175, 1045, 3)
    """
    return pixels(labels_figure(cls, bboxes, names))


def labels_figure(cls: NDArray[Any], bboxes: NDArray[Any], names: Mapping[int, str]) -> Figure:
    """Build the figure of `draw_labels`: axes of the classes, the overlaid boxes, the centres, the sizes, the areas.

    Example:
        >>> figure = labels_figure(np.array([0, 0]), np.array([[0.5, 0.5, 0.2, 0.1]] * 2), {0: "gate"})
        >>> figure.axes[0].get_title(loc="left")
        '2 objects, 1 class'
    """
    if not len(cls):
        return notice(NONE)
    ids, numbers = _counted(np.asarray(cls).astype(np.int64), names)
    # A column of few bars would leave most of the page's left side empty: they are above the others then.
    few = len(ids) <= FEW
    left, upper = (100, 115 + FLAT * len(ids)) if few else (725, 50)
    right, lower = left + SIDE + 116, upper + SIDE + 126
    figure = new_figure(right + SIDE + (61 if few else 41), lower + SIDE + 106)
    _bars(figure, ids, numbers, names, (figure.bbox.width - 25, FLAT * len(ids)) if few else (625, 960))
    reach = next((end for end in REACHES if float(bboxes[:, 2:].max()) <= end), 1)
    part = "" if reach == 1 else f" (1/{round(1 / reach)} of the image)"
    _overlay(
        add_axes(figure, (left, upper, SIDE, SIDE), f"boxes, their centres on one point{part}"), cls, bboxes, reach
    )
    centres = add_axes(figure, (right, upper, SIDE, SIDE), "centres", ("x", "y"))
    _heat_map(centres, counts(bboxes[:, 1], bboxes[:, 0], BINS))
    centres.invert_yaxis()  # as in the image, y grows downwards
    sizes = add_axes(figure, (left, lower, SIDE, SIDE), "sizes", ("width", "height"))
    _heat_map(sizes, counts(bboxes[:, 3] / reach, bboxes[:, 2] / reach, BINS), reach)
    for axes, end in ((centres, 1.0), (sizes, reach)):
        axes.set(xticks=[end * part for part in QUARTERS], yticks=[end * part for part in QUARTERS])
    words = "sizes: square root of the area", ("fraction of the image's side", "")
    areas = add_axes(figure, (right, lower, SIDE, SIDE), *words)
    _histogram(areas, np.sqrt(bboxes[:, 2] * bboxes[:, 3]), BINS, reach)
    areas.set_xticks([reach * part for part in QUARTERS])
    return figure


def draw_correlogram(bboxes: NDArray[Any]) -> NDArray[np.uint8]:
    """Draw centre and size of the boxes, each against each, and each alone on the diagonal.

    Args:
        bboxes: (N, 4) cxcywh, fractions of the image.

    Returns:
        (H, W, 3) uint8 RGB.

    Example:
        >>> draw_correlogram(np.array([[0.5, 0.5, 0.2, 0.1]])).shape
        (1130, 1130, 3)
    """
    return pixels(correlogram_figure(bboxes))


def correlogram_figure(bboxes: NDArray[Any]) -> Figure:
    """Build the figure of `draw_correlogram`: the lower triangle's axes, row by row.

    Example:
        >>> len(correlogram_figure(np.array([[0.5, 0.5, 0.2, 0.1]])).axes)
        10
    """
    if not len(bboxes):
        return notice(NONE)
    names, step = ("x", "y", "width", "height"), PAIR_SIDE + PAIR_GAP
    figure = new_figure(4 * step + 90, 4 * step + 90)
    for row in range(4):
        for column in range(row + 1):
            last, first = row == len(names) - 1, column == 0 and row > 0
            words = (names[column] if last else "", names[row] if first else "")
            axes = add_axes(figure, (85 + column * step, 20 + row * step, PAIR_SIDE, PAIR_SIDE), "", words)
            if row == column:
                _histogram(axes, bboxes[:, row], PAIR_BINS)
            else:
                _heat_map(axes, counts(bboxes[:, row], bboxes[:, column], PAIR_BINS))
                if names[row] == "y":
                    axes.invert_yaxis()  # as in the image and among the centres, y grows downwards
            axes.set(xticks=(0, 0.5, 1) if last else (), yticks=(0, 0.5, 1) if first else ())
    return figure


def counts(down: NDArray[Any], across: NDArray[Any], bins: int) -> NDArray[np.float64]:
    """Count the objects in each bin of two values, (bins, bins): half a million cost no more ink than ten.

    Args:
        down: (N,) 0…1, by row; what is beyond goes to the last bin.
        across: (N,) 0…1, by column.
        bins: along each side.

    Example:
        >>> counts(np.array([0.1, 0.9, 1.0]), np.array([0.1, 0.1, 0.1]), bins=2).tolist()
        [[1.0, 0.0], [2.0, 0.0]]
    """
    # A whole number a pair: four times faster than NumPy's own for two dimensions.
    rows, columns = (np.clip((values * bins).astype(np.int64), 0, bins - 1) for values in (down, across))
    return np.bincount(rows * bins + columns, minlength=bins * bins).reshape(bins, bins).astype(np.float64)


def _heat_map(axes: Axes, values: NDArray[Any], reach: float = 1) -> None:
    """Show counts over 0…reach by their root, so that what is rare shows too; the first row is at the bottom."""
    from matplotlib.colors import PowerNorm

    norm = PowerNorm(0.5, 0, max(float(values.max()), 1.0))
    axes.imshow(
        np.ma.masked_equal(values, 0), count_colours(), norm, aspect="auto", interpolation="nearest", origin="lower",
        extent=(0, reach, 0, reach),
    )  # fmt: skip


def _histogram(axes: Axes, values: NDArray[Any], bins: int, reach: float = 1) -> None:
    """Fill the area under the counts of values in 0…reach."""
    heights, edges = np.histogram(values, bins, (0, reach))
    axes.stairs(heights, edges, fill=True, color=count_colours()(0.7))
    axes.set(xlim=(0, reach), ylim=(0, 1.02 * max(int(heights.max()), 1)))


def _bars(
    figure: Figure, ids: NDArray[np.int64], numbers: NDArray[np.int64], names: Mapping[int, str],
    room: tuple[float, float],
) -> None:  # fmt: skip
    """Draw one bar a class; of many classes the most frequent, and one bar for the rest.

    Args:
        figure: the page.
        ids: (C,) class ids.
        numbers: (C,) objects of each.
        names: class names by id.
        room: where the numbers beside the bars end, from the page's left edge, and the height of all bars; pixels.
    """
    total = int(numbers.sum())
    title = f"{total:,} objects, {len(ids)} class{'es' * (len(ids) > 1)}"
    labels = [names.get(index, str(index)) for index in ids.tolist()]
    colours: list[Any] = [unit(class_colour(index)) for index in ids.tolist()]
    if len(ids) > BARS:
        order = np.argsort(-numbers, kind="stable")[: BARS - 1].tolist()
        labels = [*(labels[row] for row in order), f"{len(ids) - len(order)} others"]
        colours = [*(colours[row] for row in order), EDGE]
        numbers = np.append(numbers[order], total - numbers[order].sum())
    points = SMALL if len(numbers) > 20 else NORMAL  # noqa: PLR2004
    labels = told_apart(labels, points, NAME_ROOM)
    written = [f"{count:,}" for count in numbers.tolist()]
    left = 30 + round(widest(labels, points))
    width, height = room[0] - round(widest(written, points)) - left, room[1]
    axes = add_axes(figure, (left, 50, width, height), title)
    rows, most = np.arange(len(numbers)), max(int(numbers.max()), 1)
    axes.barh(rows, numbers, 0.72, color=colours)
    for row, (count, text) in enumerate(zip(numbers.tolist(), written, strict=True)):
        axes.text(count + 5 * most / width, row, text, fontsize=points, color=INK, va="center")
    axes.set(xlim=(0, most), ylim=(len(numbers) - 0.5, -0.5), xticks=())
    axes.set_yticks(rows, labels, fontsize=points, parse_math=False)
    axes.tick_params(length=0, pad=6)
    axes.spines["bottom"].set_visible(False)


def _counted(cls: NDArray[np.int64], names: Mapping[int, str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return class ids, also those that no object has, and how many objects each has."""
    found, numbers = np.unique(cls, return_counts=True)
    ids = np.union1d(found, np.fromiter(names, np.int64, len(names)))
    every = np.zeros(len(ids), np.int64)
    every[np.searchsorted(ids, found)] = numbers
    return ids, every


def _overlay(axes: Axes, cls: NDArray[Any], bboxes: NDArray[Any], reach: float) -> None:
    """Draw a sample of the boxes around one point, the large ones behind; the plot is `reach` wide."""
    from matplotlib.collections import PolyCollection

    rows = np.unique(np.linspace(0, len(cls) - 1, OVERLAID).astype(np.int64))
    rows = rows[np.argsort(-bboxes[rows, 2] * bboxes[rows, 3], kind="stable")]
    centred = np.concatenate((np.full((len(rows), 2), 0.5), np.clip(bboxes[rows, 2:], 0, 1)), axis=1)
    corners = xywh_to_xyxy(centred)[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
    colours = [unit(line_colour(int(label))) for label in np.asarray(cls)[rows].tolist()]
    opacity = min(1.0, max(OPAQUE / len(rows), FAINTEST))
    outlines = PolyCollection(list(corners), facecolors="none", edgecolors=colours, linewidths=0.6, alpha=opacity)
    axes.add_collection(outlines, autolim=False)
    low, high = 0.5 - reach / 2, 0.5 + reach / 2
    axes.set(xlim=(low, high), ylim=(high, low), xticks=(), yticks=())
