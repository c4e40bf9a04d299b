"""Run an exported model on the drone: boxes, corners, and the pose of each target.

Longer than 250 lines: this one file is copied to a machine without PyTorch. It imports NumPy, OpenCV and ONNX Runtime,
and nothing of this package, which in turn takes its pose solver from here, so that there is only one.

Frames: the camera's is x right, y down, z forward; a target's own, as seen by who looks at its front, is x right,
y down, z away from the viewer. Picture coordinates count from the picture's edge: pixel (0, 0) has its middle at
(0.5, 0.5).
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from functools import lru_cache
from itertools import combinations
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

# ---- pose of a rigid target ------------------------------------------------------------------------------------------

LEAST_POINTS = 4
"""So many keypoints give a pose; three do with a prior."""
PLANE, LINE, FLAT = 1e-6, 1e-3, 1e-6
"""Points whose extent across is below this share of that along lie in a plane, or three of them in a line; keypoints
with a triangle below the last share of the square of their extent are in a line in the picture."""
MANY = 12
"""Of more points than this not all threes are tried."""
FIT, NOISE = 0.35, 2.0
"""Largest reprojection error by how far the keypoints lie around their middle: over it they are no view of the target,
but keypoints in another order, or of something else; and the error, by the keypoints' standard deviation, up to which
noise may have brought four of them into another order."""
AMBIGUOUS, NO_ERROR = 0.4, 1e-5
"""From this `ambiguity` on the two poses are hard to tell apart, and a prior decides; and what is added to reprojection
errors, pixels, so that those of two exact poses compare."""
SAME_ANGLE, SAME_PLACE = 0.01, 0.003
"""Poses nearer to each other than this, in radians and by the distance, are one."""
STEPS, SMALL_STEP, WORTH_IT, FIRST_DAMPING = (3, 21), 1e-4, 25.0, 1e-4
"""Most steps of the refinement, in two parts; the size of a step, in radians and by the distance, after which it ends,
for the next would be smaller than its square, or a small share of it where keypoints are noisy; what is worth a part,
by the sum of squares of the best of its view; and the damping of the first step."""
UNBEND_STEPS, UNBEND_TO, UNBEND_FAULT = 20, 1e-9, 0.01
"""Steps in undoing distortion, error at which it ends, and largest error left, pixels."""
ALONG = np.array([0.25, 0.5, 0.75, 1.0])
"""Shares of the way out to a point at which a lens must not have folded its picture back."""
UNIT = np.eye(3)
# [w]× = w @ CROSS: the matrix by which a vector is multiplied crosswise.
CROSS = np.array([[0, 0, 0, 0, 0, -1, 0, 1, 0], [0, 0, 1, 0, 0, 0, -1, 0, 0], [0, -1, 0, 1, 0, 0, 0, 0, 0.0]])


HALF_CROSS = CROSS / 2


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
        distortion: OpenCV's k1 k2 p1 p2 k3 …: none, 4, 5, 8, 12 or 14 of them.
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

    def project(self, points: Array) -> Array:
        """Return where points are in the picture, (…, 2) pixels; what is behind the camera has no meaning.

        Args:
            points: (…, 3) in the camera's frame, metres.

        Example:
            >>> Camera(640, 360, 320.0, 320.0, 320.0, 180.0).project(np.array([[1.0, 0.0, 4.0]])).tolist()
            [[400.0, 180.0]]
        """
        with np.errstate(all="ignore"):
            rays = points[..., :2] / points[..., 2:]
        return _bend(rays, self)[0] * (self.fx, self.fy) + (self.cx, self.cy)


@dataclass(frozen=True)
class TargetPoses:
    """Where targets are, and how well that is known; NaN where not solved.

    Attributes:
        position: (n, 3) metres, the target's origin in the camera's frame.
        rotation: (n, 3, 3) from the target's frame to the camera's.
        solved: (n,) whether there is a pose.
        used: (n, K) keypoints that it was solved from.
        reprojection_px: (n,) RMS over those of the distance between a keypoint and the pose's, pixels; also of a pose
            that is not solved because it is over the limit.
        covariance: (n, 6, 6) of position (metres) and of a small turn about the camera's axes (radians), by the
            scatter of the reprojection or `sigma_px`, whichever is larger; to first order.
        ambiguity: (n,) reprojection error of the pose by that of the other one that fits the keypoints best, at most 1,
            which it also is where a prior chose the one with the larger error: near 1, either may be right; 0 where
            there is no other.
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


def no_poses(count: int, keypoints: int) -> TargetPoses:
    """Return poses of which none is solved.

    Args:
        count: of poses.
        keypoints: of the target.

    Example:
        >>> no_poses(2, 4).solved.tolist()
        [False, False]
    """
    return TargetPoses(
        *(np.full((count, 3), np.nan), np.full((count, 3, 3), np.nan), np.zeros(count, np.bool_)),
        *(np.zeros((count, keypoints), np.bool_), np.full(count, np.nan), np.full((count, 6, 6), np.nan)),
        *(np.zeros(count), np.full((count, 3), np.nan), np.full((count, 3, 3), np.nan)),
    )


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
    SQPnP (Terzakis and Lourakis, ECCV 2020), three, and what these cannot do, by P3P; each solution is refined to the
    least reprojection error (Levenberg-Marquardt). The distortion is undone exactly first, by Newton's method, and its
    slope there weighs the errors, so that they are pixels of the distorted picture.

    Not solved are targets with fewer than four usable keypoints, with keypoints in a line, in places that no view of
    the target has (crossed, coinciding, in another order), or over the limit. Nothing raises because of the points.

    Args:
        points: (n, K, 2) x and y in pixels of a picture of the camera's size.
        seen: (n, K) which of them to use; those that are no numbers or that the lens cannot show are left out.
        target: (K, 3) where each is on the target, metres.
        camera: that took the picture.
        limit_px: largest reprojection error, pixels; a pose over it counts as not solved. None: no limit.
        priors: (n) poses that are about right, such as the last frame's; with one, three keypoints are enough, and
            where two poses are hard to tell apart the one that is turned more like it is taken.
        sigma_px: standard deviation that each coordinate of a keypoint is at least believed to have, pixels.

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
    target = np.ascontiguousarray(target, np.float64)
    points = np.asarray(points, np.float64).reshape(-1, len(target), 2)
    poses = no_poses(len(points), len(target))
    with np.errstate(all="ignore"):
        views = _views(points, np.asarray(seen, np.bool_).reshape(-1, len(target)), target, camera, priors)
        if len(views.rows):
            starts = _starts(views)
            if len(starts[0]):
                _choose(poses, views, _refined(views, *starts), limit_px, sigma_px)
    return poses


@dataclass(frozen=True)
class _Views:
    """What is seen of m targets that have enough keypoints.

    Attributes:
        rows: (m,) which of the caller's rows each is.
        use: (m, K) keypoints to use.
        rays: (m, K, 2) x/z and y/z of each, 0 where not used.
        weights: (m, K, 2, 2) pixels of error by a ray's; (2,) focal lengths where nothing is distorted.
        middle: (m, 3) of the used keypoints on the target.
        shape: (m, K, 3) keypoints from that middle, 0 where not used.
        target: (K, 3).
        pixels: (m, K, 2).
        camera: that took the picture.
        turned: (m, 3, 3) rotation of the prior; NaN without one.
        place: (m, 3) position of the prior.
    """

    rows: NDArray[np.int64]
    use: Bools
    rays: Array
    weights: Array
    middle: Array
    shape: Array
    target: Array
    pixels: Array
    camera: Camera
    turned: Array
    place: Array


def _views(points: Array, seen: Bools, target: Array, camera: Camera, priors: TargetPoses | None) -> _Views:
    use = seen & np.isfinite(points).all(2)
    rays, weights, good = _unbend(np.where(use[..., None], points, 0.0), camera)
    use &= good
    least = np.full(len(points), LEAST_POINTS)
    if priors is not None:
        least[priors.solved] = LEAST_POINTS - 1
    rows = np.flatnonzero(use.sum(1) >= least)
    use = use[rows]
    share = use / np.maximum(use.sum(1, keepdims=True), 1)
    middle = share @ target
    return _Views(
        rows=rows,
        use=use,
        rays=rays[rows] * use[..., None],
        weights=weights if weights.ndim == 1 else weights[rows],
        middle=middle,
        shape=(target - middle[:, None]) * use[..., None],
        target=target,
        pixels=points[rows],
        camera=camera,
        turned=np.full((len(rows), 3, 3), np.nan) if priors is None else priors.rotation[rows],
        place=np.full((len(rows), 3), np.nan) if priors is None else priors.position[rows],
    )


