"""`weights/epoch10.ckpt`, `weights/epoch20.ckpt`, …: checkpoints that stay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Checkpoint

from aigp_lightning.callbacks.best_checkpoint import saved_with_epoch
from aigp_lightning.checkpoints.paths import epoch_checkpoint
from aigp_lightning.ranges import COUNT_OR_NONE, check_range
from aigp_lightning.run.lightning_internals import is_trial

if TYPE_CHECKING:
    import lightning.pytorch as pl


class CheckpointEvery(Checkpoint):
    """Keeps the checkpoint of every so many epochs, whatever comes after; a run can be resumed from each.

    Epochs are counted from 1, over all starts of the run. Each file is as large as `weights/last.ckpt`.

    Args:
        epochs: after how many epochs a checkpoint is kept; 0 keeps none but the best and the last.

    Example:
        >>> [epoch for epoch in range(1, 8) if CheckpointEvery(3).keeps(epoch)], CheckpointEvery().keeps(3)
        ([3, 6], False)
    """

    def __init__(self, epochs: int = 0) -> None:
        check_range("--checkpoint_every.epochs", epochs, COUNT_OR_NONE)
        self.epochs = epochs

    def keeps(self, trained: int) -> bool:
        """True if the checkpoint is kept after so many epochs."""
        return self.epochs > 0 and trained % self.epochs == 0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save; the file counts when all that the epoch gave is on disk, as the other checkpoints do."""
        trained = trainer.current_epoch + 1
        if self.keeps(trained) and not is_trial(trainer):
            with saved_with_epoch(trainer):
                path = Path(trainer.default_root_dir) / epoch_checkpoint(trained)
                trainer.save_checkpoint(path, weights_only=False)
