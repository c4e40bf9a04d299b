"""`weights/last.ckpt`: the checkpoint from which a stopped run is resumed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch.callbacks import Checkpoint, EarlyStopping
from lightning.pytorch.loggers.logger import DummyLogger

from aigp_lightning.callbacks.best_checkpoint import best_checkpoint_of, saved_with_epoch
from aigp_lightning.callbacks.monitoring import has_stopped
from aigp_lightning.checkpoints.paths import LAST, resume_option
from aigp_lightning.errors import RunError, tell_user, warn_user
from aigp_lightning.run.lightning_internals import is_trial
from aigp_lightning.types import Flushes

if TYPE_CHECKING:
    import lightning.pytorch as pl

    from aigp_lightning.checkpoints.io import AtomicCheckpointIO

FLUSH_TIMEOUT = 60.0
"""Seconds to wait, at the latest when the next epoch ends, for pictures and rows that are on their way."""


class LastCheckpoint(Checkpoint):
    """Saves every epoch, whether it was the best or not; the file counts once all that the epoch gave is on disk.

    Lightning's `save_last` writes only in epochs in which the best was written too; a run stopped long after its best
    epoch would lose all since. And it writes before the epoch's scalars are logged and its pictures drawn: a run killed
    in between would be resumed after them, and never have them. Here the next epoch's first batches look whether they
    are there, and only then the checkpoints of the epoch are moved into place.

    Args:
        store: the trainer's; it keeps checkpoints aside meanwhile.

    Example:
        >>> import tempfile
        >>> import lightning.pytorch as pl
        >>> from lightning.pytorch.demos.boring_classes import BoringModel
        >>> from aigp_lightning.checkpoints.io import AtomicCheckpointIO
        >>> store = AtomicCheckpointIO()
        >>> quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     trainer = pl.Trainer(
        ...         accelerator="cpu", max_epochs=1, limit_train_batches=1, limit_val_batches=0,
        ...         default_root_dir=folder, plugins=[store], callbacks=[LastCheckpoint(store)], **quiet,
        ...     )
        ...     trainer.fit(BoringModel())
        ...     (Path(folder) / LAST).is_file()
        True
    """

    def __init__(self, store: AtomicCheckpointIO) -> None:
        self.store = store
        self._saved = -1
        self._flush_timeout = FLUSH_TIMEOUT
        self._folder: tuple[int, int] | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End a run that was stopped by its early stopping, and then killed: it is over."""
        self._saved = -1
        if any(isinstance(each, EarlyStopping) and has_stopped(each) for each in _parts(trainer)):
            trainer.should_stop = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember the run folder's identity."""
        self._folder = _identity(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep checkpoints aside from now on."""
        self.store.hold()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Commit the checkpoints of the epoch before, when they and all of its pictures and rows are on disk.

        Raises:
            RunError: the disk did not take them.
            OSError: the disk did not take them.
        """
        if self.store.waiting and self.store.is_written() and _all_flushed(trainer):
            self._commit(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Commit the checkpoints of the epoch before at the latest now: those of this one are about to be written."""
        if trainer.is_last_batch:
            self._wait_and_commit(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, after the best was, so that the file knows of it.

        Raises:
            RunError: somebody deleted or moved the run folder; the checkpoint is in a new one.
        """
        if is_trial(trainer):
            return  # nothing of it is kept
        gone = trainer.strategy.reduce_boolean_decision(_identity(trainer) != self._folder, all=False)
        self._saved = trainer.current_epoch
        path = Path(trainer.default_root_dir) / LAST
        with saved_with_epoch(trainer):
            trainer.save_checkpoint(path, weights_only=False)
        if not trainer.is_last_batch:
            done, of = trainer.fit_loop.epoch_loop.batch_idx + 1, trainer.num_training_batches
            tell_user(
                f"epoch {trainer.current_epoch + 1} ended after {done} of its {of} batches; {LAST} is of then, and a "
                "run that is resumed from it goes on with the next epoch"
            )
        if gone:
            self.store.commit()
            raise RunError(
                f"the run folder {trainer.default_root_dir} was deleted or moved while training. It was made anew and "
                f"holds epoch {trainer.current_epoch + 1}, and not what was in it; to go on: the same command with "
                f"{resume_option(path)}",
                shared=True,
            )

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Commit the checkpoints of the last epoch, and keep nothing aside any more."""
        self._wait_and_commit(trainer)
        self.store.discard()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Commit the checkpoints of the last complete epoch; the one that was interrupted is trained again."""
        if trainer.current_epoch > self._saved >= 0:  # its scalars are logged
            try:
                self._wait_and_commit(trainer)
            except (OSError, RunError) as error:  # what ended the run is said, too
                warn_user(f"the checkpoints of epoch {self._saved + 1} were not written: {error}")
        self.store.discard()

    def _wait_and_commit(self, trainer: pl.Trainer) -> None:
        if not self.store.waiting:
            return
        limit = time.monotonic() + self._flush_timeout
        while not (there := _all_flushed(trainer)) and time.monotonic() < limit:
            time.sleep(0.01)
        if not there and self._flush_timeout:
            self._flush_timeout = 0.0
            warn_user(
                f"pictures or rows of epoch {self._saved + 1} are not written {FLUSH_TIMEOUT:.0f} s after it; from now "
                "on checkpoints do not wait for them. Should the run be killed, a logger may lack some."
            )
        self._commit(trainer)

    def _commit(self, trainer: pl.Trainer) -> None:
        self.store.commit()
        best = best_checkpoint_of(trainer)
        if best is not None:
            for logger in trainer.loggers:
                logger.after_save_checkpoint(best)  # one that uploads weights did not find them before


def _parts(trainer: pl.Trainer) -> list[Any]:
    return [*cast("Any", trainer).callbacks, *trainer.loggers]


def _all_flushed(trainer: pl.Trainer) -> bool:
    """True if everything that is delivered beside the training thread has arrived."""
    parts = (
        part for part in _parts(trainer) if not isinstance(part, DummyLogger)
    )  # which has whatever it is asked for
    return all(part.flushed() for part in parts if isinstance(part, Flushes) and callable(part.flushed))


def _identity(trainer: pl.Trainer) -> tuple[int, int] | None:
    """Return device and inode of the run folder; by its path alone, one that was made anew would look the same."""
    try:
        found = Path(trainer.default_root_dir).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
