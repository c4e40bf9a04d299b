"""Episodes are counted exactly, and what they come to is right."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from aigp_lightning.policy.episodes import run_episodes, summarize, wilson_interval


class Clockwork:
    """Stands in for a vector environment: environment `i` ends an episode every `lengths[i]` steps."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths, self.num_envs = np.array(lengths), len(lengths)

    def reset(self) -> np.ndarray:
        self.steps = np.zeros(self.num_envs, int)
        return self.steps

    def step(self, actions: np.ndarray) -> tuple[Any, Any, Any, Any]:
        assert (actions == self.steps).all(), "actions belong to the observations before them"
        self.steps = self.steps + 1
        done = self.steps % self.lengths == 0
        infos = [
            {"episode": {"r": 1.0, "l": int(self.lengths[i])}, "terminal_observation": 0} if done[i] else {}
            for i in range(self.num_envs)
        ]
        return self.steps, np.ones(self.num_envs), done, infos


@pytest.mark.parametrize(("lengths", "episodes"), [([1, 5, 3], 7), ([2, 9], 1), ([1, 1, 1, 50], 8)])
def test_each_environment_plays_its_share(lengths: list[int], episodes: int) -> None:
    """Short episodes are not preferred, though many of them end before a long one does."""
    seen: list[int] = []
    played = run_episodes(lambda steps: steps, Clockwork(lengths), episodes, lambda counts: seen.append(counts.sum()))
    assert len(played) == episodes
    shares = np.bincount([info["env"] for info in played], minlength=len(lengths))
    assert shares.max() - shares.min() <= 1
    assert all(info["number"] < shares[info["env"]] for info in played)
    assert "terminal_observation" not in played[0]
    assert seen[0] == 0 and len(seen) == 1 + max(n * length for n, length in zip(shares, lengths, strict=True))


def test_it_stops_when_asked() -> None:
    asked = iter([False, False, True])
    assert len(run_episodes(lambda steps: steps, Clockwork([1, 9]), 100, stop=lambda: next(asked))) == 2


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (236, 256, 0.8824, 0.9489),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilsons_interval_is_the_books(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


def episode(reward: float, length: int, **info: Any) -> dict[str, Any]:
    return {"episode": {"r": reward, "l": length}, **info}


def test_a_summary_is_what_the_episodes_say() -> None:
    found = summarize(
        [
            episode(10, 100, is_success=True, cause="finish", race_seconds=8.0, best_lap=4.0, gates_passed=4,
                    gate_attempts=np.array([2, 2]), gate_passes=np.array([2, 2])),
            episode(2, 50, is_success=False, cause="frame", race_seconds=3.0, best_lap=math.nan, gates_passed=1,
                    gate_attempts=np.array([1, 1, 0]), gate_passes=np.array([1, 0, 0])),
            episode(6, 90, is_success=True, cause="finish", race_seconds=6.0, best_lap=2.5, gates_passed=4,
                    gate_attempts=np.array([2, 2]), gate_passes=np.array([2, 2])),
            episode(0, 10, is_success=False, cause="miss", race_seconds=1.0, best_lap=math.nan, gates_passed=0,
                    gate_attempts=np.array([1, 0]), gate_passes=np.array([0, 0])),
        ]
    )  # fmt: skip
    assert (found.episodes, found.reward, found.length, found.success) == (4, 4.5, 62.5, 0.5)
    assert found.interval == wilson_interval(2, 4)
    assert (found.race_seconds, found.race_steps) == (7.0, 95.0), "of those that succeeded"
    assert (found.best_lap, found.mean_lap, found.gates) == (2.5, 3.25, 2.25)
    assert found.gate_attempts == [6, 5, 0]
    assert found.gate_rates == [5 / 6, 4 / 5, None]
    assert found.pass_rate == pytest.approx(9 / 11)
    assert found.causes == {"finish": 2, "frame": 1, "miss": 1}


def test_an_environment_that_says_nothing_has_its_return() -> None:
    found = summarize([episode(1, 5), episode(3, 7)])
    assert (found.reward, found.reward_std, found.length) == (2.0, 1.0, 6.0)
    assert found.success is found.interval is found.race_seconds is found.best_lap is found.pass_rate is None
    assert found.causes == {} and found.gate_rates == []


def test_the_better_policy_succeeds_more_often_then_is_faster_then_earns_more() -> None:
    safe = summarize([episode(1, 90, is_success=True, race_seconds=9.0)] * 2)
    fast = summarize([episode(0, 70, is_success=True, race_seconds=7.0)] * 2)
    rash = summarize([episode(9, 50, is_success=True, race_seconds=5.0), episode(9, 9, is_success=False)])
    assert fast.score > safe.score > rash.score
    never, nearly = summarize([episode(1, 9, is_success=False)]), summarize([episode(2, 9, is_success=False)])
    assert nearly.score > never.score
    assert summarize([episode(2, 9)]).score > summarize([episode(1, 9)]).score
    untimed = [summarize([episode(5, length, is_success=True)]).score for length in (30, 20)]
    assert untimed[1] > untimed[0], "without a clock, steps count"
