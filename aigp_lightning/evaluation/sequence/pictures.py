"""What the timeline of a flight shows, taken from its recording."""

from __future__ import annotations

import numpy as np

from aigp_lightning.evaluation.sequence.corners import seen_corners
from aigp_lightning.evaluation.sequence.recording import Bools, Ints, Recording
from aigp_lightning.evaluation.sequence.steadiness import usable_frames
from aigp_lightning.media.plots.timeline import AWAY, LOST, SEEN, Timeline

SLOTS = ("nearest", "second")
"""Objects that are shown in each frame: the one with the largest box, and the next."""


def timeline_of(recording: Recording) -> Timeline:
    """Return the timeline of one flight.

    Args:
        recording: of one flight.
    """
    objects, frames = recording.objects, recording.frames
    count = len(frames.flight)
    if recording.keypoints:
        state = np.where(objects.could, np.where(seen_corners(recording), SEEN, LOST), AWAY)
        names = list(recording.keypoints)
    else:
        state, names = np.where(objects.match >= 0, SEEN, LOST)[:, None], ["object"]
    slot = _slots(recording)
    rows = np.full((len(SLOTS), len(names), count), AWAY, np.uint8)
    for number in range(len(SLOTS)):
        mine = slot == number
        rows[number][:, objects.frame[mine]] = state[mine].T
    used = [number for number in range(len(SLOTS)) if (slot == number).any()] or [0]
    nearest = slot == 0
    true, told = np.full(count, np.nan), np.full(count, np.nan)
    true[objects.frame[nearest]] = np.linalg.norm(objects.place[nearest], axis=1)
    mine = nearest & (objects.match >= 0)
    if len(recording.found.frame):
        position = np.linalg.norm(recording.found.position[objects.match[mine]], axis=1)
        told[objects.frame[mine]] = np.where(recording.found.usable[objects.match[mine]], position, np.nan)
    return Timeline(
        name=recording.names[0],
        time=frames.time - frames.time[:1],
        rows=rows[used].reshape(-1, count),
        labels=tuple(f"{SLOTS[number]} {name}" for number in used for name in names),
        usable=usable_frames(recording) if recording.metric else None,
        distance=told if recording.metric else None,
        true_distance=true if np.isfinite(true).any() else None,
    )


def _slots(recording: Recording) -> Ints:
    """Return of each object its place among those of its frame, the largest first, (m,)."""
    objects = recording.objects
    area = (objects.box[:, 2:] - objects.box[:, :2]).prod(1)
    order = np.lexsort((-area, objects.frame))
    first: Bools = np.diff(objects.frame[order], prepend=-1) > 0
    start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    slot = np.empty(len(order), np.int64)
    slot[order] = np.arange(len(order)) - start
    return slot
