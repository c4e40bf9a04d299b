"""Objects found, missed, found twice and found where there are none; by distance and by how fast the camera turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aigp_lightning.evaluation.sequence.corners import band_of, share_of
from aigp_lightning.evaluation.sequence.markov import wilson
from aigp_lightning.evaluation.sequence.recording import DUPLICATE, FALSE, MATCHED, Bools, Floats, Ints, Recording

OVERLAP = 0.45
"""Intersection over union by which a detection is an object's, as of the confusion matrix."""
NESTED = 0.7
"""Share of the smaller of two boxes that the other covers, from which a further detection is of the same object."""
DOUBLE = 0.5
"""Intersection over union from which the less sure of two detections is a further one, where nothing is labelled."""


def judge(found: tuple[Ints, Floats, Ints, Floats], objects: tuple[Ints, Floats, Ints]) -> tuple[Ints, Ints]:
    """Say of each detection what it is, where the objects are labelled.

    The surest detection of an object's class that overlaps it by more than 0.45 is the object's own, as in the
    confusion matrix. One that is nobody's and of which, or of an object's box, 70 % lie in the other is a further one
    of that object; any other is false.

    Args:
        found: frames (n,), boxes (n, 4) xyxy, classes (n,) and scores (n,).
        objects: frames (m,), boxes (m, 4) and classes (m,).

    Returns:
        (m,) row of each object's detection or -1, and (n,) `MATCHED`, `DUPLICATE` or `FALSE`.

    Example:
        >>> boxes = np.array([[0.0, 0, 10, 10], [1, 1, 9, 9], [50, 50, 60, 60]])
        >>> zeros = np.zeros(3, np.int64)
        >>> mine, kind = judge((zeros, boxes, zeros, np.array([0.9, 0.8, 0.7])), (zeros[:1], boxes[:1], zeros[:1]))
        >>> mine.tolist(), kind.tolist()
        ([0], [0, 1, 2])
    """
    from aigp_lightning.modules.metrics.pairing import choose, of_one_class, overlapping

    frame, box, cls, score = found
    mine, kind = np.full(len(objects[0]), -1), np.full(len(frame), FALSE)
    order = np.lexsort((-score, frame))
    boxes, true = box[order].astype(np.float32), objects[1].astype(np.float32)
    pairs = overlapping(boxes, true, frame[order], objects[0], OVERLAP)
    own = of_one_class(pairs, cls[order], objects[2])
    chosen = choose(*own)
    mine[own[1][chosen]] = order[own[0][chosen]]
    kind[mine[mine >= 0]] = MATCHED
    near = of_one_class(overlapping(boxes, true, frame[order], objects[0], 0.0), cls[order], objects[2])
    within = _covered(boxes[near[0]], true[near[1]]) >= NESTED
    further = order[near[0][within]]
    kind[further[kind[further] == FALSE]] = DUPLICATE
    return mine, kind


def doubles(frame: Ints, box: Floats, cls: Ints, score: Floats) -> Bools:
    """Say which detections are further ones of an object that a surer one has found, where nothing is labelled.

    A gate that is seen through another lies in it too; so what counts is intersection over union, from 0.5 on: of gates
    in a row only far ones are that alike.

    Args:
        frame: (n,) rising.
        box: (n, 4) xyxy, pixels.
        cls: (n,) classes.
        score: (n,) confidence.

    Example:
        >>> boxes = np.array([[0.0, 0, 10, 10], [1, 1, 9, 9], [50, 50, 60, 60]])
        >>> zeros = np.zeros(3, np.int64)
        >>> doubles(zeros, boxes, zeros, np.array([0.9, 0.8, 0.7])).tolist()
        [False, True, False]
    """
    from aigp_lightning.modules.metrics.pairing import overlapping

    boxes = box.astype(np.float32)
    one, other, _ = overlapping(boxes, boxes, frame, frame, DOUBLE)
    surer = (score[one] > score[other]) | ((score[one] == score[other]) & (one < other))
    further = np.zeros(len(frame), np.bool_)
    further[other[surer & (cls[one] == cls[other])]] = True
    return further


def _covered(one: Any, other: Any) -> Any:
    """Return the intersection of boxes as a share of the smaller one, pair by pair."""
    sides = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    least = np.minimum((one[:, 2:] - one[:, :2]).prod(1), (other[:, 2:] - other[:, :2]).prod(1))
    return sides.clip(0).prod(1) / np.maximum(least, 1e-6)


def recall(recording: Recording, values: Floats, limits: Sequence[float]) -> list[dict[str, Any]]:
    """Return the share of labelled objects that was found, band by band.

    Args:
        recording: labelled.
        values: (m,) what the bands are of; NaN is in none.
        limits: between the bands, rising.

    Returns:
        One more than the limits: `recall`, `objects`, and the `interval` as if objects were independent.
    """
    bands, hit = band_of(values, limits), recording.objects.match >= 0
    found = []
    for number in range(len(limits) + 1):
        rows = bands == number
        share = share_of(hit[rows].sum(), rows.sum())
        interval = None if share is None else wilson(share, int(rows.sum()))
        found.append({"recall": share, "objects": int(rows.sum()), "interval": interval})
    return found


def counts(recording: Recording) -> dict[str, Any]:
    """Return what was found once, more than once, and falsely.

    Args:
        recording: labelled or not; what needs labels is None without.

    Returns:
        `recall` and `objects`; `duplicates_per_object`: further detections by objects that were found;
        `false_alarms_per_empty_frame`: detections in frames without an object by the number of these;
        `false_alarms_per_frame`: detections of no object in all frames by their number.
    """
    objects, found, frames = recording.objects, recording.found, recording.frames
    hit, labelled = int((objects.match >= 0).sum()), recording.is_labelled
    full = np.zeros(len(frames.flight), np.bool_)
    full[objects.frame] = True
    empty = frames.labelled & ~full
    known = frames.labelled[found.frame]
    return {
        "objects": len(objects.match) if labelled else None,
        "found": hit if labelled else None,
        "recall": share_of(hit, len(objects.match)) if labelled else None,
        "duplicates_per_object": share_of((found.kind == DUPLICATE).sum(), hit),
        "empty_frames": int(empty.sum()) if labelled else None,
        "false_alarms_per_empty_frame": share_of(empty[found.frame].sum(), empty.sum()),
        "false_alarms_per_frame": share_of(((found.kind == FALSE) & known).sum(), frames.labelled.sum()),
    }
