"""The pose of a square by its four corners on the plane z = 1: OpenCV's solver, and what it needs to be exact."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FLAT = 1e-6
"""Three corners in a line: twice their triangle's area is below this share of the square of the gate's extent."""
SHEARS = (0.0, 1e-8, 1e-7, 1e-6)
"""OpenCV's solver takes the root of how much shorter a side looks than the longest, and finds nothing where rounding
leaves less than 0: gates square to the line of sight, or turned about one of their sides alone. Then it is asked again
for corners that are sheared by this much, which turns the pose by about 0.01°."""
# Order in which OpenCV wants the corners, y up: top-left, top-right, bottom-right, bottom-left.
UNIT: Array = np.array([[-1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [-1.0, -1.0, 0.0]]) / 2
UPSIDE: Array = np.diag([1.0, -1.0, 1.0])
MIRROR: Array = np.diag([-1.0, 1.0, -1.0])


def turns(plane: Array) -> Array:
    """Return how sharply the outline turns at each corner, (n, 4), by its extent squared; over 0 to the right.

    Args:
        plane: (n, 4, 2) corners.

    Example:
        >>> turns(np.array([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]])).tolist()
        [[1.0, 1.0, 1.0, 1.0]]
    """
    edge = np.roll(plane, -1, 1) - plane
    after = np.roll(edge, -1, 1)
    extent = np.ptp(plane, axis=1).max(1, keepdims=True) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((edge[..., 0] * after[..., 1] - edge[..., 1] * after[..., 0]) / extent)


def solver_order(plane: Array, left: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Array]:
    """Order the corners so that the solver is exact.

    OpenCV's solver gives a turn as a vector, and gets it wrong by up to 180° where it is close to half a circle, and
    sometimes not at all where it is none: a gate straight ahead would be one or the other. So the corners are given to
    it a quarter turn off, whatever their own order.

    Args:
        plane: (n, 4, 2) corners.
        left: (n,) whether they run counter-clockwise, as from behind.

    Returns:
        (n, 4) which corner takes which place, and (n, 3, 3) the rotation from the gate's frame to that of the order.

    Example:
        >>> upright = np.array([[[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]])
        >>> solver_order(upright, left=np.array([False]))[0].tolist()
        [[1, 2, 3, 0]]
    """
    start = np.where(left[:, None], [1, 0, 3, 2], [0, 1, 2, 3])
    across = np.take_along_axis(plane, start[:, :, None], 1)
    edge = across[:, 1] + across[:, 2] - across[:, 0] - across[:, 3]
    quarter = np.rint(np.arctan2(edge[:, 1], edge[:, 0]) / (np.pi / 2)).astype(np.int64)
    shift = (1 - quarter) % 4  # one quarter more than upright
    order = np.take_along_axis(start, (np.arange(4) + shift[:, None]) % 4, 1)
    angle = shift * (np.pi / 2)
    zero, cos, sin = np.zeros(len(plane)), np.rint(np.cos(angle)), np.rint(np.sin(angle))
    back = np.stack([cos, sin, zero, -sin, cos, zero, zero, zero, zero + 1], 1).reshape(-1, 3, 3)
    return order, np.where(left[:, None, None], back @ MIRROR, back)


def solve_squares(plane: Array, size: float) -> Iterator[Array]:
    """Yield the better pose of each square, (2, 3): its rotation vector and its position; NaN without one.

    Args:
        plane: (n, 4, 2) corners as x/z and y/z, y up.
        size: side of the square, metres.

    Example:
        >>> corners = np.array([[0.2, 0.1], [0.2, -0.1], [-0.2, -0.1], [-0.2, 0.1]])[None] * (0.5, 1.0)
        >>> _, position = next(solve_squares(corners, size=1.0))
        >>> position.round(2).tolist()
        [0.0, 0.0, 5.0]
    """
    if not len(plane):
        return
    import cv2

    square, matrix, kind = UNIT * size, np.eye(3), cv2.SOLVEPNP_IPPE_SQUARE
    for corners in np.ascontiguousarray(plane):
        for shear in SHEARS:
            attempt = corners + shear * corners[:, ::-1]
            try:
                _, turns, places, errors = cv2.solvePnPGeneric(square, attempt, matrix, None, flags=kind)
            except cv2.error:
                continue
            if errors is not None and np.isfinite(errors).any():
                best = int(np.nanargmin(errors))
                yield np.stack((turns[best].ravel(), places[best].ravel()))
                break
        else:
            yield np.full((2, 3), np.nan)


def rotation_matrices(vectors: Array) -> Array:
    """Convert rotation vectors to matrices (n, 3, 3), by Rodrigues' formula.

    Args:
        vectors: (n, 3), radians about each axis.

    Example:
        >>> rotation_matrices(np.array([[0.0, 0.0, np.pi / 2]])).round(6).astype(int).tolist()
        [[[0, -1, 0], [1, 0, 0], [0, 0, 1]]]
    """
    angle = np.linalg.norm(vectors, axis=1)
    axis = vectors / np.maximum(angle, np.finfo(np.float64).tiny)[:, None]
    x, y, z = axis.T
    cross = np.stack([0 * x, -z, y, z, 0 * x, -x, -y, x, 0 * x], 1).reshape(-1, 3, 3)
    sin, cos = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.asarray(np.eye(3) + sin * cross + (1 - cos) * (cross @ cross))
