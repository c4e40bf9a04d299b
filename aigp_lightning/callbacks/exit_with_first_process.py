"""Processes that the first one started end with it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

from aigp_lightning.run.folder import ENV_FIRST
from aigp_lightning.run.processes import exit_with_parent

if TYPE_CHECKING:
    import lightning.pytorch as pl


class ExitWithFirstProcess(Callback):
    """Ends a process that the first one started when that is gone.

    Lightning's launcher kills all when one that it started has died, but nobody looks after the launcher itself, and a
    process that waits for it on a GPU would do so until `--ddp.timeout`. torchrun and SLURM look after all.

    Example:
        >>> import lightning.pytorch as pl
        >>> quiet = {"logger": False, "enable_checkpointing": False}
        >>> trainer = pl.Trainer(accelerator="cpu", devices=1, callbacks=[ExitWithFirstProcess()], **quiet)
        >>> any(isinstance(callback, ExitWithFirstProcess) for callback in trainer.callbacks)
        True
    """

    def __init__(self) -> None:
        self._watching = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Start a thread that waits for the end of the first process, where that is the parent."""
        if not self._watching and os.environ.get(ENV_FIRST) == str(os.getppid()):
            self._watching = True
            threading.Thread(target=exit_with_parent, args=(os.getppid(), trainer.global_rank), daemon=True).start()
