"""`weights/best.pt`: the best epoch in Ultralytics' form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint

from aigp_lightning.checkpoints.paths import LAST
from aigp_lightning.errors import warn_user

if TYPE_CHECKING:
    import lightning.pytorch as pl


class BestWeights(Checkpoint):  # Lightning calls it after those whose checkpoints it reads
    """Write the best checkpoint as a `.pt` that `ultralytics.YOLO` opens, when training ends, however it ends."""

    def __init__(self) -> None:
        self._trained = self._written = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The checkpoint that the run goes on from, if it does, is accepted: what lies in the folder is this run's."""
        self._trained, self._written = True, False

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The run is complete, or was stopped early."""
        self._write(trainer, pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A run that was stopped after its last epoch goes on with nothing left to train."""
        if not self._written:
            self._write(trainer, pl_module)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """The run was interrupted: keep what it has. One that was refused has nothing, and the folder is another's."""
        if self._trained:
            self._write(trainer, pl_module)

    def _write(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._written = True
        checkpoint = cast("ModelCheckpoint | None", trainer.checkpoint_callback)
        source = Path(trainer.default_root_dir) / LAST  # what a run without validation has
        if checkpoint is not None and checkpoint.best_model_path:
            source = Path(checkpoint.best_model_path)
        if not trainer.is_global_zero or not source.is_file():
            return
        best = source.with_name("best.pt")
        data: Any = getattr(trainer, "datamodule", None)
        settings = {"imgsz": data.imgsz, "data": str(Path(data.data_yaml).resolve()), "batch": data.batch_size}
        try:
            from aigp_lightning.checkpoints.load import checkpoint_to_pt

            checkpoint_to_pt(source, best, train_args=settings)
        except Exception as error:  # the checkpoint is safe; a copy of it in another form must not end the run
            warn_user(f"could not write {best}: {error}. `export` can, from {source}.")
