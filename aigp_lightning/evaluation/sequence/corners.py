"""Corners over time: how often they flip, how many are lost and for how long, and how both depend on distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aigp_lightning.evaluation.sequence.markov import MOST_ALIKE, Chain, Span, block_interval, fit_chain
from aigp_lightning.evaluation.sequence.recording import Bools, Floats, Ints, Recording, followers

SHORTEST_BLOCK, LONGEST_BLOCK = 30, 300
"""Frames of a block, between which losses are taken to be independent."""
TIMES = 5.0
"""So many times as long as a loss lasts is a block."""


def seen_corners(recording: Recording) -> Bools:
    """Return which corners of each object were found, and surely enough, (m, K).

    Args:
        recording: of a model that finds keypoints.
    """
    match, found = recording.objects.match, recording.found
    if not len(found.frame):
        return np.zeros((len(match), len(recording.keypoints)), np.bool_)
    return np.asarray((match >= 0)[:, None] & found.seen[np.maximum(match, 0)])


def flips(recording: Recording) -> dict[str, Any]:
    """Return the share of corners that appear or vanish from one frame to the next.

    Counted are corners that could be seen in both frames: flips / (corners × pairs of frames).

    Args:
        recording: of a model that finds keypoints.

    Returns:
        `share` of all, None where there was no pair; `by_corner`, and the `pairs` that were counted.
    """
    order, follows = followers(recording)
    could, seen = recording.objects.could[order], seen_corners(recording)[order]
    after = np.flatnonzero(follows)
    both = could[after] & could[after - 1]
    changed = both & (seen[after] != seen[after - 1])
    pairs, turned = both.sum(0), changed.sum(0)
    return {
        "share": share_of(turned.sum(), pairs.sum()),
        "by_corner": [share_of(one, all_) for one, all_ in zip(turned, pairs, strict=True)],
        "pairs": int(pairs.sum()),
    }


def corner_chains(recording: Recording) -> list[Chain]:
    """Fit a chain of losses to each corner, in the order of the keypoints.

    Only frames count in which it could be seen: the object is there, the corner is visible and within the picture. An
    object that was not found has lost all of them.

    Args:
        recording: of a model that finds keypoints.
    """
    order, follows = followers(recording)
    could, lost = recording.objects.could[order], ~seen_corners(recording)[order]
    usual = _all_corners(lost, could, follows)
    return [fit_chain(lost[:, place], could[:, place], follows, usual) for place in range(could.shape[1])]


def object_chain(recording: Recording) -> Chain:
    """Fit a chain of losses to the objects as such: lost is one that was not found at all.

    Args:
        recording: labelled, or with objects that were tracked.
    """
    order, follows = followers(recording)
    return fit_chain(recording.objects.match[order] < 0, np.ones(len(order), np.bool_), follows)


def overall(recording: Recording) -> dict[str, Any]:
    """Return rate and stickiness of all corners together.

    Corners of one object are lost together, so the intervals are by blocks: an object's visit, cut into stretches of at
    least 30 frames and of five times a loss's length.

    Args:
        recording: of a model that finds keypoints.
    """
    order, follows = followers(recording)
    could, lost = recording.objects.could[order], ~seen_corners(recording)[order] & recording.objects.could[order]
    block = _blocks(recording, order, _all_corners(lost, could, follows))
    after = np.flatnonzero(follows)
    from_lost = lost[after - 1] & could[after]
    stayed, were = (from_lost & lost[after]).sum(1).astype(float), from_lost.sum(1).astype(float)
    gone, all_ = lost.sum(1).astype(float), could.sum(1).astype(float)
    return {
        "rate": share_of(gone.sum(), all_.sum()),
        "rate_interval": block_interval(gone, all_, block),
        "stay_lost": share_of(stayed.sum(), were.sum()),
        "stay_lost_interval": block_interval(stayed, were, block[after]),
        "frames": int(could.any(1).sum()),
    }


def rate_by_distance(recording: Recording, limits: Sequence[float]) -> list[dict[str, Any]]:
    """Return the share of lost corners in each band of distance, all corners together.

    Args:
        recording: with distances.
        limits: between the bands, metres, rising.

    Returns:
        One more than the limits: `rate`, its `interval` by blocks, and the `corners` that were counted.
    """
    order, follows = followers(recording)
    could = recording.objects.could[order]
    lost = ~seen_corners(recording)[order] & could
    block = _blocks(recording, order, _all_corners(lost, could, follows))
    bands = band_of(recording.objects.distance[order], limits)
    found = []
    for number in range(len(limits) + 1):
        rows = bands == number
        gone, all_ = lost[rows].sum(1).astype(float), could[rows].sum(1).astype(float)
        interval: Span | None = block_interval(gone, all_, block[rows])
        found.append({"rate": share_of(gone.sum(), all_.sum()), "interval": interval, "corners": int(all_.sum())})
    return found


def band_of(values: Floats, limits: Sequence[float]) -> Ints:
    """Return the band of each value, (m,); -1 for NaN.

    Args:
        values: (m,).
        limits: between bands, rising; a value at a limit is in the band above it.

    Example:
        >>> band_of(np.array([1.0, 5.0, np.nan]), [5.0]).tolist()
        [0, 1, -1]
    """
    return np.where(np.isnan(values), -1, np.searchsorted(np.asarray(limits), values, side="right"))


def share_of(part: float, whole: float) -> float | None:
    """Return a share; None of nothing.

    Example:
        >>> share_of(1, 4), share_of(0, 0)
        (0.25, None)
    """
    return float(part / whole) if whole else None


def _all_corners(lost: Bools, could: Bools, follows: Bools) -> float:
    """Return the correlation of successive frames over all corners together; the largest where it cannot be told."""
    after = np.flatnonzero(follows)
    both = could[after] & could[after - 1]
    before, now = lost[after - 1][both], lost[after][both]
    if not before.any() or before.all():
        return MOST_ALIKE
    return float(now[before].mean() - now[~before].mean())


def _blocks(recording: Recording, order: Ints, alike: float) -> Ints:
    """Return the block of each row, in that order."""
    length = int(np.clip(np.ceil(TIMES / max(1 - alike, 1e-6)), SHORTEST_BLOCK, LONGEST_BLOCK))
    objects = recording.objects
    piece = recording.frames.position[objects.frame[order]] // length
    return np.asarray(objects.track[order] * (int(piece.max(initial=0)) + 1) + piece)
