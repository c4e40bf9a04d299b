"""Poses of what was found in frames: the one place where keypoints, camera and the pose solver meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.deploy.runtime import LEAST_POINTS, TargetPoses, solve_targets
from aigp_lightning.modules.metrics.gate_camera import GateCamera, in_camera
from aigp_lightning.modules.metrics.rigid_pose import target_of

if TYPE_CHECKING:
    from aigp_lightning.types import Keypoints

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class FrameTarget:
    """The object whose pose is solved, and the camera that looks at it.

    Attributes:
        points: (K, 3) where each keypoint is on the object, metres.
        camera: the model's.
    """

    points: Array
    camera: GateCamera


def frame_target(keypoints: Keypoints | None, camera: GateCamera | None) -> FrameTarget | None:
    """Return what is needed to solve poses; None where it is not known where the keypoints are on the object.

    Args:
        keypoints: of the model or the data set. Four without points are those of a square of the camera's `size`.
        camera: of the model.

    Example:
        >>> from aigp_lightning.types import Keypoints
        >>> target = frame_target(Keypoints(4, 3, ("a", "b", "c", "d")), GateCamera(size=2.0))
        >>> target.points[0].tolist()
        [-1.0, -1.0, 0.0]
    """
    points = target_of(keypoints, camera)
    if points is None or camera is None or len(points) < LEAST_POINTS:
        return None
    return FrameTarget(points, camera)


def solve_poses(points: Array, seen: Bools, shapes: Array, target: FrameTarget) -> TargetPoses:
    """Solve for the pose of each object by the keypoints that are seen, without a limit of the reprojection error.

    Args:
        points: (n, K, 2) x and y, pixels of the original picture.
        seen: (n, K) keypoints to be used.
        shapes: (n, 2) height and width of the picture each is in. One of another aspect than the camera's gives no
            pose.
        target: the object and the camera.

    Returns:
        A pose a row; its `reprojection_px` is in pixels of the camera's own picture.

    Example:
        >>> import cv2
        >>> from aigp_lightning.types import Keypoints
        >>> target = frame_target(Keypoints(4, 3, ("a", "b", "c", "d")), GateCamera())
        >>> twice = np.diag([2.0, 2.0, 1.0]) @ target.camera.runtime.matrix  # a picture twice as large as the camera's
        >>> turn, place = np.array([0.0, 0.3, 0.0]), np.array([0.5, 0.0, 5.0])
        >>> corners = cv2.projectPoints(target.points, turn, place, twice, None)[0].reshape(1, 4, 2)
        >>> found = solve_poses(corners, np.ones((1, 4), bool), np.array([[720, 1280]]), target)
        >>> (found.position.round(3) + 0).tolist()
        [[0.5, 0.0, 5.0]]
    """
    pixels = np.asarray(points, np.float64)
    scaled, own = in_camera(pixels, np.asarray(shapes, np.float64).reshape(-1, 2), target.camera)
    return solve_targets(scaled, seen & own, target.points, target.camera.runtime)
