"""The view of the drone's camera: 640×360 pixels, f = 320 pixels, tilted up by 20 degrees.

That is 90 by 58.7 degrees; upwards it reaches to 49.4 degrees above body-forward, downwards to 9.4 below it.
"""

from __future__ import annotations

import numpy as np

from aigp_lightning.policy.env.arrays import FLOAT, Bools, Floats, norm

TILT = np.deg2rad(20.0)
COS, SIN = FLOAT(np.cos(TILT)), FLOAT(np.sin(TILT))
HALF_WIDTH, HALF_HEIGHT = 320 / 320, 180 / 320  # half the image in focal lengths
NEAREST = 0.1  # m


def in_view(points: Floats) -> Bools:
    """Return a mask of the points that are in the image.

    Args:
        points: body frame, (3, …), m.

    Returns:
        (…).
    """
    depth = points[0] * COS - points[2] * SIN
    down = points[0] * SIN + points[2] * COS
    wide = np.abs(points[1]) <= depth * FLOAT(HALF_WIDTH)
    seen: Bools = (depth > NEAREST) & wide & (np.abs(down) <= depth * FLOAT(HALF_HEIGHT))
    return seen


def off_axis(point: Floats) -> Floats:
    """Return the angle between the camera's axis and a point, rad.

    Args:
        point: body frame, (3, n), m.

    Returns:
        (n,).
    """
    depth = point[0] * COS - point[2] * SIN
    cosine = depth / np.maximum(norm(point), FLOAT(1e-6))
    angle: Floats = np.arccos(np.clip(cosine, -1, 1))
    return angle
