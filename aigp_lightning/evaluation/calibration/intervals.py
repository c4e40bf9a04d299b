"""The uncertainty of figures over the choice of frames: a bootstrap, of blocks where neighbours are alike."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.evaluation.bootstrap import EDGES, Interval
from aigp_lightning.evaluation.calibration.counts import Counts
from aigp_lightning.evaluation.calibration.frames import Frames

Indices = NDArray[np.int64]


def blocks_of(frames: Frames) -> Indices:
    """Return the block that each frame is drawn with, (n,): so many in a row of one video or folder.

    Args:
        frames: in order.
    """
    files = frames.dataset.files
    names = [file.path if file.frames else os.path.dirname(file.path) for file in files]
    _, first = np.unique(names, return_inverse=True)
    flight = np.repeat(np.asarray(first).ravel(), np.diff(frames.dataset.starts))
    starts = np.flatnonzero(np.diff(flight, prepend=-1))
    within = np.arange(len(flight)) - np.repeat(starts, np.diff([*starts, len(flight)]))
    new = within % frames.block == 0
    return np.asarray(np.cumsum(new) - 1, np.int64)


def intervals(counts: Counts, blocks: Indices, draws: int = 1000, seed: int = 0) -> dict[str, Interval]:
    """Return figures with their 95 % intervals; those that cannot be had are left out. Of one block all ends are NaN.

    Args:
        counts: at a combination of thresholds.
        blocks: (n,) the block that each frame is drawn with, from 0.
        draws: how often as many blocks as there are are drawn, with repetition.
        seed: of the draws.

    Example:
        >>> by_frame = np.zeros((4, 8))
        >>> by_frame[:, 6], by_frame[:, 7] = [1, 1, 1, 0], 1  # usable, counted
        >>> found = intervals(Counts(by_frame, {}), np.arange(4), draws=200)["usable"]
        >>> found.value, found.low < 0.75 < found.high
        (0.75, True)
    """
    random, count = np.random.default_rng(seed), int(blocks.max(initial=-1)) + 1
    whole = counts.figures()
    times = random.multinomial(count, np.full(count, 1 / count), size=draws)
    drawn = [counts.figures(weights[blocks].astype(np.float64)) for weights in times]
    found = {}
    for name, value in whole.items():
        values = np.array([each[name] for each in drawn])
        if np.isfinite(value):
            low, high = np.nanpercentile(values, EDGES) if count > 1 else (np.nan, np.nan)
            found[name] = Interval(value, float(low), float(high))
    return found
