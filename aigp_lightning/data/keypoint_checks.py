"""Checks of a data set's keypoints against each other, their boxes and the mirror orders, on arrays only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

THIN = 0.01
"""A ring this flat, by the square of its length, is seen from its edge: which way it runs is a matter of rounding."""
START_AGREES, START_SHARE = 60.0, 0.95
"""Degrees and share: when so many first corners lie so close to one direction, the data set has a rule for them."""
HALF_CORNER, START_LIMIT = 45.0, 75.0
"""Degrees. The next corner is 90 away; what is half a corner beyond nearly all others starts elsewhere."""
MIRROR_FITS, MIRROR_BETTER = 0.1, 0.1
"""Mean distances as fractions of the box: how near a mirrored layout must come, and how much nearer than another's."""
TOLERANCE, TOLERANCE_PIXELS = 0.01, 1.0
"""How far out of its box, by the box's size or in pixels, a visible keypoint may lie."""

Points = NDArray[np.float64]
Mask = NDArray[np.bool_]


def _cross(a: Points, b: Points) -> Points:
    """Compute the cross products of (…, 2) vectors."""
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def thin(rings: Points) -> Mask:
    """Tell which rings are too small or too flat to be judged.

    Args:
        rings: (n, 4, 2) pixels.

    Returns:
        (n,) bool.

    Example:
        >>> square = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])
        >>> thin(np.stack([square, square * (1, 0.01)])).tolist()
        [False, True]
    """
    # The largest triangle of three corners, twice: not zero where the edges of a fair square cross.
    sides = np.roll(rings, -1, 1) - rings
    area = np.abs(_cross(sides, np.roll(rings, -2, 1) - rings)).max(1, initial=0)
    length = ((rings.max(1) - rings.min(1)) ** 2).sum(1)
    return np.asarray(area < np.maximum(1.0, THIN * length))


def crossed(rings: Points) -> Mask:
    """Tell which rings are bow ties: two opposite edges cut through each other.

    Args:
        rings: (n, 4, 2) pixels.

    Returns:
        (n,) bool.

    Example:
        >>> square = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])
        >>> crossed(np.stack([square, square[[0, 2, 1, 3]]])).tolist()
        [False, True]
    """
    a, b, c, d = (rings[:, place] for place in range(4))

    def cut(p: Points, q: Points, r: Points, s: Points) -> Mask:
        apart = _cross(q - p, r - p) * _cross(q - p, s - p) < 0
        return np.asarray(apart & (_cross(s - r, p - r) * _cross(s - r, q - r) < 0))

    return cut(a, b, c, d) | cut(b, c, d, a)


def clockwise(rings: Points) -> Mask:
    """Tell which rings run clockwise as seen in the picture, by the shoelace formula with y down.

    Args:
        rings: (n, 4, 2) pixels.

    Returns:
        (n,) bool.

    Example:
        >>> square = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])
        >>> clockwise(np.stack([square, square[::-1]])).tolist()
        [True, False]
    """
    return np.asarray(_cross(rings, np.roll(rings, -1, 1)).sum(1) > 0)


def first_corners(rings: Points) -> tuple[Mask, Points]:
    """Tell which rings start at another corner than nearly all others.

    Args:
        rings: (n, 4, 2) pixels, all running the same way.

    Returns:
        (n,) bool, all False where the data set has no rule; and where the first corner lies as a rule, as a (2,) unit
        vector from a ring's middle, x and y.

    Example:
        >>> square = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])
        >>> odd, rule = first_corners(np.stack([square] * 19 + [np.roll(square, 2, axis=0)]))
        >>> np.flatnonzero(odd).tolist(), bool((rule < 0).all())  # the rule is top left
        ([19], True)
    """
    if not len(rings):
        return np.zeros(0, np.bool_), np.zeros(2)
    # By each ring's own extent: a gate seen at a slant is narrow, and its top left is still its top left.
    extent = np.maximum(np.ptp(rings, axis=1), 1e-9)
    away = (rings[:, 0] - rings.mean(1)) / extent
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
    rule = away.sum(0) / max(float(np.linalg.norm(away.sum(0))), 1e-9)
    angles = np.degrees(np.arccos(np.clip(away @ rule, -1, 1)))
    if (angles <= START_AGREES).mean() < START_SHARE:
        return np.zeros(len(rings), np.bool_), rule
    return np.asarray(angles > max(START_LIMIT, HALF_CORNER + float(np.percentile(angles, 90)))), rule


def layout(points: Points, boxes: Points) -> Points:
    """Compute the mean place of each keypoint in its box.

    Args:
        points: (n, K, 2) pixels, all of them labelled; n > 0.
        boxes: (n, 4) xyxy pixels.

    Returns:
        (K, 2) fractions of the box.

    Example:
        >>> layout(np.array([[[0.0, 0.0], [10.0, 5.0]]]), np.array([[0.0, 0.0, 10.0, 10.0]])).tolist()
        [[0.0, 0.0], [1.0, 0.5]]
    """
    low, size = boxes[:, None, :2], np.maximum(boxes[:, None, 2:] - boxes[:, None, :2], 1e-9)
    return np.asarray(((points - low) / size).mean(0))


def mirror_that_fits(places: Points, axis: int, given: Sequence[int] | None) -> tuple[int, ...] | None:
    """Find the permutation under which a layout looks like its own mirror image.

    Args:
        places: (K, 2) fractions of the box, see `layout`.
        axis: 0 for left-right, 1 for upside-down.
        given: (K,) the permutation to hold it against, or None where there is none.

    Returns:
        (K,) permutation that obviously fits better than `given`, or, without that, that obviously fits best; None
        where there is no such.

    Example:
        >>> places = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])  # round a square, from the top left
        >>> mirror_that_fits(places, axis=0, given=None), mirror_that_fits(places, axis=0, given=(1, 0, 3, 2))
        ((1, 0, 3, 2), None)
    """
    mirrored = places.copy()
    mirrored[:, axis] = 1 - mirrored[:, axis]
    distances = np.linalg.norm(places[:, None] - mirrored[None], axis=2)
    best, every = distances.argmin(1), np.arange(len(places))
    cost = distances[every, best].mean()
    if not np.array_equal(best[best], every) or cost > MIRROR_FITS:
        return None
    if given is not None:
        worse = distances[every, list(given)].mean() - cost
    else:
        second = np.sort(distances, 1)[:, 1] if len(every) > 1 else np.full(1, np.inf)
        worse = (second - distances[every, best]).min()
    return tuple(best.tolist()) if worse > MIRROR_BETTER else None


def outside_box(points: Points, visible: Mask, boxes: Points) -> Points:
    """Measure how far visible keypoints lie outside the boxes of their objects.

    Args:
        points: (n, K, 2) pixels.
        visible: (n, K).
        boxes: (n, 4) xyxy pixels.

    Returns:
        (n, K) pixels; 0 within the tolerance, and for what is not visible.

    Example:
        >>> points, boxes = np.array([[[5.0, 5.0], [14.0, 5.0]]]), np.array([[0.0, 0.0, 10.0, 10.0]])
        >>> outside_box(points, np.ones((1, 2), bool), boxes).tolist()
        [[0.0, 4.0]]
    """
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    beyond = np.maximum(np.maximum(low - points, points - high), 0)
    allowed = np.maximum(TOLERANCE * (high - low), TOLERANCE_PIXELS)
    out = (beyond > allowed).any(2) & visible
    return np.where(out, np.linalg.norm(beyond, axis=2), 0.0)
