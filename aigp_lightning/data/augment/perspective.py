"""Points, boxes and outlines under maps that may tilt the picture.

A tilted plane has a vanishing line: points on it go to infinity, and those behind it appear on the other side of the
picture, as in Ultralytics. An object that the line crosses has no hull there, so it has no place in the output.
"""

from __future__ import annotations

import numpy as np

CORNERS = [[0, 1], [2, 1], [2, 3], [0, 3]]
"""Of a box x1, y1, x2, y2."""


def move_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Carry points through a map.

    Args:
        points: (…, 2) x and y, pixels.
        matrix: (2, 3) affine, or (3, 3) projective.

    Returns:
        (…, 2) float32.

    Example:
        >>> move_points(np.array([[1.0, 2.0]]), np.array([[1, 0, 0], [0, 1, 0], [0, 0, 2.0]])).tolist()
        [[0.5, 1.0]]
    """
    moved = points @ matrix[:2, :2].T + matrix[:2, 2]
    if len(matrix) < len(matrix[0]):
        return np.asarray(moved, np.float32)
    return np.asarray(moved / (points @ matrix[2, :2] + matrix[2, 2])[..., None], np.float32)


def move_shapes(shapes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Carry the points of shapes through a projective map; a shape that the vanishing line crosses has none there.

    Args:
        shapes: (n, P, 2) x and y, pixels.
        matrix: (3, 3).

    Returns:
        (n, P, 2) float32; zeros for shapes that are crossed.

    Example:
        >>> tilted = np.array([[1.0, 0, 0], [0, 1.0, 0], [-0.1, 0, 1.0]])
        >>> move_shapes(np.array([[[0.0, 0], [5, 5]], [[5, 0], [15, 5]]]), tilted).tolist()
        [[[0.0, 0.0], [10.0, 10.0]], [[0.0, 0.0], [0.0, 0.0]]]
    """
    depth = shapes @ matrix[2, :2] + matrix[2, 2]
    crossed = (depth.min(1, initial=np.inf) <= 0) & (depth.max(1, initial=-np.inf) >= 0)
    depth[crossed] = np.inf
    return np.asarray((shapes @ matrix[:2, :2].T + matrix[:2, 2]) / depth[..., None], np.float32)


def move_boxes(bboxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the hulls of boxes whose corners are carried through a projective map.

    Args:
        bboxes: (n, 4) xyxy, pixels.
        matrix: (3, 3).

    Returns:
        (n, 4) float32 xyxy; zeros where the vanishing line crosses a box.

    Example:
        >>> tilted = np.array([[1.0, 0, 0], [0, 1.0, 0], [-0.1, 0, 1.0]])
        >>> move_boxes(np.array([[0.0, 0, 5, 5], [5, 0, 15, 5]]), tilted).tolist()
        [[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 0.0, 0.0]]
    """
    moved = move_shapes(bboxes[:, CORNERS], matrix)
    return np.concatenate((moved.min(1), moved.max(1)), axis=1)
