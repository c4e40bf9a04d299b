"""A run of so many hours, by Ultralytics' rule: the number of its epochs follows from how long they take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

from aigp_lightning.errors import tell_user
from aigp_lightning.modules.run_length import PlansAnew
from aigp_lightning.ranges import POSITIVE, check_range

if TYPE_CHECKING:
    import lightning.pytorch as pl

HOUR = 3600
"""Seconds."""
LOOK_EVERY = 5.0
"""Seconds between two looks at the first process's clock, where several processes have to agree on it."""


class RunHours(Callback):
    """Ends a run after so many hours, and lays its schedule out over the epochs that fit into them.

    After every epoch the length of the run is planned anew from the mean time of its epochs, so that learning rate,
    warm-up and the closing of mosaics end with it. When the time is over the run ends after the next optimizer step,
    within an epoch too. The time of all starts counts together, that of validations included.

    Args:
        hours: length of the run.
        clock: returns seconds; tests bring their own.

    Example:
        >>> hours = RunHours(0.5, clock=lambda: 0.0)
        >>> hours.epochs_in_all(trained=3, seconds=180.0)  # a minute each
        30
    """

    def __init__(self, hours: float, clock: Callable[[], float] = time.monotonic) -> None:
        check_range("--run.hours", hours, POSITIVE)
        self.hours, self.limit = hours, hours * HOUR
        self._clock = clock
        self._earlier = self._epoch_began = 0.0
        self._began: float | None = None
        self._first: int | None = None
        self._steps = self._next_look = 0
        self._told = False

    @property
    def seconds(self) -> float:
        """Seconds that the run has been trained, by this process's clock."""
        return self._earlier + (0.0 if self._began is None else self._clock() - self._began)

    @property
    def used_up(self) -> bool:
        """True if the time was over before this start."""
        return self._earlier >= self.limit

    def epochs_in_all(self, trained: int, seconds: float) -> int:
        """Return how many epochs the run will have, more than were trained by now.

        Args:
            trained: epochs.
            seconds: that they took, of those of which the time is known.
        """
        first = self._first or 0
        mean = max(seconds, 1e-9) / (trained - first)
        return max(first + math.ceil(self.limit / mean), trained + 1)

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds of all starts, and the first epoch of which they are."""
        return {"seconds": self.seconds, "first": self._first}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Count on from what earlier starts have used."""
        self._earlier, self._first = float(state_dict["seconds"]), state_dict["first"]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End a run whose time is over."""
        if self.used_up:
            trainer.should_stop = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._began = self._clock()
        self._first = trainer.current_epoch if self._first is None else self._first
        self._steps = trainer.global_step

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the clock after the first optimizer step."""
        self._next_look, self._epoch_began = 0, self._clock()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End the run after an optimizer step when its time is over."""
        if trainer.global_step == self._steps or batch_idx < self._next_look:
            return
        self._steps = trainer.global_step
        over = self.seconds >= self.limit
        if trainer.world_size > 1:  # one clock decides; it is not asked after every step, for which all would wait
            looked = over, batch_idx + self._pause(batch_idx + 1)
            over, self._next_look = trainer.strategy.broadcast(looked)
        if over and not trainer.should_stop:
            trainer.should_stop = True
            tell_user(f"--run.hours {self.hours:g} are over: the run ends with epoch {trainer.current_epoch + 1}")

    def _pause(self, batches: int) -> int:
        """Return after how many batches to look at the clock again: sooner near the end of the time.

        Args:
            batches: trained in this epoch.
        """
        each = max(self._clock() - self._epoch_began, 1e-9) / batches
        return max(int(min(LOOK_EVERY, (self.limit - self.seconds) / 2) / each), 1)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Plan the length of the run anew; called before checkpoints are saved, which keep it."""
        seconds, trained = self.seconds, trainer.current_epoch + 1
        epochs, over = trainer.strategy.broadcast((self.epochs_in_all(trained, seconds), seconds >= self.limit))
        trainer.should_stop = trainer.should_stop or over
        if epochs != trainer.max_epochs:
            trainer.fit_loop.max_epochs = epochs
            if isinstance(pl_module, PlansAnew):
                pl_module.plan_anew(epochs)
        if not self._told and not trainer.should_stop:
            self._told = True
            tell_user(f"--run.hours {self.hours:g}: at this pace {epochs} epochs, over which the schedule is laid out")
