"""Pairs of detections and labelled objects, of any number of images at once, and the greedy choice among them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 1 << 20
"""So many pairs are looked at at a time, to bound memory."""

Indices = NDArray[np.int64]
Floats = NDArray[np.float32]


def pairs_of_images(found_image: Indices, true_image: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Yield the pairs of every detection with every object of its image, some at a time.

    Args:
        found_image: (n,) which image each detection is in, rising.
        true_image: (m,) which image each object is in, in any order.

    Yields:
        Rows of the detections and of the objects, pair by pair.

    Example:
        >>> found, true = next(pairs_of_images(np.array([0, 0, 2]), np.array([2, 0])))
        >>> found.tolist(), true.tolist()
        ([2, 0, 1], [0, 1, 1])
    """
    start = np.searchsorted(found_image, true_image)
    count = np.searchsorted(found_image, true_image, side="right") - start
    last = np.cumsum(count)
    first = 0
    while first < len(true_image):
        done = last[first - 1] if first else 0
        until = max(int(np.searchsorted(last, done + AT_ONCE, side="right")), first + 1)
        part = slice(first, until)
        true = np.repeat(np.arange(first, until), count[part])
        place = np.arange(len(true)) - np.repeat(last[part] - count[part] - done, count[part])
        yield np.repeat(start[part], count[part]) + place, true
        first = until


def overlapping(
    found: Floats, true: Floats, found_image: Indices, true_image: Indices, least: float
) -> tuple[Indices, Indices, Floats]:
    """Find the pairs of an image's detections and objects whose boxes overlap by more than a limit.

    Args:
        found: (n, 4) xyxy, of all images.
        true: (m, 4) xyxy, in the same pixels.
        found_image: (n,) which image each detection is in, rising.
        true_image: (m,) which image each object is in.
        least: intersection over union that a pair must exceed.

    Returns:
        Rows of the detections and of the objects, and their overlaps.

    Example:
        >>> boxes = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32)
        >>> found, true, overlap = overlapping(boxes, boxes, np.array([0, 1]), np.array([0, 0]), least=0.5)
        >>> found.tolist(), true.tolist(), overlap.tolist()
        ([0], [0], [1.0])
    """
    parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
    for one, other in pairs_of_images(found_image, true_image):
        overlap = overlaps(true[other], found[one])
        near = overlap > least
        parts.append((one[near], other[near], overlap[near]))
    rows, others, values = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(others), np.concatenate(values)


def of_one_class(
    pairs: tuple[Indices, Indices, Floats], found_label: Indices, true_label: Indices
) -> tuple[Indices, Indices, Floats]:
    """Keep the pairs whose detection is of the object's class.

    Args:
        pairs: see `overlapping`.
        found_label: (n,) the detections' classes.
        true_label: (m,) the objects' classes.

    Example:
        >>> both = np.array([0, 1])
        >>> of_one_class((both, both, np.float32([0.9, 0.8])), np.array([3, 4]), np.array([3, 3]))[0].tolist()
        [0]
    """
    found, true, value = pairs
    alike = found_label[found] == true_label[true]
    return found[alike], true[alike], value[alike]


def overlaps(one: Floats, other: Floats) -> Floats:
    """Compute intersection over union, pair by pair, to the last bit as Ultralytics' `box_iou` does.

    Args:
        one: (n, 4) xyxy.
        other: (n, 4) xyxy.

    Example:
        >>> overlaps(np.float32([[0, 0, 10, 10]]), np.float32([[0, 5, 10, 10]])).tolist()
        [0.5]
    """
    sides = [
        np.minimum(one[:, axis + 2], other[:, axis + 2]) - np.maximum(one[:, axis], other[:, axis]) for axis in (0, 1)
    ]
    shared = np.maximum(sides[0], 0) * np.maximum(sides[1], 0)
    areas = [(box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) for box in (one, other)]
    overlap: Floats = shared / (areas[0] + areas[1] - shared + np.float32(1e-7))
    return overlap


def choose(found: Indices, true: Indices, value: Floats) -> Indices:
    """Choose pairs greedily: the first detection takes the object with the highest value, the next one of the rest.

    All images go at once. Every detection asks for the best object that it has not lost; of several that ask for
    one object the first has it, the others go on to their next. Since objects prefer whoever comes first, this ends
    in the greedy choice (Gale and Shapley's algorithm, with one preference for all objects).

    Args:
        found: (p,) number of each pair's detection; a lower one comes first.
        true: (p,) number of its object; of equal values the lower one is taken.
        value: (p,) how well they fit.

    Returns:
        Which pairs are chosen, by the order of their detections.

    Example:
        >>> found, true = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
        >>> choose(found, true, np.float32([0.8, 0.7, 0.9, 0.6])).tolist()  # the first has 0, the second is left 1
        [0, 3]
    """
    if not len(found):
        return np.zeros(0, np.int64)
    order = np.lexsort((true, -value, found))
    asked = true[order]
    first = np.flatnonzero(np.diff(found[order], prepend=-1))
    end = np.append(first[1:], len(order))
    nobody = len(first)
    holder, place, asking = np.full(int(true.max()) + 1, nobody), first.copy(), np.arange(nobody)
    while len(asking):
        wanted = asked[place[asking]]
        before = holder[wanted]
        np.minimum.at(holder, wanted, asking)
        after = holder[wanted]
        lost = np.unique(np.concatenate((asking[after != asking], before[(before < nobody) & (after != before)])))
        place[lost] += 1
        asking = lost[place[lost] < end[lost]]
    winners = np.sort(holder[holder < nobody])
    chosen: Indices = order[place[winners]]
    return chosen


def match_pairs(found: Indices, true: Indices, value: Floats, count: int, thresholds: Floats) -> NDArray[np.bool_]:
    """Match detections with objects at each of some thresholds, by Ultralytics' greedy one-to-one rule.

    Args:
        found: (p,) row of each pair's detection; of an image the surest come first.
        true: (p,) row of its object.
        value: (p,) overlap, or likeness.
        count: of all detections, n.
        thresholds: (t,) values at which a pair is right.

    Returns:
        (n, t) True where a detection is right.

    Example:
        >>> none, one = np.array([0, 1]), np.zeros(2, np.int64)
        >>> match_pairs(none, one, np.float32([0.6, 0.9]), 2, np.float32([0.5, 0.8])).tolist()
        [[True, False], [False, True]]
    """
    correct = np.zeros((count, len(thresholds)), np.bool_)
    for column, threshold in enumerate(thresholds):
        good = np.flatnonzero(value >= threshold)
        correct[found[good[choose(found[good], true[good], value[good])]], column] = True
    return correct
