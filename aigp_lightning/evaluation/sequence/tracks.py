"""Objects followed from frame to frame, where nobody said which is which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aigp_lightning.evaluation.sequence.recording import Floats, Ints

PATIENCE = 5
"""Frames that an object may be missing and still be the same."""
FARTHEST = 1.5
"""Most sides of its box that an object's middle is from where its motion leads."""
LARGEST = 2.0
"""Most that a box grows or shrinks by, as a factor."""


@dataclass
class _Track:
    """An object that is followed: where it was last, and how its middle moves, pixels a frame."""

    number: int
    position: int
    middle: Floats
    side: float
    cls: int
    motion: Floats


def follow(position: Ints, boxes: Floats, classes: Ints) -> Ints:
    """Follow objects through frames: each gets a number, and keeps it.

    Each frame's boxes are assigned to the objects so far (Kuhn's Hungarian method, `linear_sum_assignment` of SciPy) by
    how far a box's middle is from where the object's motion leads, in sides of the box, and how much its size differs.

    Args:
        position: (n,) place of each box's frame in the flight, rising.
        boxes: (n, 4) xyxy, pixels.
        classes: (n,) an object keeps its class.

    Returns:
        (n,) number of each box's object, from 0 on.

    Example:
        >>> boxes = np.array([[0.0, 0, 10, 10], [50, 0, 60, 10], [52, 0, 62, 10], [3, 0, 13, 10]])
        >>> follow(np.array([0, 0, 1, 1]), boxes, np.zeros(4, np.int64)).tolist()
        [0, 1, 1, 0]
    """
    numbers = np.full(len(boxes), -1)
    middles, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1).clip(1e-6))
    tracks: list[_Track] = []
    count = 0
    for now in np.unique(position).tolist():
        rows = np.flatnonzero(position == now)
        tracks = [track for track in tracks if now - track.position <= PATIENCE + 1]
        pairs = _pairs(tracks, now, middles[rows], sides[rows], classes[rows])
        for row, place in zip(rows.tolist(), pairs, strict=True):
            if place < 0:
                tracks.append(_Track(count, now, middles[row], sides[row], int(classes[row]), np.zeros(2)))
                numbers[row], count = count, count + 1
                continue
            track = tracks[place]
            motion = (middles[row] - track.middle) / (now - track.position)
            tracks[place] = _Track(track.number, now, middles[row], sides[row], track.cls, motion)
            numbers[row] = track.number
    return numbers


def _pairs(tracks: list[_Track], now: int, middles: Floats, sides: Floats, classes: Ints) -> list[int]:
    """Return the track of each box of a frame; -1 for a new one."""
    found = [-1] * len(middles)
    if not tracks or not found:
        return found
    from scipy.optimize import linear_sum_assignment

    ahead = np.array([track.middle + track.motion * (now - track.position) for track in tracks])
    side, kind = np.array([track.side for track in tracks]), np.array([track.cls for track in tracks])
    away = np.linalg.norm(middles[:, None] - ahead, axis=2) / np.sqrt(sides[:, None] * side)
    grown = np.abs(np.log(sides[:, None] / side))
    possible = (away <= FARTHEST) & (grown <= np.log(LARGEST)) & (classes[:, None] == kind)
    cost = np.where(possible, away + grown, 1e6)
    for row, place in zip(*linear_sum_assignment(cost), strict=True):
        if possible[row, place]:
            found[row] = int(place)
    return found


def filled(position: Ints, track: Ints) -> tuple[Ints, Ints, Ints, Floats]:
    """List each object in each frame from its first detection to its last, also where it was missed.

    Args:
        position: (n,) place of each detection's frame in the flight.
        track: (n,) number of its object.

    Returns:
        Of each row the detection before it (or of it) and the one after it (or of it), the frame's place, and how far
        it is from the one to the other, 0…1: 0 for the detection's own frame.

    Example:
        >>> before, after, place, share = filled(np.array([4, 6]), np.array([0, 0]))
        >>> before.tolist(), after.tolist(), place.tolist(), share.tolist()
        ([0, 0, 1], [0, 1, 1], [4, 5, 6], [0.0, 0.5, 0.0])
    """
    order = np.lexsort((position, track))
    same = np.concatenate((track[order][1:] == track[order][:-1], [False])) if len(order) else np.zeros(0, bool)
    gap = np.ones(len(order), np.int64)
    gap[:-1] = np.where(same[:-1], np.diff(position[order]), 1) if len(order) else gap[:-1]
    start = np.repeat(np.arange(len(order)), gap)
    step = np.arange(len(start)) - np.repeat(np.cumsum(gap) - gap, gap)
    before = order[start]
    after = np.where(step > 0, order[np.minimum(start + 1, max(len(order) - 1, 0))], before)
    return before, after, position[before] + step, step / np.repeat(gap, gap)
