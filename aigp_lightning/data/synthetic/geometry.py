"""The camera, clipping and projection. Lengths in metres, angles in radians unless said.

Frames: world is NED (x north, y east, z down); body is x forward, y right, z down; camera is x right, y down,
z forward; a gate's own frame, seen from its front, is x right, y down, z away from the viewer. Pixel coordinates are
continuous: the picture spans 0…width and 0…height, and pixel (0, 0) has its centre at (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.camera_profiles import PROFILES
from aigp_lightning.data.synthetic.clipping import clip_polygon, onward
from aigp_lightning.data.synthetic.motion import Array, Motion

USUAL_PROFILE = "ts-002"
CAMERA_TILT = float(np.deg2rad(20.0))
NEAR = 0.10
TRIANGLE = 3
ROLLING_STEPS = 6
"""Steps to the row that sees a point. Each leaves a share of the error that is the picture's way during the readout by
its height, rarely over a tenth."""
PIECE = 1 / 16
"""Share of a picture's width; straight edges that a rolling shutter bends are drawn in pieces of this length."""
WIDE = 1000.0
"""Pixels beyond the picture; no point that is further out at a readout's middle gets into it."""

BODY_TO_CAMERA: Array = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
SQUARE: Array = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


def rotation(yaw: float, pitch: float, roll: float) -> Array:
    """Turn body coordinates into world coordinates: the aerospace sequence yaw, pitch (up positive), roll.

    Example:
        >>> (rotation(np.pi / 2, 0.0, 0.0) @ (1.0, 0.0, 0.0)).round(6).tolist()  # forward is east now
        [0.0, 1.0, 0.0]
    """
    (cy, cp, cr), (sy, sp, sr) = np.cos([yaw, pitch, roll]), np.sin([yaw, pitch, roll])
    about_z = np.array([[cy, -sy, 0.0], [sy, cy, 0.0], [0.0, 0.0, 1.0]])
    about_y = np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
    result: Array = about_z @ about_y @ about_x
    return result


@dataclass(frozen=True)
class Camera:
    """A pinhole camera at the world's origin, without distortion; where it moves, at the readout's middle.

    Args:
        width: picture width, pixels.
        height: picture height, pixels.
        yaw: heading of the body that carries the camera.
        pitch: the body's pitch, nose up positive.
        roll: the body's roll, right side down positive.
        tilt: how far the camera looks up from the body's forward axis.
        profile: name of the camera, which decides the focal length.
        motion: of the camera while the picture is read out; None: a global shutter, or no motion.
        exact: paint edges where they are; else they are 0.7 pixels further out, as single pictures of the profile
            ts-002 have always been.

    Example:
        >>> camera = Camera(640, 360, tilt=0.0)
        >>> camera.focal, camera.project(camera.to_camera(np.array([[5.0, 1.0, 0.0]]))).tolist()
        (320.0, [[384.0, 180.0]])
    """

    width: int
    height: int
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    tilt: float = CAMERA_TILT
    profile: str = USUAL_PROFILE
    motion: Motion | None = None
    exact: bool = False

    @cached_property
    def focal(self) -> float:
        """Focal length in pixels; square pixels and the profile's angle across whatever the width."""
        return PROFILES[self.profile].focal * self.width / PROFILES[self.profile].width

    @cached_property
    def axes(self) -> Array:
        """(3, 3) rotation from world to camera; its rows are the camera's axes in the world."""
        body = rotation(self.yaw, self.pitch, self.roll) @ rotation(0.0, self.tilt, 0.0)
        return np.asarray(BODY_TO_CAMERA @ body.T)

    @cached_property
    def matrix(self) -> Array:
        """(3, 3) intrinsic matrix."""
        return np.array([[self.focal, 0, self.width / 2], [0, self.focal, self.height / 2], [0, 0, 1.0]])

    @cached_property
    def near(self) -> float:
        """Distance of the plane behind which nothing is seen, metres; whatever is before it stays so as it moves."""
        return NEAR + (self.motion.reach if self.motion is not None else 0.0)

    def planes(self, margin: float = 0.0) -> Array:
        """Return the planes that bound the camera's view.

        Args:
            margin: how far beyond the picture's edge to reach, pixels.

        Returns:
            (5, 4) half-spaces `n · p + d >= 0` in camera coordinates: near, left, right, top, bottom.
        """
        half_w, half_h, f = self.width / 2 + margin, self.height / 2 + margin, self.focal
        rows = [[0, 0, 1, -self.near], [f, 0, half_w, 0], [-f, 0, half_w, 0], [0, f, half_h, 0], [0, -f, half_h, 0]]
        return np.array(rows, dtype=np.float64)

    def to_camera(self, points: Array) -> Array:
        """Turn world points (..., 3) into camera coordinates."""
        return np.asarray(points @ self.axes.T)

    def project(self, points: Array) -> Array:
        """Project camera-frame points (n, 3), all in front of the near plane, to the pixels (n, 2) that see them."""
        middle = (self.width / 2, self.height / 2)
        flat = points[:, :2] * (self.focal / points[:, 2:]) + middle
        if self.motion is not None:
            for _ in range(ROLLING_STEPS):
                moved = self.motion.moved(points, self.motion.times(flat[:, 1], self.height))
                flat = moved[:, :2] * (self.focal / moved[:, 2:]) + middle
        return np.asarray(flat)

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """Tell which world points (n, 3) fall into the picture; (n,) bool."""
        seen = self.to_camera(points)
        planes = self.planes(WIDE if self.motion is not None else 0.0)
        inside = np.asarray((seen @ planes[:, :3].T + planes[:, 3] >= 0).all(axis=1))
        if self.motion is not None:
            flat = self.project(seen[inside])
            inside[inside] = ((flat >= 0) & (flat <= (self.width, self.height))).all(axis=1)
        return inside

    def ray(self, u: float, v: float) -> Array:
        """Return the unit vector (3,) in the world through the pixel position (u, v)."""
        direction = np.array([(u - self.width / 2) / self.focal, (v - self.height / 2) / self.focal, 1.0])
        return np.asarray(self.axes.T @ (direction / np.linalg.norm(direction)))


