"""WHEN a training evaluates, saves and stops."""

from __future__ import annotations

import csv
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, cast

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, EveryNTimesteps
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from aigp_lightning.policy.config import EarlyStop, EvalConfig
from aigp_lightning.policy.episodes import Summary, run_episodes, summarize
from aigp_lightning.policy.models import BEST, CHECKPOINTS, Policy, about, save_model
from aigp_lightning.policy.progress import Stopwatch, race_figures
from aigp_lightning.policy.view import describe

EVALUATIONS = "evaluations.csv"
COLUMNS = ("steps", "best", "success", "success_low", "success_high", "race_seconds", "best_lap", "pass_rate", "gates",
           "reward", "length")  # fmt: skip


def every(steps: int, callback: BaseCallback, since: int) -> EveryNTimesteps:
    """Call back every so many environment steps (SB3's own frequencies count calls).

    Args:
        steps: how many.
        callback: its `on_step` is called.
        since: steps that the training has already.
    """
    timer = EveryNTimesteps(steps, callback)
    timer.last_time_trigger = since
    return timer


class Evaluation(BaseCallback):
    """Judges the policy, keeps the best model, and says when it is good enough.

    Best is who succeeds most often; of those, the fastest; where the environment reports neither, the highest return.

    Args:
        env: what it is judged on.
        options: how many episodes, which starts.
        early: when it is good enough.
        folder: of the run.
        watch: is told what an evaluation took; None for none.
        stop: whether someone wants the training to stop.
    """

    def __init__(
        self, env: VecMonitor, options: EvalConfig, early: EarlyStop, folder: Path, watch: Callable[[], Stopwatch],
        stop: Callable[[], bool],
    ) -> None:  # fmt: skip
        super().__init__()
        self.env, self.options, self.early, self.folder = env, options, early, folder
        self._watch, self._stop = watch, stop
        self.last: tuple[int, Summary] | None = None
        self.best: tuple[int, Summary] | None = None
        self._in_a_row = 0

    @property
    def satisfied(self) -> bool:
        """Whether enough evaluations in a row were good enough."""
        return self.early.success is not None and self._in_a_row >= self.early.evaluations

    def recall(self, steps: int) -> None:
        """Take up the evaluations of a run that goes on.

        Args:
            steps: that the model has; what comes after is forgotten.
        """
        noted = about(self.folder / BEST)
        if "evaluation" in noted and noted["steps"] <= steps:
            self.best = noted["steps"], Summary(**noted["evaluation"])
        file = self.folder / EVALUATIONS
        if file.is_file():
            with file.open(newline="", encoding="utf-8") as old:
                rows = [row for row in csv.DictReader(old) if int(row["steps"]) <= steps]
            _write_rows(file, "w", rows)

    def _on_step(self) -> bool:
        self.evaluate()
        return not self.satisfied

    def evaluate(self) -> None:
        """Play the episodes; log, note and print what they come to; save the model if it is the best."""
        began = time.monotonic()
        model = cast("PPO", self.model)
        self.env.seed(self.options.seed)
        policy = Policy(model, cast("VecNormalize", model.get_vec_normalize_env()))
        played = run_episodes(policy, self.env, self.options.n_episodes, stop=self._stop)
        if len(played) == self.options.n_episodes:  # else it was broken off
            self._note(summarize(played))
        self._watch().aside(time.monotonic() - began)

    def _note(self, found: Summary) -> None:
        self.last = self.model.num_timesteps, found
        better = self.best is None or found.score > self.best[1].score
        if better:
            self.best = self.last
            save_model(cast("PPO", self.model), self.folder / BEST, {"evaluation": asdict(found)})
        enough = self.early.success is not None and (found.success or 0.0) >= self.early.success
        self._in_a_row = self._in_a_row + 1 if enough else 0
        scalars = {"mean_reward": found.reward, "mean_ep_length": found.length, **race_figures(found)}
        for key, value in scalars.items():
            self.logger.record(f"eval/{key}", value)
        self.logger.dump(self.model.num_timesteps)
        _write_rows(self.folder / EVALUATIONS, "a", [self._row(found, better)])
        print(f"evaluation at {self.last[0]:,} steps: {describe(found)}{'  (best)' if better else ''}", flush=True)

    def _row(self, found: Summary, better: bool) -> dict[str, Any]:
        low, high = found.interval or (None, None)
        row = {**asdict(found), "steps": self.model.num_timesteps, "best": int(better), "pass_rate": found.pass_rate}
        return {key: row.get(key) for key in COLUMNS} | {"success_low": low, "success_high": high}


def _write_rows(file: Path, mode: str, rows: list[dict[str, Any]]) -> None:
    new = mode == "w" or not file.is_file()
    with file.open(mode, newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerows(rows)


class Checkpoints(BaseCallback):
    """Saves a model beside those before it.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def _on_step(self) -> bool:
        save_model(cast("PPO", self.model), self.folder / CHECKPOINTS / f"{self.model.num_timesteps:010d}", {})
        return True


class Interrupt(AbstractContextManager["Interrupt"]):
    """Ctrl-C and SIGTERM end the training after the step that runs; a second Ctrl-C ends it at once.

    `signal` is what came; None while nothing has.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._came)
            except ValueError:  # not the main thread: whoever started the thread has the signals
                break
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def came(self) -> bool:
        """Whether one has come."""
        return self.signal is not None

    def _came(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        print("stopping after this step, then saving; once more: at once, without saving", file=sys.stderr, flush=True)


class StopWhen(BaseCallback):
    """Ends the training when someone wants it to.

    Args:
        stop: whether someone does.
    """

    def __init__(self, stop: Callable[[], bool]) -> None:
        super().__init__()
        self._stop = stop

    def _on_step(self) -> bool:
        return not self._stop()
