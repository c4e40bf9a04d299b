"""Callbacks of stable-baselines3 that decide when a training evaluates, saves and stops."""

from __future__ import annotations

import csv
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any, cast

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, EveryNTimesteps
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from aigp_lightning.files import write_atomic
from aigp_lightning.policy.config import EarlyStop, EvalConfig
from aigp_lightning.policy.episodes import EndlessEpisode, Summary, run_episodes, summarize
from aigp_lightning.policy.models import BEST, CHECKPOINTS, Policy, read_about, save_model
from aigp_lightning.policy.progress import Stopwatch, race_scalars
from aigp_lightning.policy.view import describe
from aigp_lightning.run.signals import is_repeated, stop_signals
from aigp_lightning.terminal.output import print_line

EVALUATIONS = "evaluations.csv"
COLUMNS = ("steps", "best", "success", "success_low", "success_high", "race_seconds", "best_lap", "pass_rate", "gates",
           "reward", "length")  # fmt: skip


def every_n_steps(steps: int, callback: BaseCallback, since: int) -> EveryNTimesteps:
    """Wrap a callback so that it is called every `steps` environment steps (SB3's own frequencies count calls).

    Args:
        steps: environment steps between two calls.
        callback: to call.
        since: steps that the training has done already, when resumed.
    """
    timer = EveryNTimesteps(steps, callback)
    timer.last_time_trigger = since
    return timer


class Evaluation(BaseCallback):
    """A callback that evaluates the policy, saves the best model and stops the training when it is good enough.

    The best model succeeds most often; of equal ones the fastest is best; where the environment reports neither success
    nor time, the one with the highest return.

    Args:
        env: environments to evaluate on.
        options: number of episodes, and seed of their starts.
        early: success rate at which the training may stop.
        folder: of the run.
        stopwatch: returns the training's stopwatch, from which evaluations are excluded.
        stop: True if the training is to stop; an evaluation is then broken off.

    Attributes:
        last: step and summary of the last evaluation; None before the first.
        best: step and summary of the best one.
    """

    def __init__(
        self, env: VecMonitor, options: EvalConfig, early: EarlyStop, folder: Path, stopwatch: Callable[[], Stopwatch],
        stop: Callable[[], bool],
    ) -> None:  # fmt: skip
        super().__init__()
        self.env, self.options, self.early, self.folder = env, options, early, folder
        self._stopwatch, self._stop = stopwatch, stop
        self.last: tuple[int, Summary] | None = None
        self.best: tuple[int, Summary] | None = None
        self._in_a_row = 0

    @property
    def good_enough(self) -> bool:
        """True if as many evaluations in a row as asked for reached the success rate of `early_stop`."""
        return self.early.success is not None and self._in_a_row >= self.early.evaluations

    def restore(self, steps: int, same_task: bool = True) -> None:
        """Restore the best evaluation and the table of evaluations of a resumed run.

        Args:
            steps: that the model has; later evaluations are dropped.
            same_task: evaluations judge what they judged before; otherwise the best model is kept aside.
        """
        if not same_task and (self.folder / BEST).is_dir():
            aside = self.folder / f"{BEST}-until-{steps}"
            shutil.rmtree(aside, ignore_errors=True)
            (self.folder / BEST).rename(aside)
            print_line(f"evaluations are of another task than before: the best model so far is kept as {aside}")
        about = read_about(self.folder / BEST)
        if "evaluation" in about and about["steps"] <= steps:
            self.best = about["steps"], Summary(**about["evaluation"])
        file = self.folder / EVALUATIONS
        if file.is_file():
            with file.open(newline="", encoding="utf-8") as old:
                rows = [row for row in csv.DictReader(old) if int(row["steps"]) <= steps]
            write_atomic(file, _csv_text(rows, header=True).encode("utf-8"))

    def _on_step(self) -> bool:
        self.evaluate()
        return not self.good_enough

    def finish(self) -> None:
        """Evaluate what the training came to, unless that was just done or the training is to stop."""
        if not self._stop() and (self.last is None or self.last[0] < self.model.num_timesteps):
            self.evaluate()

    def evaluate(self) -> None:
        """Run the episodes; log, print and append their summary to the table; save the model if it is the best."""
        began = time.monotonic()
        model = cast("PPO", self.model)
        self.env.seed(self.options.seed)
        policy = Policy(model, cast("VecNormalize", model.get_vec_normalize_env()))
        options = self.options
        try:
            episodes = run_episodes(policy, self.env, options.n_episodes, stop=self._stop, max_steps=options.max_steps)
        except EndlessEpisode as endless:
            print_line(f"warning: no evaluation at {model.num_timesteps:,} steps: {endless}", err=True)
            episodes = []
        if len(episodes) == self.options.n_episodes:  # else it was broken off
            self._record(summarize(episodes))
        self._stopwatch().exclude(time.monotonic() - began)

    def _record(self, summary: Summary) -> None:
        self.last = self.model.num_timesteps, summary
        better = self.best is None or summary.score > self.best[1].score
        if better:
            self.best = self.last
            save_model(cast("PPO", self.model), self.folder / BEST, {"evaluation": asdict(summary)})
        enough = self.early.success is not None and (summary.success or 0.0) >= self.early.success
        self._in_a_row = self._in_a_row + 1 if enough else 0
        scalars = {"mean_reward": summary.reward, "mean_ep_length": summary.length, **race_scalars(summary)}
        for key, value in scalars.items():
            self.logger.record(f"eval/{key}", value)
        self.logger.dump(self.model.num_timesteps)
        self._append(self._row(summary, better))
        print_line(f"evaluation at {self.last[0]:,} steps: {describe(summary)}{'  (best)' if better else ''}")

    def _append(self, row: dict[str, Any]) -> None:
        file = self.folder / EVALUATIONS
        text = _csv_text([row], header=not file.is_file())
        with file.open("a", newline="", encoding="utf-8") as target:
            target.write(text)

    def _row(self, summary: Summary, better: bool) -> dict[str, Any]:
        low, high = summary.interval or (None, None)
        row = {
            **asdict(summary),
            "steps": self.model.num_timesteps,
            "best": int(better),
            "pass_rate": summary.pass_rate,
        }
        return {key: row.get(key) for key in COLUMNS} | {"success_low": low, "success_high": high}


