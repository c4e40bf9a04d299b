"""Rotations of many bodies at once: `R` is (3, 3, n), body to world."""

from __future__ import annotations

import numpy as np

from aigp_lightning.policy.env.arrays import FLOAT, Floats

NEXT, AFTER = np.array([1, 2, 0]), np.array([2, 0, 1])  # indices of a cross product


def to_world(rotation: Floats, vector: Floats) -> Floats:
    """Return R·x for (3, 3, n) and (3, n)."""
    turned: Floats = (rotation * vector[None]).sum(axis=1)
    return turned


def to_body(rotation: Floats, vector: Floats) -> Floats:
    """Return Rᵀ·x for (3, 3, n) and (3, n)."""
    turned: Floats = (rotation * vector[:, None]).sum(axis=0)
    return turned


def points_to_body(rotation: Floats, points: Floats) -> Floats:
    """Return Rᵀ·x for (3, 3, n) and k points each, (3, k, n)."""
    turned: Floats = (
        rotation[0][:, None] * points[0] + rotation[1][:, None] * points[1] + rotation[2][:, None] * points[2]
    )
    return turned


def rotate(rotation: Floats, angle: Floats) -> Floats:
    """Rotate bodies by `angle` about their own axes, by the Cayley map: orthogonal up to rounding, no sine or cosine.

    R·(I + 2/(1 + wᵀw)·([w]ₓ + [w]ₓ²)) with w half the angle. The resulting angle is 2·atan(‖angle‖/2), which
    differs from ‖angle‖ by ‖angle‖³/12: a third of a degree for 25° in one step.

    Args:
        rotation: (3, 3, n).
        angle: rotation vector in the body frame, (3, n), rad.

    Returns:
        (3, 3, n).
    """
    half = angle * FLOAT(0.5)
    next_, after = half[NEXT], half[AFTER]
    once = rotation[:, NEXT] * after - rotation[:, AFTER] * next_
    twice = once[:, NEXT] * after - once[:, AFTER] * next_
    scale = 2 / (1 + (half * half).sum(axis=0))
    turned: Floats = rotation + scale * (once + twice)
    return turned


def from_euler(roll: Floats, pitch: Floats, yaw: Floats) -> Floats:
    """Return the attitude of roll, pitch and yaw (rad, each (n,)): yaw first, then pitch, then roll."""
    cr, sr, cp, sp, cy, sy = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw)
    rotation: Floats = np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ],
        FLOAT,
    )
    return rotation


def orthonormal(rotation: Floats) -> Floats:
    """Return one Newton step towards the nearest rotation, R·(3·I − RᵀR)/2, which removes rounding errors."""
    gram = (rotation[:, :, None] * rotation[:, None]).sum(axis=0)
    fixed: Floats = rotation * FLOAT(1.5) - (rotation[:, :, None] * gram[None]).sum(axis=1) * FLOAT(0.5)
    return fixed
