"""The camera that pictures were taken with, and where a gate is by its four corners in a picture.

Frames, as in `data/synthetic/geometry.py`: the camera's is x right, y down, z forward; a gate's own, as seen by who
looks at it, is x right, y down, z away from the viewer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.metrics.square_pose import (
    FLAT,
    UNIT,
    UPSIDE,
    Array,
    rotation_matrices,
    solve_squares,
    solver_order,
    turns,
)
from aigp_lightning.ranges import FINITE, POSITIVE, check_ranges

DISTORTIONS = (0, 4, 5, 8, 12, 14)
"""Numbers of distortion coefficients that OpenCV knows a model for."""
SAME_ASPECT = 0.01
"""A picture whose aspect differs from the camera's by a larger share was cut or stretched: not this camera's."""
UNDISTORT_STEPS, UNDISTORT_TO, UNDISTORT_FAULT = 100, 1e-10, 0.01
"""Steps, aim and largest error left, pixels; OpenCV's own five steps leave up to half a degree in a pose."""


@dataclass(frozen=True)
class GateCamera:
    """The camera, and the size of the gates: what turns pixels into metres.

    Picture coordinates count from the picture's edge, so the middle of 640 pixels is 320. OpenCV counts from the
    middle of the first pixel; since only differences to cx and cy matter, either is right, as long as the corners and
    cx, cy agree. For a calibration made with OpenCV, add 0.5 to its cx and cy.

    Args:
        size: side of the square whose corners are the keypoints, metres; AI Grand Prix: 1.5, the inner opening.
        width: width of the pictures that fx, fy, cx and cy are for, pixels; pictures of another size are scaled.
        height: their height, pixels.
        fx: focal length across, pixels.
        fy: focal length down, pixels.
        cx: where the optical axis meets the picture, from its left edge, pixels.
        cy: the same from its top edge, pixels.
        distortion: OpenCV's coefficients k1 k2 p1 p2 k3 …: none, 4, 5, 8, 12 or 14 of them.
        bands: limits between bands of distance that results are sorted into, metres, rising.

    Raises:
        ConfigError: a value makes no sense.

    Example:
        >>> GateCamera(fx=400.0, fy=400.0).size
        1.5
    """

    size: float = 1.5
    width: int = 640
    height: int = 360
    fx: float = 320.0
    fy: float = 320.0
    cx: float = 320.0
    cy: float = 180.0
    distortion: list[float] = field(default_factory=list)
    bands: list[float] = field(default_factory=lambda: [5.0, 10.0, 20.0])

    def __post_init__(self) -> None:
        option = "--model.camera"
        check_ranges(option, self, dict.fromkeys(("size", "width", "height", "fx", "fy"), POSITIVE))
        check_ranges(option, self, dict.fromkeys(("cx", "cy"), FINITE))
        if len(self.distortion) not in DISTORTIONS or not all(map(math.isfinite, self.distortion)):
            raise ConfigError(
                f"{option}.distortion must be 4, 5, 8, 12 or 14 of OpenCV's coefficients k1 k2 p1 p2 k3 …, or none at "
                f"all, not {list(self.distortion)}."
            )
        rising = [0.0, *self.bands, math.inf]
        if not self.bands or any(not one < other for one, other in pairwise(rising)):
            raise ConfigError(f"{option}.bands must be rising distances over 0, not {list(self.bands)}.")


@dataclass(frozen=True)
class Poses:
    """Where gates are.

    Attributes:
        position: (n, 3) metres, the square's middle in the camera's frame; NaN where not solved.
        rotation: (n, 3, 3) from the gate's frame to the camera's; NaN where not solved.
        solved: (n,) whether there is a pose.

    Example:
        >>> poses = Poses(np.array([[3.0, 0.0, 4.0]]), np.eye(3)[None], np.array([True]))
        >>> np.linalg.norm(poses.position[poses.solved], axis=1).tolist()
        [5.0]
    """

    position: Array
    rotation: Array
    solved: NDArray[np.bool_]


def of_camera(shapes: Array, camera: GateCamera) -> NDArray[np.bool_]:
    """Return which pictures may be the camera's, by their aspect, (n,).

    Args:
        shapes: (n, 2) height and width of each picture.
        camera: its own.

    Example:
        >>> of_camera(np.array([[360, 640], [720, 1280], [480, 640]]), GateCamera()).tolist()
        [True, True, False]
    """
    share = shapes[:, 1] * camera.height / (shapes[:, 0] * camera.width)
    return np.asarray(np.abs(share - 1) <= SAME_ASPECT)


