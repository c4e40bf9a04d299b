"""A flight and what a model found in it, brought together: who is who, and which poses may be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from aigp_lightning.data.class_names import match_classes
from aigp_lightning.deploy.runtime import Camera
from aigp_lightning.errors import DataError
from aigp_lightning.evaluation.sequence.finding import judge
from aigp_lightning.evaluation.sequence.flights import Flight
from aigp_lightning.evaluation.sequence.poses import camera_of, solve
from aigp_lightning.evaluation.sequence.recording import (
    MATCHED,
    Bools,
    Floats,
    Found,
    Frames,
    Ints,
    Objects,
    Recording,
)
from aigp_lightning.evaluation.sequence.tracked import inside, tracked
from aigp_lightning.evaluation.sequence.tracks import follow
from aigp_lightning.evaluation.sequence.truth import Labels
from aigp_lightning.modules.metrics.rigid_pose import target_of
from aigp_lightning.modules.metrics.same_keypoints import check_order
from aigp_lightning.modules.thresholds import Thresholds
from aigp_lightning.types import Keypoints

if TYPE_CHECKING:
    from aigp_lightning.media.detections import ImageDetections
    from aigp_lightning.modules.metrics.gate_camera import GateCamera

VISIBLE = 2
"""A label's visibility of a keypoint that can be seen; 1 is behind something."""
WITH_VISIBILITY = 3
LEAST_CORNERS = 4


@dataclass(frozen=True)
class Setup:
    """What is the same for all flights.

    Attributes:
        names: the model's classes by id.
        keypoints: that the model finds; None without.
        camera: None where there are no metres.
        thresholds: of the model.
        model: its file, for errors.
    """

    names: dict[int, str]
    keypoints: Keypoints | None
    camera: GateCamera | None
    thresholds: Thresholds
    model: str


def assemble(flight: Flight, found: Sequence[ImageDetections], setup: Setup) -> Recording:
    """Bring a flight and the detections of its frames together.

    Args:
        flight: one.
        found: of each frame, in pixels of the picture.
        setup: the model's.

    Raises:
        WeightsError: the data set's classes are not the model's.
    """
    count = setup.keypoints.count if setup.keypoints is not None else 0
    shapes = np.array([file.shape for file in flight.files], np.int64)
    shapes = np.repeat(shapes, len(found), 0) if flight.files[0].frames else shapes
    frames = Frames(
        np.zeros(len(found), np.int64), flight.position, flight.time, flight.turning,
        np.full(len(found), flight.labels is not None),
    )  # fmt: skip
    metres = _Metres(flight, setup, shapes)
    detections = _found(found, count, setup, metres)
    if flight.labels is None:
        objects, detections = tracked(frames, detections, shapes)
    else:
        objects, detections = _labelled(flight, flight.labels, frames, detections, setup, shapes, metres)
    names = setup.keypoints.names if setup.keypoints is not None else ()
    return Recording((flight.name,), names, flight.hz, frames, objects, detections, metres.known)


def check_fits(flight: Flight, setup: Setup) -> None:
    """Refuse a flight whose labels are not of what the model finds.

    Args:
        flight: labelled or not.
        setup: the model's.

    Raises:
        WeightsError: its classes are others, or its keypoints are in another order.
        DataError: its keypoints are others.
    """
    if flight.labels is None:
        return
    _classes(flight, flight.labels, setup)
    theirs, ours = flight.labels.points.shape[1], setup.keypoints.count if setup.keypoints is not None else 0
    if ours and theirs not in (ours, 0):
        raise DataError(f"{flight.name}: its labels have {theirs} keypoints an object, {setup.model} finds {ours}.")
    if flight.spec is not None:
        check_order(setup.keypoints, flight.spec.keypoints, setup.model, str(flight.spec.file), setup.camera)


