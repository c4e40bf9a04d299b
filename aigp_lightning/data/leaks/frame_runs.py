"""Tells which numbered pictures are frames that follow each other in time, and for how long such frames look alike.

The names propose (`frame_names`), the pictures decide: neighbours by number must resemble each other more than pictures
that are taken at random do. Numbered pictures that are independent, as COCO's or those of `make-data`, are no run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.leaks.frame_names import Recording
from aigp_lightning.data.leaks.near_duplicates import Comparable, correlations

LEAST = 8
"""Frames that a run has at least; fewer are judged by their pictures alone."""
LAGS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200)
"""Frames apart at which pictures are compared."""
SAMPLES = 48
"""Pairs that are compared for each of them."""
ALIKE = 0.5
"""Median correlation from which on frames so far apart count as showing nearly the same view."""
RANDOM_PAIRS = 1500
CHANCE_QUANTILE = 0.99
LOWEST_BAR, HIGHEST_BAR, USUAL_BAR = 0.3, 0.6, 0.4
FEW = 60
"""Pictures below which chance is not measured, but taken as usual."""


@dataclass(frozen=True)
class FrameRun:
    """A recording whose pictures follow each other in time.

    Attributes:
        recording: its frames.
        near: by how much the numbers of two frames may differ that show nearly the same view, 0 or more.
        memory: by how much they must differ until frames resemble each other no more than chance.

    Example:
        >>> frames = Recording("a_*", np.arange(3), np.arange(3.0), step=1.0, timed=False)
        >>> FrameRun(frames, near=2.0, memory=8.0).frames_of_memory
        8
    """

    recording: Recording
    near: float
    memory: float

    @property
    def frames_of_memory(self) -> int:
        """The memory as a number of frames."""
        return int(np.ceil(self.memory / self.recording.step))


def chance_bar(pictures: Comparable, found: Sequence[Recording] = (), seed: int = 0) -> float:
    """Return the correlation that pictures taken at random reach in one of a hundred pairs.

    Args:
        pictures: of the data set.
        found: its recordings; pairs of two are taken where there are enough, since frames of one may be alike.
        seed: of the pairs.

    Returns:
        From 0.3 to 0.6: of few pictures 0.4.
    """
    told = np.flatnonzero(pictures.told)
    if len(told) < FEW:
        return USUAL_BAR
    random = np.random.default_rng(seed)
    pairs = told[random.integers(0, len(told), (RANDOM_PAIRS, 2))]
    owner = -1 - np.arange(len(pictures))
    for number, recording in enumerate(found):
        owner[recording.places] = number
    apart = owner[pairs[:, 0]] != owner[pairs[:, 1]]
    if apart.sum() < RANDOM_PAIRS // 10:  # of one recording: far from each other
        apart = np.abs(pairs[:, 0] - pairs[:, 1]) > len(told) // 4
    alike = correlations(pictures, pictures, pairs[apart])
    return float(np.clip(np.quantile(alike, CHANCE_QUANTILE), LOWEST_BAR, HIGHEST_BAR)) if len(alike) else USUAL_BAR


def frame_runs(
    pictures: Comparable, found: Sequence[Recording], bar: float, splits: NDArray[np.int64] | None = None
) -> list[FrameRun]:
    """Find the recordings whose frames follow each other in time.

    Args:
        pictures: of the data set.
        found: numbered pictures by the recordings that their names tell of.
        bar: see `chance_bar`.
        splits: int64 (n,) split of each picture, where two recordings may have the same names in different splits:
            frames of one split are compared then, as long as there are enough.

    Returns:
        The runs, with how far apart their frames look alike.
    """
    runs = [_run(pictures, each, bar, splits) for each in found if len(each.places) >= LEAST]
    return [run for run in runs if run is not None]


def _run(
    pictures: Comparable, recording: Recording, bar: float, splits: NDArray[np.int64] | None
) -> FrameRun | None:  # fmt: skip
    """Compare frames further and further apart, until they resemble each other no more than chance."""
    near, memory, lasts = 0, 0, True
    for lag in LAGS:
        alike = _alike(pictures, recording, lag, splits)
        if alike is None:
            break
        memory = lag
        if alike < bar:
            break
        lasts = lasts and (lag == 1 or alike >= ALIKE)
        near = lag if lasts else near
    return FrameRun(recording, near * recording.step, memory * recording.step) if near else None


def _alike(
    pictures: Comparable, recording: Recording, lag: int, splits: NDArray[np.int64] | None
) -> float | None:  # fmt: skip
    """Return the median correlation of frames so many steps apart; None where there are too few such."""
    numbers, places = recording.numbers, recording.places
    wanted = numbers + lag * recording.step
    partner = np.searchsorted(numbers, wanted - recording.step / 2)
    partner = np.minimum(partner, len(numbers) - 1)
    fits = np.abs(numbers[partner] - wanted) <= recording.step / 2
    pairs = np.column_stack([places, places[partner]])[fits]
    pairs = pairs[pictures.told[pairs].all(1)]
    if splits is not None:
        same = pairs[splits[pairs[:, 0]] == splits[pairs[:, 1]]]
        # Of a split that takes every other frame, no neighbours are in one split.
        pairs = same if len(same) >= LEAST // 2 else pairs
    if len(pairs) < LEAST // 2:
        return None
    chosen = pairs[np.unique(np.linspace(0, len(pairs) - 1, SAMPLES).astype(int))]
    return float(np.median(correlations(pictures, pictures, chosen)))
