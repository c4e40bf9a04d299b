"""What a policy's training shows: a live view on a terminal, a line now and then elsewhere. Nothing is sent."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from stable_baselines3.common.callbacks import BaseCallback

from aigp_lightning.policy.view import PolicyView
from aigp_lightning.terminal.screen import Screen
from aigp_lightning.terminal.view import duration, number

if TYPE_CHECKING:
    from rich.console import Console

    from aigp_lightning.policy.callbacks import Evaluation
    from aigp_lightning.policy.config import PolicyConfig
    from aigp_lightning.policy.progress import Figures, LastValues

RATE = 4.0
"""Views a second at most."""
EVERY = 10.0
"""Seconds between two lines where there is no live view."""


def progress_callback(
    config: PolicyConfig,
    figures: Figures,
    evaluation: Evaluation,
    values: LastValues,
    folder: Path,
    console: Console | None = None,
) -> Dashboard | PlainLines:
    """Choose what shows the progress.

    Args:
        config: says whether a live view is wanted.
        figures: follow the training.
        evaluation: knows the last and the best.
        values: SB3's last scalars.
        folder: of the run.
        console: a terminal; the process's own, if it has one, when not given.
    """
    terminal = console is not None or (sys.stdout.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown"))
    if not (terminal and config.progress):
        return PlainLines(config, figures)
    return Dashboard(config, figures, evaluation, values, folder, console)


class Dashboard(BaseCallback):
    """A live view, drawn by a thread of its own from numbers that the training leaves.

    Args:
        config: of the training.
        figures: follow it.
        evaluation: knows the last and the best.
        values: SB3's last scalars.
        folder: of the run.
        console: a terminal; the process's own when not given.
        rate: views a second, at most 4.
    """

    def __init__(
        self, config: PolicyConfig, figures: Figures, evaluation: Evaluation, values: LastValues, folder: Path,
        console: Console | None = None, rate: float = 2.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.config, self.figures, self.evaluation, self.values = config, figures, evaluation, values
        self.folder, self.rate = folder, min(rate, RATE)
        self._console = console
        self._screen: Screen | None = None

    def view(self) -> PolicyView:
        """Gather what is shown now."""
        figures = self.figures
        return PolicyView(
            steps=min(figures.num_timesteps, self.config.total_timesteps), total=self.config.total_timesteps,
            elapsed=figures.watch.elapsed, left=figures.left(self.config.total_timesteps), speed=figures.speed,
            shares=figures.watch.shares, episodes=figures.episodes, summary=figures.summary,
            history={key: list(values) for key, values in figures.history.items()}, best_lap=figures.best_lap,
            learning=self.values.values, last=self.evaluation.last, best=self.evaluation.best,
            output=str(self.folder),
        )  # fmt: skip

    def close(self) -> None:
        """Give the terminal back."""
        if self._screen is not None:
            self._screen.close()
            self._screen = None

    def _on_training_start(self) -> None:
        from rich import get_console

        self._screen = Screen(self._console or get_console(), self.view, self.rate)

    def _on_step(self) -> bool:
        return True


class PlainLines(BaseCallback):
    """A line now and then.

    Args:
        config: of the training.
        figures: follow it.
        every: seconds between two lines.
    """

    def __init__(self, config: PolicyConfig, figures: Figures, every: float = EVERY) -> None:
        super().__init__()
        self.config, self.figures, self.every = config, figures, every
        self._told_at = time.monotonic()

    def close(self) -> None:
        """Nothing is open."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        now = time.monotonic()
        if now - self._told_at < self.every:
            return
        self._told_at = now
        found, left = self.figures.summary, self.figures.left(self.config.total_timesteps)
        parts = [f"steps {self.num_timesteps:,}/{self.config.total_timesteps:,}"]
        parts += [f"{self.figures.speed:,.0f} steps/s"] if self.figures.speed else []
        parts += [f"return {number(found.reward)}", f"length {found.length:.0f}"] if found.episodes else []
        parts += [f"success {found.success:.1%}"] if found.success is not None else []
        parts += [f"gates {found.pass_rate:.1%}"] if found.pass_rate is not None else []
        parts += [f"eta {duration(left)}"] if left is not None else []
        print("  ".join(parts), flush=True)