class _Metres:
    """Camera and target of a flight: what turns keypoints into poses."""

    def __init__(self, flight: Flight, setup: Setup, shapes: Ints) -> None:
        own = flight.spec.keypoints if flight.spec is not None else None
        told = own if own is not None and own.points is not None else setup.keypoints
        self.target, self.camera, self.shapes = target_of(told, setup.camera), setup.camera, shapes
        cameras = {tuple(shape): self._camera(shape) for shape in np.unique(shapes, axis=0).tolist()}
        self._cameras, self.known = cameras, self.target is not None and any(cameras.values())

    def _camera(self, shape: list[int]) -> Camera | None:
        return None if self.camera is None else camera_of(self.camera, (shape[0], shape[1]))

    def poses(self, points: Floats, seen: Bools, frame: Ints, limit: float | None) -> list[Floats]:
        """Return position, rotation, reprojection error and ambiguity of each row; NaN where not solved."""
        empty = (3,), (3, 3), (), ()
        out = [np.full((len(points), *shape), np.nan) for shape in empty]
        for shape, camera in self._cameras.items():
            rows = np.flatnonzero((self.shapes[frame] == shape).all(1)) if len(frame) else np.zeros(0, np.int64)
            if self.target is None or camera is None or not len(rows):
                continue
            solved = solve(points[rows], seen[rows], self.target, camera, limit)
            error = np.where(solved.solved, solved.reprojection_px, np.nan)  # known of refused poses too
            for column, values in zip(out, (solved.position, solved.rotation, error, solved.ambiguity), strict=True):
                column[rows] = values
        return out


def _found(found: Sequence[ImageDetections], count: int, setup: Setup, metres: _Metres) -> Found:
    """Return all detections as rows, with their poses; what they are is not known yet."""
    frame = np.repeat(np.arange(len(found)), [len(one.boxes) for one in found])
    points = np.zeros((len(frame), count, 3))
    if count and len(frame):
        points[:] = np.concatenate([one.keypoints for one in found if one.keypoints is not None])
    seen = points[..., 2] >= setup.thresholds.keypoint_conf
    enough = seen.sum(1) >= LEAST_CORNERS
    position, rotation, error, ambiguity = metres.poses(
        points[..., :2], seen & enough[:, None], frame, setup.thresholds.reprojection_px
    )
    return Found(
        frame=frame,
        cls=np.concatenate([np.zeros(0, np.int64), *(one.labels for one in found)]),
        score=np.concatenate([np.zeros(0), *(one.scores for one in found)]),
        box=np.concatenate([np.zeros((0, 4)), *(one.boxes for one in found)]),
        points=points,
        seen=seen,
        kind=np.full(len(frame), MATCHED),
        usable=np.asarray(np.isfinite(position).all(1)),
        position=position,
        rotation=rotation,
        reprojection_px=error,
        ambiguity=ambiguity,
    )


def _labelled(
    flight: Flight, labels: Labels, frames: Frames, found: Found, setup: Setup, shapes: Ints, metres: _Metres
) -> tuple[Objects, Found]:
    """Return the labelled objects with their detections."""
    cls, count = _classes(flight, labels, setup), found.points.shape[1]
    points = labels.points if labels.points.shape[1] == count else np.zeros((len(cls), count, 3))
    told = flight.spec is None or flight.spec.keypoints is None or flight.spec.keypoints.numbers == WITH_VISIBILITY
    visible = points[..., 2] == VISIBLE if told else points[..., 2] > 0
    could = visible & inside(points[..., :2], shapes[labels.frame])
    track = labels.ident
    if not len(track) or (track < 0).any():
        track = follow(frames.position[labels.frame], labels.box, cls)
    known = np.linalg.norm(labels.place, axis=1)
    missing = np.isnan(known)
    if missing.any() and count:
        marked = points[..., 2] > 0
        known[missing] = np.linalg.norm(
            metres.poses(points[missing][..., :2], marked[missing], labels.frame[missing], None)[0], axis=1
        )
    match, kind = judge((found.frame, found.box, found.cls, found.score), (labels.frame, labels.box, cls))
    places = np.where(points[..., 2:] > 0, points[..., :2], np.nan)
    objects = Objects(
        labels.frame, _visits(track, frames.position[labels.frame]), cls, labels.box, places, could, known,
        labels.place, match,
    )  # fmt: skip
    return objects, replace(found, kind=kind)


def _visits(track: Ints, position: Ints) -> Ints:
    """Give each object a number, from 0 on; one that is away for a while begins anew."""
    order = np.lexsort((position, track))
    fresh = np.ones(len(order), np.bool_)
    same = (track[order][1:] == track[order][:-1]) & (np.diff(position[order]) == 1)
    fresh[1:] = ~same
    visits = np.empty(len(order), np.int64)
    visits[order] = np.cumsum(fresh) - 1
    return visits


def _classes(flight: Flight, labels: Labels, setup: Setup) -> Ints:
    """Return the model's class ids of labels, matched by name."""
    if flight.spec is None:
        return labels.cls
    ids = match_classes(setup.names, flight.spec.names, setup.model, str(flight.spec.file)).ids
    return labels.cls if ids is None else ids[labels.cls]