def solve_gates(corners: Array, shapes: Array, camera: GateCamera) -> Poses:
    """Solve for the pose of gates, each from its own four corners.

    The solver is OpenCV's for squares: infinitesimal plane-based pose estimation (Collins and Bartoli, IJCV 109, 2014).
    Of its two solutions the one with the smaller reprojection error is taken.

    Not solved are gates with a corner that is no number, with corners that no square in front of the camera can have
    (crossed, in a line), and those in pictures of another aspect than the camera's. Nothing raises.

    Args:
        corners: (n, 4, 2) x and y in pixels of the original picture, in the order top-left, top-right, bottom-right,
            bottom-left as seen.
        shapes: (n, 2) height and width of the picture each is in.
        camera: the camera; its intrinsics scale with the picture.

    Example:
        >>> corners = np.array([[[272.0, 132.0], [368.0, 132.0], [368.0, 228.0], [272.0, 228.0]]])
        >>> poses = solve_gates(corners, shapes=np.array([[360, 640]]), camera=GateCamera())
        >>> poses.position.round(2).tolist()  # 96 pixels of 1.5 metres: straight ahead
        [[0.0, 0.0, 5.0]]
    """
    corners, shapes = np.asarray(corners, np.float64).reshape(-1, 4, 2), np.asarray(shapes, np.float64).reshape(-1, 2)
    position, rotation = np.full((len(corners), 3), np.nan), np.full((len(corners), 3, 3), np.nan)
    usable = of_camera(shapes, camera) & np.isfinite(corners).all((1, 2))
    rows = np.flatnonzero(usable)
    plane = _on_plane(corners[rows], shapes[rows], camera)
    turn = turns(plane)
    fine = np.isfinite(plane).all((1, 2)) & (turn > FLAT).all(1) | (turn < -FLAT).all(1)
    rows, plane, left = rows[fine], plane[fine], turn[fine, 0] < 0
    order, back = solver_order(plane, left)
    ordered = np.take_along_axis(plane, order[:, :, None], 1)
    vectors = np.array(list(solve_squares(ordered * (1, -1), camera.size))).reshape(-1, 2, 3)
    # Solved as in a mirror that lies level: OpenCV's square has y up, and would be turned by half a circle.
    rotation[rows] = UPSIDE @ rotation_matrices(vectors[:, 0]) @ UPSIDE @ back
    position[rows] = vectors[:, 1] @ UPSIDE
    depth = (UNIT[:, :2] * camera.size) @ (UPSIDE[:2, :2] @ rotation[:, 2, :2, None]) + position[:, 2, None, None]
    solved = np.isfinite(rotation).all((1, 2)) & (depth > 0).all((1, 2))
    position[~solved], rotation[~solved] = np.nan, np.nan
    return Poses(position, rotation, solved)


def degrees_between(one: Array, other: Array) -> Array:
    """Return the angle of the turn that takes one rotation to the other, degrees.

    By the distance of the matrices, ‖A − B‖ = 2√2 · sin(angle / 2), which unlike the trace is exact for small angles.

    Args:
        one: (n, 3, 3).
        other: (n, 3, 3).

    Returns:
        (n,), 0…180.

    Example:
        >>> quarter = np.array([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
        >>> degrees_between(np.eye(3)[None], quarter).round(6).tolist()
        [90.0]
    """
    apart = np.sqrt(((one - other) ** 2).sum((1, 2)))
    return np.asarray(np.rad2deg(2 * np.arcsin(np.minimum(apart / math.sqrt(8), 1))))


def _on_plane(corners: Array, shapes: Array, camera: GateCamera) -> Array:
    """Return corners (n, 4, 2) as x/z and y/z, without distortion; NaN where the distortion cannot be undone."""
    scale = shapes[:, None, ::-1] / (camera.width, camera.height)
    pixels = corners / scale
    focal, middle = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
    plane = (pixels - middle) / focal
    if not any(camera.distortion) or not len(plane):
        return np.asarray(plane)
    import cv2

    matrix, coefficients = np.eye(3), np.asarray(camera.distortion, np.float64)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, UNDISTORT_STEPS, UNDISTORT_TO)
    straight = cv2.undistortPoints(plane.reshape(-1, 1, 2), matrix, coefficients, None, None, None, stop).reshape(-1, 2)
    rays = np.column_stack((straight, np.ones(len(straight))))
    again = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, coefficients)[0].reshape(plane.shape)
    wrong = ~(np.abs((again - plane) * focal).max(2, keepdims=True) < UNDISTORT_FAULT)
    return np.asarray(np.where(wrong, np.nan, straight.reshape(plane.shape)))
