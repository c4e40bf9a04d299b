"""Poses of objects by their keypoints, labelled or found: which points they have, and what solves for them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.targets.built_in import square
from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.modules.metrics.camera_values import OPTION, in_line, points_of
from aigp_lightning.modules.metrics.gate_camera import Array, GateCamera, in_camera
from aigp_lightning.types import Keypoints

if TYPE_CHECKING:
    from aigp_lightning.deploy.runtime import Camera, TargetPoses

SQUARE = 4
"""So many keypoints without object points are the corners of a square."""


def target_of(keypoints: Keypoints | None, camera: GateCamera | None) -> Array | None:
    """Return where each keypoint is on the object, (K, 3) metres; None where nobody says, or there is no camera.

    Args:
        keypoints: the data set's.
        camera: its `object_points` count before the data set's; its `size` counts for four keypoints without any.

    Raises:
        ConfigError: the option has points for another number of keypoints.
        DataError: the data set's points lie in a line.

    Example:
        >>> target_of(Keypoints(4, 3, ("tl", "tr", "br", "bl")), GateCamera()).tolist()[0]
        [-0.75, -0.75, 0.0]
        >>> target_of(Keypoints(5, 3, tuple("abcde")), GateCamera()) is None
        True
    """
    if keypoints is None or camera is None:
        return None
    if camera.object_points is not None:
        points = points_of(camera.object_points)
        if len(points) != keypoints.count:
            shape = [keypoints.count, keypoints.numbers]
            raise ConfigError(
                f"{OPTION}.object_points has {len(points)} points, but the data set's kpt_shape is {shape}: give one "
                "for each keypoint, in the order of the labels."
            )
        return points
    if keypoints.points is not None:
        points = np.array(keypoints.points, np.float64)
        if in_line(points):
            raise DataError("object_points of the data.yaml all lie in a line: no pose can be told from them.")
        return points
    return np.array(square(camera.size)) if keypoints.count == SQUARE else None


def runtime_camera(camera: GateCamera, shape: tuple[float, float]) -> Camera:
    """Return the camera as the solver takes it, for pictures of another size but the same aspect.

    Args:
        camera: the options.
        shape: height and width of the pictures, pixels.

    Example:
        >>> runtime_camera(GateCamera(), (720, 1280)).fx
        640.0
    """
    own, (height, width) = camera.runtime, shape
    across, down = width / own.width, height / own.height
    return replace(
        own, width=round(width), height=round(height), fx=own.fx * across, fy=own.fy * down, cx=own.cx * across,
        cy=own.cy * down,
    )  # fmt: skip


def solve_in_pictures(
    points: Array,
    seen: NDArray[np.bool_],
    shapes: Array,
    target: Array,
    camera: GateCamera,
    priors: TargetPoses | None = None,
) -> TargetPoses:
    """Solve for the poses of objects in pictures of any size, each from the keypoints that are seen.

    Args:
        points: (n, K, 2) x and y in pixels of the original picture.
        seen: (n, K) which of them to use.
        shapes: (n, 2) height and width of the picture each is in; in one of another aspect than the camera's nothing
            is solved.
        target: (K, 3) metres.
        camera: its intrinsics scale with the picture; its `reprojection_px` limits the error.
        priors: (n) poses that are about right; see `deploy.runtime.solve_targets`.

    Returns:
        One pose an object, errors in pixels of pictures of the camera's size.

    Example:
        >>> corners = np.array([[[544.0, 264.0], [736.0, 264.0], [736.0, 456.0], [544.0, 456.0]]])
        >>> shapes, target = np.array([[720.0, 1280.0]]), target_of(Keypoints(4, 3, tuple("abcd")), GateCamera())
        >>> poses = solve_in_pictures(corners, np.ones((1, 4), bool), shapes, target, GateCamera())
        >>> float(poses.position[0, 2].round(3))
        5.0
    """
    from aigp_lightning.deploy.runtime import solve_targets

    scaled, own = in_camera(points, shapes, camera)
    return solve_targets(scaled, seen & own, target, camera.runtime, camera.reprojection_px, priors)
