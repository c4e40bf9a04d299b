"""Losses as a chain of two states, with intervals that know that successive frames are alike.

A corner is seen or lost. With a the chance that a lost one stays lost and b the chance that a seen one is lost next,
the share of lost frames is r = b / (1 + b − a), and λ = a − b is the correlation of successive frames (Gilbert,
*Capacity of a burst-noise channel*, Bell System Technical Journal 39, 1960). a and b are estimated by the shares of
transitions, which is maximum likelihood; r by the share of frames.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from aigp_lightning.evaluation.sequence.recording import Bools, Floats, Ints

Z = 1.959964
"""Standard deviations to either end of a 95 % interval."""
MOST_ALIKE = 0.999
"""Largest correlation of successive frames that is reckoned with."""
LEAST_BLOCKS = 5
"""Fewer blocks say nothing of how much they differ."""
Span = tuple[float, float]


@dataclass(frozen=True)
class Chain:
    """A two-state chain that was fitted.

    Attributes:
        frames: that were counted.
        lost: of them.
        rate: share of lost frames; None without frames.
        rate_interval: 95 %.
        stay_lost: chance that what is lost stays lost in the next frame; None where nothing was lost before another
            frame.
        stay_lost_interval: 95 %.
        get_lost: chance that what is seen is lost in the next frame.
        correlation: λ of successive frames; None where it cannot be told.
        effective_frames: as many independent frames would say as much of the rate.
    """

    frames: int
    lost: int
    rate: float | None = None
    rate_interval: Span | None = None
    stay_lost: float | None = None
    stay_lost_interval: Span | None = None
    get_lost: float | None = None
    correlation: float | None = None
    effective_frames: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def fit_chain(lost: Bools, counted: Bools, follows: Bools, usual: float = MOST_ALIKE) -> Chain:
    """Fit a two-state chain to pieces of it.

    The interval of `stay_lost` is Wilson's. That of the rate is Wilson's for as many independent frames as say as much:
    n² over the sum of L + 2 Σ (L − k) λᵏ, k from 1 to L − 1, over pieces of L frames; for long pieces that is
    n (1 − λ) / (1 + λ).

    Args:
        lost: (m,) in order.
        counted: (m,) whether it could have been seen; others are gaps.
        follows: (m,) whether a row is one frame after the row before it, of the same object.
        usual: correlation where these frames do not tell it, as when nothing was lost; by default as if each stretch
            of frames were a single one.

    Example:
        >>> lost = np.array([0, 0, 1, 1, 1, 0, 0, 0, 0, 0], bool)
        >>> chain = fit_chain(lost, np.ones(10, bool), np.arange(10) > 0)
        >>> chain.rate, round(chain.stay_lost, 3), round(chain.get_lost, 3)
        (0.3, 0.667, 0.167)
    """
    frames, gone = int(counted.sum()), int((lost & counted).sum())
    if not frames:
        return Chain(0, 0)
    after = np.flatnonzero(follows & counted)
    after = after[counted[after - 1]]
    before, now = lost[after - 1], lost[after]
    from_lost, from_seen = int(before.sum()), int((~before).sum())
    stay = float(now[before].mean()) if from_lost else None
    leave = float(now[~before].mean()) if from_seen else None
    alike = stay - leave if stay is not None and leave is not None else None
    pieces = _pieces(counted, follows)
    effective = _effective(pieces, usual if alike is None else alike)
    return Chain(
        frames=frames,
        lost=gone,
        rate=gone / frames,
        rate_interval=wilson(gone / frames, effective),
        stay_lost=stay,
        stay_lost_interval=None if stay is None else wilson(stay, from_lost),
        get_lost=leave,
        correlation=alike,
        effective_frames=effective,
    )


def wilson(share: float, count: float) -> Span:
    """Return the 95 % interval of a share (Wilson, *Probable inference*, JASA 22, 1927).

    Args:
        share: that was observed, 0…1.
        count: independent observations; need not be whole.

    Example:
        >>> [round(end, 3) for end in wilson(0.5, 100)]
        [0.404, 0.596]
    """
    square = Z * Z / count
    middle = (share + square / 2) / (1 + square)
    half = Z * np.sqrt(share * (1 - share) / count + square / (4 * count)) / (1 + square)
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)


def _pieces(counted: Bools, follows: Bools) -> Floats:
    """Return the lengths of the stretches of counted rows without a gap."""
    before = np.concatenate(([False], counted[:-1]))
    number = np.cumsum(counted & ~(follows & before))
    return np.bincount(number[counted] - 1).astype(np.float64)


def _effective(pieces: Floats, alike: float) -> float:
    """Return how many independent frames say as much of the rate as these pieces."""
    alike = min(max(alike, 0.0), MOST_ALIKE)
    spread = pieces + 2 * alike * (pieces * (1 - alike) - (1 - alike**pieces)) / (1 - alike) ** 2
    return float(pieces.sum() ** 2 / spread.sum())


def block_interval(part: Floats, whole: Floats, block: Ints) -> Span | None:
    """Return the 95 % interval of Σ part / Σ whole, by how much blocks of it differ.

    The variance is the ratio estimator's over blocks (Cochran, *Sampling Techniques*, 1977, 6.4), the interval that of
    Student's t on log-odds. Rows of one block may depend on each other as they like.

    Args:
        part: (m,) such as lost corners of an object in a frame.
        whole: (m,) such as corners that could be seen.
        block: (m,) number of each row's block.

    Returns:
        None with fewer than five blocks.

    Example:
        >>> span = block_interval(np.array([0.0, 1, 0, 1, 0, 1]), np.ones(6) * 4, np.arange(6))
        >>> [round(end, 2) for end in span]
        [0.04, 0.35]
    """
    _, number = np.unique(block[whole > 0], return_inverse=True)
    parts, wholes = (np.bincount(number, weights=each[whole > 0]) for each in (part, whole))
    count, total = len(wholes), wholes.sum()
    if count < LEAST_BLOCKS:
        return None
    share = parts.sum() / total
    if not 0 < share < 1:
        return wilson(float(share), count)
    from scipy.special import stdtrit

    error = np.sqrt(count / (count - 1) * ((parts - share * wholes) ** 2).sum()) / total
    odds, reach = np.log(share / (1 - share)), stdtrit(count - 1, 0.975) * error / (share * (1 - share))
    low, high = (1 / (1 + np.exp(-(odds + each))) for each in (-reach, reach))
    return float(low), float(high)
