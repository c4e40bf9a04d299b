"""Random numbers, a stream for each environment."""

from __future__ import annotations

import numpy as np
import pytest

from aigp_lightning.policy.env.streams import Streams, mix


def streams(*seeds: int) -> Streams:
    made = Streams(len(seeds))
    made.seed(np.array(seeds, np.uint64))
    return made


def test_mix_is_splitmix64() -> None:
    """The first two outputs of the reference implementation for the seed 1234567."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    seeds = np.array([1234567, 1234567], np.uint64) + golden * np.array([1, 2], np.uint64)
    assert mix(seeds).tolist() == [6457827717110365317, 3203168211198807973]


def test_a_stream_does_not_depend_on_its_neighbours() -> None:
    alone, together = streams(5), streams(4, 5, 6)
    together.uniform(7, np.array([0, 2]))
    assert np.array_equal(alone.uniform(3, slice(None))[:, 0], together.uniform(3, np.array([1, 2]))[:, 0])
    assert np.array_equal(alone.normal(5, slice(None))[:, 0], together.normal(5, slice(None))[:, 1])


def test_a_stream_goes_on() -> None:
    one, other = streams(9), streams(9)
    pieces = np.concatenate([one.uniform(2, slice(None)), one.uniform(3, slice(None))])
    assert np.array_equal(pieces, other.uniform(5, slice(None)))
    assert len(np.unique(pieces)) == 5


def test_distributions() -> None:
    many = streams(*range(2000))
    uniform, normal = many.uniform(50, slice(None)), many.normal(51, slice(None))
    assert 0 <= uniform.min() < 1e-3
    assert 1 - 1e-3 < uniform.max() < 1
    assert uniform.mean() == pytest.approx(0.5, abs=0.005)
    assert uniform.std() == pytest.approx(12**-0.5, abs=0.005)
    assert np.isfinite(normal).all()
    assert normal.mean() == pytest.approx(0, abs=0.01)
    assert normal.std() == pytest.approx(1, abs=0.01)
    assert np.abs(np.corrcoef(uniform)[np.triu_indices(50, 1)]).max() < 0.12
    whole = many.integers(3, 6, slice(None))
    assert set(whole.tolist()) == {3, 4, 5}
