"""Training the last epochs on single pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

from aigp_lightning.errors import tell_user
from aigp_lightning.ranges import COUNT_OR_NONE, check_range
from aigp_lightning.run.lightning_internals import datamodule_of
from aigp_lightning.types import ClosesMosaic

if TYPE_CHECKING:
    import lightning.pytorch as pl


class CloseMosaic(Callback):
    """Make no mosaics in the last epochs, so that the model ends on pictures like those it will meet.

    Nor is anything else mixed into a picture then: no mixup, no cutmix, no pasted objects.

    Args:
        epochs: how many last epochs; 0 never closes.

    Example:
        >>> import lightning.pytorch as pl
        >>> trainer = pl.Trainer(max_epochs=30, logger=False, enable_checkpointing=False, accelerator="cpu")
        >>> [CloseMosaic(10).closes(trainer, epoch) for epoch in (19, 20)]
        [False, True]
    """

    def __init__(self, epochs: int = 10) -> None:
        check_range("--close_mosaic.epochs", epochs, COUNT_OR_NONE)
        self.epochs = epochs
        self._closed = self._was_closed = False

    def state_dict(self) -> dict[str, bool]:
        """Return whether the last epoch was trained without mosaics."""
        return {"closed": self._closed}

    def load_state_dict(self, state_dict: dict[str, bool]) -> None:
        """Remember whether mosaics were closed; whether they are now, the number of epochs says."""
        self._was_closed = bool(state_dict.get("closed"))

    def closes(self, trainer: pl.Trainer, epoch: int) -> bool:
        """True if an epoch, from 0, is one of the last."""
        return self.epochs > 0 and trainer.max_epochs is not None and epoch >= trainer.max_epochs - self.epochs

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the mosaic before the first of the last epochs; a resumed run may do so at once.

        A run that was extended after its mosaics were closed makes them again until the last epochs of its new end.
        """
        data = datamodule_of(trainer)
        if not self._closed and isinstance(data, ClosesMosaic) and self.closes(trainer, trainer.current_epoch):
            self._closed = True
            if mixing := data.close_mosaic():
                tell_user(f"epoch {trainer.current_epoch + 1}: {', '.join(mixing)} closed for the rest of the run")
        elif self._was_closed and not self._closed:
            end = f"epoch {trainer.max_epochs - self.epochs}" if self.epochs and trainer.max_epochs else "the end"
            tell_user(f"epoch {trainer.current_epoch + 1}: mosaics are made again, until {end}")
        self._was_closed = False
