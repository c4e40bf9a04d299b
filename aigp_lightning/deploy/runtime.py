"""Run an exported model on the drone: boxes, corners, and the pose of each target.

Longer than 250 lines: this one file is copied to a machine without PyTorch. It imports NumPy, OpenCV and ONNX Runtime,
and nothing of this package, which in turn takes its pose solver from here, so that there is only one.

Frames: the camera's is x right, y down, z forward; a target's own, as seen by who looks at its front, is x right,
y down, z away from the viewer. Picture coordinates count from the picture's edge: pixel (0, 0) has its middle at
(0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

# ---- pose of a rigid target ------------------------------------------------------------------------------------------

LEAST_POINTS = 4
"""So many keypoints give a pose; three do with a prior."""
PLANE = 1e-6
"""Points whose smallest extent is below this share of their largest lie in a plane."""

SAME = 1e-4
"""Two poses that are nearer to each other than this, in metres and radians, are one."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with OpenCV's distortion.

    Attributes:
        width: of the pictures that the other values are for, pixels.
        height: their height, pixels.
        fx: focal length across, pixels.
        fy: focal length down, pixels.
        cx: where the optical axis meets the picture, from its left edge, pixels.
        cy: the same from its top edge, pixels.
        distortion: OpenCV's k1 k2 p1 p2 k3 …; empty: none.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: Sequence[float] = ()

    @property
    def matrix(self) -> Array:
        """(3, 3) intrinsic matrix."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])


@dataclass(frozen=True)
class TargetPoses:
    """Where targets are, and how well that is known; NaN where not solved.

    Attributes:
        position: (n, 3) metres, the target's origin in the camera's frame.
        rotation: (n, 3, 3) from the target's frame to the camera's.
        solved: (n,) whether there is a pose.
        used: (n, K) keypoints that it was solved from.
        reprojection_px: (n,) RMS over those of the distance between a keypoint and the pose's, pixels.
        covariance: (n, 6, 6) of position (metres) and rotation vector (radians, camera's frame), by the scatter of the
            reprojection or `sigma_px`, whichever is larger.
        ambiguity: (n,) reprojection error of the pose by that of the other one that a plane has, 0…1: near 1, either
            may be right; 0 where there is no other.
        other_position: (n, 3) position of that other pose; NaN without one.
        other_rotation: (n, 3, 3) its rotation; NaN without one.
    """

    position: Array
    rotation: Array
    solved: Bools
    used: Bools
    reprojection_px: Array
    covariance: Array
    ambiguity: Array
    other_position: Array
    other_rotation: Array


def solve_targets(
    points: Array,
    seen: Bools,
    target: Array,
    camera: Camera,
    limit_px: float | None = None,
    priors: TargetPoses | None = None,
    sigma_px: float = 1.0,
) -> TargetPoses:
    """Solve for the pose of targets, each from the keypoints that are seen.

    Points in a plane by infinitesimal plane-based pose estimation (Collins and Bartoli, IJCV 109, 2014), others by
    SQPnP (Terzakis and Lourakis, ECCV 2020); each refined to the least reprojection error (Levenberg-Marquardt).

    Args:
        points: (n, K, 2) x and y in pixels of a picture of the camera's size.
        seen: (n, K) which of them to use.
        target: (K, 3) where each is on the target, metres.
        camera: that took the picture.
        limit_px: largest reprojection error, pixels; a pose over it counts as not solved. None: no limit.
        priors: (n) poses that are about right, such as the last frame's; with one, three keypoints are enough.
        sigma_px: how far off a keypoint is at least believed to be, pixels.

    Returns:
        One pose a row.

    Example:
        >>> camera = Camera(640, 360, 320.0, 320.0, 320.0, 180.0)
        >>> target = np.array([[-0.75, -0.75, 0], [0.75, -0.75, 0], [0.75, 0.75, 0], [-0.75, 0.75, 0]])
        >>> corners = np.array([[[272.0, 132.0], [368.0, 132.0], [368.0, 228.0], [272.0, 228.0]]])
        >>> poses = solve_targets(corners, np.ones((1, 4), bool), target, camera)
        >>> (poses.position.round(3) + 0).tolist()  # 96 pixels of 1.5 metres: straight ahead
        [[0.0, 0.0, 5.0]]
    """
    count, (keypoints, _) = len(points), target.shape
    found = TargetPoses(
        *(np.full((count, 3), np.nan), np.full((count, 3, 3), np.nan), np.zeros(count, np.bool_)),
        *(np.zeros((count, keypoints), np.bool_), np.full(count, np.nan), np.full((count, 6, 6), np.nan)),
        *(np.zeros(count), np.full((count, 3), np.nan), np.full((count, 3, 3), np.nan)),
    )
    for row in range(count):
        use = seen[row] & np.isfinite(points[row]).all(1)
        prior = None
        if priors is not None and priors.solved[row]:
            prior = cv2.Rodrigues(priors.rotation[row])[0].ravel(), priors.position[row]
        if use.sum() < (LEAST_POINTS if prior is None else LEAST_POINTS - 1):
            continue
        solutions = _candidates(target[use], points[row][use], camera, prior)
        if not solutions or (limit_px is not None and not solutions[0][2] <= limit_px):
            continue
        turn, place, error = solutions[0]
        found.position[row], found.rotation[row] = place, cv2.Rodrigues(turn)[0]
        found.solved[row], found.used[row], found.reprojection_px[row] = True, use, error
        found.covariance[row] = _covariance(target[use], turn, place, camera, max(error, sigma_px))
        if len(solutions) > 1:
            turn, place, other = solutions[1]
            found.ambiguity[row] = error / other if other > 0 else 1.0
            found.other_position[row], found.other_rotation[row] = place, cv2.Rodrigues(turn)[0]
    return found


def _candidates(
    target: Array, pixels: Array, camera: Camera, prior: tuple[Array, Array] | None
) -> list[tuple[Array, Array, float]]:
    """Return the poses in front of the camera as rotation vector, position and RMS error in pixels, the best first."""
    pixels, distortion = np.ascontiguousarray(pixels), np.asarray(camera.distortion, np.float64)
    starts: list[tuple[Any, Any]] = [prior] if prior is not None else []
    if len(target) >= LEAST_POINTS:
        middle = target.mean(0)
        _, spread, axes = np.linalg.svd(target - middle)
        flat = spread[2] <= PLANE * spread[0]
        axes = axes * np.linalg.det(axes)
        own = (target - middle) @ axes.T if flat else target
        method = cv2.SOLVEPNP_IPPE if flat else cv2.SOLVEPNP_SQPNP
        try:
            _, turns, places, _ = cv2.solvePnPGeneric(own, pixels, camera.matrix, distortion, flags=method)
        except cv2.error:
            turns, places = (), ()
        for turn, place in zip(turns, places, strict=True):
            matrix = cv2.Rodrigues(turn)[0] @ (axes if flat else np.eye(3))
            offset = place.ravel() - (matrix @ middle if flat else 0)
            starts.append((cv2.Rodrigues(matrix)[0].ravel(), offset))
    found: list[tuple[Array, Array, float]] = []
    for start in starts:
        if not all(np.isfinite(part).all() for part in start):
            continue
        first = (np.array(part, np.float64).reshape(3, 1) for part in start)  # copies, which are written over
        refined = cv2.solvePnPRefineLM(target, pixels, camera.matrix, distortion, *first)
        turn, place = (np.asarray(part, np.float64).ravel() for part in refined)
        again = cv2.projectPoints(target, turn, place, camera.matrix, distortion)[0].reshape(-1, 2)
        error = float(np.sqrt(((again - pixels) ** 2).sum(1).mean()))
        in_front = (target @ cv2.Rodrigues(turn)[0][2] + place[2] > 0).all()
        same = any(np.abs(place - other).max() < SAME and np.abs(turn - its).max() < SAME for its, other, _ in found)
        if np.isfinite(error) and in_front and not same:
            found.append((turn, place, error))
    return sorted(found, key=lambda each: each[2])


def _covariance(target: Array, turn: Array, place: Array, camera: Camera, sigma: float) -> Array:
    """Return the covariance (6, 6) of position and rotation vector, by the Jacobian of the projection."""
    distortion = np.asarray(camera.distortion, np.float64)
    jacobian = cv2.projectPoints(target, turn, place, camera.matrix, distortion)[1]
    slopes = np.concatenate((jacobian[:, 3:6], jacobian[:, :3]), 1)
    return np.asarray(np.linalg.pinv(slopes.T @ slopes) * sigma**2)


# ---- what a file says of itself, and how it is checked ---------------------------------------------------------------

# ---- from a frame to detections --------------------------------------------------------------------------------------
