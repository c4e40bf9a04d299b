"""Objects where nothing is labelled: what the detections of successive frames make up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aigp_lightning.evaluation.sequence.finding import doubles
from aigp_lightning.evaluation.sequence.recording import (
    DUPLICATE,
    MATCHED,
    NOBODY,
    Bools,
    Floats,
    Found,
    Frames,
    Ints,
    Objects,
)
from aigp_lightning.evaluation.sequence.tracks import filled, follow


def tracked(frames: Frames, found: Found, shapes: Ints) -> tuple[Objects, Found]:
    """Return the objects that detections make up over time, also in frames between in which they were missed.

    A corner could be seen where it, or the line between where it was before and after, is within the picture; but for
    the first and the last frame of an object, since what came before or after them is not known.

    Args:
        frames: of one flight.
        found: in them.
        shapes: (F, 2) height and width of the pictures, pixels.
    """
    further = doubles(found.frame, found.box, found.cls, found.score)
    rows = np.flatnonzero(~further)
    place = frames.position[found.frame[rows]]
    track = follow(place, found.box[rows], found.cls[rows])
    before, after, position, share = filled(place, track)
    one, other, part = rows[before], rows[after], share[:, None]
    there = np.isin(position, frames.position)  # a frame that is missing itself has no row
    one, other, part, share = one[there], other[there], part[there], share[there]
    track, position = track[before][there], position[there]
    match = np.where(share == 0, one, NOBODY)
    frame = np.searchsorted(frames.position, position)
    box = found.box[one] * (1 - part) + found.box[other] * part
    points = found.points[one][..., :2] * (1 - part[..., None]) + found.points[other][..., :2] * part[..., None]
    could = inside(points, shapes[frame]) & ~_ends(track, position)[:, None]
    distance = np.linalg.norm(found.position, axis=1)
    objects = Objects(
        frame, track, found.cls[one], box, points, could, _along(track, position, match, distance),
        np.full((len(frame), 3), np.nan), match,
    )  # fmt: skip
    return objects, replace(found, kind=np.where(further, DUPLICATE, MATCHED))


def _ends(track: Ints, position: Ints) -> Bools:
    """Return the first and the last frame of each track: whether the object is there before or after is not known."""
    ends = np.zeros(len(track), np.bool_)
    if len(track):
        first = np.full(track.max() + 1, position.max())
        last = np.zeros(track.max() + 1, np.int64)
        np.minimum.at(first, track, position)
        np.maximum.at(last, track, position)
        ends = (position == first[track]) | (position == last[track])
    return ends


def _along(track: Ints, position: Ints, row: Ints, distance: Floats) -> Floats:
    """Return the distance of each object in each frame, between those that are known by straight lines; else NaN."""
    out = np.full(len(track), np.nan)
    known = np.where(row >= 0, distance[row], np.nan) if len(distance) else out
    for number in np.unique(track).tolist():
        mine = np.flatnonzero(track == number)
        told = mine[np.isfinite(known[mine])]
        if len(told):
            order = told[np.argsort(position[told])]
            out[mine] = np.interp(position[mine], position[order], known[order])
    return out


def inside(points: Floats, shapes: Ints) -> Bools:
    """Return which points are within their pictures, (m, K).

    Args:
        points: (m, K, 2) pixels; NaN is not.
        shapes: (m, 2) height and width of each row's picture, pixels.

    Example:
        >>> inside(np.array([[[5.0, 5.0], [20.0, 5.0]]]), np.array([[10, 10]])).tolist()
        [[True, False]]
    """
    limits = shapes[:, None, ::-1]
    return np.asarray(((points >= 0) & (points < limits)).all(2))
