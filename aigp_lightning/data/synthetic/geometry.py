"""The camera, the gate's measures, clipping and projection. Lengths in metres, angles in radians unless said.

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

Array = NDArray[np.float64]

GATE_OUTER = 2.70
GATE_INNER = 1.50
GATE_DEPTH = 0.26
SPEC_WIDTH = 640
SPEC_FOCAL = 320.0
CAMERA_TILT = float(np.deg2rad(20.0))
NEAR = 0.10
TRIANGLE = 3
CORNER_NAMES = ("top_left", "top_right", "bottom_right", "bottom_left")

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
    """A pinhole camera at the world's origin, without distortion.

    Args:
        width: picture width, pixels.
        height: picture height, pixels.
        yaw: heading of the body that carries the camera.
        pitch: the body's pitch, nose up positive.
        roll: the body's roll, right side down positive.
        tilt: how far the camera looks up from the body's forward axis.

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

    @cached_property
    def focal(self) -> float:
        """Focal length in pixels; square pixels and 90° across whatever the width."""
        return SPEC_FOCAL * self.width / SPEC_WIDTH

    @cached_property
    def axes(self) -> Array:
        """(3, 3) rotation from world to camera; its rows are the camera's axes in the world."""
        body = rotation(self.yaw, self.pitch, self.roll) @ rotation(0.0, self.tilt, 0.0)
        return np.asarray(BODY_TO_CAMERA @ body.T)

    @cached_property
    def matrix(self) -> Array:
        """(3, 3) intrinsic matrix."""
        return np.array([[self.focal, 0, self.width / 2], [0, self.focal, self.height / 2], [0, 0, 1.0]])

    def planes(self, margin: float = 0.0) -> Array:
        """Return the planes that bound the camera's view.

        Args:
            margin: how far beyond the picture's edge to reach, pixels.

        Returns:
            (5, 4) half-spaces `n · p + d >= 0` in camera coordinates: near, left, right, top, bottom.
        """
        half_w, half_h, f = self.width / 2 + margin, self.height / 2 + margin, self.focal
        rows = [[0, 0, 1, -NEAR], [f, 0, half_w, 0], [-f, 0, half_w, 0], [0, f, half_h, 0], [0, -f, half_h, 0]]
        return np.array(rows, dtype=np.float64)

    def to_camera(self, points: Array) -> Array:
        """Turn world points (..., 3) into camera coordinates."""
        return np.asarray(points @ self.axes.T)

    def project(self, points: Array) -> Array:
        """Project camera-frame points (n, 3), all in front of the near plane, to pixels (n, 2)."""
        return np.asarray(points[:, :2] * (self.focal / points[:, 2:]) + (self.width / 2, self.height / 2))

    def inside(self, points: Array) -> NDArray[np.bool_]:
        """Tell which world points (n, 3) fall into the picture; (n,) bool."""
        planes = self.planes()
        return np.asarray((self.to_camera(points) @ planes[:, :3].T + planes[:, 3] >= 0).all(axis=1))

    def ray(self, u: float, v: float) -> Array:
        """Return the unit vector (3,) in the world through the pixel position (u, v)."""
        direction = np.array([(u - self.width / 2) / self.focal, (v - self.height / 2) / self.focal, 1.0])
        return np.asarray(self.axes.T @ (direction / np.linalg.norm(direction)))


