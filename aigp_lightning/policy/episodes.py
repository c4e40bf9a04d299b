"""Runs whole episodes and summarizes them: success rate with its interval, times, gates, causes of their ends."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from aigp_lightning.errors import RunError
from aigp_lightning.policy.env_guard import EnvironmentFailed

Z95 = 1.959964
"""Standard deviations that hold 95 % of a normal distribution."""


class EndlessEpisode(RunError):
    """An episode has not ended within the steps that were allowed.

    Args:
        ended: episodes that had ended by then.
        wanted: episodes to run.
        max_steps: the limit.
    """

    def __init__(self, ended: int, wanted: int, max_steps: int) -> None:
        super().__init__(
            f"an episode has not ended in {max_steps:,} steps ({ended} of {wanted} episodes had): most likely the "
            "environment has no time limit. Register it with max_episode_steps; for longer episodes raise "
            "--eval_env.max_steps."
        )


def run_episodes(
    predict: Callable[[Any], np.ndarray],
    env: VecEnv,
    n_episodes: int,
    on_step: Callable[[np.ndarray], None] | None = None,
    stop: Callable[[], bool] | None = None,
    max_steps: int | None = None,
) -> list[dict[str, Any]]:
    """Run exactly `n_episodes` episodes.

    Each environment runs its share, and its further episodes are not counted: counting those that end first would
    prefer short ones (stable-baselines3's issue 402).

    Args:
        predict: maps observations of all environments to actions.
        env: made by `make_env`; it is reset.
        n_episodes: number of episodes.
        on_step: called after the reset and after every step with the number of episodes each environment has finished,
            (num_envs,).
        stop: called after every step; if it returns True, the episodes completed so far are returned.
        max_steps: most steps of an episode; None for no limit.

    Returns:
        The info of each episode's last step, with `episode` (`r` return, `l` length), `env` and `number`.

    Raises:
        EndlessEpisode: one that counts has had more steps.
    """
    shares = (n_episodes + np.arange(env.num_envs)) // env.num_envs
    counts = np.zeros(env.num_envs, dtype=int)
    steps = np.zeros(env.num_envs, dtype=int)
    episodes: list[dict[str, Any]] = []
    observations = env.reset()
    if on_step:
        on_step(counts)
    while (counts < shares).any() and not (stop is not None and stop()):
        observations, _, done, infos = env.step(predict(observations))
        for i in np.flatnonzero(done & (counts < shares)):
            info = {key: value for key, value in infos[i].items() if key != "terminal_observation"}
            episodes.append({**info, "env": int(i), "number": int(counts[i])})
        counts += done
        steps = np.where(done, 0, steps + 1)
        if max_steps is not None and (steps[counts < shares] >= max_steps).any():
            raise EndlessEpisode(len(episodes), n_episodes, max_steps)
        if on_step:
            on_step(counts)
    return episodes


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a rate (Wilson 1927), which does not shrink to a point at 0 and 1.

    Args:
        successes: number of successful trials.
        trials: number of trials; 0 gives (0, 1).

    Example:
        >>> low, high = wilson_interval(9, 10)
        >>> round(low, 3), round(high, 3)
        (0.596, 0.982)
    """
    if trials == 0:
        return 0.0, 1.0
    rate, spread = successes / trials, Z95**2 / trials
    middle = (rate + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(rate * (1 - rate) / trials + spread / 4 / trials)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Summary:
    """The summary of a number of episodes; a value that the environment does not report is None.

    Args:
        episodes: number of episodes.
        reward: mean return.
        reward_std: its standard deviation.
        length: mean number of steps.
        success: share that succeeded.
        interval: of the success rate, 95 %.
        race_seconds: mean time of those that succeeded.
        race_steps: mean length of those that succeeded.
        best_lap: shortest, seconds.
        mean_lap: mean of the episodes' best laps, seconds.
        gates: mean number of gates passed.
        gate_rates: share of attempts that passed, by gate of the track; None for a gate never attempted.
        gate_attempts: attempts by gate.
        causes: number of episodes by cause of their end, most frequent first.
    """

    episodes: int = 0
    reward: float = math.nan
    reward_std: float = math.nan
    length: float = math.nan
    success: float | None = None
    interval: tuple[float, float] | None = None
    race_seconds: float | None = None
    race_steps: float | None = None
    best_lap: float | None = None
    mean_lap: float | None = None
    gates: float | None = None
    gate_rates: list[float | None] = field(default_factory=list)
    gate_attempts: list[int] = field(default_factory=list)
    causes: dict[str, int] = field(default_factory=dict)

    @property
    def score(self) -> tuple[float, float, float]:
        """Sort key, greater for the better policy: success rate, then speed, then return."""
        time = self.race_seconds if self.race_seconds is not None else self.race_steps
        return self.success or 0.0, -math.inf if time is None else -time, self.reward

    @property
    def pass_rate(self) -> float | None:
        """Share of attempts that passed, over all gates; None without an attempt."""
        attempts = sum(self.gate_attempts)
        if not attempts:
            return None
        rates = zip(self.gate_rates, self.gate_attempts, strict=True)
        return sum((rate or 0.0) * count for rate, count in rates) / attempts


def summarize(episodes: Sequence[dict[str, Any]]) -> Summary:
    """Summarize episodes.

    Args:
        episodes: infos of last steps, as `run_episodes` returns them.
    """
    if not episodes:
        return Summary()
    rewards, lengths = (np.array([float(info["episode"][key]) for info in episodes]) for key in "rl")
    known = [info for info in episodes if "is_success" in info]
    won = [info for info in known if _number(info, "is_success")]
    laps = _values(episodes, "best_lap")
    attempts, passes = _counts(episodes, "gate_attempts"), _counts(episodes, "gate_passes")
    return Summary(
        episodes=len(episodes),
        reward=float(rewards.mean()), reward_std=float(rewards.std()), length=float(lengths.mean()),
        success=len(won) / len(known) if known else None,
        interval=wilson_interval(len(won), len(known)) if known else None,
        race_seconds=_mean(_values(won, "race_seconds")),
        race_steps=_mean([float(info["episode"]["l"]) for info in won]),
        best_lap=min(laps, default=None), mean_lap=_mean(laps),
        gates=_mean(_values(episodes, "gates_passed")),
        gate_rates=[float(p / a) if a else None for p, a in zip(passes, attempts, strict=True)],
        gate_attempts=[int(count) for count in attempts],
        causes=dict(Counter(str(info["cause"]) for info in episodes if "cause" in info).most_common()),
    )  # fmt: skip


def _values(episodes: Sequence[dict[str, Any]], key: str) -> list[float]:
    """Return the finite values of a key; the best lap of an episode without one is NaN and left out."""
    found = (_number(info, key) for info in episodes if info.get(key) is not None)
    return [value for value in found if math.isfinite(value)]


def _number(info: dict[str, Any], key: str) -> float:
    """Return a value that the environment reports at an episode's end.

    Raises:
        EnvironmentFailed: it is no number.
    """
    value = info[key]
    if np.ndim(value) or isinstance(value, str | bytes) or np.asarray(value).dtype.kind not in "buif":
        raise EnvironmentFailed(f"the environment's info has {key} {value!r} at an episode's end, which is no number.")
    return float(value)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _counts(episodes: Sequence[dict[str, Any]], key: str) -> np.ndarray:
    """Return the sum of counts by gate; tracks may have different numbers of gates."""
    try:
        rows = [np.atleast_1d(np.asarray(info[key], dtype=int)) for info in episodes if key in info]
    except (TypeError, ValueError) as error:
        raise EnvironmentFailed(f"the environment's info has {key} that are no counts: {error}.") from error
    total = np.zeros(max(map(len, rows), default=0), dtype=int)
    for row in rows:
        total[: len(row)] += row
    return total
