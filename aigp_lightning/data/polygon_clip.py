"""The box around that part of a polygon which is in the picture: smaller than the polygon's own box, clipped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.label_bounds import beyond

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def corners_of_polygons(
    points: NDArray[np.float32], first: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Find the boxes around polygons, and around the part of each that lies in the picture.

    Args:
        points: (m, 2) x y of all polygons, fractions of the image.
        first: (n,) the first point of each.

    Returns:
        Two (n, 4) x1 y1 x2 y2; the second is the same where a polygon does not reach out of the picture.

    Example:
        >>> whole, inside = corners_of_polygons(np.float32([[0.5, 0.5], [1.5, 0.5], [1.5, 1.0]]), np.array([0]))
        >>> whole.tolist(), inside.tolist()
        ([[0.5, 0.5, 1.5, 1.0]], [[0.5, 0.5, 1.0, 0.75]])
    """
    corners = np.concatenate((np.minimum.reduceat(points, first), np.maximum.reduceat(points, first)), 1)
    inside = corners.astype(np.float64)
    stops = [*first[1:].tolist(), len(points)]
    for i in np.flatnonzero(np.isfinite(corners).all(1) & beyond(corners).any(1)).tolist():
        inside[i] = box_of_part_inside(points[first[i] : stops[i]])
    return corners, inside


def box_of_part_inside(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Find the box around the part of a polygon that lies in the picture.

    Its sides touch the polygon's edges where they run within the picture, or the picture's corners within the polygon.

    Args:
        points: (n, 2) x y, fractions of the image, in order.

    Returns:
        (4,) x1 y1 x2 y2, fractions; zeros where no part of it is in the picture.

    Example:
        >>> box_of_part_inside(np.array([[0.5, 0.5], [1.5, 0.5], [1.5, 1.0]])).tolist()
        [0.5, 0.5, 1.0, 0.75]
        >>> box_of_part_inside(np.array([[0.5, 2.5], [2.5, 0.5], [2.5, 2.5]])).tolist()
        [0.0, 0.0, 0.0, 0.0]
    """
    start = points.astype(np.float64)
    end = np.roll(start, -1, 0)
    _, ends = ends_inside(start, end)
    found = np.concatenate((ends, CORNERS[_within(CORNERS, start, end)])).clip(0, 1)
    return np.concatenate((found.min(0), found.max(0))) if len(found) else np.zeros(4)


def ends_inside(start: NDArray[np.float64], end: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cut edges at the picture's sides.

    Args:
        start: (n, 2) x y of one end, fractions of the image.
        end: (n, 2) of the other.

    Returns:
        Edges that are in the picture, each twice, (2m,), and the ends of what is left of them, (2m, 2).

    Example:
        >>> edges, ends = ends_inside(np.array([[-0.5, 0.5], [-1.0, 0.0]]), np.array([[0.5, 0.5], [-1.0, 1.0]]))
        >>> edges.tolist(), ends.tolist()
        ([0, 0], [[0.0, 0.5], [0.5, 0.5]])
    """
    along = end - start
    with np.errstate(all="ignore"):
        low, high = (0 - start) / along, (1 - start) / along  # Liang and Barsky: where an edge crosses each side
    still = along == 0
    outside = still & ((start < 0) | (start > 1))
    first = np.where(still, 0, np.minimum(low, high)).max(1, initial=0)
    last = np.where(still, 1, np.maximum(low, high)).min(1, initial=1)
    seen = np.flatnonzero((first <= last) & ~outside.any(1))
    ends = [start[seen] + share[seen, None] * along[seen] for share in (first, last)]
    return np.tile(seen, 2), np.concatenate(ends)


def _within(places: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which places (m, 2) lie in a polygon, given the ends of its edges (n, 2): a ray crosses an odd number."""
    x, y = places[:, None, 0], places[:, None, 1]
    straddles = (start[:, 1] > y) != (end[:, 1] > y)
    with np.errstate(all="ignore"):
        crossing = start[:, 0] + (y - start[:, 1]) / (end[:, 1] - start[:, 1]) * (end[:, 0] - start[:, 0])
    return np.asarray((straddles & (x < crossing)).sum(1) % 2 == 1)
