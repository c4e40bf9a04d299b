"""`weights/last.ckpt`: where a stopped run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Checkpoint

from aigp_lightning.run_folder import LAST

if TYPE_CHECKING:
    import lightning.pytorch as pl


class LastCheckpoint(Checkpoint):
    """Save every epoch, whether it was the best or not.

    Lightning's `save_last` writes only in epochs in which the best was written too; a run stopped long after its best
    epoch would lose all since.
    """

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, after the best was, so that the file knows of it."""
        trainer.save_checkpoint(Path(trainer.default_root_dir) / LAST, weights_only=False)
