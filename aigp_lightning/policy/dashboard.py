"""Progress of a policy's training: a live view on a terminal, a line every ten seconds elsewhere. Nothing is sent."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from stable_baselines3.common.callbacks import BaseCallback

from aigp_lightning.policy.view import PolicyView
from aigp_lightning.terminal.output import has_live_terminal, print_line
from aigp_lightning.terminal.screen import Screen
from aigp_lightning.terminal.view import duration, number

if TYPE_CHECKING:
    from rich.console import Console

    from aigp_lightning.policy.callbacks import Evaluation
    from aigp_lightning.policy.config import PolicyConfig
    from aigp_lightning.policy.progress import LastScalars, TrainingStats

RATE = 4.0
"""Redraws a second at most."""
EVERY = 10.0
"""Seconds between two lines without a live view."""


def progress_callback(
    config: PolicyConfig,
    stats: TrainingStats,
    evaluation: Evaluation,
    scalars: LastScalars,
    folder: Path,
    console: Console | None = None,
) -> Dashboard | PlainLines:
    """Return the callback that shows the progress here.

    Args:
        config: of the training; `progress` allows a live view.
        stats: of the training.
        evaluation: holds the last and the best evaluation.
        scalars: the last values that SB3 logged.
        folder: of the run.
        console: a terminal; by default the process's own, if it has one.
    """
    terminal = console is not None or has_live_terminal()
    if not (terminal and config.progress):
        return PlainLines(config, stats)
    return Dashboard(config, stats, evaluation, scalars, folder, console)


class Dashboard(BaseCallback):
    """A live view of the training, drawn by a thread of its own.

    Args:
        config: of the training.
        stats: of the training.
        evaluation: holds the last and the best evaluation.
        scalars: the last values that SB3 logged.
        folder: of the run.
        console: a terminal; the process's own by default.
        rate: redraws a second, at most 4.
    """

    def __init__(
        self, config: PolicyConfig, stats: TrainingStats, evaluation: Evaluation, scalars: LastScalars, folder: Path,
        console: Console | None = None, rate: float = 2.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.config, self.stats, self.evaluation, self.scalars = config, stats, evaluation, scalars
        self.folder, self.rate = folder, min(rate, RATE)
        self._console = console
        self._screen: Screen | None = None

    def view(self) -> PolicyView:
        """Return what is to be shown now."""
        stats = self.stats
        return PolicyView(
            steps=min(stats.num_timesteps, self.config.total_timesteps), total=self.config.total_timesteps,
            elapsed=stats.stopwatch.elapsed, left=stats.time_left(self.config.total_timesteps), speed=stats.speed,
            shares=stats.stopwatch.shares, episodes=stats.episodes, summary=stats.summary,
            history={key: list(values) for key, values in stats.history.items()}, best_lap=stats.best_lap,
            learning=self.scalars.values, last=self.evaluation.last, best=self.evaluation.best,
            output=str(self.folder),
        )  # fmt: skip

    def close(self) -> None:
        """Close the view."""
        if self._screen is not None:
            self._screen.close()
            self._screen = None

    def _on_training_start(self) -> None:
        from rich import get_console

        self._screen = Screen(self._console or get_console(), self.view, self.rate)

    def _on_step(self) -> bool:
        return True


class PlainLines(BaseCallback):
    """A line every `every` seconds.

    Args:
        config: of the training.
        stats: of the training.
        every: seconds between two lines.
    """

    def __init__(self, config: PolicyConfig, stats: TrainingStats, every: float = EVERY) -> None:
        super().__init__()
        self.config, self.stats, self.every = config, stats, every
        self._printed_at = time.monotonic()

    def close(self) -> None:
        """Do nothing: there is no view to close."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        now = time.monotonic()
        if now - self._printed_at < self.every:
            return
        self._printed_at = now
        summary, left = self.stats.summary, self.stats.time_left(self.config.total_timesteps)
        parts = [f"steps {self.num_timesteps:,}/{self.config.total_timesteps:,}"]
        parts += [f"{self.stats.speed:,.0f} steps/s"] if self.stats.speed else []
        parts += [f"return {number(summary.reward)}", f"length {summary.length:.0f}"] if summary.episodes else []
        parts += [f"success {summary.success:.1%}"] if summary.success is not None else []
        parts += [f"gates {summary.pass_rate:.1%}"] if summary.pass_rate is not None else []
        parts += [f"eta {duration(left)}"] if left is not None else []
        print_line("  ".join(parts))
