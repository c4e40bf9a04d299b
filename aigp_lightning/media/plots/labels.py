"""What the labels of a data set look like: classes, sizes, places. Arrays in, picture out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.figure import EDGE, NORMAL, SMALL, Frame, Page, extent, notice, steps, told_apart
from aigp_lightning.media.plots.palette import class_colour, density, heat

BARS = 40
"""More classes than this are summed up in one bar."""
NAME_ROOM = 300
"""Most pixels of a class's name beside its bar."""
BINS = 64
OVERLAID = 500
"""Boxes drawn over each other."""
SIDE = 384
"""Of the square plots, pixels."""
SMALL_BINS = 48
CELL = 5
"""Pixels a bin in the correlogram."""
NONE = "no labels: every image is background"
QUARTERS = (0, 0.25, 0.5, 0.75, 1)


def draw_labels(cls: NDArray[Any], bboxes: NDArray[Any], names: Mapping[int, str]) -> NDArray[np.uint8]:
    """Class histogram, some boxes over each other, their centres and their sizes.

    Args:
        cls: (N,) class ids.
        bboxes: (N, 4) cxcywh, fractions of the image.
        names: class names by id; an id without a name is shown as a number.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    if not len(cls):
        return notice(NONE)
    page = Page(1650, 1050)
    _bars(page, np.asarray(cls).astype(np.int64), names)
    left, right, upper, lower = 725, 1225, 50, 560
    overlay = Frame(left, upper, SIDE, SIDE)
    page.image(overlay, _overlay(cls, bboxes))
    page.axes(overlay, "boxes, their centres on one point")
    centres = Frame(right, upper, SIDE, SIDE, y=(1, 0))  # as in the image, y grows downwards
    page.image(centres, density(_counts(bboxes[:, 1], bboxes[:, 0])))
    page.axes(centres, "centres", ("x", "y"), (QUARTERS, QUARTERS), grid=False)
    sizes = Frame(left, lower, SIDE, SIDE)
    page.image(sizes, density(_counts(bboxes[:, 3], bboxes[:, 2])[::-1]))
    page.axes(sizes, "sizes", ("width", "height"), (QUARTERS, QUARTERS), grid=False)
    _sides(page, bboxes, (right, lower))
    return page.pixels()


def draw_correlogram(bboxes: NDArray[Any]) -> NDArray[np.uint8]:
    """Centre and size of the boxes, each against each, and each alone on the diagonal.

    Args:
        bboxes: (N, 4) cxcywh, fractions of the image.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    if not len(bboxes):
        return notice(NONE)
    names, side, ticks = ("x", "y", "width", "height"), SMALL_BINS * CELL, (0, 0.5, 1)
    page = Page(4 * (side + 20) + 90, 4 * (side + 20) + 90)
    for row in range(4):
        for column in range(row + 1):
            frame = Frame(85 + column * (side + 20), 20 + row * (side + 20), side, side)
            if row == column:
                _histogram(page, frame, np.histogram(bboxes[:, row], SMALL_BINS, (0, 1))[0])
            else:
                page.image(frame, density(_counts(bboxes[:, row], bboxes[:, column], SMALL_BINS)[::-1]))
            last, first = row == len(names) - 1, column == 0 and row > 0
            labels = (names[column] if last else "", names[row] if first else "")
            page.axes(frame, "", labels, (ticks if last else (), ticks if first else ()), grid=False)
    return page.pixels()


def _counts(down: NDArray[Any], across: NDArray[Any], bins: int = BINS) -> NDArray[np.float64]:
    """How many objects are where, (bins, bins): half a million cost no more ink than ten."""
    # A whole number a pair: four times faster than NumPy's own for two dimensions.
    rows, columns = (np.clip((values * bins).astype(np.int64), 0, bins - 1) for values in (down, across))
    return np.bincount(rows * bins + columns, minlength=bins * bins).reshape(bins, bins).astype(np.float64)


