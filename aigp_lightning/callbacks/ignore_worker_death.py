"""The death of a loader's process does not interrupt how a run ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

from aigp_lightning.run.signals import ignore_child_deaths

if TYPE_CHECKING:
    import lightning.pytorch as pl


class IgnoreWorkerDeath(Callback):
    """Keeps torch from raising for every process of a loader that dies, once a first error is being dealt with.

    Torch raises out of a signal's handler, wherever the main thread is: a second dead process would end the writing of
    `best.pt` or the pictures in flight half way. The callback goes first. Loaders of a later run in this process
    notice a dead worker when they next wait for it, as they do on Windows.

    Example:
        >>> import lightning.pytorch as pl
        >>> from aigp_lightning.callbacks.nonfinite import NonFinite
        >>> quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        >>> trainer = pl.Trainer(accelerator="cpu", callbacks=[IgnoreWorkerDeath(), NonFinite()], **quiet)
        >>> type(trainer.callbacks[0]).__name__
        'IgnoreWorkerDeath'
    """

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Ignore the signal by which the system reports that a process has died."""
        ignore_child_deaths()
