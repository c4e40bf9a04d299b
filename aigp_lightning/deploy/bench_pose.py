"""The pose of what a model finds, as the last part of what is timed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.deploy.runtime import Camera, solve_targets
from aigp_lightning.evaluation.open_with_options import decoder_of
from aigp_lightning.media.detections import ImageDetections
from aigp_lightning.modules.metrics.gate_camera import GateCamera, of_camera
from aigp_lightning.modules.metrics.rigid_pose import target_of
from aigp_lightning.modules.thresholds import Thresholds

if TYPE_CHECKING:
    from aigp_lightning.modules.base import BaseModule

NO_TARGET = "no pose: nothing says where the keypoints are on the target (object_points in data.yaml)"
NO_CAMERA = "no pose: the model has no camera (--model.camera of its run)"


@dataclass(frozen=True)
class PoseSolving:
    """Solves for the pose of detections.

    Attributes:
        target: (K, 3) where each keypoint is on the target, metres.
        camera: that took the pictures.
        thresholds: which keypoints count, and which poses.

    Example:
        >>> target = np.array([[-0.75, -0.75, 0], [0.75, -0.75, 0], [0.75, 0.75, 0], [-0.75, 0.75, 0]])
        >>> solving = PoseSolving(target, Camera(640, 360, 320.0, 320.0, 320.0, 180.0), Thresholds())
        >>> corners = np.array([[[272, 132, 0.9], [368, 132, 0.9], [368, 228, 0.9], [272, 228, 0.9]]], np.float32)
        >>> found = ImageDetections(np.zeros((1, 4)), np.ones(1), np.zeros(1, int), corners, shape=(360, 640))
        >>> solving.solve(found)
        1
    """

    target: NDArray[np.float64]
    camera: Camera
    thresholds: Thresholds

    def solve(self, found: ImageDetections) -> int:
        """Solve for the poses in a picture, and count those that can be had.

        Args:
            found: in a picture of the camera's, of any size.
        """
        if found.keypoints is None or not len(found.keypoints) or found.shape is None:
            return 0
        height, width = found.shape
        points = found.keypoints[..., :2] * (self.camera.width / width, self.camera.height / height)
        seen = found.keypoints[..., 2] >= self.thresholds.keypoint_conf
        limit = self.thresholds.reprojection_px
        return int(solve_targets(points.astype(np.float64), seen, self.target, self.camera, limit).solved.sum())


def pose_solving(
    module: BaseModule, thresholds: Thresholds, shapes: list[tuple[int, int]]
) -> tuple[PoseSolving | None, str]:
    """Return what solves for poses, or why nothing does; neither where the model finds no keypoints.

    Args:
        module: opened.
        thresholds: which keypoints count, and which poses.
        shapes: height and width of the pictures.
    """
    if not module.wants_keypoints or module.keypoints is None:
        return None, ""
    known: Any = decoder_of(module)
    camera: GateCamera | None = getattr(known, "camera", None)
    if camera is None:
        return None, NO_CAMERA
    target = target_of(module.keypoints, camera)
    if target is None:
        return None, NO_TARGET
    if not of_camera(np.array(shapes, np.float64), camera).all():
        own = camera.runtime
        return None, f"no pose: pictures have another aspect than the camera, {own.width} × {own.height}"
    return PoseSolving(target, camera.runtime, thresholds), ""