def clipped_contours(camera: Camera, contours: Sequence[Array], margin: float = 0.0) -> list[Array]:
    """Project planar convex contours, cut to the picture.

    Args:
        camera: who looks.
        contours: (n, 3) each, world.
        margin: how far beyond the picture's edge to keep, pixels.

    Returns:
        The contours with something left, (k, 2) pixels each.

    Example:
        >>> camera = Camera(64, 36, tilt=0.0)
        >>> square = np.column_stack([np.full(4, 5.0), SQUARE * 1.25])
        >>> clipped_contours(camera, [square])[0].round(3).tolist()
        [[24.0, 10.0], [40.0, 10.0], [40.0, 26.0], [24.0, 26.0]]
    """
    return clipped_groups(camera, [contours], margin)[0]


def clipped_groups(camera: Camera, groups: Sequence[Sequence[Array]], margin: float = 0.0) -> list[list[Array]]:
    """Project the contours of several things, see `clipped_contours`.

    Args:
        camera: who looks.
        groups: of contours, (n, 3) each, world.
        margin: how far beyond the picture's edge to keep, pixels.

    Returns:
        Of each group, the contours with something left, (k, 2) pixels each.
    """
    planes = camera.planes(margin if camera.motion is None else WIDE)
    kept = [
        (number, points)
        for number, contours in enumerate(groups)
        for contour in contours
        if len(points := clip_polygon(camera.to_camera(contour), planes)) >= TRIANGLE
    ]
    result: list[list[Array]] = [[] for _ in groups]
    if camera.motion is None:
        for number, points in kept:
            result[number].append(camera.project(points))
    elif kept:
        pieces = [_in_pieces(points, camera.focal / (PIECE * camera.width)) for _, points in kept]
        flat = np.insert(camera.project(np.concatenate(pieces)), 2, 1.0, axis=1)
        low, width, height = margin, camera.width + margin, camera.height + margin
        edges = np.array([[1.0, 0, 0, low], [-1, 0, 0, width], [0, 1, 0, low], [0, -1, 0, height]])
        ends = np.cumsum([len(points) for points in pieces])[:-1]
        for (number, _), bent in zip(kept, np.split(flat, ends), strict=True):
            if len(cut := clip_polygon(bent, edges)) >= TRIANGLE:
                result[number].append(cut[:, :2])
    return result


def _in_pieces(points: Array, pieces: float) -> Array:
    """Cut the edges of a polygon (n, 3), all in front of the camera, so that 1 at unit depth becomes so many pieces."""
    ends = onward(points)
    flat, flat_ends = points[:, :2] / points[:, 2:], ends[:, :2] / ends[:, 2:]
    longest = float(np.linalg.norm(flat_ends - flat, axis=1).max()) * pieces
    share = np.linspace(0.0, 1.0, int(np.clip(np.ceil(longest), 1, 100)), endpoint=False)[:, None]
    near, far = (1 - share) / points[:, None, 2:], share / ends[:, None, 2:]
    return np.asarray((near * points[:, None] + far * ends[:, None]) / (near + far)).reshape(-1, 3)
