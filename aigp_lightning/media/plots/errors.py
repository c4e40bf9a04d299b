"""What a model got right and wrong in an image, in one cell: hits, misses, false alarms and wrong classes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.detections import ImageDetections
from aigp_lightning.media.plots.mosaic import PAPER, Cell, draw_mosaic, letter_size
from aigp_lightning.media.plots.skeleton import Edges
from aigp_lightning.media.plots.text import Colour, inks, put, text_colour, text_mask

HIT: Colour = (86, 180, 233)
MISS: Colour = (240, 228, 66)
FALSE_ALARM: Colour = (213, 94, 0)
WRONG_CLASS: Colour = (204, 121, 167)
"""Of Okabe & Ito's palette, which colour-blind people tell apart."""
LEGEND: tuple[tuple[str, Colour], ...] = (
    ("hit", HIT),
    ("missed", MISS),
    ("false alarm", FALSE_ALARM),
    ("wrong class", WRONG_CLASS),
)
OVERLAP = 0.5
"""Least IoU at which a box is that of a labelled object, as for the F1 that is written into the cell."""


def error_cell(truth: Cell, found: ImageDetections, right: NDArray[np.bool_], names: Mapping[int, str]) -> Cell:
    """Return a cell with each labelled object and each prediction once: as a hit, missed, false alarm or wrong class.

    A hit has the box and the keypoints that were predicted. An object that was found as another class has that box too.

    Args:
        truth: the image with its labels.
        found: the boxes that are shown, in the same pixels.
        right: (n,) True for those that are right, as the model's family has it.
        names: class names by id.

    Example:
        >>> truth = Cell(np.zeros((64, 64, 3), np.uint8), np.array([[8.0, 20, 40, 50]]), np.array([0]))
        >>> found = ImageDetections(np.array([[8.0, 22, 40, 50]]), np.array([0.9]), np.array([1]))
        >>> cell = error_cell(truth, found, np.array([False]), {0: "gate", 1: "tree"})
        >>> cell.marks[0][0], cell.grade
        ('tree 0.90, is gate', 'F1 0.00')
    """
    hits, wrong = _pairs(truth, found, right)
    missed = np.setdiff1d(np.arange(len(truth.boxes)), [*hits.values(), *wrong.values()])
    marks = [_mark(row, truth, found, hits, wrong, right, names) for row in range(len(found.boxes))]
    marks += [(_name(names, truth.labels[row]), MISS) for row in missed.tolist()]
    both = len(truth.boxes) + len(found.boxes)
    # What went wrong is drawn over what is right, and what was missed over all.
    scores = np.concatenate((np.asarray(found.scores) + ~right, np.full(len(missed), 3.0)))
    return replace(
        truth,
        boxes=np.concatenate((found.boxes, np.asarray(truth.boxes).reshape(-1, 4)[missed])),
        labels=np.concatenate((found.labels, np.asarray(truth.labels)[missed])),
        scores=scores,
        keypoints=_keypoints(found, right, len(missed)),
        masks=None,
        marks=marks,
        grade=f"F1 {2 * int(right.sum()) / both if both else 1:.2f}",
    )


def draw_errors(
    cells: Sequence[Cell], names: Mapping[int, str], masked: Collection[int] = (), edges: Edges = ()
) -> NDArray[np.uint8]:
    """Draw cells that `error_cell` made as a mosaic, with a legend of its colours below.

    Args:
        cells: the images.
        names: class names by id.
        masked: positions in `cells` of which nothing is shown, only that they are private.
        edges: pairs of keypoints that are joined.

    Returns:
        (H, W, 3) uint8 RGB.

    Example:
        >>> cell = Cell(np.zeros((320, 320, 3), np.uint8), np.zeros((0, 4)), np.zeros(0))
        >>> draw_errors([cell], {0: "gate"}).shape[0] > 320
        True
    """
    mosaic = draw_mosaic(cells, names, masked, edges)
    height, width = cells[0].image.shape[:2]
    return np.concatenate((mosaic, _legend(mosaic.shape[1], letter_size(height, width, 0))))


def _pairs(truth: Cell, found: ImageDetections, right: NDArray[np.bool_]) -> tuple[dict[int, int], dict[int, int]]:
    """Return which labelled object each prediction is about: hits, and those of another class."""
    overlaps = _overlaps(np.asarray(found.boxes), np.asarray(truth.boxes))
    same = np.asarray(found.labels)[:, None] == np.asarray(truth.labels)[None]
    hits = _assign(np.where(right[:, None] & same, overlaps, 0), 0.0)
    left = overlaps.copy()
    left[right] = 0
    left[:, list(hits.values())] = 0
    return hits, _assign(np.where(same, 0, left), OVERLAP)


def _assign(overlaps: NDArray[Any], least: float) -> dict[int, int]:
    """Pair rows with columns, each once, the largest overlaps first."""
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    rows, columns = np.nonzero(overlaps > least)
    for place in np.argsort(-overlaps[rows, columns], kind="stable"):
        row, column = int(rows[place]), int(columns[place])
        if row not in pairs and column not in taken:
            pairs[row] = column
            taken.add(column)
    return pairs


def _overlaps(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """Return the IoU of (n, 4) with (m, 4) boxes xyxy, (n, m)."""
    one, other = (boxes.reshape(-1, 4).astype(np.float64) for boxes in (one, other))
    low, high = np.maximum(one[:, None, :2], other[None, :, :2]), np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = (high - low).clip(0).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1) for boxes in (one, other)]
    overlaps: NDArray[np.float64] = common / np.maximum(areas[0][:, None] + areas[1][None] - common, 1e-9)
    return overlaps


def _mark(
    row: int, truth: Cell, found: ImageDetections, hits: dict[int, int], wrong: dict[int, int],
    right: NDArray[np.bool_], names: Mapping[int, str],
) -> tuple[str, Colour]:  # fmt: skip
    words = f"{_name(names, found.labels[row])} {float(found.scores[row]):.2f}"
    if right[row]:
        return words, HIT
    if row in wrong:
        return f"{words}, is {_name(names, truth.labels[wrong[row]])}", WRONG_CLASS
    return words, FALSE_ALARM


def _name(names: Mapping[int, str], label: Any) -> str:
    return names.get(int(label), str(int(label)))


def _keypoints(found: ImageDetections, right: NDArray[np.bool_], missed: int) -> NDArray[Any] | None:
    """Return the keypoints of hits; those of other boxes have no confidence, so they are not drawn."""
    if found.keypoints is None:
        return None
    shown = np.where(right[:, None, None], found.keypoints, 0)
    return np.concatenate((shown, np.zeros((missed, *shown.shape[1:]), shown.dtype)))


def _legend(width: int, letters: int) -> NDArray[np.uint8]:
    """Draw what the colours mean, (H, width, 3): in one line, or below each other where that does not fit."""
    tags = [(text_mask(word, letters, True), colour) for word, colour in LEGEND]
    gap = letters // 2
    rows: list[list[tuple[int, NDArray[np.uint8], Colour]]] = [[]]
    left = gap
    for tag, colour in tags:
        if rows[-1] and left + tag.shape[1] > width:
            rows.append([])
            left = gap
        rows[-1].append((left, tag, colour))
        left += tag.shape[1] + gap
    step = tags[0][0].shape[0] + gap
    page = np.full((len(rows) * step + gap, width, 3), PAPER, np.uint8)
    for number, row in enumerate(rows):
        for left, tag, colour in row:
            put(page, tag, (left, gap + number * step), inks(colour, text_colour(colour)))
    return page