def _histogram(page: Page, frame: Frame, counts: NDArray[Any]) -> None:
    """Fill a frame with bars; the highest nearly reaches its top."""
    heights = counts / max(counts.max(), 1) * (frame.height - 6)
    picture = np.arange(frame.height)[::-1, None] < heights[np.arange(frame.width) * len(counts) // frame.width]
    page.image(frame, np.where(picture[..., None], heat(0.7), np.uint8(255)))


def _sides(page: Page, bboxes: NDArray[Any], corner: tuple[int, int]) -> None:
    counts = np.histogram(np.sqrt(bboxes[:, 2] * bboxes[:, 3]), BINS, (0, 1))[0]
    frame = Frame(*corner, SIDE, SIDE, y=(0, float(counts.max()) * SIDE / (SIDE - 6)))
    _histogram(page, frame, counts)
    ticks = (QUARTERS, steps(*frame.y, 4))
    page.axes(frame, "sizes: square root of the area", ("fraction of the image's side", ""), ticks, grid=False)


def _bars(page: Page, cls: NDArray[np.int64], names: Mapping[int, str]) -> None:
    """One bar a class; of many classes the most frequent, and one bar for the rest."""
    ids, counts = _counted(cls, names)
    labels = [names.get(index, str(index)) for index in ids.tolist()]
    colours = [class_colour(index) for index in ids.tolist()]
    if len(ids) > BARS:
        order = np.argsort(-counts, kind="stable")[: BARS - 1].tolist()
        labels = [*(labels[row] for row in order), f"{len(ids) - len(order)} others"]
        colours = [*(colours[row] for row in order), EDGE]
        counts = np.append(counts[order], len(cls) - counts[order].sum())
    letters = SMALL if len(counts) > 20 else NORMAL  # noqa: PLR2004
    labels = told_apart(labels, letters, NAME_ROOM)
    numbers = [f"{count:,}" for count in counts.tolist()]
    left = 25 + round(extent(labels, letters))
    frame = Frame(left, 50, round(625 - extent(numbers, letters)) - left, 960, (0, float(max(counts.max(), 1))))
    step = min(frame.height / len(counts), 90)
    page.text(left - 5, 46, f"{len(cls):,} objects, {len(ids)} class{'es' * (len(ids) > 1)}", NORMAL, ("low", "high"))
    page.fill(left - 2, 50, left, 50 + step * len(counts), EDGE)
    for row, end in enumerate(frame.across(counts).tolist()):
        middle = 50 + (row + 0.5) * step
        page.fill(left, middle - 0.36 * step, end, middle + 0.36 * step, colours[row])
        page.text(left - 8, middle, labels[row], letters, ("high", "middle"))
        page.text(end + 5, middle, numbers[row], letters)


def _counted(cls: NDArray[np.int64], names: Mapping[int, str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Class ids, also those that no object has, and how many objects each has."""
    found, counts = np.unique(cls, return_counts=True)
    ids = np.union1d(found, np.fromiter(names, np.int64, len(names)))
    every = np.zeros(len(ids), np.int64)
    every[np.searchsorted(ids, found)] = counts
    return ids, every


def _overlay(cls: NDArray[Any], bboxes: NDArray[Any]) -> NDArray[np.uint8]:
    """A sample of the boxes around one point, the large ones behind; (SIDE, SIDE, 3) uint8 RGB."""
    import cv2

    rows = np.unique(np.linspace(0, len(cls) - 1, OVERLAID).astype(np.int64))
    rows = rows[np.argsort(-bboxes[rows, 2] * bboxes[rows, 3], kind="stable")]
    canvas: NDArray[np.uint8] = np.full((SIDE, SIDE, 3), 255, np.uint8)
    half, centre = np.clip(bboxes[rows, 2:], 0, 1) * (SIDE - 1) / 2, (SIDE - 1) / 2
    for label, (x, y) in zip(np.asarray(cls)[rows].tolist(), half.tolist(), strict=True):
        low, high = (round(centre - x), round(centre - y)), (round(centre + x), round(centre + y))
        cv2.rectangle(canvas, low, high, class_colour(int(label)), 1)
    return canvas