def _csv_text(rows: list[dict[str, Any]], header: bool) -> str:
    target = StringIO(newline="")
    writer = csv.DictWriter(target, COLUMNS)
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return target.getvalue()


class Checkpoints(BaseCallback):
    """A callback that saves the model under its number of steps, beside earlier checkpoints.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def _on_step(self) -> bool:
        save_model(cast("PPO", self.model), self.folder / CHECKPOINTS / f"{self.model.num_timesteps:010d}", {})
        return True


class StopHandler(AbstractContextManager["StopHandler"]):
    """A handler of Ctrl-C, SIGTERM and SIGHUP: the first one stops the training after its step, a second one at once.

    Attributes:
        signal: number of the signal that was received; None before one is.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._received: set[int] = set()
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopHandler:
        for number in stop_signals():
            if signal.getsignal(number) is signal.SIG_IGN:  # as by nohup
                continue
            try:
                self._previous[number] = signal.signal(number, self._handle)
            except ValueError:  # signals can be handled in the main thread alone
                break
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def requested(self) -> bool:
        """True if a signal was received."""
        return self.signal is not None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        repeated = is_repeated(number, self._received)
        self._received.add(number)
        if repeated:
            return
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number
        print_line("stopping after this step, then saving; once more: at once, without saving", err=True)


class StopOnRequest(BaseCallback):
    """A callback that ends the training on request.

    Args:
        stop: True if the training is to stop; called after every step.
    """

    def __init__(self, stop: Callable[[], bool]) -> None:
        super().__init__()
        self._stop = stop

    def _on_step(self) -> bool:
        return not self._stop()
