"""Trainer options that follow from the processor, where a run is on a CPU and the user leaves them open."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from aigp_lightning.cli.console import quiet_processes
from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.listing import list_images
from aigp_lightning.data.preparation import resolve_path
from aigp_lightning.errors import UserError, tell_user
from aigp_lightning.paths import expand_home
from aigp_lightning.run.cores import cores, free_memory
from aigp_lightning.run.cpu_processes import CpuRun, process_count
from aigp_lightning.run.distributed import started_by_lightning
from aigp_lightning.run.processes import first_process


def share_cpu(config: Any, words: Sequence[str]) -> int:
    """Choose how many processes train, where that is left open, and say so: on a CPU one for each core, if it pays.

    Args:
        config: of `fit`, its launcher asked already; the trainer's `devices` and `strategy` are changed in place.
        words: the command line's, verb and options. Lightning starts the other processes with that of this process,
            so it must be the same: a program that calls the verb itself gets one process.

    Returns:
        Number of processes; 1 also where something else decides.
    """
    trainer = config.trainer
    if trainer.devices != "auto" or trainer.num_nodes != 1 or trainer.strategy not in ("auto", "ddp"):
        return 1
    if not on_cpu(trainer.accelerator) or trainer.sync_batchnorm:
        return 1
    started = started_by_lightning()
    if started is None and list(words) != sys.argv[1:]:
        return 1
    count = started or process_count(run_size(config), cores(), free_memory())
    if count > 1:
        trainer.devices, trainer.strategy = count, "ddp"
        quiet_processes()
        if first_process():
            tell_user(f"{count} training processes, one thread each; --trainer.devices 1 for a single one")
    return count


def on_cpu(accelerator: Any) -> bool:
    """True if the trainer's `accelerator` means the CPU on this machine.

    Args:
        accelerator: `--trainer.accelerator`.
    """
    if accelerator != "auto":
        return bool(accelerator == "cpu")
    from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator

    return not (CUDAAccelerator.is_available() or MPSAccelerator.is_available())


def run_size(config: Any) -> CpuRun:
    """Return the size of the run that a configuration describes; without images where its data cannot be listed.

    Args:
        config: of `fit`.
    """
    data, trainer = config.data, config.trainer
    images, batch = training_images(data), int(data.batch_size)
    if isinstance(limit := trainer.limit_train_batches, float):
        images = int(images * limit)
    elif limit is not None:
        images = min(images, limit * batch)
    images *= int(trainer.max_epochs)
    if trainer.max_steps != -1:
        images = min(images, trainer.max_steps * batch)
    trial = trainer.fast_dev_run or trainer.overfit_batches
    return CpuRun(0 if trial else images, batch, int(data.imgsz))


def training_images(data: Any) -> int:
    """Count the training images of a data set as listed, or as it will be made; 0 where neither is possible.

    Args:
        data: the configuration's group.
    """
    try:
        path = expand_home(resolve_path(data.data_yaml, data.synthetic))
        if os.path.exists(path):
            return len(list_images(read_data_yaml(path), "train"))
    except UserError:
        return 0  # said with all that is wrong when the data set is read
    return int(data.synthetic.train) if data.synthetic is not None else 0
