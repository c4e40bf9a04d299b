"""What a training does meanwhile: the last episodes, and where its time goes."""

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
"""Updates that the dashboard's curves remember."""
PLAIN_TYPES = (int, float, np.floating, np.integer)


class Stopwatch:
    """Splits a training's time into rollouts (policy and environments), updates, and everything else.

    Args:
        clock: seconds from any start; tests bring their own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._mark: tuple[str, float] | None = None
        self._aside = 0.0
        self.seconds = {"rollout": 0.0, "update": 0.0}
        self.last = {"rollout": 0.0, "update": 0.0}

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._began

    def start(self, part: str | None) -> None:
        """What ran until now is over; `part` runs, None for something else."""
        now = self._clock()
        if self._mark is not None:
            name, since = self._mark
            self.last[name] = max(0.0, now - since - self._aside)
            self.seconds[name] += self.last[name]
        self._mark, self._aside = (part, now) if part else None, 0.0

    def aside(self, seconds: float) -> None:
        """So much of the running part was something else: an evaluation, a file."""
        self._aside += seconds

    @property
    def shares(self) -> tuple[float, float] | None:
        """Of the time of training, what rollouts and updates took; None before the first update."""
        total = sum(self.seconds.values())
        return (self.seconds["rollout"] / total, self.seconds["update"] / total) if self.seconds["update"] else None


class Figures(BaseCallback):
    """Follows the training: the last episodes, speed, what goes to TensorBoard of the race.

    Args:
        window: episodes that are summed up.
    """

    def __init__(self, window: int) -> None:
        super().__init__()
        self.watch = Stopwatch()
        self.played: deque[dict[str, Any]] = deque(maxlen=window)
        self.episodes = 0
        self.summary = Summary()
        self.history: dict[str, deque[float]] = {key: deque(maxlen=HISTORY) for key in ("return", "length", "success")}
        self.best_lap: float | None = None
        self.speed: float | None = None
        self._rollout_began_at = self._began_at = 0

    def _on_training_start(self) -> None:
        self.watch = Stopwatch()
        self._began_at = self._rollout_began_at = self.num_timesteps = self.model.num_timesteps

    def _on_rollout_start(self) -> None:
        self.watch.start("rollout")
        cycle = sum(self.watch.last.values())
        if self.num_timesteps > self._rollout_began_at and cycle:
            self.speed = (self.num_timesteps - self._rollout_began_at) / cycle
        self._rollout_began_at = self.num_timesteps

    def _on_step(self) -> bool:
        infos = self.locals["infos"]
        for i in np.flatnonzero(self.locals["dones"]):
            self.played.append({key: value for key, value in infos[i].items() if key != "terminal_observation"})
            self.episodes += 1
        return True

    def _on_rollout_end(self) -> None:
        self.watch.start("update")
        self.summary = now = summarize(list(self.played))
        if now.episodes:
            for key, value in (("return", now.reward), ("length", now.length), ("success", now.success)):
                if value is not None:
                    self.history[key].append(value)
        if now.best_lap is not None:
            self.best_lap = min(now.best_lap, self.best_lap or now.best_lap)
        for key, value in race_figures(now).items():
            self.logger.record(f"race/{key}", value)
        for part, seconds in self.watch.last.items():
            self.logger.record(f"time/{part}_seconds", seconds)

    def _on_training_end(self) -> None:
        self.watch.start(None)

    def left(self, total: int) -> float | None:
        """Seconds to the end of the training, evaluations included; None before the first rollout.

        Args:
            total: environment steps of the whole training.
        """
        done = self.num_timesteps - self._began_at
        return max(0, total - self.num_timesteps) * self.watch.elapsed / done if done > 0 else None


def race_figures(summary: Summary) -> dict[str, float]:
    """What an environment says beside return and length, as scalars by name."""
    found = {
        "success_rate": summary.success, "pass_rate": summary.pass_rate, "gates_passed": summary.gates,
        "race_seconds": summary.race_seconds, "best_lap": summary.best_lap, "mean_lap": summary.mean_lap,
    }  # fmt: skip
    found |= {f"pass_rate_gate_{gate:02d}": rate for gate, rate in enumerate(summary.gate_rates)}
    found |= {f"cause_{cause}": count / summary.episodes for cause, count in summary.causes.items()}
    return {key: value for key, value in found.items() if value is not None}


class LastValues(KVWriter):
    """One of SB3's log outputs: keeps the last value of everything, for the dashboard."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Take what is logged."""
        found = {key: float(value) for key, value in key_values.items() if isinstance(value, PLAIN_TYPES)}
        self.values = {**self.values, **found}

    def close(self) -> None:
        """Nothing is open."""
