"""Poses over time: how long they can be used without a break, and how much they shake."""

from __future__ import annotations

from typing import Any

import numpy as np

from aigp_lightning.evaluation.sequence.corners import share_of
from aigp_lightning.evaluation.sequence.recording import FALSE, Bools, Floats, Ints, Recording, followers

AMBIGUOUS = 0.8
"""From this ratio of the reprojection errors of a plane's two poses on, either may be right."""
NORMAL = 1.4826
"""Median of absolute values to standard deviation, of a normal distribution around 0."""
FEWEST = 8
"""A jitter of fewer differences is not told."""


def usable_frames(recording: Recording) -> Bools:
    """Return the frames in which at least one object has a pose that may be used, (F,).

    Where frames are labelled the object has to be one of theirs.

    Args:
        recording: with poses.
    """
    found, usable = recording.found, np.zeros(len(recording.frames.flight), np.bool_)
    nobody = (found.kind == FALSE) & recording.frames.labelled[found.frame]
    usable[found.frame[found.usable & ~nobody]] = True
    return usable


def stretches(usable: Bools, flight: Ints, position: Ints) -> Ints:
    """Return the lengths, in frames, of the stretches without a break, in their order.

    Args:
        usable: (F,) of each frame.
        flight: (F,) its flight.
        position: (F,) its place there; a gap ends a stretch.

    Example:
        >>> stretches(np.array([1, 1, 0, 1, 1], bool), np.zeros(5, np.int64), np.array([0, 1, 2, 3, 5])).tolist()
        [2, 1, 1]
    """
    starts = usable.copy()
    if len(usable):
        follows = (flight[1:] == flight[:-1]) & (position[1:] == position[:-1] + 1)
        starts[1:] &= ~(usable[:-1] & follows)
    return np.bincount(np.cumsum(starts)[usable] - 1) if usable.any() else np.zeros(0, np.int64)


def usability(recording: Recording) -> dict[str, Any] | None:
    """Return the share of usable frames, and the stretches of them.

    Args:
        recording: of any number of flights.

    Returns:
        `share` of all frames, `share_with_objects` of those in which an object is known to be; `stretches`: their
        number; `longest`, `mean` and `median` of their lengths, frames and seconds. None without poses.
    """
    if not recording.metric:
        return None
    usable, frames = usable_frames(recording), recording.frames
    with_objects = np.zeros(len(usable), np.bool_)
    with_objects[recording.objects.frame] = True
    lengths = stretches(usable, frames.flight, frames.position)
    longest, mean, median = (
        (int(lengths.max()), float(lengths.mean()), float(np.median(lengths))) if len(lengths) else (0, None, None)
    )
    return {
        "frames": len(usable),
        "usable": int(usable.sum()),
        "share": share_of(usable.sum(), len(usable)),
        "share_with_objects": share_of(usable[with_objects].sum(), with_objects.sum()),
        "stretches": len(lengths),
        "longest": longest,
        "longest_s": longest / recording.hz,
        "mean": mean,
        "median": median,
        "lengths": lengths.tolist(),
        "ambiguous_share": _ambiguous(recording, usable),
    }


def _ambiguous(recording: Recording, usable: Bools) -> float | None:
    """Return the share of usable frames in which the nearest object's pose is ambiguous."""
    found = recording.found
    rows = np.flatnonzero(found.usable & usable[found.frame])
    if not len(rows):
        return None
    order = rows[np.lexsort((np.linalg.norm(found.position[rows], axis=1), found.frame[rows]))]
    nearest = order[np.diff(found.frame[order], prepend=-1) > 0]
    return float((found.ambiguity[nearest] >= AMBIGUOUS).mean())


