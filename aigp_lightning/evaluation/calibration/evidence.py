"""All that the figures are counted from: pairs with labelled objects, and poses by every set of keypoints seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.evaluation.calibration.detections import Detections
from aigp_lightning.evaluation.calibration.frames import Frames
from aigp_lightning.evaluation.frame_poses import FrameTarget, solve_poses
from aigp_lightning.modules.metrics.gate_camera import degrees_between
from aigp_lightning.modules.metrics.pairing import choose, of_one_class, overlapping, pairs_of_images

OVERLAP = 0.5
"""Intersection over union from which a detection is that of an object of its class."""
WITHIN = 0.5
"""A detection of whose area so much lies within a labelled box of its class is on that object."""
Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Poses:
    """Poses of detections by the keypoints that are seen at each lowest confidence; NaN where there is none.

    Attributes:
        row: (p,) the detection that each is of, rising.
        reprojection: (p, k) RMS reprojection error, pixels of the camera's picture.
        position: (p, k, 3) metres, in the camera's frame.
        rotation: (p, k, 3, 3) from the object's frame to the camera's.
        true_position: (t, 3) of the labelled objects.
        true_rotation: (t, 3, 3) of these.
    """

    row: Indices
    reprojection: Array
    position: Array
    rotation: Array
    true_position: Array
    true_rotation: Array


@dataclass(frozen=True)
class Evidence:
    """Detections of all frames, and what is known of each.

    Attributes:
        frames: that were looked at.
        found: the detections.
        match: (d, j) the labelled object that each is, at each overlap of suppression; -1: of none.
        on_object: (d,) it lies on a labelled object of its class.
        keypoint_conf: (k,) lowest confidences of a keypoint; (None,) where none are tried.
        poses: of the detections whose pose matters; None where poses cannot be had.
    """

    frames: Frames
    found: Detections
    match: Indices
    on_object: Bools
    keypoint_conf: tuple[float | None, ...]
    poses: Poses | None

    @property
    def labelled(self) -> Bools:
        """Frames that were read and are labelled, (n,)."""
        return self.frames.labelled & self.found.read

    @property
    def empty(self) -> Bools:
        """Those of them without an object, (n,)."""
        return self.frames.empty & self.found.read

    @property
    def counted(self) -> Bools:
        """Frames in which a pose may be had, (n,): those with an object, and those that nobody has labelled."""
        return self.found.read & ~self.frames.empty

    def seen(self, keypoint_conf: float | None) -> Bools:
        """Return the keypoints that count as seen, (d, K); all where no confidence is asked for.

        Args:
            keypoint_conf: lowest confidence.
        """
        confidence = self.found.points[..., 2]
        limit = np.float32(0 if keypoint_conf is None else keypoint_conf)
        return np.asarray(confidence >= limit) if keypoint_conf is not None else np.ones(confidence.shape, np.bool_)


def gather_evidence(
    frames: Frames, found: Detections, keypoint_conf: Sequence[float | None], target: FrameTarget | None
) -> Evidence:
    """Pair detections with labelled objects, and solve each pose once for every set of keypoints that is seen.

    Args:
        frames: that were looked at.
        found: in them.
        keypoint_conf: lowest confidences that are tried.
        target: object and camera; None where poses cannot be had.
    """
    nobody = Evidence(
        frames, found, _matches(frames, found), _on_objects(frames, found), tuple(keypoint_conf), poses=None
    )  # fmt: skip
    if target is None:
        return nobody
    matters = (nobody.match >= 0).any(1) | (~frames.labelled[found.frame] & found.member.any(1))
    rows = np.flatnonzero(matters)
    shapes = np.array([file.shape for file in frames.dataset.files], np.float64).reshape(-1, 2)
    of_frame = np.repeat(shapes, np.diff(frames.dataset.starts), axis=0)
    masks: Bools = np.stack([nobody.seen(limit)[rows] for limit in keypoint_conf], 1)  # (p, k, K)
    poses = _solved(rows, found.points[rows, :, :2].astype(np.float64), masks, of_frame[found.frame[rows]], target)
    true = solve_poses(frames.points[..., :2], frames.points[..., 2] > 0, of_frame[frames.image], target)
    known = Poses(rows, *poses, true.position, true.rotation)
    return Evidence(frames, found, nobody.match, nobody.on_object, nobody.keypoint_conf, known)


def _solved(
    rows: Indices, points: Array, masks: Bools, shapes: Array, target: FrameTarget
) -> tuple[Array, Array, Array]:
    """Return reprojection error, position and rotation of each row and mask; the same set is solved once."""
    place = np.arange(len(rows))
    keys = np.column_stack((np.repeat(place, masks.shape[1]), masks.reshape(-1, points.shape[1])))
    unique: Any = np.unique(keys, axis=0, return_inverse=True)
    of, seen, which = unique[0][:, 0], unique[0][:, 1:].astype(np.bool_), unique[1].reshape(len(rows), masks.shape[1])
    found = solve_poses(points[of], seen, shapes[of], target)
    error = np.where(found.solved, found.reprojection_px, np.nan)
    return error[which], found.position[which], found.rotation[which]


def _matches(frames: Frames, found: Detections) -> Indices:
    """Return the labelled object of each detection at each overlap of suppression, (d, j), the surest first."""
    match: Indices = np.full(found.member.shape, -1, np.int64)
    if not len(found.frame) or not len(frames.image):
        return match
    boxes = np.asarray(found.box, np.float32), np.asarray(frames.box, np.float32)
    near = overlapping(*boxes, found.frame, frames.image, OVERLAP)
    near = of_one_class(near, found.label, frames.label)
    for column in range(match.shape[1]):
        here = found.member[near[0], column]
        rows, others, values = (part[here] for part in near)
        chosen = choose(rows, others, values)
        match[rows[chosen], column] = others[chosen]
    return match


def _on_objects(frames: Frames, found: Detections) -> Bools:
    """Return which detections lie on a labelled object of their class, (d,)."""
    on = np.zeros(len(found.frame), np.bool_)
    if not len(found.frame) or not len(frames.image):
        return on
    for rows, others in pairs_of_images(found.frame, frames.image):
        mine, true = found.box[rows], frames.box[others]
        sides = np.minimum(mine[:, 2:], true[:, 2:]) - np.maximum(mine[:, :2], true[:, :2])
        shared, area = sides.clip(min=0).prod(1), (mine[:, 2:] - mine[:, :2]).prod(1)
        inside = (shared >= WITHIN * area) & (area > 0) & (found.label[rows] == frames.label[others])
        on[rows[inside]] = True
    return on


def pose_errors(poses: Poses, match: Indices, column: int, keypoint: int) -> tuple[Array, Array]:
    """Return how far off the poses of detections are, metres and degrees, (p,) each; NaN without a pose or the truth.

    Args:
        poses: of the evidence.
        match: of the evidence.
        column: number of the overlap of suppression.
        keypoint: number of the lowest confidence of a keypoint.
    """
    object_ = match[poses.row, column]
    known = object_ >= 0
    true: Any = np.where(known, object_, 0)
    if not len(poses.true_position):
        return np.full(len(object_), np.nan), np.full(len(object_), np.nan)
    away = np.linalg.norm(poses.position[:, keypoint] - poses.true_position[true], axis=1)
    turned = degrees_between(poses.rotation[:, keypoint], poses.true_rotation[true])
    return np.where(known, away, np.nan), np.where(known, turned, np.nan)
