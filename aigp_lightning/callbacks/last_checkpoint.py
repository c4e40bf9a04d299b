"""`weights/last.ckpt`: where a stopped run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Checkpoint

from aigp_lightning.errors import RunError
from aigp_lightning.run_folder import LAST

if TYPE_CHECKING:
    import lightning.pytorch as pl


class LastCheckpoint(Checkpoint):
    """Save every epoch, whether it was the best or not.

    Lightning's `save_last` writes only in epochs in which the best was written too; a run stopped long after its best
    epoch would lose all since.
    """

    def __init__(self) -> None:
        self._folder: tuple[int, int] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember which folder the run's is."""
        self._folder = _identity(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, after the best was, so that the file knows of it.

        Raises:
            RunError: somebody deleted or moved the run folder; the checkpoint is in a new one.
        """
        gone = trainer.strategy.reduce_boolean_decision(_identity(trainer) != self._folder, all=False)
        path = Path(trainer.default_root_dir) / LAST
        trainer.save_checkpoint(path, weights_only=False)
        if gone:
            raise RunError(
                f"the run folder {trainer.default_root_dir} was deleted or moved while training. It was made anew and "
                f"holds epoch {trainer.current_epoch + 1}, and not what was in it; go on with --ckpt_path {path}.",
                shared=True,
            )


def _identity(trainer: pl.Trainer) -> tuple[int, int] | None:
    """Which folder lies at the run folder's place; a path alone would not tell one that was made anew."""
    try:
        found = Path(trainer.default_root_dir).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
