"""Cuts recordings into contiguous blocks, with gaps of frames that are in no split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.leaks.frame_runs import FrameRun
from aigp_lightning.data.splitting.balance import Floats
from aigp_lightning.errors import ConfigError

UNUSED = -1
"""Split of a picture that is in none."""
LAYOUTS = 16
"""Ways of cutting a recording from which the best is chosen."""
MOST_CYCLES = 5
"""Blocks of each split in one recording, at most."""
LEAST_BLOCK = 5
"""Frames of a block at least."""
PER_GAP = (4.0, 1.0, 0.0)
"""Gaps that a block is long at least; less only where that is too long for the shares that are asked for."""
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Cutting:
    """Rules by which recordings are cut into blocks.

    Attributes:
        shares: (S,) of the pictures that each split gets; the first is the training split.
        gap: in frames or seconds; None: as long as frames of the recording look alike.
        seconds: whether it is in seconds.
        seed: of where blocks begin.
    """

    shares: Floats
    gap: float | None
    seconds: bool
    seed: int

    def gap_of(self, run: FrameRun) -> float:
        """Return the gap in a recording's own numbers.

        Raises:
            ConfigError: it is in seconds, and the names have no times.
        """
        if self.gap is None:
            return run.memory
        if not self.seconds:
            return self.gap * run.recording.step
        if not run.recording.timed:
            raise ConfigError(
                f"--gap {self.gap:g}s: the names of {run.recording.name} count frames and have no times; give a "
                "number of frames."
            )
        return self.gap


def layouts(run: FrameRun, cutting: Cutting, number: int, per_gap: float = PER_GAP[0]) -> list[Ids]:
    """Lay out the blocks of a recording in several ways; none where it is too short to be cut.

    Args:
        run: the recording, of n frames.
        cutting: shares and gap.
        number: of the recording, for the seed.
        per_gap: gaps that a block is long at least.

    Returns:
        Splits int64 (n,) of its frames, -1 in a gap; each way in which every split has a block.

    Raises:
        ConfigError: see `Cutting.gap_of`.

    Example:
        >>> from aigp_lightning.data.leaks.frame_names import Recording
        >>> run = FrameRun(Recording("a_*", np.arange(100), np.arange(100.0), 1.0, False), near=2.0, memory=4.0)
        >>> ways = layouts(run, Cutting(np.array([0.75, 0.25]), gap=None, seconds=False, seed=0), 0)
        >>> bool(20 <= (ways[0] == 1).sum() <= 26), bool(4 <= (ways[0] == -1).sum() <= 16)
        (True, True)
    """
    numbers, shares = run.recording.numbers, cutting.shares
    gap, count = cutting.gap_of(run), len(run.recording.numbers)
    block = max(LEAST_BLOCK, per_gap * gap / run.recording.step)
    cycles = min(int(count * shares.min() / block), MOST_CYCLES)
    random = np.random.default_rng((cutting.seed, number))
    found = []
    for _ in range(LAYOUTS if cycles else 0):
        order = random.permutation(len(shares))
        place = (np.arange(count) + int(random.integers(count))) / count * cycles % 1.0
        split = order[np.searchsorted(np.cumsum(shares[order]), place, side="right").clip(max=len(shares) - 1)]
        split = _with_gaps(split, numbers, gap)
        if len(np.unique(split[split != UNUSED])) == len(shares):
            found.append(split.astype(np.int64))
    return found


def _with_gaps(split: Ids, numbers: Floats, gap: float) -> Ids:
    """Take the frames at cuts out: those of the training split where it is one side, else of both sides alike."""
    result = np.array(split, np.int64)
    for cut in np.flatnonzero(np.diff(split)).tolist():
        before, after = numbers[cut], numbers[cut + 1]
        if split[cut] == 0:
            low, high = after - gap, before
        elif split[cut + 1] == 0:
            low, high = after, before + gap
        else:
            middle = (before + after) / 2
            low, high = middle - gap / 2, middle + gap / 2
        result[(numbers >= low) & (numbers <= high)] = UNUSED
    return result


def fewest_without(pairs: Ids, sides: Ids) -> Ids:
    """Choose few pictures without which no pair of near neighbours is left; the one with the most pairs first.

    Args:
        pairs: int64 (n, 2) places of near neighbours in two splits.
        sides: int64 (m,) split of every picture; of pictures with equally many pairs one of the training split goes.

    Returns:
        Their places.

    Example:
        >>> fewest_without(np.array([[0, 3], [1, 3], [2, 3], [0, 4]]), np.array([1, 1, 1, 0, 0])).tolist()
        [3, 4]
    """
    gone, left = [], pairs
    while len(left):
        counts = np.bincount(left.ravel(), minlength=len(sides)) * 2 + (sides == 0)
        counts[np.bincount(left.ravel(), minlength=len(sides)) == 0] = 0
        worst = int(counts.argmax())
        gone.append(worst)
        left = left[(left != worst).all(1)]
    return np.array(gone, np.int64)


def table_of(split: Ids, table: Floats, count: int) -> Floats:
    """Sum up the histograms of a part's pictures by split.

    Args:
        split: int64 (n,) of its pictures.
        table: (n, F) histograms.
        count: number of splits, S.

    Returns:
        (S, F).
    """
    return np.stack([table[split == number].sum(0) for number in range(count)])


def whole_options(table: Floats, count: int) -> Floats:
    """Return the options of a part that stays whole: each split may get all of it.

    Args:
        table: (n, F) histograms of its pictures.
        count: number of splits, S.

    Returns:
        (S, S, F).
    """
    return np.asarray(np.eye(count)[:, :, None] * table.sum(0))


def numbered(groups: Ids) -> Sequence[Ids]:
    """Return the places of each group's pictures.

    Args:
        groups: int64 (n,) group of each picture.
    """
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.cumsum(np.bincount(groups))[:-1]) if len(groups) else []
