"""Settings of a process on a CPU: the number of its threads, and what becomes of freed memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from lightning.pytorch.callbacks import Callback

from aigp_lightning.run.allocator import keep_freed_memory
from aigp_lightning.run.cores import cores
from aigp_lightning.run.cpu_processes import thread_count
from aigp_lightning.run.lightning_internals import datamodule_of

if TYPE_CHECKING:
    import lightning.pytorch as pl


class TuneCpu(Callback):
    """Sets how many threads each process of a run on a CPU computes with, by the size of its batches.

    PyTorch takes all cores by itself, which makes small pictures slower than one thread does. A number in
    `OMP_NUM_THREADS` is the most that is taken. A training process also keeps the memory that it frees, see
    `keep_freed_memory`. On a GPU nothing is changed.

    Example:
        >>> import lightning.pytorch as pl
        >>> quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        >>> trainer = pl.Trainer(accelerator="cpu", devices=1, callbacks=[TuneCpu()], **quiet)
        >>> any(isinstance(callback, TuneCpu) for callback in trainer.callbacks)
        True
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Set it, once all processes are started; Lightning's launcher has a number of its own."""
        data = datamodule_of(trainer)
        if trainer.strategy.root_device.type != "cpu" or data is None:
            return
        if stage == "fit":
            keep_freed_memory()
        images = max(data.batch_size // trainer.world_size, 1)
        wanted = thread_count(images, data.imgsz, cores(), trainer.num_devices)
        most = os.environ.get("OMP_NUM_THREADS", "")
        torch.set_num_threads(min(wanted, int(most)) if most.isdecimal() and int(most) else wanted)
