"""Train the last epochs on whole pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback
from lightning_utilities.core.rank_zero import rank_zero_info

if TYPE_CHECKING:
    import lightning.pytorch as pl


class CloseMosaic(Callback):
    """Make no mosaics in the last epochs, so that the model ends on pictures like those it will meet.

    Args:
        epochs: how many last epochs; 0 never closes.
    """

    def __init__(self, epochs: int = 10) -> None:
        self.epochs = epochs
        self._closed = False

    def closes(self, trainer: pl.Trainer, epoch: int) -> bool:
        """Whether an epoch, from 0, is one of the last."""
        return self.epochs > 0 and trainer.max_epochs is not None and epoch >= trainer.max_epochs - self.epochs

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close when the time has come; a resumed run closes at once."""
        close = getattr(trainer.datamodule, "close_mosaic", None)  # type: ignore[attr-defined]
        if not self._closed and close is not None and self.closes(trainer, trainer.current_epoch):
            self._closed = True
            close()
            rank_zero_info(f"epoch {trainer.current_epoch + 1}: mosaic closed for the rest of the run")