def _bend(rays: Array, camera: Camera) -> tuple[Array, Array]:
    """Distort rays (…, 2); returns them, and the slopes (…, 2, 2) of the distortion there."""
    if not any(camera.distortion):
        return rays, np.broadcast_to(np.eye(2), (*rays.shape, 2))
    flat = np.concatenate((rays.reshape(-1, 2), np.ones((rays.size // 2, 1))), 1)
    if not len(flat):
        return rays, np.zeros((*rays.shape, 2))
    coefficients = np.asarray(camera.distortion, np.float64)
    bent, slopes = cv2.projectPoints(flat, np.zeros(3), np.zeros(3), np.eye(3), coefficients)
    return bent.reshape(rays.shape), slopes[:, 3:5].reshape(*rays.shape, 2)  # by a shift of points at depth 1


def _unbend(pixels: Array, camera: Camera) -> tuple[Array, Array, Bools]:
    """Undo the distortion of pixels (n, K, 2).

    Returns:
        Rays (n, K, 2); how many pixels they move by, (n, K, 2, 2), or (2,) without distortion; and which the lens can
        show at all, (n, K): where its picture folds back there is no ray.
    """
    focal = np.array([camera.fx, camera.fy])
    wanted = (pixels - (camera.cx, camera.cy)) / focal
    if not any(camera.distortion):
        return wanted, focal, np.ones(wanted.shape[:2], np.bool_)
    rays, trial, off = wanted, wanted, np.full(wanted.shape[:2], np.inf)
    slopes, step, share = np.zeros((*wanted.shape, 2)), np.zeros_like(wanted), np.ones(wanted.shape[:2])
    for _ in range(UNBEND_STEPS):
        bent, there = _bend(trial, camera)
        error = wanted - bent
        size = np.hypot(error[..., 0] * camera.fx, error[..., 1] * camera.fy)
        better = size < off
        pick = better[..., None]
        rays, off, slopes = (
            np.where(pick, trial, rays),
            np.where(better, size, off),
            np.where(pick[..., None], there, slopes),
        )
        if not (off > UNBEND_TO).any():
            break
        newton = (_inverse(there.reshape(-1, 2, 2)) @ error.reshape(-1, 2, 1)).reshape(error.shape)
        step, share = np.where(pick, newton, step), np.where(better, 1.0, share / 2)  # half of what made it worse
        trial = rays + step * share[..., None]
    return rays, slopes * focal[:, None], (off < UNBEND_FAULT) & _unfolded(rays, camera)


def _unfolded(rays: Array, camera: Camera) -> Bools:
    """Find rays (n, K, 2) on whose way from the middle the lens nowhere folds its picture back."""
    slopes = _bend(rays[..., None, :] * ALONG[:, None], camera)[1]
    turning = slopes[..., 0, 0] * slopes[..., 1, 1] - slopes[..., 0, 1] * slopes[..., 1, 0]
    return np.asarray(((turning > 0) & (slopes[..., 0, 0] + slopes[..., 1, 1] > 0)).all(2))


@lru_cache(maxsize=4096)
def _form(target: bytes, use: bytes) -> tuple[str, Array, tuple[int, ...]]:
    """Return how the used points of a target lie, the axes of their plane, and the three that span most.

    Four points of which three are in a line are `bent`: no plane's picture can be told from them, but a pose.

    Args:
        target: (K, 3) as bytes, so that it can be looked up.
        use: (K,) as bytes.

    Returns:
        `line`, `bent`, `plane` or `space`; (3, 3) the axes in rows, right-handed; and three numbers of points.
    """
    chosen = np.flatnonzero(np.frombuffer(use, np.bool_))
    points = np.frombuffer(target, np.float64).reshape(-1, 3)[chosen]
    _, spread, axes = np.linalg.svd(points - points.mean(0))
    axes = axes * np.linalg.det(axes)
    spread = np.append(spread, np.zeros(3))
    triples = np.array(list(combinations(range(len(points)), 3))) if len(points) <= MANY else _far_triple(points)
    ends = points[triples]
    areas = np.linalg.norm(np.cross(ends[:, 1] - ends[:, 0], ends[:, 2] - ends[:, 0]), axis=1)
    widest = tuple(int(place) for place in chosen[triples[int(areas.argmax())]])
    if spread[1] <= LINE * spread[0]:
        return "line", axes, widest
    if spread[2] > PLANE * spread[0] and len(points) >= LEAST_POINTS:
        return "space", axes, widest
    flat = (points @ axes.T)[:, :2]
    along = flat[None] - flat[:, None]
    away = np.abs(along[:, :, None, 0] * along[:, None, :, 1] - along[:, :, None, 1] * along[:, None, :, 0])
    on_line = (away <= LINE * spread[0] * np.hypot(*np.moveaxis(along, -1, 0))[..., None]).sum(2)
    np.fill_diagonal(on_line, 0)
    return ("bent" if on_line.max() >= len(points) - 1 else "plane"), axes, widest


def _far_triple(points: Array) -> NDArray[np.int64]:
    """Return three of many points that lie far apart, (1, 3): from the first, from each other, from their line."""
    one = int(np.linalg.norm(points - points.mean(0), axis=1).argmax())
    other = int(np.linalg.norm(points - points[one], axis=1).argmax())
    across = np.cross(points - points[one], points[other] - points[one])
    return np.array([[one, other, int(np.linalg.norm(across, axis=1).argmax())]])


def _starts(views: _Views) -> tuple[NDArray[np.int64], Array, Array]:
    """Return first guesses of the poses: the view that each is of, (s,), rotation (s, 3, 3) and middle (s, 3)."""
    key = views.target.tobytes()
    forms = [_form(key, use.tobytes()) for use in views.use]
    in_plane = [
        form[0] == "plane" and count >= LEAST_POINTS
        for form, count in zip(forms, views.use.sum(1).tolist(), strict=True)
    ]
    flat = [row for row, is_flat in enumerate(in_plane) if is_flat]
    parts = [_plane_starts(views, np.array(flat), np.array([forms[row][1] for row in flat]))] if flat else []
    for row, (kind, _, triple) in enumerate(forms):
        if not in_plane[row] and kind != "line":
            parts.extend(_point_starts(views, row, kind == "space", triple))
    if not parts:
        return np.zeros(0, np.int64), np.zeros((0, 3, 3)), np.zeros((0, 3))
    which, rotation, place = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
    if np.isfinite(rotation.sum() + place.sum()):
        return which, rotation, place
    sound = np.isfinite(rotation).all((1, 2)) & np.isfinite(place).all(1)
    return which[sound], rotation[sound], place[sound]


def _plane_starts(views: _Views, rows: NDArray[np.int64], axes: Array) -> tuple[NDArray[np.int64], Array, Array]:
    """Return both poses of points in a plane, from the plane's homography and its slope at their middle.

    OpenCV's IPPE finds nothing where rounding leaves the root of less than 0, as of a plane square to the line of
    sight, and solves for one target at a time; this is the same solution for all of them, with the root held at 0.

    Args:
        views: of all targets.
        rows: (r,) which are of points in a plane.
        axes: (r, 3, 3) of those planes, in rows.
    """
    flat = (views.shape[rows] @ axes.transpose(0, 2, 1))[..., :2]
    (a, b, p), (c, d, q), (e, f, _) = plane_homographies(flat, views.rays[rows], views.use[rows]).transpose(1, 2, 0)
    z = 1 / np.sqrt(p * p + q * q + 1)
    x, y, round_off = p * z, q * z, 1 / (1 + z)
    turn = np.empty((len(rows), 3, 3))  # from the optical axis to the ray through the middle
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 0, 2] = 1 - x * x * round_off, -x * y * round_off, x
    turn[:, 1, 0], turn[:, 1, 1], turn[:, 1, 2] = turn[:, 0, 1], 1 - y * y * round_off, y
    turn[:, 2, 0], turn[:, 2, 1], turn[:, 2, 2] = -x, -y, z
    g, h, i, j = turn[:, 0, 0] + p * x, turn[:, 0, 1] + p * y, turn[:, 0, 1] + q * x, turn[:, 1, 1] + q * y
    a, b, c, d = a - e * p, b - f * p, c - e * q, d - f * q  # the slope in the middle
    a, b, c, d = (part / (g * j - h * i) for part in (j * a - h * c, j * b - h * d, g * c - i * a, g * d - i * b))
    squares, area = a * a + b * b + c * c + d * d, a * d - b * c
    near = np.sqrt((squares + np.sqrt(np.maximum(squares * squares - 4 * area * area, 0))) / 2)
    a, b, c, d = a / near, b / near, c / near, d / near
    one, other = np.sqrt(np.maximum(1 - a * a - c * c, 0)), np.sqrt(np.maximum(1 - b * b - d * d, 0))
    other *= np.where(a * b + c * d > 0, -1.0, 1.0)
    own = np.empty((2, len(rows), 3, 3))
    own[..., 0, 0], own[..., 0, 1], own[..., 1, 0], own[..., 1, 1], own[..., 2, 2] = a, b, c, d, a * d - c * b
    own[..., 2, 0], own[..., 2, 1], own[..., 0, 2], own[..., 1, 2] = (
        one,
        other,
        c * other - one * d,
        one * b - a * other,
    )
    own[1, :, 2, :2] *= -1
    own[1, :, :2, 2] *= -1
    place = np.empty((2, len(rows), 3))
    place[..., 0], place[..., 1], place[..., 2] = p / near, q / near, 1 / near
    return np.concatenate((rows, rows)), (turn @ own @ axes).reshape(-1, 3, 3), place.reshape(-1, 3)


def plane_homographies(flat: Array, rays: Array, use: Bools) -> Array:
    """Return the homographies that take points of planes to rays, by least squares; NaN where four do not tell.

    Their last number is 1: the middle of what is seen is not at infinity.

    Args:
        flat: (r, K, 2) points around 0, and 0 where not used.
        rays: (r, K, 2) x/z and y/z of each, 0 where not used.
        use: (r, K) which to use.

    Returns:
        (r, 3, 3).

    Example:
        >>> square = np.array([[[-1.0, -1], [1, -1], [1, 1], [-1, 1]]])
        >>> (plane_homographies(square, square / 5 + 1, np.ones((1, 4), bool)).round(6) + 0).tolist()
        [[[0.2, 0.0, 1.0], [0.0, 0.2, 1.0], [0.0, 0.0, 1.0]]]
    """
    size = np.sqrt((flat * flat).sum((1, 2)) / use.sum(1))[:, None, None]
    count, keypoints = use.shape
    system = np.zeros((count, 2, keypoints, 9))
    system[:, 0, :, :2] = system[:, 1, :, 3:5] = flat / size
    system[:, 0, :, 2] = system[:, 1, :, 5] = use
    np.multiply(rays.transpose(0, 2, 1)[..., None], system[:, :1, :, :2], out=system[..., 6:8])
    system[..., 8] = rays.transpose(0, 2, 1)
    rows = system.reshape(count, -1, 9)
    squares = rows.transpose(0, 2, 1) @ rows
    squares[:, :8, 6:8] *= -1
    squares[:, 6:8, :8] *= -1
    squares[:, 6:8, 8] *= -1
    found = np.ones((count, 9))
    found[:, :8] = _solved(squares[:, :8, :8], squares[:, :8, 8:])[..., 0]
    homographies: Array = found.reshape(count, 3, 3)
    homographies[:, :, :2] /= size
    return homographies


def _point_starts(
    views: _Views, row: int, in_space: bool, triple: tuple[int, ...]
) -> Iterator[tuple[NDArray[np.int64], Array, Array]]:
    """Yield first guesses for one target, whose points are in no plane or too few for one."""
    use = views.use[row]
    prior = views.turned[row]
    if np.isfinite(prior).all():
        yield np.array([row]), prior[None], (views.place[row] + prior @ views.middle[row])[None]
    for chosen, method in ((np.flatnonzero(use), cv2.SOLVEPNP_SQPNP), (np.array(triple), cv2.SOLVEPNP_AP3P)):
        if method == cv2.SOLVEPNP_SQPNP and not in_space:
            continue
        shape, rays = views.shape[row][chosen], np.ascontiguousarray(views.rays[row][chosen])
        try:
            if method == cv2.SOLVEPNP_SQPNP:
                _, turns, places, _ = cv2.solvePnPGeneric(shape, rays, np.eye(3), None, flags=method)
            else:
                _, turns, places = cv2.solveP3P(shape, rays, np.eye(3), None, flags=method)
        except cv2.error:
            continue
        for turn, place in zip(turns, places, strict=True):
            yield np.array([row]), cv2.Rodrigues(turn)[0][None], place.reshape(1, 3)


@dataclass(frozen=True)
class _Refined:
    """Poses with the least reprojection error near their first guesses.

    Attributes:
        which: (s,) view that each is of.
        rotation: (s, 3, 3).
        place: (s, 3) of the middle of the used keypoints.
        error: (s,) RMS, pixels; infinite for what cannot be.
        information: (s, 6, 6) of middle and turn, for an error of 1 pixel.
    """

    which: NDArray[np.int64]
    rotation: Array
    place: Array
    error: Array
    information: Array


def _refined(views: _Views, which: NDArray[np.int64], rotation: Array, place: Array) -> _Refined:
    """Refine poses by Levenberg-Marquardt, all of them at once.

    Those alone go on that are not done and are not much worse than the best of their view so far: the others are not
    the pose, however little is left to gain.
    """
    rotation, place, moving = rotation.copy(), place.copy(), np.arange(len(which))
    weights = views.weights if views.weights.ndim == 1 else views.weights[which].transpose(0, 2, 3, 1)
    shape, rays = views.shape[which].transpose(0, 2, 1), views.rays[which].transpose(0, 2, 1)
    shape, rays, seen = np.ascontiguousarray(shape), np.ascontiguousarray(rays), views.use[which].astype(np.float64)
    squares = _linearized(shape, rays, seen, weights, rotation, place)
    for steps in STEPS:
        least = np.full(len(views.rows), np.inf)
        np.minimum.at(least, which, squares[:, 6, 6])
        moving = moving[squares[moving, 6, 6] <= WORTH_IT * least[which[moving]]]
        if not len(moving):
            break
        fixed = shape[moving], rays[moving], seen[moving], weights if weights.ndim == 1 else weights[moving]
        found = _descent(fixed, rotation[moving], place[moving], squares[moving], steps)
        rotation[moving], place[moving], squares[moving], size = found
        moving = moving[size > SMALL_STEP]
    use = views.use[which]
    depth = (views.shape[which] @ rotation[:, 2, :, None])[..., 0] + place[:, 2:]
    real = ((depth > 0) | ~use).all(1) & np.isfinite(squares[:, 6, 6])
    error = np.where(real, np.sqrt(squares[:, 6, 6] / use.sum(1)), np.inf)
    return _Refined(which, rotation, place, error, squares[:, :6, :6])


def _descent(
    fixed: tuple[Array, Array, Array, Array], rotation: Array, place: Array, squares: Array, steps: int
) -> tuple[Array, Array, Array, Array]:
    """Go so many steps downhill, turning about the camera's axes.

    Args:
        fixed: shape, rays, use and weights of each, as `_linearized` takes them.
        rotation: (s, 3, 3) to start from.
        place: (s, 3) to start from.
        squares: (s, 7, 7) of that start, as of `_linearized`.
        steps: at most.

    Returns:
        Rotation, place, their squares, and the size of the last step (s,).
    """
    damping, unit = np.full((len(place), 1), FIRST_DAMPING), np.ones((len(place), 6))
    for _ in range(steps):
        damped = np.ascontiguousarray(squares[:, :6, :6])
        damped.reshape(-1, 36)[:, ::7] *= 1 + damping
        step = _solved(damped, squares[:, :6, 6:])[..., 0]
        new_place, new_rotation = place + step[:, :3], _turns(step[:, 3:]) @ rotation
        unit[:, :3] = place[:, 2:]
        size = np.abs(step / unit).max(1)
        if not (size > SMALL_STEP).any():  # taken, and not measured any more: by how much it is better follows from it
            squares = squares.copy()
            squares[:, 6, 6] = np.maximum(squares[:, 6, 6] - (step * squares[:, :6, 6]).sum(1), 0)
            return new_rotation, new_place, squares, size
        new_squares = _linearized(*fixed, new_rotation, new_place)
        better = new_squares[:, 6, 6] <= squares[:, 6, 6]
        if better.all():
            place, rotation, squares, damping = new_place, new_rotation, new_squares, damping * 0.01
        else:
            pick = better[:, None]
            place, damping = np.where(pick, new_place, place), damping * np.where(pick, 0.01, 10.0)
            pick = pick[..., None]
            rotation, squares = np.where(pick, new_rotation, rotation), np.where(pick, new_squares, squares)
    return rotation, place, squares, size


def _linearized(shape: Array, rays: Array, use: Array, weights: Array, rotation: Array, place: Array) -> Array:
    """Return the products of all slopes and errors of poses, (s, 7, 7).

    That is [J r]ᵀ[J r]: the information of place and turn, in its last column how to go downhill, and in its corner
    the sum of squared errors, pixels. All of a kind lies side by side, since NumPy is slow along short axes.

    Args:
        shape: (s, 3, K) as in `_Views`, the axes turned; also what follows.
        rays: (s, 2, K).
        use: (s, K) 1 or 0.
        weights: (s, 2, 2, K), or (2,).
        rotation: (s, 3, 3).
        place: (s, 3).
    """
    count, _, keypoints = shape.shape
    arms = rotation @ shape
    points = arms + place[:, :, None]
    near = use / points[:, 2]
    flat = points[:, :2] * near[:, None]
    x, y, z = arms[:, 0], arms[:, 1], arms[:, 2] * near
    table = np.zeros((count, 7, 2, keypoints))
    table[:, 0, 0] = table[:, 1, 1] = near
    deeper = np.multiply(flat, -near[:, None], out=table[:, 2])
    np.multiply(deeper, y[:, None], out=table[:, 3])
    np.multiply(deeper, -x[:, None], out=table[:, 4])
    table[:, 3, 1] -= z
    table[:, 4, 0] += z
    table[:, 5, 0], table[:, 5, 1] = -y * near, x * near
    np.subtract(rays, flat, out=table[:, 6])
    if weights.ndim == 1:
        table *= weights[:, None]
    else:
        table = (weights[:, None] * table[:, :, None]).sum(3)
    rows = table.reshape(count, 7, -1)
    return np.asarray(rows @ rows.transpose(0, 2, 1))


def _choose(poses: TargetPoses, views: _Views, found: _Refined, limit_px: float | None, sigma_px: float) -> None:
    """Fill in the best pose of each view, the best of the others, and what they are worth."""
    own, middle = found.which, views.middle[found.which]
    error = np.where(_likely(views, found, sigma_px), found.error, np.inf)
    position = found.place - (found.rotation @ middle[..., None])[..., 0]
    rank, away = error, np.zeros(len(own), np.bool_)
    if np.isfinite(views.place).any():
        first = np.full(len(views.rows), np.inf)
        np.minimum.at(first, own, error)
        to_prior = _apart(found.rotation, position, views.turned[own], views.place[own])
        away = np.isfinite(to_prior) & ~(error * AMBIGUOUS <= first[own] + NO_ERROR)
        rank = np.where(np.isfinite(to_prior) & ~away, to_prior, error)
    best = _firsts(np.lexsort((rank, away, own)), own, np.isfinite(error))
    if not len(best):
        return
    kept = own[best]
    of_view = np.zeros(len(views.rows), np.int64)
    of_view[kept] = best
    mine = of_view[own]
    other = _apart(found.rotation, position, found.rotation[mine], position[mine]) > SAME_ANGLE
    second = _firsts(np.lexsort((error, own)), own, np.isfinite(error) & other)
    poses.used[views.rows[kept]], poses.reprojection_px[views.rows[kept]] = views.use[kept], error[best]
    if limit_px is not None:
        best, second = best[error[best] <= limit_px], second[error[mine[second]] <= limit_px]
    rows, target = views.rows[own[best]], views.rows[own[second]]
    poses.solved[rows], poses.position[rows], poses.rotation[rows] = True, position[best], found.rotation[best]
    poses.covariance[rows] = _covariances(found, best, middle[best], views.use[own[best]].sum(1), sigma_px)
    poses.ambiguity[target] = np.minimum((error[mine[second]] + NO_ERROR) / (error[second] + NO_ERROR), 1)
    poses.other_position[target], poses.other_rotation[target] = position[second], found.rotation[second]


def _firsts(order: NDArray[np.int64], own: NDArray[np.int64], allowed: Bools) -> NDArray[np.int64]:
    """Return the first allowed one of each view, of an order that goes by view."""
    order = order[allowed[order]]
    views = own[order]
    return np.asarray(order[np.append(True, views[1:] != views[:-1])[: len(order)]])


def _likely(views: _Views, found: _Refined, sigma_px: float) -> Bools:
    """Find poses whose keypoints lie about where the target's would, (s,)."""
    use, count = views.use, views.use.sum(1)
    middle = views.pixels.sum(1, where=use[..., None]) / count[:, None]
    spread = np.sqrt(((views.pixels - middle[:, None]) ** 2).sum((1, 2), where=use[..., None]) / count)
    order = _uncrossed(views)[found.which] | (found.error <= NOISE * sigma_px)
    return np.asarray((found.error <= FIT * spread[found.which]) & order)


def _uncrossed(views: _Views) -> Bools:
    """Find views of other than four points in a plane, and those whose four go round as the target's do, (m,).

    Four points have a homography whatever their order; in the wrong one it has some of them behind the camera. Then
    three of them run clockwise and another three counter-clockwise, where on the target all run alike.
    """
    fine = np.ones(len(views.use), np.bool_)
    rows = np.flatnonzero(views.use.sum(1) == LEAST_POINTS)
    if not len(rows):
        return fine
    chosen = np.argsort(~views.use[rows], axis=1, kind="stable")[:, :LEAST_POINTS]
    key = views.target.tobytes()
    axes = np.array([_form(key, use.tobytes())[1] for use in views.use[rows]])
    flat = views.target[chosen] @ axes.transpose(0, 2, 1)
    in_plane = np.ptp(flat[..., 2], axis=1) <= PLANE * np.ptp(flat[..., 0], axis=1)
    own = _areas(flat[..., :2])
    seen = _areas(np.take_along_axis(views.rays[rows], chosen[..., None], 1))
    counts = np.abs(own) > LINE
    turns = np.where(counts, seen * np.sign(own), 0)
    sharp = np.abs(turns) > FLAT
    fine[rows] = ~in_plane | ((turns >= 0) & (sharp | ~counts)).all(1) | ((turns <= 0) & (sharp | ~counts)).all(1)
    return fine


def _areas(four: Array) -> Array:
    """Return twice the areas of the four triangles of four points (r, 4, 2), by their extent squared, (r, 4)."""
    one, other, third = (four[:, list(places)] for places in zip(*combinations(range(4), 3), strict=True))
    along, across = other - one, third - one
    extent = np.ptp(four, axis=1).max(1, keepdims=True) ** 2
    return np.asarray((along[..., 0] * across[..., 1] - along[..., 1] * across[..., 0]) / extent)


def _covariances(found: _Refined, chosen: NDArray[np.int64], middle: Array, count: Array, sigma_px: float) -> Array:
    """Return covariances (r, 6, 6) of position and turn: the inverse information, by the scatter of a coordinate."""
    inverse = _solved(found.information[chosen], np.tile(np.eye(6), (len(chosen), 1, 1)))
    move = np.zeros((len(chosen), 6, 6))
    move.reshape(-1, 36)[:, ::7] = 1
    arm = (found.rotation[chosen] @ middle[..., None])[..., 0]
    move[:, :3, 3:] = (arm @ CROSS).reshape(-1, 3, 3)  # the origin is moved by a turn about the middle
    spare = 2 * count - 6  # numbers that are measured beyond those that are solved for
    scatter = np.where(spare > 0, found.error[chosen] ** 2 * count / np.maximum(spare, 1), 0)
    variance = np.maximum(scatter, sigma_px**2)[:, None, None]
    return np.asarray(move @ inverse @ move.transpose(0, 2, 1) * variance)


def _apart(rotation: Array, position: Array, other: Array, place: Array) -> Array:
    """Return how far poses are from others, (s,): the angle in radians, and the way by the distance as if it were."""
    off, turned = position - place, (rotation - other).reshape(-1, 9)
    way = np.sqrt((off * off).sum(1) / np.maximum((position * position).sum(1), np.finfo(np.float64).tiny))
    sine = np.sqrt((turned * turned).sum(1) / 8)
    return np.asarray(2 * np.arcsin(np.minimum(sine, 1)) + way)


def _turns(small: Array) -> Array:
    """Return rotations (s, 3, 3) for small turns (s, 3) radians: Cayley's, the same to third order."""
    half = (small @ HALF_CROSS).reshape(-1, 3, 3)
    share = 2 / (1 + (small * small).sum(1) / 4)
    return np.asarray(UNIT + (half + half @ half) * share[:, None, None])


def _inverse(two: Array) -> Array:
    """Return the inverses of matrices (r, 2, 2)."""
    (a, b), (c, d) = two[:, 0].T, two[:, 1].T
    return np.asarray(np.stack((d, -b, -c, a), 1).reshape(-1, 2, 2) / (a * d - b * c)[:, None, None])


def _solved(matrices: Array, sides: Array) -> Array:
    """Solve linear systems (r, k, k) with right sides (r, k, j); NaN where one has no solution."""
    try:
        return np.asarray(np.linalg.solve(matrices, sides))
    except np.linalg.LinAlgError:  # one of them: the others by themselves
        found = np.full(sides.shape, np.nan)
        for row, (matrix, side) in enumerate(zip(matrices, sides, strict=True)):
            with suppress(np.linalg.LinAlgError):
                found[row] = np.linalg.solve(matrix, side)
        return found


# ---- what a file says of itself, and how it is checked ---------------------------------------------------------------

CONTRACT, CONTRACT_HASH = "aigp_contract", "aigp_contract_sha256"
"""Keys of an exported file's metadata: the contract as JSON, and the SHA-256 of its canonical JSON."""
CONTRACT_FILES = "aigp_files"
"""Key of a `contract.json`: the SHA-256 of each exported file by its name, which covers its weights, too."""
CONTRACT_FORMAT = "aigp-contract-1"
FIELDS = (
    "task", "classes", "keypoints", "input", "resize", "colour", "scaling", "output", "thresholds", "camera",
    "object_points",
)  # fmt: skip
"""Fields of a contract: what must be the same in the air as it was in training."""
LETTERBOX, STRETCH = "letterbox", "stretch"
CANDIDATES, ONE_TO_ONE, QUERIES = "candidates", "one_to_one", "queries"
"""Layouts of an output: (1, 4 + classes + more, candidates) cxcywh in pixels, which overlap and need suppression;
(1, n, 6 + more) xyxy in pixels, confidence and class, best first; (1, 4 + classes, queries) cxcywh in pixels, of which
the surest pairs of query and class count."""
SHA256 = re.compile("[0-9a-f]{64}")
DEEPEST = 16
"""A contract's values are nested less deeply than this."""
MOST, MOST_PIXELS, MOST_THREADS = 2**31 - 1, 65_535, 1024
"""Highest count, side of an input, and number of threads."""
DISTORTIONS = (0, 4, 5, 8, 12, 14)
"""Numbers of distortion coefficients that OpenCV has a model for."""
SHOWN = 120
"""So many characters of a wrong value are shown."""


class _Rule(NamedTuple):
    """Allowed values of a field.

    Attributes:
        fits: tells whether a value of JSON is one of them.
        words: go on from "… is", about one that is not.
    """

    fits: Callable[[Any], bool]
    words: str


def _is_number(value: Any) -> bool:
    """True if a value is a number and no truth value, is finite, and fits a float."""
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _is_place(value: Any) -> bool:
    return isinstance(value, list) and len(value) == len("xyz") and all(map(_is_number, value))


def _is_shape(value: Any) -> bool:
    """True if a value is points in places of their own, of which three or more are not in a line."""
    if not (isinstance(value, list) and value and all(map(_is_place, value))):
        return False
    points = np.array(value, np.float64)
    points /= np.abs(points).max() or 1
    extent = np.linalg.svd(points - points.mean(0), compute_uv=False)
    apart = len({tuple(point) for point in points.tolist()}) == len(points)
    return apart and (len(points) < len("xyz") or bool(extent[1] > LINE * extent[0]))


def _known(*values: Any) -> _Rule:
    """Allow the values that this file knows how to follow."""
    return _Rule(
        lambda value: any(type(value) is type(each) and value == each for each in values),
        "nothing that this runtime.py knows; take the exporter's own",
    )


def _whole(low: int, high: int = MOST) -> _Rule:
    return _Rule(lambda value: type(value) is int and low <= value <= high, f"no whole number from {low} to {high}")


def _list_of(fits: Callable[[Any], bool], words: str, least: int = 0) -> _Rule:
    return _Rule(lambda value: isinstance(value, list) and len(value) >= least and all(map(fits, value)), words)


def _or_null(rule: _Rule) -> _Rule:
    return _Rule(lambda value: value is None or rule.fits(value), f"{rule.words}, nor null")


ANY = _Rule(lambda value: True, "")
TEXT = _Rule(lambda value: isinstance(value, str), "no text")
BOOL = _Rule(lambda value: isinstance(value, bool), "neither true nor false")
SHARE = _Rule(lambda value: _is_number(value) and 0 <= value <= 1, "no number from 0 to 1")
POSITIVE = _Rule(lambda value: _is_number(value) and value > 0, "no number above 0")
NUMBER = _Rule(_is_number, "no number")
RESIZE_RULE = _known(LETTERBOX, STRETCH)
RESIZE: dict[str, dict[str, _Rule]] = {
    LETTERBOX: {
        "rule": RESIZE_RULE, "interpolation": _known("bilinear"), "rounding": _known("up", "nearest"),
        "grey": _whole(0, 255), "centred": _known(True),
    },
    STRETCH: {
        "rule": RESIZE_RULE, "interpolation": _known("bilinear, antialiased"),
        "passes": _known("width first", "by shrinkage"),
    },
}  # fmt: skip
FORM: dict[str, Any] = {
    "task": _known("detect", "pose", "segment"),
    "classes": _list_of(TEXT.fits, "no list of names, one at least", 1),
    "keypoints": {
        "count": _whole(1), "numbers": _known(2, 3), "names": _list_of(TEXT.fits, "no list of names"),
        "flip_idx": _or_null(_list_of(_whole(0).fits, "no list of whole numbers")),
    },
    "input": {
        "width": _whole(1, MOST_PIXELS), "height": _whole(1, MOST_PIXELS), "dynamic": BOOL, "batch": _known(1),
        "axes": _known("NCHW"),
    },
    "resize": {},  # see RESIZE
    "colour": _known("RGB"),
    "scaling": {"divide_by": _known(255)},
    "output": {
        "family": TEXT, "layout": _known(CANDIDATES, ONE_TO_ONE, QUERIES), "boxes": _known("cxcywh", "xyxy"),
        "unit": _known("pixels of the input"), "nms": BOOL, "agnostic": BOOL,
    },
    "thresholds": {
        "conf": SHARE, "keypoint_conf": SHARE, "iou": SHARE, "reprojection_px": _or_null(POSITIVE),
        "max_det": _whole(1), "chosen": BOOL,
    },
    "camera": {
        "width": _whole(1), "height": _whole(1), "fx": POSITIVE, "fy": POSITIVE, "cx": NUMBER, "cy": NUMBER,
        "distortion": _Rule(
            lambda value: isinstance(value, list) and len(value) in DISTORTIONS and all(map(_is_number, value)),
            "no list of none, 4, 5, 8, 12 or 14 numbers",
        ),
    },
    "object_points": _Rule(_is_shape, "no list of [x, y, z], each in a place of its own and not all in a line"),
}  # fmt: skip
"""Form of a contract's fields; nothing else may be in it."""
NULLABLE = ("keypoints", "camera", "object_points")
"""Fields that may be null: nobody said."""


class ContractError(ValueError):
    """A model that must not fly: it cannot be read, was altered, or is not what is expected.

    Example:
        >>> check_contract({CONTRACT: "{}", CONTRACT_HASH: ""})
        Traceback (most recent call last):
        aigp_lightning.deploy.runtime.ContractError: its aigp_contract is not of the format aigp-contract-1, but None
    """


class FrameError(ValueError):
    """A frame that cannot be looked at, or to which the network's answer is no number.

    Example:
        >>> raise FrameError("a frame is (H, W, 3) uint8")
        Traceback (most recent call last):
        aigp_lightning.deploy.runtime.FrameError: a frame is (H, W, 3) uint8
    """


def canonical(value: Any) -> str:
    """Return a value's one spelling as JSON: keys in order, no spaces, ASCII alone.

    Args:
        value: of what JSON knows; no infinity and no NaN.

    Example:
        >>> canonical({"b": 1, "a": [0.5, None]})
        '{"a":[0.5,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_of(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON, in hexadecimal digits.

    Args:
        value: see `canonical`.

    Example:
        >>> sha256_of({})[:8]
        '44136fa3'
    """
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()


def seal(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata of a file that carries a contract.

    Args:
        fields: see `FIELDS`.

    Example:
        >>> check_contract(seal({"colour": "RGB"}))
        {'colour': 'RGB'}
    """
    each = {name: sha256_of(value) for name, value in fields.items()}
    document = {"format": CONTRACT_FORMAT, "fields": dict(fields), "sha256": each}
    return {CONTRACT: canonical(document), CONTRACT_HASH: sha256_of(document)}


def check_contract(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a contract, once every hash is right.

    Args:
        told: metadata of a file, or the content of a `contract.json`.

    Raises:
        ContractError: there is none, or it was altered; it names the field.
    """
    document = _document(told.get(CONTRACT))
    form = document.get("format") if isinstance(document, dict) else None
    if form != CONTRACT_FORMAT:
        raise ContractError(f"its aigp_contract is not of the format {CONTRACT_FORMAT}, but {_cut(repr(form))}")
    fields, hashes = document.get("fields"), document.get("sha256")
    if not isinstance(fields, dict) or not isinstance(hashes, dict):
        raise ContractError("its aigp_contract was altered: it has no fields or no hashes; export it again")
    if more := sorted(document.keys() - {"format", "fields", "sha256"}):
        raise ContractError(f"its aigp_contract has what this runtime.py does not know: {', '.join(map(_key, more))}")
    names = sorted(fields.keys() | hashes.keys())
    altered = [_key(name) for name in names if name not in fields or hashes.get(name) != sha256_of(fields[name])]
    if altered:
        are = "do not match their hashes" if len(altered) > 1 else "does not match its hash"
        raise ContractError(f"its contract was altered: {', '.join(altered)} {are}; export it again")
    if told.get(CONTRACT_HASH) != sha256_of(document):
        raise ContractError("its contract was altered: it does not match aigp_contract_sha256; export it again")
    return fields


def _document(written: Any) -> Any:
    """Return the contract that is written in metadata, as plain values.

    Raises:
        ContractError: there is none, or there is something in it that is no JSON.
    """
    if written is None:
        raise ContractError(
            "it carries no contract (aigp_contract): it was exported by an earlier version; export it again"
        )
    try:
        return _plain_json(_parsed(written) if isinstance(written, str) else written)
    except ContractError as error:
        raise ContractError(f"its aigp_contract was altered: {error}; export it again") from None


def _parsed(text: str) -> Any:
    """Return what a text says in JSON.

    Raises:
        ContractError: it is none.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ContractError("it is no JSON: nested too deeply") from None
    except ValueError as error:
        raise ContractError(f"it is no JSON: {error}") from None


def _plain_json(value: Any, name: str = "", depth: int = 0) -> Any:
    """Return a value as JSON has it, its tuples as lists.

    Raises:
        ContractError: JSON has no such value; it names the field.
    """
    where = name or "it"
    if depth >= DEEPEST:
        raise ContractError(f"{_cut(where)} is nested too deeply")
    if isinstance(value, Mapping):
        keys = [_key(_plain_json(key, f"a name in {where}", depth)) for key in value]
        named = zip(keys, value.items())  # noqa: B905  (Python 3.8 and 3.9 have no strict)
        return {key: _plain_json(part, f"{name}.{shown}".lstrip("."), depth + 1) for shown, (key, part) in named}
    if isinstance(value, (list, tuple)):
        return [_plain_json(part, f"{name}[{place}]", depth + 1) for place, part in enumerate(value)]
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ContractError(f"{where} is no Unicode text") from None
        return value
    if value is None or isinstance(value, bool) or _is_number(value):
        return value
    if isinstance(value, (int, float)):
        raise ContractError(f"{where} is no finite number")
    raise ContractError(f"{where} is of {type(value).__name__}, which JSON does not know")


def _key(name: Any) -> str:
    """Return a field's name as a line of text shows it.

    Raises:
        ContractError: it is no text.
    """
    if not isinstance(name, str):
        raise ContractError(f"{_cut(repr(name))} is no name of a field: that is a text")
    return _cut(name if name.isprintable() else json.dumps(name)[1:-1])


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def differences(found: Any, expected: Any, name: str = "") -> list[str]:
    """Return what differs from an expectation, each by name; what is not expected is not looked at.

    Args:
        found: in a file.
        expected: the same or a part of it: of mappings, the keys that matter.
        name: of the field.

    Example:
        >>> differences({"colour": "RGB", "input": {"width": 640}}, {"input": {"width": 320}})
        ['input.width: file has 640, expected 320']
    """
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        parts = [
            differences(found[key], value, f"{name}.{key}" if name else str(key))
            if key in found
            else [f"{name}.{key}".lstrip(".") + f": the file has no such field, expected {_shown(value)}"]
            for key, value in expected.items()
        ]
        return [each for part in parts for each in part]
    same = found == expected and isinstance(found, bool) == isinstance(expected, bool)
    return [] if same else [f"{name}: file has {_shown(found)}, expected {_shown(expected)}"]


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


class _Expected(NamedTuple):
    """What a model must agree with.

    Attributes:
        fields: of the contract, or the part of them that matters.
        files: SHA-256 of each exported file by its name; None where nobody says.
    """

    fields: Mapping[str, Any]
    files: Mapping[str, str] | None = None


def _expected(expects: Any) -> _Expected:
    """Return what is expected, of a file or a mapping: a whole contract, which is checked, or fields.

    Raises:
        ContractError: it says nothing that can be expected.
    """
    whose = "expects"
    try:
        if isinstance(expects, (str, os.PathLike)):
            whose = str(os.fspath(expects))
            expects = _parsed(_text_of(expects))
        if not isinstance(expects, Mapping):
            raise ContractError("it is no contract: it is no mapping of fields")
        content = _plain_json(expects)
        if not content:
            raise ContractError("it expects nothing")
        if CONTRACT not in content:
            return _Expected(content)
        if more := sorted(content.keys() - {CONTRACT, CONTRACT_HASH, CONTRACT_FILES}):
            raise ContractError(f"beside a whole contract there is {', '.join(map(_key, more))}")
        files = content.get(CONTRACT_FILES)
        right = isinstance(files, dict) and all(
            isinstance(each, str) and SHA256.fullmatch(each) for each in files.values()
        )
        if files is not None and not right:
            raise ContractError(f"{CONTRACT_FILES} does not have the SHA-256 of each file by its name")
        return _Expected(check_contract(content), files)
    except OSError as error:
        raise ContractError(f"{whose} cannot be read: {error.strerror}") from error
    except ContractError as error:
        raise ContractError(f"{whose}: {error}") from None


def _text_of(path: str | os.PathLike[str]) -> str:
    """Return the text of a file.

    Raises:
        ContractError: it is none.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except ValueError as error:
        raise ContractError(f"it is no text in UTF-8: {error}") from error


def _other_bytes(path: str, digest: str, files: Mapping[str, str] | None) -> list[str]:
    """Return in what a file is none of those that were exported; one that was renamed still is."""
    if files is None:
        return []
    name = os.path.basename(path)
    if digest == files.get(name, digest if digest in files.values() else None):
        return []
    expected = f"expected {files[name]}" if name in files else f"which {CONTRACT_FILES} has of none"
    return [f"sha256: the file's is {digest}, {expected}: it is another export, or its weights were altered"]


def _own_words(told: Mapping[str, str], fields: Mapping[str, Any]) -> list[str]:
    """Return what a file's other metadata, by which other programs decode it, say otherwise than its contract."""
    names, points, size = fields["classes"], fields["keypoints"], fields["input"]
    expected = {
        "task": fields["task"],
        "names": dict(enumerate(names)),
        "imgsz": [size["height"], size["width"]],
        "kpt_shape": None if points is None else [points["count"], points["numbers"]],
        "end2end": fields["output"]["layout"] == ONE_TO_ONE,
    }
    found = {}
    for key in expected.keys() & told.keys():
        try:
            found[key] = ast.literal_eval(told[key])
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            found[key] = told[key]
    wrong = [key for key in expected if key in found and found[key] != expected[key]]
    return [f"{key}: its metadata say {_cut(repr(found[key]))}, its contract {expected[key]}" for key in wrong]


def faults(fields: Mapping[str, Any]) -> list[str]:
    """Return what is wrong in a contract, each by name: what is missing, unknown, of the wrong kind or out of range.

    Args:
        fields: as `check_contract` returns them.

    Example:
        >>> faults({"colour": "RGB"})[0]
        'task: the contract does not say it'
    """
    resize = fields.get("resize")
    rules = resize if isinstance(resize, Mapping) else {}
    unknown = {**dict.fromkeys(rules, ANY), "rule": RESIZE_RULE}
    form = next((form for name, form in RESIZE.items() if name == rules.get("rule")), unknown)
    return _against(fields, {**FORM, "resize": form}) or _contradictions(fields)


def _against(value: Any, form: Any, name: str = "") -> list[str]:
    """Return in what a value is not of a form: of a rule, or a mapping of names to forms."""
    if value is None and name in NULLABLE:
        return []
    if isinstance(form, _Rule):
        return [] if form.fits(value) else [f"{name}: {_cut(_shown(value))} is {form.words}"]
    if not isinstance(value, Mapping):
        return [f"{name}: {_cut(_shown(value))} is no mapping"]
    start = f"{name}." if name else ""
    missing = [f"{start}{key}: the contract does not say it" for key in form if key not in value]
    unknown = "is nothing that this runtime.py knows; take the exporter's own"
    more = [f"{start}{_key(key)} {unknown}" for key in value if key not in form]
    parts = [_against(value[key], part, f"{start}{key}") for key, part in form.items() if key in value]
    return missing + more + [each for part in parts for each in part]


def _contradictions(fields: Mapping[str, Any]) -> list[str]:
    """Return which fields, each of which is right by itself, do not go together."""
    points, target, output, resize = (fields[name] for name in ("keypoints", "object_points", "output", "resize"))
    count = 0 if points is None else points["count"]
    flip = None if points is None else points["flip_idx"]
    rounding = "nearest" if fields["input"]["dynamic"] else "up"
    boxes = "xyxy" if output["layout"] == ONE_TO_ONE else "cxcywh"
    told = {
        "keypoints.names: their number is not that of the keypoints": points is None or len(points["names"]) == count,
        "keypoints.flip_idx: it has not each keypoint once": flip is None
        or (len(flip) == count and sorted(flip) == list(range(count))),
        "object_points: their number is not that of the keypoints": target is None or len(target) == count,
        f"output.boxes: those of {output['layout']} are {boxes}": output["boxes"] == boxes,
        f"output.nms: {CANDIDATES} need it, and nothing else does": output["nms"] == (output["layout"] == CANDIDATES),
        f"resize.rounding: with this input.dynamic it is {rounding}": resize.get("rounding", rounding) == rounding,
    }
    return [text for text, holds in told.items() if not holds]


def _misfits(session: Any, fields: Mapping[str, Any]) -> list[str]:
    """Return in what a graph's real inputs and outputs differ from its contract; sizes left open are not looked at."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    size, output, points = fields["input"], fields["output"], fields["keypoints"]
    numbers = 0 if points is None else points["count"] * points["numbers"]
    if output["layout"] == ONE_TO_ONE:
        place, least = 2, 6 + numbers
    else:
        place, least = 1, 4 + len(fields["classes"]) + numbers
    exact = fields["task"] != "segment"  # there, coefficients of the masks follow
    wrong = []
    if len(inputs) != 1 or inputs[0].type not in INPUT_TYPES:
        kinds = ", ".join(each.type for each in inputs)
        return [f"input: the graph takes {kinds}, expected one of float32 or float16"]
    shape, expected = inputs[0].shape, [1, 3, size["height"], size["width"]]
    open_or_right = len(shape) == len(expected) and all(
        not isinstance(have, int) or have == expected[place] for place, have in enumerate(shape)
    )
    if not open_or_right:
        wrong.append(f"input: the graph takes {shape}, expected {expected}")
    if size["dynamic"] != any(not isinstance(have, int) for have in shape):
        wrong.append(f"input.dynamic: the graph takes {shape}, the contract says {_shown(size['dynamic'])}")
    if outputs[0].type not in INPUT_TYPES:
        return [*wrong, f"output: the graph gives {outputs[0].type}, expected float32 or float16"]
    shape = outputs[0].shape
    columns = shape[place] if len(shape) == len(("batch", "numbers", "boxes")) else None
    if columns is None or (isinstance(columns, int) and (columns != least if exact else columns < least)):
        wrong.append(f"output: the graph gives {shape}, expected {least} numbers a box ({output['layout']})")
    return wrong


INPUT_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


# ---- from a frame to detections --------------------------------------------------------------------------------------

STRIDE = 32
"""Sides of an input that fits the frame are multiples of it, pixels."""
MOST_CANDIDATES = 30_000
"""Of so many candidates, the surest, is chosen at most."""
CLASS_OFFSET = 7680
"""Pixels by which the boxes of each class are moved apart, so that no two classes overlap."""
SAME_ASPECT = 0.01
"""A frame whose aspect differs from the camera's by a larger share was cut or stretched: not this camera's."""
SAME_OBJECT = 0.3
"""Overlap from which on a box is the object of a box of the frame before."""
SHAPES_KEPT = 4
"""So many shapes of frames are prepared for at a time."""
WHOLE = 1 << 22
"""Weights of an antialiased resize are whole numbers of which so many make 1."""
BLOCK = 8
"""Columns of an antialiased resize that are computed at a time."""
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

Floats = NDArray[np.float32]


class Timings(NamedTuple):
    """Seconds that a frame took.

    Attributes:
        pre: from the frame to the network's input.
        network: within ONNX Runtime.
        post: from its answer to boxes, corners and poses.
    """

    pre: float
    network: float
    post: float


@dataclass(frozen=True)
class Detections:
    """The objects found in a frame, best first.

    Attributes:
        boxes: (n, 4) xyxy, pixels of the frame.
        scores: (n,) confidence, 0…1.
        labels: (n,) class ids.
        names: (n,) their names.
        corners: (n, K, 3) keypoints: x and y in pixels of the frame, which may lie outside of it, and confidence; K is
            0 for a model without any.
        seen: (n, K) keypoints whose confidence reaches `thresholds.keypoint_conf`.
        poses: (n) poses by the keypoints that are seen; None where the contract has no camera or no object points.
        usable: (n,) poses from at least four keypoints whose reprojection error is within
            `thresholds.reprojection_px`.
        timings: of this frame.
    """

    boxes: Floats
    scores: Floats
    labels: NDArray[np.int64]
    names: list[str]
    corners: Floats
    seen: Bools
    poses: TargetPoses | None
    usable: Bools
    timings: Timings

    def __len__(self) -> int:
        return len(self.boxes)


class Model:
    """An exported model, ready to fly.

    Attributes:
        path: of the file.
        contract: its fields, see `FIELDS`.
        contract_sha256: of the whole contract; two files with the same one are used alike.
        file_sha256: of the file's bytes, with its weights.
        names: class names by id.
        camera: that it was made for; None where the contract has none.
        target: (K, 3) where each keypoint is on the object, metres; None where the contract does not say.
        provider: what ONNX Runtime runs it on, such as `CPUExecutionProvider`.

    Example:
        >>> model = Model.load("best.onnx", expects="contract.json")  # doctest: +SKIP
        >>> found = model(frame)  # doctest: +SKIP
        >>> found.poses.position[found.usable]  # doctest: +SKIP
    """

    def __init__(
        self, path: str, session: Any, fields: dict[str, Any], hashes: tuple[str, str], poses: bool = True
    ) -> None:
        self.path, self.contract = path, fields
        self.contract_sha256, self.file_sha256 = hashes
        self.names: list[str] = fields["classes"]
        self.camera = None if fields["camera"] is None else Camera(**fields["camera"])
        target = fields["object_points"]
        self.target = None if target is None else np.array(target, np.float64)
        self.provider: str = session.get_providers()[0]
        self._session, self._poses = session, poses and self.camera is not None and target is not None
        self._input, self._output = session.get_inputs()[0].name, session.get_outputs()[0].name
        self._kind = INPUT_TYPES[session.get_inputs()[0].type]
        self._fits: dict[tuple[int, int], _Fit] = {}
        rule, output, limit = fields["thresholds"], fields["output"], fields["thresholds"]["reprojection_px"]
        self._conf, self._keypoint_conf = np.float32(rule["conf"]), np.float32(rule["keypoint_conf"])
        self._iou, self._most = float(rule["iou"]), int(rule["max_det"])
        self._limit = np.inf if limit is None else float(limit)
        self._layout, self._agnostic = str(output["layout"]), bool(output["agnostic"])

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        expects: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        threads: int | None = None,
        providers: Sequence[str] | None = None,
        poses: bool = True,
    ) -> Model:
        """Open an ONNX file that `export` wrote, and refuse one that is not what is expected.

        Args:
            path: of the file.
            expects: a `contract.json`, its content, or the fields of it that matter. A `contract.json` has the SHA-256
                of the files it was written with: one with other weights is refused. Fields say nothing of weights.
            threads: that the network is computed with; None: one for each core.
            providers: of ONNX Runtime, in order; the first is insisted on. None: CUDA where this ONNX Runtime has it,
                else the processor; `provider` says which.
            poses: solve for poses, where the contract has a camera and object points.

        Raises:
            ContractError: it cannot be opened, was altered, or differs from what is expected or from what it says; all
                differences by name.
        """
        name = os.fspath(path)
        expected = _Expected({}) if expects is None else _expected(expects)
        session, digest = _open(name, threads, providers)
        try:
            told = session.get_modelmeta().custom_metadata_map
            fields = check_contract(told)
        except UnicodeDecodeError:
            raise ContractError(f"{name}: its metadata are no text; export it again") from None
        except ContractError as error:
            raise ContractError(f"{name}: {error}") from None
        wrong = faults(fields)
        if not wrong:
            strange = [f"{_key(key)}: a contract has no such field" for key in expected.fields if key not in FIELDS]
            known = {key: value for key, value in expected.fields.items() if key in FIELDS}
            wrong = strange + differences(fields, known) + _other_bytes(name, digest, expected.files)
            wrong += _own_words(told, fields) + _misfits(session, fields)
        if wrong:
            raise ContractError(f"{name} is refused: " + "; ".join(wrong))
        return cls(name, session, fields, (told[CONTRACT_HASH], digest), poses)

    def __call__(self, frame: NDArray[np.uint8], bgr: bool = True, priors: Detections | None = None) -> Detections:
        """Find the objects in a frame.

        Args:
            frame: (H, W, 3) uint8.
            bgr: blue comes first, as in what OpenCV reads; else red does.
            priors: what was found in the frame before: with the pose of the same object there, which is the one of the
                same class whose box overlaps most, three keypoints are enough for a pose.

        Raises:
            FrameError: it is no frame, not of the camera's aspect, or the network answers NaN.
        """
        began = time.perf_counter()
        fit = self._fit(frame)
        images = fit.fill(frame, bgr)
        filled = time.perf_counter()
        output = self._session.run([self._output], {self._input: images})[0][0]
        answered = time.perf_counter()
        boxes, scores, labels, more = self._decode(np.asarray(output, np.float32), images.shape[2:])
        boxes, corners, seen = self._in_frame(boxes, more, fit)
        poses, usable = self._solved(corners, seen, fit.shape, (boxes, labels), priors)
        names = [self.names[label] for label in labels.tolist()]
        timings = Timings(filled - began, answered - filled, time.perf_counter() - answered)
        return Detections(boxes, scores, labels, names, corners, seen, poses, usable, timings)

    def warm_up(self, shape: tuple[int, int] | None = None, runs: int = 3) -> float:
        """Run on grey frames, so that the first real one takes no longer than the others.

        Args:
            shape: height and width of the frames that will come; None: those of the camera, or of the input.
            runs: how many.

        Returns:
            Seconds that the last one took.
        """
        size = self.contract["input"]
        usual = (size["height"], size["width"]) if self.camera is None else (self.camera.height, self.camera.width)
        frame = np.full((*(shape or usual), 3), 114, np.uint8)
        return sum([self(frame).timings for _ in range(max(runs, 1))][-1])

    def _fit(self, frame: NDArray[np.uint8]) -> _Fit:
        """Return how frames of this shape are brought into the input.

        Raises:
            FrameError: it is no frame, or not of the camera's aspect.
        """
        if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:  # noqa: PLR2004
            what = f"{frame.shape} {frame.dtype}" if isinstance(frame, np.ndarray) else type(frame).__name__
            raise FrameError(f"a frame is (H, W, 3) uint8, not {what}")
        shape = frame.shape[0], frame.shape[1]
        if shape in self._fits:
            return self._fits[shape]
        if not all(shape):
            raise FrameError(f"a frame has pixels, this one is {shape[1]} × {shape[0]}")
        camera = self.camera if self._poses else None
        if camera is not None and abs(shape[1] * camera.height / (shape[0] * camera.width) - 1) > SAME_ASPECT:
            raise FrameError(
                f"the frame is {shape[1]} × {shape[0]} pixels, and the contract's camera {camera.width} × "
                f"{camera.height}: another aspect, so there is no pose; Model.load(…, poses=False) goes without"
            )
        if len(self._fits) >= SHAPES_KEPT:
            self._fits.clear()
        made = _Stretch if self.contract["resize"]["rule"] == STRETCH else _Letterbox
        self._fits[shape] = made(shape, self.contract, self._kind)
        return self._fits[shape]

    def _decode(self, output: Floats, size: tuple[int, int]) -> tuple[Floats, Floats, NDArray[np.int64], Floats]:
        """Return boxes (n, 4) xyxy in pixels of the input, scores (n,), labels (n,) and further numbers (n, k).

        Raises:
            FrameError: there is NaN in the answer.
        """
        if output.size and np.isnan(output.min()):
            raise FrameError(f"{self.path} answers NaN, which is no number: its weights are damaged, or too large")
        if self._layout == ONE_TO_ONE:
            rows = output[output[:, 4] > self._conf][: self._most]
            return rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64), rows[:, 6:]
        if self._layout == QUERIES:
            return _surest_pairs(output, size, self._conf, self._most)
        return _suppressed(output, len(self.names), self._conf, self._iou, self._most, self._agnostic)

    def _in_frame(self, boxes: Floats, more: Floats, fit: _Fit) -> tuple[Floats, Floats, Bools]:
        """Return boxes and keypoints in pixels of the frame, and which keypoints are seen."""
        height, width = fit.shape
        boxes = (boxes.reshape(-1, 2, 2) - fit.offset) / fit.gain
        boxes = np.minimum(np.maximum(boxes, np.float32(0)), np.array([width, height], np.float32)).reshape(-1, 4)
        described = self.contract["keypoints"]
        if described is None:
            return boxes, np.zeros((len(boxes), 0, 3), np.float32), np.zeros((len(boxes), 0), np.bool_)
        points = more.reshape(len(boxes), described["count"], described["numbers"])
        corners = np.ones((len(boxes), described["count"], 3), np.float32)  # without a confidence each counts as seen
        corners[..., : described["numbers"]] = points
        corners[..., :2] = (corners[..., :2] - fit.offset) / fit.gain
        return boxes, corners, corners[..., 2] >= self._keypoint_conf

    def _solved(
        self,
        corners: Floats,
        seen: Bools,
        shape: tuple[int, int],
        found: tuple[Floats, NDArray[np.int64]],
        priors: Detections | None,
    ) -> tuple[TargetPoses | None, Bools]:
        """Return the poses, and which are usable."""
        if not self._poses or self.camera is None or self.target is None:
            return None, np.zeros(len(corners), np.bool_)
        scale = np.array([self.camera.width / shape[1], self.camera.height / shape[0]])
        points = corners[..., :2].astype(np.float64) * scale
        before = None if priors is None or priors.poses is None else _poses_before(*found, priors, priors.poses)
        poses = solve_targets(points, seen, self.target, self.camera, None, before)
        with np.errstate(invalid="ignore"):
            usable = poses.solved & (seen.sum(1) >= LEAST_POINTS)
            usable &= poses.reprojection_px <= self._limit
        return poses, usable


def _open(path: str, threads: int | None, providers: Sequence[str] | None) -> tuple[Any, str]:
    """Open a file with ONNX Runtime; return its session and its SHA-256.

    Raises:
        ContractError: it cannot be opened, or not on what is insisted on.
    """
    import onnxruntime

    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()
    available = onnxruntime.get_available_providers()
    chosen = [name for name in (CUDA, CPU) if name in available] if providers is None else list(providers)
    missing = [name for name in chosen if name not in available]
    if missing or not chosen:
        raise ContractError(f"providers: {', '.join(missing) or 'none'}; this ONNX Runtime has {', '.join(available)}")
    if threads is not None and not _whole(0, MOST_THREADS).fits(threads):
        raise ContractError(f"threads: {_cut(repr(threads))} is {_whole(0, MOST_THREADS).words}; 0: one for each core")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads or 0, 3
    try:
        with open(path, "rb") as file:
            content = file.read()
        session = onnxruntime.InferenceSession(content, options, providers=chosen)
    except OSError as error:
        raise ContractError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # a damaged file fails in many ways
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ContractError(f"{path} cannot be opened by ONNX Runtime: {first}") from error
    if providers is not None and session.get_providers()[0] != chosen[0]:
        raise ContractError(
            f"{path} does not run on {chosen[0]}, though this ONNX Runtime has it: a library of it is missing, or not "
            "of the right version"
        )
    return session, hashlib.sha256(content).hexdigest()


# ---- frames into the network's input ---------------------------------------------------------------------------------


class _Fit:
    """The way of frames of one shape into the network's input.

    Attributes:
        shape: height and width of the frames, pixels.
        gain: (2,) pixels of the input for one of the frame, across and down.
        offset: (2,) where the frame begins in the input, from its left and its top, pixels.
    """

    def __init__(self, shape: tuple[int, int], outer: tuple[int, int], kind: type) -> None:
        self.shape, self.gain, self.offset = shape, np.ones(2, np.float32), np.zeros(2, np.float32)
        self._canvas = np.empty((1, 3, *outer), np.float32)
        self._half: NDArray[Any] | None = np.empty((1, 3, *outer), kind) if kind is not np.float32 else None

    def fill(self, frame: NDArray[np.uint8], bgr: bool) -> NDArray[Any]:
        """Return the input, (1, 3, H, W) RGB, 0…1; it is written over by the next call.

        Args:
            frame: (H, W, 3).
            bgr: blue comes first.
        """
        self._draw(np.ascontiguousarray(frame), (2, 1, 0) if bgr else (0, 1, 2))
        if self._half is None:
            return self._canvas
        np.copyto(self._half, self._canvas, casting="same_kind")
        return self._half

    def _draw(self, frame: NDArray[np.uint8], order: tuple[int, int, int]) -> None:
        raise NotImplementedError


class _Letterbox(_Fit):
    """The frame keeps its aspect, and the rest of the input is grey; sizes are rounded as in training."""

    def __init__(self, shape: tuple[int, int], contract: Mapping[str, Any], kind: type) -> None:
        size = contract["input"]
        outer, sizes = (size["height"], size["width"]), [shape]
        long_side = max(outer)
        share = long_side / max(shape)
        if size["dynamic"]:
            inner = max(round(shape[0] * share), 1), max(round(shape[1] * share), 1)
            outer = -(-inner[0] // STRIDE) * STRIDE, -(-inner[1] // STRIDE) * STRIDE
            sizes += [inner] if inner != shape else []
        elif share != 1:
            sizes.append((min(math.ceil(shape[0] * share), long_side), min(math.ceil(shape[1] * share), long_side)))
        gain = min(outer[0] / sizes[-1][0], outer[1] / sizes[-1][1], 1.0)
        sizes.append((max(round(sizes[-1][0] * gain), 1), max(round(sizes[-1][1] * gain), 1)))
        super().__init__(shape, outer, kind)
        changes = [(sizes[place - 1], sizes[place]) for place in range(1, len(sizes))]
        self._steps = [
            (new, _interpolation(old, new), np.empty((*new, 3), np.uint8)) for old, new in changes if old != new
        ]
        height, width = sizes[-1]
        # The tenth makes an odd pixel go to the right and to the bottom.
        top, left = round((outer[0] - height) / 2 - 0.1), round((outer[1] - width) / 2 - 0.1)
        before = sizes[-2]
        self.gain = np.array([gain * before[1] / shape[1], gain * before[0] / shape[0]], np.float32)
        self.offset = np.array([left, top], np.float32)
        self._canvas[:] = np.float32(contract["resize"]["grey"]) / np.float32(255)
        self._inner = self._canvas[0, :, top : top + height, left : left + width]
        self._planes = [np.empty((height, width), np.uint8) for _ in range(3)]

    def _draw(self, frame: NDArray[np.uint8], order: tuple[int, int, int]) -> None:
        for new, how, room in self._steps:
            frame = cv2.resize(frame, new[::-1], dst=room, interpolation=how)
        planes = cv2.split(frame, self._planes)
        for place, plane in enumerate(order):
            np.copyto(self._inner[place], planes[plane])
        np.divide(self._inner, np.float32(255), out=self._inner)


def _interpolation(old: tuple[int, int], new: tuple[int, int]) -> int:
    """Return OpenCV's interpolation: where a size shrinks by 3, 5, …, bilinear takes the middle pixel, faster so."""
    times = old[0] // new[0]
    exact = times % 2 == 1 and times > 1 and old == (new[0] * times, new[1] * times)
    return int(getattr(cv2, "INTER_NEAREST_EXACT", cv2.INTER_LINEAR) if exact else cv2.INTER_LINEAR)


class _Stretch(_Fit):
    """The frame fills the input, and is averaged where it becomes smaller."""

    def __init__(self, shape: tuple[int, int], contract: Mapping[str, Any], kind: type) -> None:
        outer = contract["input"]["height"], contract["input"]["width"]
        super().__init__(shape, outer, kind)
        self.gain = np.array([outer[1] / shape[1], outer[0] / shape[0]], np.float32)
        self._resize = _Triangles(shape, outer, contract["resize"]["passes"])

    def _draw(self, frame: NDArray[np.uint8], order: tuple[int, int, int]) -> None:
        np.copyto(self._canvas[0], self._resize(frame, order), casting="same_kind")
        np.divide(self._canvas, np.float32(255), out=self._canvas)


class _Triangles:
    """Pillow's bilinear filter, to the last bit, for pictures of one shape.

    Each output is a sum over the inputs under a triangle, rounded to whole numbers after each of two passes. Its
    weights are whole numbers, too, so that float64 makes no error; they are in blocks next to the diagonal.
    """

    def __init__(self, shape: tuple[int, int], size: tuple[int, int], passes: str) -> None:
        down, across = shape[0] - size[0], shape[1] - size[1]
        self._down_first = passes == "by shrinkage" and down > 0 and down > 2 * across
        self._down, self._across = _triangles(shape[0], size[0]), _triangles(shape[1], size[1])
        height, width = (size[0], shape[1]) if self._down_first else (shape[0], size[1])
        self._planes = [np.empty(shape, np.uint8) for _ in range(3)]
        self._source = np.empty((3, *shape))
        self._between, self._done = np.empty((3, height, width)), np.empty((3, *size))

    def __call__(self, picture: NDArray[np.uint8], order: tuple[int, int, int]) -> Array:
        """Return the resized planes of a picture, (3, h, w), in this order of its channels."""
        planes = cv2.split(picture, self._planes)
        for place, plane in enumerate(order):
            np.copyto(self._source[place], planes[plane])
        steps = (_down, self._down), (_across, self._across)
        first, second = steps if self._down_first else steps[::-1]
        first[0](self._source, first[1], self._between)
        second[0](self._between, second[1], self._done)
        return self._done


def stretched(picture: NDArray[np.uint8], size: tuple[int, int], passes: str) -> NDArray[np.uint8]:
    """Resize a picture as files with the rule `stretch` want it, without keeping its aspect.

    Args:
        picture: (H, W, 3).
        size: height and width of the result.
        passes: order of the two, which versions of Pillow do differently: `width first`, or `by shrinkage`: height
            first where it shrinks by more than twice as many pixels.

    Returns:
        (h, w, 3).

    Example:
        >>> stretched(np.array([[[0] * 3, [90] * 3], [[30] * 3, [120] * 3]], np.uint8), (1, 1), "width first").tolist()
        [[[60, 60, 60]]]
    """
    planes = _Triangles((picture.shape[0], picture.shape[1]), size, passes)(picture, (0, 1, 2))
    return np.ascontiguousarray(planes.transpose(1, 2, 0).astype(np.uint8))


def _triangles(old: int, new: int) -> list[tuple[slice, slice, Array]] | None:
    """Return the weights of a pass in blocks: rows of the source, of the result, and (rows, columns); None for none."""
    if old == new:
        return None
    scale = old / new
    reach = max(scale, 1.0)
    centre = (np.arange(new) + 0.5) * scale
    first = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    end = np.minimum((centre + reach + 0.5).astype(np.int64), old)
    at = first[:, None] + np.arange((end - first).max())
    weights = np.maximum(1 - np.abs((at - centre[:, None] + 0.5) * (1 / reach)), 0) * (at < end[:, None])
    total = np.cumsum(weights, 1)[:, -1:]  # one by one, as a loop adds
    weights = np.floor(0.5 + weights / total * WHOLE)
    blocks = []
    for start in range(0, new, BLOCK):
        mine = np.arange(start, min(start + BLOCK, new))
        low, high = int(first[mine].min()), int(end[mine].max())
        block = np.zeros((high - low, len(mine)))
        inside = at[mine] < end[mine, None]
        column = np.broadcast_to(np.arange(len(mine))[:, None], inside.shape)
        block[(at[mine] - low)[inside], column[inside]] = weights[mine][inside]
        blocks.append((slice(low, high), slice(start, start + len(mine)), block))
    return blocks


def _across(source: Array, blocks: list[tuple[slice, slice, Array]] | None, done: Array) -> None:
    """Resize (3, H, W) to (3, H, w)."""
    if blocks is None:
        np.copyto(done, source)
        return
    flat, result = source.reshape(-1, source.shape[2]), done.reshape(-1, done.shape[2])
    for rows, columns, weights in blocks:
        np.matmul(flat[:, rows], weights, out=result[:, columns])
    _rounded(done)


def _down(source: Array, blocks: list[tuple[slice, slice, Array]] | None, done: Array) -> None:
    """Resize (3, H, W) to (3, h, W)."""
    if blocks is None:
        np.copyto(done, source)
        return
    for rows, columns, weights in blocks:
        np.matmul(weights.T, source[:, rows], out=done[:, columns])
    _rounded(done)


def _rounded(sums: Array) -> None:
    """Turn weighted sums into the nearest whole numbers, in place."""
    np.add(sums, WHOLE // 2, out=sums)
    np.multiply(sums, 1 / WHOLE, out=sums)
    np.floor(sums, out=sums)


# ---- the network's answer --------------------------------------------------------------------------------------------


def _suppressed(
    output: Floats, classes: int, conf: np.float32, iou: float, most: int, agnostic: bool
) -> tuple[Floats, Floats, NDArray[np.int64], Floats]:
    """Keep of overlapping boxes the surest: non-maximum suppression (NMS), one label a box."""
    scores = output[4 : 4 + classes]
    sure = np.flatnonzero((scores[0] if classes == 1 else scores.max(0)) > conf)
    found = np.ascontiguousarray(output[:, sure].T)
    labels = found[:, 4 : 4 + classes].argmax(1)
    best = found[np.arange(len(found)), 4 + labels]
    centre, half = found[:, :2], found[:, 2:4] / 2
    boxes: Floats = np.concatenate((centre - half, centre + half), 1)
    order = np.argsort(-best, kind="stable")[:MOST_CANDIDATES]
    moved = boxes if agnostic else np.add(boxes, labels[:, None].astype(np.float32) * np.float32(CLASS_OFFSET))
    kept = order[_greedy(moved[order], iou, most)]
    return boxes[kept], best[kept], labels[kept], found[kept, 4 + classes :]


def _greedy(boxes: Floats, iou: float, most: int) -> NDArray[np.int64]:
    """Return the places of boxes that overlap no surer kept one by more than `iou`; the surest come first."""
    limit = np.float32(iou)
    if float(limit) > iou:  # what is above the next float32 below is above the value itself
        limit = np.nextafter(limit, np.float32(-1))
    left, top, right, bottom = boxes.T.copy()
    areas = (right - left) * (bottom - top)
    rest, kept = np.arange(len(boxes)), [0][:0]
    nothing = np.float32(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        while len(rest) and len(kept) < most:
            one, rest = rest[0], rest[1:]
            kept.append(one)
            width = np.minimum(right[one], right[rest]) - np.maximum(left[one], left[rest])
            height = np.minimum(bottom[one], bottom[rest]) - np.maximum(top[one], top[rest])
            shared = np.maximum(width, nothing) * np.maximum(height, nothing)
            rest = rest[~(shared / (areas[one] + areas[rest] - shared) > limit)]
    return np.array(kept, np.int64)


def _surest_pairs(
    output: Floats, size: tuple[int, int], conf: np.float32, most: int
) -> tuple[Floats, Floats, NDArray[np.int64], Floats]:
    """Return the surest pairs of query and class, whatever they overlap."""
    classes = len(output) - 4
    scores = output[4:].T.ravel()
    sure = np.flatnonzero(scores >= conf)
    sure = sure[np.argsort(-scores[sure], kind="stable")[:most]]
    scale = np.array([size[1], size[0], size[1], size[0]], np.float32)
    found = output[:4, sure // classes].T / scale
    centre, half = found[:, :2], np.maximum(found[:, 2:], np.float32(0)) / 2
    boxes = np.clip(np.concatenate((centre - half, centre + half), 1), 0, 1) * scale
    return boxes, scores[sure], sure % classes, boxes[:, :0]


def _poses_before(
    boxes: Floats, labels: NDArray[np.int64], priors: Detections, poses: TargetPoses
) -> TargetPoses | None:
    """Return for each box the pose of the same object in the frame before, not solved where it has none; None for none.

    Pairs are of one class, and those that overlap most come first; every box is in one pair at most.
    """
    if not poses.solved.any():
        return None
    low = np.maximum(boxes[:, None, :2], priors.boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], priors.boxes[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(2)
    mine, theirs = ((each[:, 2:] - each[:, :2]).prod(1) for each in (boxes, priors.boxes))
    overlap = shared / np.maximum(mine[:, None] + theirs - shared, np.finfo(np.float32).tiny)
    overlap[(labels[:, None] != priors.labels) | ~poses.solved] = 0
    before = np.full(len(boxes), -1)
    while overlap.size and overlap.max() >= SAME_OBJECT:
        one, other = np.unravel_index(overlap.argmax(), overlap.shape)
        before[one], overlap[one], overlap[:, other] = other, 0, 0
    taken = {each.name: getattr(poses, each.name)[before] for each in dataclass_fields(TargetPoses)}
    return TargetPoses(**{**taken, "solved": taken["solved"] & (before >= 0)})


# ---- the command line ------------------------------------------------------------------------------------------------


def as_plain(found: Detections, file: str = "") -> dict[str, Any]:
    """Return what was found as plain values for JSON; what is not known is None.

    Args:
        found: in a frame.
        file: of the frame.
    """
    arrays = {name: getattr(found, name) for name in ("boxes", "scores", "labels", "corners", "seen", "usable")}
    poses = [] if found.poses is None else [each.name for each in dataclass_fields(TargetPoses)]
    return {
        "file": file,
        "names": found.names,
        **{name: _plain(values.tolist()) for name, values in arrays.items()},
        "poses": {name: _plain(getattr(found.poses, name).tolist()) for name in poses} or None,
        "timings_ms": {name: round(value * 1e3, 3) for name, value in found.timings._asdict().items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _lines(found: Detections, file: str) -> list[str]:
    """Return what was found in a frame, a line each."""
    times = ", ".join(f"{name} {value * 1e3:.2f}" for name, value in found.timings._asdict().items())
    lines = [f"{file}: {len(found)} found; {times} ms"]
    for row, name in enumerate(found.names):
        words = [f"  {name} {found.scores[row]:.3f}", "box " + " ".join(f"{value:.1f}" for value in found.boxes[row])]
        if found.seen.shape[1]:
            words.append(f"{found.seen[row].sum()} of {found.seen.shape[1]} keypoints seen")
        if found.poses is not None and found.poses.solved[row]:
            place = ", ".join(f"{value:.3f}" for value in found.poses.position[row])
            words.append(f"at ({place}) m, reprojection {found.poses.reprojection_px[row]:.2f} px")
        if found.poses is not None:
            words.append("usable" if found.usable[row] else "not usable")
        lines.append("  ".join(words))
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Look at frames by a file, or tell its contract.

    Args:
        arguments: of the command line.

    Returns:
        The exit status: 2 if the file is refused or a frame cannot be looked at.
    """
    parser = argparse.ArgumentParser(description="Run an exported model on frames; without any, tell its contract.")
    parser.add_argument("model", help="the .onnx file")
    parser.add_argument("frames", nargs="*", help="pictures")
    parser.add_argument("--expects", help="a contract.json that the file must agree with")
    parser.add_argument("--threads", type=int, help="that the network is computed with; by default one for each core")
    parser.add_argument("--provider", help="of ONNX Runtime, such as CUDAExecutionProvider")
    parser.add_argument("--no-poses", action="store_true", help="do not solve for poses")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each frame")
    options = parser.parse_args(arguments)
    providers = None if options.provider is None else [options.provider]
    try:
        model = Model.load(options.model, options.expects, options.threads, providers, not options.no_poses)
        if not options.frames:
            told = {
                CONTRACT_HASH: model.contract_sha256, "file_sha256": model.file_sha256, "provider": model.provider,
                "contract": model.contract,
            }  # fmt: skip
            print(json.dumps(told, indent=None if options.json else 2))
            return 0
        for file in options.frames:
            frame = cv2.imread(file)
            if frame is None:
                raise FrameError(f"{file} cannot be read as a picture")
            if file is options.frames[0]:
                model.warm_up(frame.shape[:2])
            found = model(frame)
            print(*([json.dumps(as_plain(found, file))] if options.json else _lines(found, file)), sep="\n", flush=True)
    except (ContractError, FrameError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever reads, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
