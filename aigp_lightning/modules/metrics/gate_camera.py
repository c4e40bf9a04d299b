"""The camera that pictures were taken with, and where a gate is by its four corners in a picture.

Frames, as in `data/synthetic/geometry.py`: the camera's is x right, y down, z forward; a gate's own, as seen by who
looks at it, is x right, y down, z away from the viewer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.camera_profiles import PROFILES
from aigp_lightning.data.targets.built_in import square
from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.metrics.camera_values import (
    INTRINSICS,
    OPTION,
    USUAL_PROFILE,
    points_of,
    profile_values,
    refuse_other_profile,
)
from aigp_lightning.ranges import FINITE, POSITIVE, check_ranges

if TYPE_CHECKING:
    from aigp_lightning.deploy.runtime import Camera

Array = NDArray[np.float64]
DISTORTIONS = (0, 4, 5, 8, 12, 14)
"""Numbers of distortion coefficients that OpenCV knows a model for."""
SAME_ASPECT = 0.01
"""A picture whose aspect differs from the camera's by a larger share was cut or stretched: not this camera's."""


@dataclass(frozen=True)
class GateCamera:
    """The camera, and where the keypoints are on the objects: what turns pixels into metres.

    Picture coordinates count from the picture's edge, so the middle of 640 pixels is 320. OpenCV counts from the
    middle of the first pixel; since only differences to cx and cy matter, either is right, as long as the corners and
    cx, cy agree. For a calibration made with OpenCV, add 0.5 to its cx and cy.

    Args:
        size: side of the square whose corners are the keypoints, metres, where they are four and no object points say
            more; AI Grand Prix: 1.5, the inner opening.
        width: width of the pictures that fx, fy, cx and cy are for, pixels; pictures of another size are scaled. As
            the next five, null: the profile's.
        height: their height, pixels.
        fx: focal length across, pixels.
        fy: focal length down, pixels.
        cx: where the optical axis meets the picture, from its left edge, pixels.
        cy: the same from its top edge, pixels.
        distortion: OpenCV's coefficients k1 k2 p1 p2 k3 …: none, 4, 5, 8, 12 or 14 of them.
        bands: limits between bands of distance that results are sorted into, metres, rising.
        profile: built-in camera whose values count where none is given: ts-002 (90 degrees across, the virtual
            rounds), ts-005 (74 degrees, the physical qualifier).
        object_points: where each keypoint is on the object, metres: a list of [x, y, z], or gate-4, gate-8 (clockwise,
            outer then inner), gate-8-rows (rows, inner then outer); null: those of the data.yaml, else four keypoints
            are the corners of a square.
        reprojection_px: largest reprojection error of a pose that counts, RMS in pixels of pictures of this width;
            null: no limit.

    Raises:
        ConfigError: a value makes no sense.

    Example:
        >>> GateCamera(fx=400.0, fy=400.0).size, round(GateCamera(profile="ts-005").runtime.fx)
        (1.5, 425)
    """

    size: float = 1.5
    width: int | None = None
    height: int | None = None
    fx: float | None = None
    fy: float | None = None
    cx: float | None = None
    cy: float | None = None
    distortion: list[float] = field(default_factory=list)
    bands: list[float] = field(default_factory=lambda: [5.0, 10.0, 20.0])
    profile: str = USUAL_PROFILE
    object_points: list[list[float]] | str | None = None
    reprojection_px: float | None = None

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ConfigError(f"{OPTION}.profile {self.profile!r} is no camera; known are {', '.join(PROFILES)}.")
        refuse_other_profile(self.profile, (self.fx, self.fy))
        check_ranges(OPTION, self, dict.fromkeys(("size", "width", "height", "fx", "fy"), POSITIVE))
        check_ranges(OPTION, self, dict.fromkeys(("cx", "cy"), FINITE))
        if self.reprojection_px is not None:
            check_ranges(OPTION, self, {"reprojection_px": POSITIVE})
        if len(self.distortion) not in DISTORTIONS or not all(map(math.isfinite, self.distortion)):
            raise ConfigError(
                f"{OPTION}.distortion must be 4, 5, 8, 12 or 14 of OpenCV's coefficients k1 k2 p1 p2 k3 …, or none at "
                f"all, not {list(self.distortion)}."
            )
        rising = [0.0, *self.bands, math.inf]
        if not self.bands or any(not one < other for one, other in pairwise(rising)):
            raise ConfigError(f"{OPTION}.bands must be rising distances over 0, not {list(self.bands)}.")
        if self.object_points is not None:
            points_of(self.object_points)

    @property
    def runtime(self) -> Camera:
        """The camera as the solver takes it, for pictures of its own size; the profile's values where none is given."""
        from aigp_lightning.deploy.runtime import Camera

        given = {name: getattr(self, name) for name in INTRINSICS}
        own: dict[str, Any] = {
            name: value if given[name] is None else given[name] for name, value in profile_values(self.profile).items()
        }
        return Camera(**own, distortion=tuple(self.distortion))


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
    own = camera.runtime
    share = shapes[:, 1] * own.height / (shapes[:, 0] * own.width)
    return np.asarray(np.abs(share - 1) <= SAME_ASPECT)


def solve_gates(corners: Array, shapes: Array, camera: GateCamera) -> Poses:
    """Solve for the pose of gates, each from its own four corners, as `rigid_pose.solve_in_pictures` for any target.

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
        >>> (poses.position.round(2) + 0).tolist()  # 96 pixels of 1.5 metres: straight ahead
        [[0.0, 0.0, 5.0]]
    """
    from aigp_lightning.deploy.runtime import solve_targets

    corners = np.asarray(corners, np.float64).reshape(-1, 4, 2)
    points, seen = in_camera(corners, np.asarray(shapes, np.float64).reshape(-1, 2), camera)
    poses = solve_targets(points, seen, np.array(square(camera.size)), camera.runtime)
    return Poses(poses.position, poses.rotation, poses.solved)


def in_camera(points: Array, shapes: Array, camera: GateCamera) -> tuple[Array, NDArray[np.bool_]]:
    """Turn pixels of pictures into those of the camera's own size.

    Args:
        points: (n, K, 2) x and y in pixels of the picture each is in.
        shapes: (n, 2) height and width of that picture.
        camera: its own size.

    Returns:
        Points (n, K, 2), and which of them may be the camera's, (n, K): none in a picture of another aspect.

    Example:
        >>> in_camera(np.array([[[640.0, 360.0]]]), np.array([[720, 1280]]), GateCamera())[0].tolist()
        [[[320.0, 180.0]]]
    """
    own = camera.runtime
    scaled = points * ((own.width, own.height) / shapes[:, ::-1])[:, None]
    return scaled, np.broadcast_to(of_camera(shapes, camera)[:, None], points.shape[:2])


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
