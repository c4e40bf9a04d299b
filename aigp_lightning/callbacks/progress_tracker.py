"""Progress of a `fit` for the live views: epoch, batch, images a second, time left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.callbacks import Callback

from aigp_lightning.terminal.pace import Pace

if TYPE_CHECKING:
    import lightning.pytorch as pl


class ProgressTracker(Callback):
    """The base of callbacks that show the progress of a `fit`; they override `tick`, called after every batch.

    Attributes:
        pace: speed and time.
        active: True on the process that shows something, the first.
        fitting: True within a `fit`, with its validations; False in a validation by itself.
        validating: True during validation.
        epoch: of the training, from 1.
        epochs: of the run; None without a limit.
        batch: training batches of this epoch that are done.
        batches: training batches of an epoch; None when not known.
        val_batch: validation batches that are done.
        val_batches: of a validation; None when not known.

    Example:
        >>> class Dots(ProgressTracker):
        ...     def tick(self) -> None:
        ...         print(".", end="")
        >>> Dots().tick()
        .
    """

    def __init__(self) -> None:
        super().__init__()
        self.pace = Pace()
        self.active = self.fitting = self.validating = False
        self._first_epoch = 0
        self.epoch, self.epochs = 1, cast("int | None", None)
        self.batch, self.batches = 0, cast("int | None", None)
        self.val_batch, self.val_batches = 0, cast("int | None", None)

    def tick(self) -> None:
        """Show the progress; called after every training and validation batch."""

    @property
    def time_left(self) -> float | None:
        """Seconds to the end of the run; None when not known."""
        return None if self.epochs is None else self.pace.time_left(self.batches, self.epochs - self.epoch)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Activate on the first process only."""
        super().setup(trainer, pl_module, stage)
        self.active, self.fitting = trainer.is_global_zero, stage == "fit"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clocks."""
        self.pace.start()
        self._first_epoch = trainer.current_epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start counting the batches of an epoch."""
        self.epoch, self.batch, self.val_batch = trainer.current_epoch + 1, 0, 0
        self.epochs = trainer.max_epochs if (trainer.max_epochs or 0) > 0 else None  # `RunHours` plans it anew
        self.batches = _total([trainer.num_training_batches])
        self.pace.start_epoch(trainer.current_epoch == self._first_epoch)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch, and its images on all processes."""
        self.batch = batch_idx + 1
        images = batch.get("img", ()) if isinstance(batch, dict) else ()
        self.pace.step(len(images) * trainer.world_size)
        self.tick()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop measuring the training speed, and count validation batches."""
        self.validating, self.val_batch = True, 0
        batches = trainer.num_sanity_val_batches if trainer.sanity_checking else trainer.num_val_batches
        self.val_batches = _total(batches if isinstance(batches, list) else [batches])
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
        """Count the validation batch."""
        self.val_batch += 1
        self.tick()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that the validation is over."""
        self.validating = False


def _total(batches: Sequence[int | float]) -> int | None:
    """Return the batches of all loaders together; None when one has no end."""
    total = sum(batches)
    return None if total == float("inf") else int(total)
