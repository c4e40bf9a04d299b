"""Statistics of a running training: the last episodes, speed, and the shares of rollouts and updates in its time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

from aigp_lightning.policy.episodes import Summary, summarize

HISTORY = 240
"""Updates that the dashboard's curves show at most."""
PLAIN_TYPES = (int, float, np.floating, np.integer)


class Stopwatch:
    """A stopwatch that splits a training's time into rollouts (policy and environments), updates, and everything else.

    Args:
        clock: returns seconds; tests bring their own.

    Attributes:
        seconds: of all rollouts and all updates.
        last: seconds of the last rollout and the last update.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._running: tuple[str, float] | None = None
        self._excluded = 0.0
        self.seconds = {"rollout": 0.0, "update": 0.0}
        self.last = {"rollout": 0.0, "update": 0.0}

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._began

    def start(self, part: str | None) -> None:
        """End the running part and start another.

        Args:
            part: `rollout` or `update`; None for neither.
        """
        now = self._clock()
        if self._running is not None:
            name, since = self._running
            self.last[name] = max(0.0, now - since - self._excluded)
            self.seconds[name] += self.last[name]
        self._running, self._excluded = (part, now) if part else None, 0.0

    def exclude(self, seconds: float) -> None:
        """Exclude time from the running part: an evaluation within a rollout, for instance.

        Args:
            seconds: to exclude.
        """
        self._excluded += seconds

    @property
    def shares(self) -> tuple[float, float] | None:
        """Shares of rollouts and updates in the time of training; None before the first update."""
        total = sum(self.seconds.values())
        return (self.seconds["rollout"] / total, self.seconds["update"] / total) if self.seconds["update"] else None


class TrainingStats(BaseCallback):
    """A callback that gathers the statistics of a training, and logs those of the race.

    Args:
        window: last episodes that are summarized.

    Attributes:
        stopwatch: of rollouts and updates.
        last_episodes: infos of the last episodes' last steps.
        episodes: number of episodes that have ended.
        summary: of the last episodes.
        history: values by name, one an update.
        best_lap: of the training, s; None without one.
        speed: environment steps a second in the last rollout and update; None before.
    """

    def __init__(self, window: int) -> None:
        super().__init__()
        self.stopwatch = Stopwatch()
        self.last_episodes: deque[dict[str, Any]] = deque(maxlen=window)
        self.episodes = 0
        self.summary = Summary()
        self.history: dict[str, deque[float]] = {key: deque(maxlen=HISTORY) for key in ("return", "length", "success")}
        self.best_lap: float | None = None
        self.speed: float | None = None
        self._rollout_began_at = self._began_at = 0

    def _on_training_start(self) -> None:
        self.stopwatch = Stopwatch()
        self._began_at = self._rollout_began_at = self.num_timesteps = self.model.num_timesteps

    def _on_rollout_start(self) -> None:
        self.stopwatch.start("rollout")
        cycle = sum(self.stopwatch.last.values())
        if self.num_timesteps > self._rollout_began_at and cycle:
            self.speed = (self.num_timesteps - self._rollout_began_at) / cycle
        self._rollout_began_at = self.num_timesteps

    def _on_step(self) -> bool:
        infos = self.locals["infos"]
        for i in np.flatnonzero(self.locals["dones"]):
            self.last_episodes.append({key: value for key, value in infos[i].items() if key != "terminal_observation"})
            self.episodes += 1
        return True

    def _on_rollout_end(self) -> None:
        self.stopwatch.start("update")
        self.summary = now = summarize(list(self.last_episodes))
        if now.episodes:
            for key, value in (("return", now.reward), ("length", now.length), ("success", now.success)):
                if value is not None:
                    self.history[key].append(value)
        if now.best_lap is not None:
            self.best_lap = min(now.best_lap, self.best_lap or now.best_lap)
        for key, value in race_scalars(now).items():
            self.logger.record(f"race/{key}", value)
        for part, seconds in self.stopwatch.last.items():
            self.logger.record(f"time/{part}_seconds", seconds)

    def _on_training_end(self) -> None:
        self.stopwatch.start(None)

    def time_left(self, total: int) -> float | None:
        """Estimate the seconds to the end of the training, evaluations included.

        Args:
            total: environment steps of the whole training.

        Returns:
            Seconds; None before the first rollout.
        """
        done = self.num_timesteps - self._began_at
        return max(0, total - self.num_timesteps) * self.stopwatch.elapsed / done if done > 0 else None


def race_scalars(summary: Summary) -> dict[str, float]:
    """Return what an environment reports beside return and length, as scalars by name."""
    scalars = {
        "success_rate": summary.success, "pass_rate": summary.pass_rate, "gates_passed": summary.gates,
        "race_seconds": summary.race_seconds, "best_lap": summary.best_lap, "mean_lap": summary.mean_lap,
    }  # fmt: skip
    scalars |= {f"pass_rate_gate_{gate:02d}": rate for gate, rate in enumerate(summary.gate_rates)}
    scalars |= {f"cause_{cause}": count / summary.episodes for cause, count in summary.causes.items()}
    return {key: value for key, value in scalars.items() if value is not None}


class LastScalars(KVWriter):
    """A log output of SB3 that keeps the last value of every scalar, for the dashboard.

    Attributes:
        values: by name.
    """

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Keep the numbers among the logged values."""
        numbers = {key: float(value) for key, value in key_values.items() if isinstance(value, PLAIN_TYPES)}
        self.values = {**self.values, **numbers}

    def close(self) -> None:
        """Do nothing: there is no file to close."""
