"""Outlines of objects: polygons with any number of corners, and all with the same number of points for augmentation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.polygon_clip import CORNERS, ends_inside

POINTS = 1000
"""Points of an outline while it is augmented, as in Ultralytics: a straight edge bends with the picture."""


@dataclass(frozen=True)
class Polygons:
    """Outlines of the objects of one image, or of many images one after the other.

    Attributes:
        points: (m, 2) float32 x y of all corners, fractions of the image.
        counts: int64 (n,) corners of each object; 0 for an object of which only the box is known.

    Example:
        >>> polygons = Polygons(np.float32([[0, 0], [1, 0], [1, 1], [0, 0], [0, 1], [1, 1]]), np.array([3, 3]))
        >>> polygons.select(np.array([False, True])).points.tolist()
        [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
        >>> polygons.complete
        True
    """

    points: NDArray[np.float32]
    counts: NDArray[np.int64]

    @property
    def complete(self) -> bool:
        """True if all objects have an outline."""
        return bool((self.counts > 0).all())

    def select(self, keep: NDArray[np.bool_]) -> Polygons:
        """Return some of the outlines.

        Args:
            keep: (n,) True for those.
        """
        return Polygons(self.points[np.repeat(keep, self.counts)], self.counts[keep])

    def part(self, first: int, end: int, starts: NDArray[np.int64]) -> Polygons:
        """Return the outlines of objects that follow each other, as views.

        Args:
            first: the first object.
            end: the object after the last.
            starts: (n + 1,) the first corner of every object, and the number of corners.
        """
        return Polygons(self.points[starts[first] : starts[end]], self.counts[first:end])

    @property
    def starts(self) -> NDArray[np.int64]:
        """(n + 1,) the first corner of every object, and the number of corners."""
        return np.concatenate((np.zeros(1, np.int64), self.counts.cumsum()))


def no_polygons(boxes: int = 0) -> Polygons:
    """Return the outlines of objects of which only boxes are known.

    Args:
        boxes: number of these objects.

    Example:
        >>> no_polygons(2).counts.tolist()
        [0, 0]
    """
    return Polygons(np.zeros((0, 2), np.float32), np.zeros(boxes, np.int64))


def join_polygons(parts: list[Polygons]) -> Polygons:
    """Join the outlines of several images.

    Args:
        parts: the outlines of each.

    Example:
        >>> join_polygons([no_polygons(1), no_polygons(2)]).counts.tolist()
        [0, 0, 0]
    """
    empty = no_polygons()
    points = np.concatenate([empty.points, *(part.points for part in parts)])
    return Polygons(points, np.concatenate([empty.counts, *(part.counts for part in parts)]))


def resampled(polygons: Polygons, least: int = POINTS) -> NDArray[np.float32]:
    """Give all outlines the same number of points: their own corners, and others evenly between them.

    The points are those of Ultralytics' `resample_segments`: the outline is closed, and an even row of places along its
    corners' numbers is merged with the corners.

    Args:
        polygons: outlines, each of an object.
        least: points of each; one more than the corners of the largest, where that has more.

    Returns:
        (n, P, 2) float32, in the unit of the corners.

    Example:
        >>> resampled(Polygons(np.float32([[0, 0], [4, 0], [4, 4]]), np.array([3])), least=7)[0, :, 0].tolist()
        [0.0, 0.0, 4.0, 4.0, 4.0, 0.0, 0.0]
    """
    counts, count = polygons.counts, len(polygons.counts)
    if not count:
        return np.zeros((0, least, 2), np.float32)
    most = int(counts.max())
    size = most + 1 if most > least else least
    along = _places(*np.unique(counts, return_inverse=True), size)
    last = counts[:, None]
    before = np.minimum(np.floor(along).astype(np.int64), last)
    after = (before + 1) % np.maximum(last, 1)
    first = polygons.starts[:-1, None]
    corners = polygons.points.astype(np.float64)
    start, end = corners[first + before % np.maximum(last, 1)], corners[first + after]
    return np.asarray(start + (along - before)[..., None] * (end - start), np.float32)


def _places(counts: NDArray[np.int64], which: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Return places along the corners' numbers, (n, size), rising: all corners, and an even row between them.

    Args:
        counts: (c,) numbers of corners that occur.
        which: (n,) the one of each outline.
        size: places of each.
    """
    last, place = counts[:, None], np.arange(size)[None]
    even = np.where(last + 1 < size, size - last - 1, size)  # where there are more corners than places, no corners
    row = np.where(place == even - 1, last, place * (last / np.maximum(even - 1, 1)))
    row[:, 0] = 0
    along = np.sort(np.where(place < even, row, place - even), axis=1, kind="stable")
    return np.asarray(np.where(last == size, place, along)[which], np.float64)


def with_points(segments: NDArray[np.float32], points: int) -> NDArray[np.float32]:
    """Give outlines that have the same number of points another number.

    Args:
        segments: (n, P, 2).
        points: as many as P, or more.

    Example:
        >>> with_points(np.zeros((2, 4, 2), np.float32), 9).shape
        (2, 9, 2)
    """
    count, before = segments.shape[:2]
    if before == points or not count:
        return segments if count else np.zeros((0, points, 2), np.float32)
    return resampled(Polygons(segments.reshape(-1, 2), np.full(count, before, np.int64)), points)


def boxes_of_visible_parts(segments: NDArray[np.floating], width: int, height: int) -> NDArray[np.float32]:
    """Find the boxes around the parts of outlines that lie in the picture.

    Args:
        segments: (n, P, 2) pixels.
        width: of the picture, pixels.
        height: of the picture, pixels.

    Returns:
        (n, 4) float32 xyxy; zeros for an outline that is entirely out of the picture.

    Example:
        >>> outlines = np.float32([[[-8, 0], [8, 0], [8, 16]], [[40, 0], [50, 0], [40, 9]]])
        >>> boxes_of_visible_parts(outlines, 32, 32).tolist()
        [[0.0, 0.0, 8.0, 16.0], [0.0, 0.0, 0.0, 0.0]]
    """
    if not len(segments):
        return np.zeros((0, 4), np.float32)
    size = np.array((width, height), np.float64)
    low, high = segments.min(1), segments.max(1)
    boxes = np.concatenate((low, high), 1).astype(np.float32)
    boxes[((high < 0) | (low > size)).any(1)] = 0
    crossing = np.flatnonzero(((low < 0) | (high > size)).any(1) & boxes.any(1))
    if len(crossing):
        boxes[crossing] = _boxes_inside(segments[crossing], size)
    return boxes


def _boxes_inside(segments: NDArray[np.floating], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the boxes of `boxes_of_visible_parts` for outlines that cross the picture's edge."""
    start = segments.astype(np.float64)
    end = np.roll(start, -1, 1)
    low, high = np.full((len(start), 2), np.inf), np.full((len(start), 2), -np.inf)
    left, right = start < 0, start > size
    seen = ~(left | right).any(2, keepdims=True)
    low, high = np.where(seen, start, low[:, None]).min(1), np.where(seen, start, high[:, None]).max(1)
    # An edge with an end out of the picture may be seen in part, unless both are beyond the same side.
    beyond = (left & np.roll(left, -1, 1)) | (right & np.roll(right, -1, 1))
    which, place = np.nonzero(~(seen & np.roll(seen, -1, 1))[..., 0] & ~beyond.any(2))
    edges, ends = ends_inside(start[which, place] / size, end[which, place] / size)
    owner, found = [which[edges]], [ends * size]
    for i, outline in enumerate(segments):
        corners = [corner for corner in CORNERS * size if _is_within(corner, outline)]
        owner.append(np.full(len(corners), i))
        found.append(np.reshape(corners, (-1, 2)))
    np.minimum.at(low, np.concatenate(owner), np.concatenate(found))
    np.maximum.at(high, np.concatenate(owner), np.concatenate(found))
    return np.where(np.isfinite(low).all(1, keepdims=True), np.concatenate((low, high), 1), 0)


def _is_within(place: NDArray[np.float64], outline: NDArray[np.floating]) -> bool:
    """True if a point lies in an outline, or on it."""
    import cv2

    return cv2.pointPolygonTest(outline.astype(np.float32), (float(place[0]), float(place[1])), False) >= 0
