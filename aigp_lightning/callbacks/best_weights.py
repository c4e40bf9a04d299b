"""`weights/best.pt`, or what the family has in its place: the best epoch as a file that its other programs open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

from aigp_lightning.callbacks.best_checkpoint import best_checkpoint_of
from aigp_lightning.checkpoints.load import read_checkpoint
from aigp_lightning.checkpoints.paths import LAST
from aigp_lightning.errors import warn_user
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.registry import rebuild
from aigp_lightning.run.lightning_internals import datamodule_of

if TYPE_CHECKING:
    import lightning.pytorch as pl


class BestWeights(Callback):
    """Writes the best checkpoint in the family's own form when training ends, however it ends.

    A family without such a form has the checkpoint alone. Our command line puts it behind the callbacks that save,
    whose checkpoints it reads.

    Example:
        >>> import lightning.pytorch as pl
        >>> from aigp_lightning.callbacks.last_checkpoint import LastCheckpoint
        >>> from aigp_lightning.checkpoints.io import AtomicCheckpointIO
        >>> store = AtomicCheckpointIO()
        >>> trainer = pl.Trainer(accelerator="cpu", logger=False, plugins=[store], callbacks=[LastCheckpoint(store)])
        >>> trainer.callbacks.append(BestWeights())  # given to the trainer, it would go before those that save
        >>> [type(callback).__name__ for callback in trainer.callbacks[-2:]]
        ['LastCheckpoint', 'BestWeights']
    """

    def __init__(self) -> None:
        self._trained = self._written = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that what lies in the folder is this run's: a checkpoint that it resumes from was accepted."""
        self._trained, self._written = True, False

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write when the run is complete, or was stopped early."""
        self._write(trainer, pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write for a run that was stopped after its last epoch, and resumes with nothing left to train."""
        if not self._written:
            self._write(trainer, pl_module)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Write for a run that was interrupted. One that was refused has nothing, and the folder is another's."""
        if self._trained:
            self._write(trainer, pl_module)

    def _write(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._written = True
        source = _best_checkpoint(trainer)
        if not trainer.is_global_zero or not source.is_file() or not isinstance(pl_module, BaseModule):
            return
        best = best_weights_of(trainer, pl_module)
        if best == source:
            return
        try:
            _write_portable(source, best, datamodule_of(trainer))
        except Exception as error:  # the checkpoint is safe; a copy of it in another form must not end the run
            warn_user(f"could not write {best}: {error}. `export` can, from {source}.")


def best_weights_of(trainer: pl.Trainer, module: BaseModule) -> Path:
    """Return the file with a run's best weights, there or not; a family without a form of its own has the checkpoint.

    Args:
        trainer: it has trained.
        module: what it trained.
    """
    source = _best_checkpoint(trainer)
    return source if module.portable_suffix is None else source.with_name(f"best{module.portable_suffix}")


def _best_checkpoint(trainer: pl.Trainer) -> Path:
    """Return the best checkpoint, or the last one where a run without validation has no best."""
    best = best_checkpoint_of(trainer)
    if best is not None and best.best_model_path:
        return Path(best.best_model_path)
    return Path(trainer.default_root_dir) / LAST


def _write_portable(source: Path, target: Path, data: Any) -> None:
    """Write a checkpoint's averaged weights in its family's own form.

    Args:
        source: the checkpoint.
        target: the file.
        data: the datamodule that it was trained on.

    Raises:
        WeightsError: the checkpoint cannot be read.
        OSError: the file cannot be written.
    """
    settings = {"imgsz": data.imgsz, "data": str(Path(data.data_yaml).resolve()), "batch": data.batch_size}
    settings |= {"single_cls": data.single_cls, "resize": data.resize}
    content = read_checkpoint(source)
    deployment = rebuild(content, source).deployment
    if deployment is not None:
        deployment.write_portable(target, int(content.get("epoch", -1)), settings)
