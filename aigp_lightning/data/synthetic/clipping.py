"""Polygons cut to what is in view."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.synthetic.motion import Array


def onward(values: NDArray[Any]) -> NDArray[Any]:
    """Return each row's next one, the last one's being the first; `numpy.roll` takes several times as long.

    Example:
        >>> onward(np.array([1, 2, 3])).tolist()
        [2, 3, 1]
    """
    return np.concatenate((values[1:], values[:1]))


def clip_polygon(points: Array, planes: Array) -> Array:
    """Cut a convex polygon to the inside of half-spaces (Sutherland and Hodgman, CACM 17(1), 1974).

    Args:
        points: (n, 3) corners in order, camera coordinates.
        planes: (m, 4) half-spaces `n · p + d >= 0`.

    Returns:
        (k, 3) corners of what remains, k = 0 where nothing does.

    Example:
        >>> triangle = np.array([[0.0, 0.0, 1.0], [2.0, 0.0, 1.0], [0.0, 2.0, 1.0]])
        >>> clip_polygon(triangle, np.array([[-1.0, 0.0, 0.0, 1.0]])).tolist()  # x up to 1
        [[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 2.0, 1.0]]
    """
    if (points @ planes[:, :3].T + planes[:, 3] >= 0).all():
        return points
    for plane in planes:
        side = points @ plane[:3] + plane[3]
        inside = side >= 0
        if inside.all():
            continue
        if not inside.any():
            return points[:0]
        after, side_after = onward(points), onward(side)
        crosses = inside != onward(inside)
        share = side / np.where(crosses, side - side_after, 1.0)
        cuts = points + share[:, None] * (after - points)
        both = np.stack([points, cuts], axis=1).reshape(-1, 3)
        points = both[np.stack([inside, crosses], axis=1).reshape(-1)]
    return points