def jitter(recording: Recording) -> dict[str, Any] | None:
    """Return how much the poses of an object shake from frame to frame, as standard deviations.

    Without truth: by the second difference x₊ − 2 x + x₋ over three frames that follow each other, which an even motion
    leaves at 0 and white noise of deviation σ brings to σ √6. With truth: by the first difference of the error, σ √2,
    so that a constant or slowly changing error does not count. Either robustly: 1.4826 times the median of the absolute
    values, so that a few wrong poses do not count. A motion that is not even adds to the former.

    Args:
        recording: of any number of flights.

    Returns:
        `distance_m`; `distance_share`, of the distance; `bearing_deg`, of either angle of the direction in which the
        object is; `rotation_deg`, of its orientation about an axis (without truth alone); the `differences` that were
        counted, and `by`: `truth` or `second difference`. None without poses, or with fewer than eight differences.
    """
    if not recording.metric:
        return None
    order, follows = followers(recording)
    objects, found = recording.objects, recording.found
    match = objects.match[order]
    good = (match >= 0) & found.usable[np.maximum(match, 0)] if len(found.frame) else np.zeros(len(order), np.bool_)
    place = np.full((len(order), 3), np.nan)
    place[good] = found.position[match[good]]
    pairs = np.flatnonzero(follows & good)
    pairs = pairs[good[pairs - 1]]
    true = objects.place[order]
    if pairs.size and np.isfinite(true[pairs]).all():
        return _by_truth(place, true, pairs)
    triples = pairs[np.isin(pairs - 1, pairs)]
    if len(triples) < FEWEST:
        return None
    distance, direction = np.linalg.norm(place, axis=1), _angles(place)
    bent = distance[triples] - 2 * distance[triples - 1] + distance[triples - 2]
    turned = _wrapped(direction[triples] - 2 * direction[triples - 1] + direction[triples - 2])
    turns = np.stack([_between(found.rotation, match, triples - step) for step in (0, 1)])
    return {
        "distance_m": _deviation(bent, 6),
        "distance_share": _deviation(bent / distance[triples], 6),
        "bearing_deg": float(np.degrees(_deviation(turned, 6))),
        "rotation_deg": float(np.degrees(_deviation(turns[0] - turns[1], 6))),
        "differences": len(triples),
        "by": "second difference",
    }


def _by_truth(place: Floats, true: Floats, pairs: Ints) -> dict[str, Any] | None:
    if len(pairs) < FEWEST:
        return None
    error = np.linalg.norm(place, axis=1) - np.linalg.norm(true, axis=1)
    aside = _wrapped(_angles(place) - _angles(true))
    far, step = np.linalg.norm(true[pairs], axis=1), error[pairs] - error[pairs - 1]
    return {
        "distance_m": _deviation(step, 2),
        "distance_share": _deviation(step / far, 2),
        "bearing_deg": float(np.degrees(_deviation(aside[pairs] - aside[pairs - 1], 2))),
        "rotation_deg": None,
        "differences": len(pairs),
        "by": "truth",
    }


def _deviation(differences: Floats, times: float) -> float:
    """Return the robust standard deviation of what differences of so many times its variance are of.

    Of several columns, such as two angles, it is the root of their mean variance; each is looked at by itself, since
    one of them may be still.
    """
    each = NORMAL * np.median(np.abs(differences), axis=0) / np.sqrt(times)
    return float(np.sqrt(np.mean(np.square(each))))


def _angles(place: Floats) -> Floats:
    """Return directions as angles to the right and down, (m, 2) radians."""
    x, y, z = place.T
    return np.stack((np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))), 1)


def _wrapped(angle: Floats) -> Floats:
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)


def _between(rotation: Floats, match: Ints, rows: Ints) -> Floats:
    """Return the turn of an object since the frame before, as rotation vectors (n, 3), radians."""
    from scipy.spatial.transform import Rotation

    before, now = rotation[match[rows - 1]], rotation[match[rows]]
    return np.asarray(Rotation.from_matrix(before.transpose(0, 2, 1) @ now).as_rotvec())


def pose_errors(recording: Recording) -> dict[str, Any] | None:
    """Return how far usable poses are from the truth; None without either.

    Args:
        recording: of any number of flights.

    Returns:
        `position_m`: median and 90th percentile of the distance between estimated and true position; `objects` with
        both.
    """
    objects, found = recording.objects, recording.found
    rows = np.flatnonzero((objects.match >= 0) & np.isfinite(objects.place).all(1))
    rows = rows[found.usable[objects.match[rows]]] if len(found.frame) else rows[:0]
    if not len(rows):
        return None
    away = np.linalg.norm(found.position[objects.match[rows]] - objects.place[rows], axis=1)
    return {
        "position_m": {"median": float(np.median(away)), "p90": float(np.percentile(away, 90))},
        "objects": len(rows),
    }


def corner_errors(recording: Recording) -> dict[str, Any] | None:
    """Return how far seen corners are from labelled ones, pixels of the picture; None without labels or keypoints.

    Args:
        recording: of any number of flights.
    """
    objects, found = recording.objects, recording.found
    rows = np.flatnonzero(objects.match >= 0)
    if not recording.is_labelled or not len(rows) or not recording.keypoints:
        return None
    mine = objects.match[rows]
    away = np.linalg.norm(found.points[mine][..., :2] - objects.points[rows], axis=2)
    away = away[found.seen[mine] & objects.could[rows] & np.isfinite(away)]
    if not len(away):
        return None
    return {"median": float(np.median(away)), "p90": float(np.percentile(away, 90)), "corners": len(away)}
