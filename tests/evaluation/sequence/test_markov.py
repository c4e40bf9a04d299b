"""Chains of two states: their parameters, and intervals that hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from sequence_flights import chain

from aigp_lightning.evaluation.sequence.markov import Chain, block_interval, fit_chain, wilson


def rows(lost: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chains (frames, pieces) as rows, one piece after the other."""
    follows = np.ones(lost.shape, bool)
    follows[0] = False
    return lost.T.ravel(), np.ones(lost.size, bool), follows.T.ravel()


def test_shares_of_transitions_are_the_estimate() -> None:
    lost = np.array([1, 1, 0, 0, 1, 0, 0, 0], bool)
    fitted = fit_chain(lost, np.ones(8, bool), np.arange(8) > 0)
    assert (fitted.frames, fitted.lost, fitted.rate) == (8, 3, 0.375)
    assert fitted.stay_lost == pytest.approx(1 / 3)
    assert fitted.get_lost == pytest.approx(1 / 4)
    assert fitted.correlation == pytest.approx(1 / 3 - 1 / 4)


def test_gaps_end_a_piece_and_count_for_nothing() -> None:
    lost, counted = np.array([1, 1, 1, 1, 0, 0], bool), np.array([1, 1, 0, 1, 1, 1], bool)
    follows = np.array([0, 1, 1, 1, 1, 0], bool)  # the last row is another object's
    fitted = fit_chain(lost, counted, follows)
    assert (fitted.frames, fitted.lost) == (5, 3)
    assert fitted.stay_lost == 0.5  # once on, once off; over the gap nothing is known
    assert fitted.get_lost is None


def test_nothing_gives_nothing() -> None:
    none = np.zeros(4, bool)
    assert fit_chain(none, none, none) == Chain(0, 0)
    never = fit_chain(none, ~none, np.arange(4) > 0)
    assert (never.rate, never.stay_lost, never.stay_lost_interval) == (0.0, None, None)
    assert never.effective_frames == pytest.approx(1, abs=0.01)  # how long a loss would last is not known
    assert never.rate_interval is not None and never.rate_interval[1] > 0.7


def test_effective_frames_are_those_of_the_mean_of_a_chain() -> None:
    """The variance of the share of losses over pieces of 20 frames, by many of them."""
    rate, stay, random = 0.3, 0.8, np.random.default_rng(1)
    shares = chain((20, 20_000), rate, stay, random).mean(0)
    fitted = fit_chain(*rows(chain((20, 2000), rate, stay, random)))
    assert fitted.effective_frames is not None
    assert fitted.effective_frames / 2000 == pytest.approx(rate * (1 - rate) / shares.var(), rel=0.08)
    long = fit_chain(*rows(chain((40_000, 1), rate, stay, random)))
    common = (stay - rate) / (1 - rate)
    assert long.effective_frames == pytest.approx(40_000 * (1 - common) / (1 + common), rel=0.05)


@pytest.mark.parametrize(
    ("rate", "stay", "frames", "pieces"),
    [(0.13, 0.81, 1345, 1), (0.13, 0.81, 60, 20), (0.05, 0.6, 100, 8), (0.4, 0.9, 150, 10), (0.2, 0.2, 60, 10)],
)
def test_intervals_hold_the_truth_as_often_as_they_say(rate: float, stay: float, frames: int, pieces: int) -> None:
    times, held = 300, np.zeros(2)
    for lost in np.moveaxis(chain((frames, pieces, times), rate, stay, np.random.default_rng(7)), 2, 0):
        fitted = fit_chain(*rows(lost))
        for place, (value, interval) in enumerate(
            ((rate, fitted.rate_interval), (stay, fitted.stay_lost_interval or (0.0, 1.0)))
        ):
            assert interval is not None
            held[place] += interval[0] <= value <= interval[1]
    assert (held / times >= 0.90).all() and (held / times <= 0.99).all(), held / times


def test_intervals_that_ignore_the_chain_would_not() -> None:
    """So the test above can fail: Wilson's interval for as many frames holds the truth far too seldom."""
    held = 0
    for lost in np.moveaxis(chain((1345, 1, 300), 0.13, 0.81, np.random.default_rng(7)), 2, 0):
        fitted = fit_chain(*rows(lost))
        assert fitted.rate is not None
        low, high = wilson(fitted.rate, fitted.frames)
        held += low <= 0.13 <= high
    assert held / 300 < 0.75


def test_blocks_hold_the_truth_though_their_rows_are_alike() -> None:
    """Four corners that are lost together, in 30 blocks of 40 frames."""
    held, times, block = 0, 300, np.repeat(np.arange(30), 40)
    for lost in np.moveaxis(chain((40, 30, times), 0.13, 0.81, np.random.default_rng(3)), 2, 0):
        span = block_interval(lost.T.ravel() * 4.0, np.full(1200, 4.0), block)
        assert span is not None
        held += span[0] <= 0.13 <= span[1]
    assert 0.90 <= held / times <= 0.99


def test_few_blocks_say_nothing() -> None:
    assert block_interval(np.ones(8), np.full(8, 2.0), np.arange(8) // 2) is None
    assert block_interval(np.zeros(8), np.ones(8), np.arange(8)) == wilson(0.0, 8)