def clip_polygon(points: Array, planes: Array) -> Array:
    """Cut a convex polygon to the inside of half-spaces (Sutherland and Hodgman, CACM 17(1), 1974).

    Args:
        points: (n, 3) corners in order, camera coordinates.
        planes: (m, 4) half-spaces `n · p + d >= 0`.

    Returns:
        (k, 3) corners of what remains, k = 0 where nothing does.

    Example:
        >>> triangle = np.array([[0.0, 0.0, 1.0], [2.0, 0.0, 1.0], [0.0, 2.0, 1.0]])
        >>> clip_polygon(triangle, np.array([[-1.0, 0.0, 0.0, 1.0]])).tolist()  # x up to 1
        [[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 2.0, 1.0]]
    """
    if (points @ planes[:, :3].T + planes[:, 3] >= 0).all():
        return points
    for plane in planes:
        side = points @ plane[:3] + plane[3]
        inside = side >= 0
        if inside.all():
            continue
        if not inside.any():
            return points[:0]
        after, side_after = np.roll(points, -1, axis=0), np.roll(side, -1)
        crosses = inside != np.roll(inside, -1)
        share = side / np.where(crosses, side - side_after, 1.0)
        cuts = points + share[:, None] * (after - points)
        both = np.stack([points, cuts], axis=1).reshape(-1, 3)
        points = both[np.stack([inside, crosses], axis=1).reshape(-1)]
    return points


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
        >>> gate = Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0)
        >>> clipped_contours(camera, [gate.square(2.5, 0.0)])[0].round(3).tolist()
        [[24.0, 10.0], [40.0, 10.0], [40.0, 26.0], [24.0, 26.0]]
    """
    planes = camera.planes(margin)
    cut = [clip_polygon(camera.to_camera(contour), planes) for contour in contours]
    return [camera.project(points) for points in cut if len(points) >= TRIANGLE]


@dataclass(frozen=True)
class Gate:
    """Place and attitude of a gate.

    Args:
        centre: (3,) middle of the frame's volume, world.
        axes: (3, 3) columns are the gate's right, down and into axes in the world.

    Example:
        >>> gate = Gate.facing(np.array([5.0, 0.0, 0.0]), yaw=0.0)
        >>> gate.seen_from_front(), gate.square(2.0, 0.0)[0].tolist()
        (True, [5.0, -1.0, -1.0])
        >>> gate.inner_corners(Camera(640, 360, tilt=0.0))[0].tolist()  # top left
        [4.87, -0.75, -0.75]
    """

    centre: Array
    axes: Array

    @classmethod
    def facing(cls, centre: Array, yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Gate:
        """Make a gate whose front is seen by a body that flies with this attitude towards it."""
        return cls(np.asarray(centre, dtype=np.float64), rotation(yaw, pitch, roll) @ BODY_TO_CAMERA.T)

    def seen_from_front(self) -> bool:
        """True if the camera, at the origin, is on the front's side."""
        return bool(-self.centre @ self.axes[:, 2] < 0)

    def square(self, side: float, z: float) -> Array:
        """Return the corners (4, 3) in the world of a square of this side at depth z of the gate's own frame."""
        flat = np.column_stack([SQUARE * (side / 2), np.full(4, z)])
        return np.asarray(self.centre + flat @ self.axes.T)

    def inner_corners(self, camera: Camera) -> Array:
        """Return the keypoints of the gate: the inner corners of the face that looks towards the camera.

        The rule: the order is top-left, top-right, bottom-right, bottom-left as seen from the camera's side, so it
        always runs clockwise in the picture. A gate seen from its front and less than 45° askew keeps the order of
        its own frame. Seen from behind, left and right are the viewer's. Turned further than 45° in the picture, the
        order starts at the corner that is top-left in the picture: the frame is the same after a quarter turn, so
        nothing in the picture could tell the difference. The near face is taken because its corners are edges that
        can be seen at any angle; a pose solved from them is that of this face, 0.13 m from the gate's middle.

        Args:
            camera: who looks.

        Returns:
            (4, 3) corners in the world.
        """
        sign = 1.0 if self.seen_from_front() else -1.0
        right, down, into = sign * self.axes[:, 0], self.axes[:, 1], sign * self.axes[:, 2]
        turns = [(right, down), (down, -right), (-right, -down), (-down, right)]
        upright = [r @ camera.axes[0] + d @ camera.axes[1] for r, d in turns]
        r, d = turns[int(np.argmax(upright))]
        face = self.centre - into * (GATE_DEPTH / 2)
        return np.asarray(face + (GATE_INNER / 2) * (SQUARE @ np.stack([r, d])))
