"""Training stops at Ctrl-C, SIGTERM, SIGHUP and SLURM's signal, in our way and not in Lightning's."""

from __future__ import annotations

import multiprocessing
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

from aigp_lightning.run.signals import SignalHandler, StoppedBySignal
from aigp_lightning.terminal.streams import PATIENCE, protect_streams

if TYPE_CHECKING:
    import lightning.pytorch as pl


class StopOnSignal(Callback):
    """Keeps Lightning from handling these signals in its own way, and passes them on to processes that it started.

    Lightning waits for the end of a batch, exchanges that with other processes from within the handler, and on a SLURM
    signal saves in the middle of an epoch, from where no run is resumed exactly.

    Args:
        signals: handles them.

    Example:
        >>> import lightning.pytorch as pl
        >>> quiet = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
        >>> with SignalHandler() as signals:
        ...     trainer = pl.Trainer(callbacks=[StopOnSignal(signals)], **quiet)
        ...     signals.number  # none was received
        0
    """

    def __init__(self, signals: SignalHandler) -> None:
        self.signals = signals

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Protect the streams of a process that Lightning has spawned, which did not begin with our command line."""
        if multiprocessing.parent_process() is not None:
            protect_streams(PATIENCE)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Replace Lightning's handlers, which are in place now."""
        self.signals.install()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop now if the exception was raised where Python swallows it, as in a destructor."""
        if self.signals.number:
            raise StoppedBySignal(self.signals.number)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """End the other processes too: they would wait for this one."""
        if isinstance(exception, StoppedBySignal) and trainer.strategy.launcher is not None:
            with suppress(NotImplementedError):
                trainer.strategy.launcher.kill(signal.SIGTERM)
