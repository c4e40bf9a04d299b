"""Where a training run stands: epoch, batch, images a second, time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.callbacks import Callback

if TYPE_CHECKING:
    import lightning.pytorch as pl

WINDOW = 10.0
"""Seconds over which images a second are measured."""


class Pace:
    """Measures speed and foretells the end of the run.

    Args:
        clock: seconds from any start; tests bring their own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self._epoch_began = clock()
        self._first: float | None = None
        self._durations: deque[float] = deque(maxlen=11)
        self._marks: deque[tuple[float, int]] = deque()
        self._images = self._steps = 0
        self._speed: float | None = None

    def start(self) -> None:
        """A run begins, or goes on."""
        self.__init__(self._clock)  # type: ignore[misc]

    def start_epoch(self, first: bool) -> None:
        """An epoch begins; the one before it, if this process trained it, has a length now."""
        now = self._clock()
        if not first:
            self._durations.append(now - self._epoch_began)
        self._epoch_began, self._first, self._steps = now, None, 0
        self.pause()

    def pause(self) -> None:
        """What comes next is no training: the speed stays what it was."""
        self._speed = self.speed
        self._marks.clear()

    def step(self, images: int) -> None:
        """A batch was trained."""
        now = self._clock()
        self._first = now if self._first is None else self._first
        self._images += images
        self._steps += 1
        self._marks.append((now, self._images))
        while len(self._marks) > 2 and self._marks[1][0] < now - WINDOW:  # noqa: PLR2004  two make a speed
            self._marks.popleft()

    @property
    def speed(self) -> float | None:
        """Images a second over the last seconds of training; None before two batches."""
        marks = self._marks
        if len(marks) < 2 or marks[-1][0] <= marks[0][0]:  # noqa: PLR2004
            return self._speed
        return (marks[-1][1] - marks[0][1]) / (marks[-1][0] - marks[0][0])

    @property
    def elapsed(self) -> float:
        """Seconds since the run began or went on."""
        return self._clock() - self._began

    def left(self, batches: int | None, further_epochs: int) -> float | None:
        """Seconds to the end of the run, validation included once it was measured; None when nothing was.

        Args:
            batches: training batches an epoch; None when not known.
            further_epochs: epochs after this one.
        """
        now = self._clock()
        lengths = list(self._durations)
        if lengths:
            whole = lengths[1:] or lengths  # loaders start and caches fill in the first
            typical = sum(whole) / len(whole)
        elif batches and self._first is not None and self._steps > 1:
            typical = (now - self._first) / (self._steps - 1) * max(batches, self._steps)
        else:
            return None
        return max(0.0, typical - (now - self._epoch_began)) + typical * further_epochs


class Tracker(Callback):
    """Follows `fit`. What is told of it, and how, is the subclass's: `tick` is called after every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.pace = Pace()
        self.active = self.validating = False
        self._first_epoch = 0
        self.epoch, self.epochs = 1, cast("int | None", None)
        self.batch, self.batches = 0, cast("int | None", None)
        self.val_batch, self.val_batches = 0, cast("int | None", None)

    def tick(self) -> None:
        """Something moved."""

    @property
    def left(self) -> float | None:
        """Seconds to the end of the run; None when not known."""
        return None if self.epochs is None else self.pace.left(self.batches, self.epochs - self.epoch)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Only the first process tells anything."""
        super().setup(trainer, pl_module, stage)
        self.active = trainer.is_global_zero

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clocks."""
        self.pace.start()
        self.epochs = trainer.max_epochs if (trainer.max_epochs or 0) > 0 else None
        self._first_epoch = trainer.current_epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the epoch."""
        self.epoch, self.batch, self.val_batch = trainer.current_epoch + 1, 0, 0
        self.batches = count([trainer.num_training_batches])
        self.pace.start_epoch(trainer.current_epoch == self._first_epoch)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch and its images, those of the other processes too."""
        self.batch = batch_idx + 1
        images = batch.get("img", ()) if isinstance(batch, dict) else ()
        self.pace.step(len(images) * trainer.world_size)
        self.tick()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Training pauses."""
        self.validating, self.val_batch = True, 0
        batches = trainer.num_sanity_val_batches if trainer.sanity_checking else trainer.num_val_batches
        self.val_batches = count(batches if isinstance(batches, list) else [batches])
        self.pace.pause()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the batch."""
        self.val_batch += 1
        self.tick()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Training goes on."""
        self.validating = False


def count(batches: Sequence[int | float]) -> int | None:
    """Sum of what loaders hold; None when one has no end."""
    total = sum(batches)
    return None if total == float("inf") else int(total)
