"""One run folder for all processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

from aigp_lightning.run.lightning_internals import set_default_root_dir

if TYPE_CHECKING:
    import lightning.pytorch as pl


class SyncRunFolder(Callback):
    """Gives processes that were started beside the first one, by torchrun or SLURM, the run folder that it chose.

    Example:
        >>> import lightning.pytorch as pl
        >>> quiet = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
        >>> trainer = pl.Trainer(default_root_dir="run", devices=1, callbacks=[SyncRunFolder()], **quiet)
        >>> SyncRunFolder().setup(trainer, pl.LightningModule(), "fit")  # as `trainer.fit` calls it
        >>> trainer.default_root_dir
        'run'
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Receive the first process's folder."""
        set_default_root_dir(trainer, trainer.strategy.broadcast(trainer.default_root_dir))
