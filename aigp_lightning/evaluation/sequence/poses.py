"""The pose solver as sequences use it: the one place that knows how camera and target come together."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from aigp_lightning.deploy.runtime import Camera, TargetPoses, solve_targets
from aigp_lightning.errors import ConfigError
from aigp_lightning.evaluation.sequence.recording import Bools, Floats
from aigp_lightning.modules.metrics.gate_camera import GateCamera, of_camera
from aigp_lightning.modules.metrics.rigid_pose import runtime_camera


def camera_of(camera: GateCamera, shape: tuple[int, int]) -> Camera | None:
    """Return the camera for pictures of a size; None where they have another aspect, and are not its own.

    Args:
        camera: with the size that it was calibrated for.
        shape: height and width of the pictures, pixels.

    Example:
        >>> camera_of(GateCamera(), (720, 1280)).fx
        640.0
    """
    if not of_camera(np.array([shape]), camera)[0]:
        return None
    return runtime_camera(camera, shape)


def changed_camera(camera: GateCamera | None, given: dict[str, Any]) -> GateCamera | None:
    """Return a camera with some of its values replaced.

    Args:
        camera: that the model was trained for.
        given: values by name; with a `profile` they stand for themselves.

    Raises:
        ConfigError: there is no such value, or it makes no sense.
    """
    known = [each.name for each in fields(GateCamera)]
    if unknown := [name for name in given if name not in known]:
        raise ConfigError(f"--model.camera.{unknown[0]}: there is no such value; there are {', '.join(known)}.")
    if not given:
        return camera
    if camera is None or "profile" in given:
        return GateCamera(**given)
    return replace(camera, **given)


def solve(
    points: Floats, seen: Bools, target: Floats | None, camera: Camera | None, limit_px: float | None
) -> TargetPoses:
    """Solve for the poses of objects by their keypoints; none where target or camera are not known.

    Args:
        points: (n, K, 2) pixels of the picture.
        seen: (n, K) which of them count.
        target: see `target_of`.
        camera: see `camera_of`.
        limit_px: largest RMS reprojection error, pixels.
    """
    if target is None or camera is None:
        return solve_targets(points, np.zeros_like(seen), np.zeros((points.shape[1], 3)), Camera(1, 1, 1, 1, 0, 0))
    return solve_targets(points, seen, target, camera, limit_px)


def axes_in_picture(position: Floats, rotation: Floats, camera: Camera, length: float) -> Floats:
    """Return where the axes of poses are in the picture, (n, 4, 2) pixels: origin and the ends of x, y and z.

    Args:
        position: (n, 3) metres in the camera's frame.
        rotation: (n, 3, 3) from the object's frame to the camera's.
        camera: that took the picture.
        length: of each axis, metres.

    Example:
        >>> camera = Camera(640, 360, 320.0, 320.0, 320.0, 180.0)
        >>> axes_in_picture(np.array([[0.0, 0, 4]]), np.eye(3)[None], camera, 1.0)[0, :2].tolist()
        [[320.0, 180.0], [400.0, 180.0]]
    """
    import cv2

    ends = np.concatenate((np.zeros((1, 3)), np.eye(3))) * length
    points = (ends @ rotation.transpose(0, 2, 1) + position[:, None]).reshape(-1, 3)
    if not len(points):
        return np.zeros((0, 4, 2))
    zero, distortion = np.zeros(3), np.asarray(camera.distortion, np.float64)
    places = cv2.projectPoints(points, zero, zero, camera.matrix, distortion)[0].reshape(-1, 4, 2)
    return np.asarray(np.where((points[:, 2] > 0).reshape(-1, 4, 1), places, np.nan))
