"""A callback that times the training epochs of a `fit` from within, in whatever processes the run has started."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl


class Clock:
    """A stopwatch of epochs: wall seconds, and processor seconds of this process and all that it has started.

    Args:
        gpu: work may still be under way on a GPU; it is waited for.
    """

    def __init__(self, gpu: bool) -> None:
        self.gpu, self._start, self._busy = gpu, 0.0, 0.0
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []

    def _now(self) -> tuple[float, float]:
        import psutil

        if self.gpu:
            import torch

            torch.cuda.synchronize()
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        return time.perf_counter(), sum(sum(process.cpu_times()[:2]) for process in family)

    def start(self, *_: Any) -> None:
        """Start timing an epoch."""
        self._start, self._busy = self._now()

    def stop(self, *_: Any) -> None:
        """Note the time of the epoch."""
        now, busy = self._now()
        self.seconds.append(now - self._start)
        self.cpu_seconds.append(busy - self._busy)


class RepeatedBatch:
    """A loader that gives the same batch, which is on the device already, as often as a real one has batches.

    Args:
        batch: what the real loader gave.
        length: number of batches.
    """

    def __init__(self, batch: dict[str, Any], length: int) -> None:
        self.batch, self.length = batch, length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for _ in range(self.length):
            yield dict(self.batch)


class EpochClock(pl.Callback):
    """Time each epoch's training from its start to the end of its last batch; write the times when training ends.

    Args:
        file: JSON to write, by the first process.
        repeat: train on the first batch of each process again and again, from the device's memory, without a loader.
    """

    def __init__(self, file: str, repeat: bool = False) -> None:
        self.file, self.repeat = file, repeat
        self.clock = Clock(gpu=False)
        self.workers = 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Put the repeated batch in the place of the loader."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        make = data.train_dataloader

        def repeated() -> RepeatedBatch:
            loader = make()
            batch = next(iter(loader))
            device = trainer.strategy.root_device
            there = {key: value.to(device) if hasattr(value, "to") else value for key, value in batch.items()}
            return RepeatedBatch(there, len(loader))

        if stage == "fit" and self.repeat:
            data.train_dataloader = repeated

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self.clock.gpu = trainer.strategy.root_device.type == "cuda"
        self.workers = getattr(trainer.train_dataloader, "num_workers", 0)
        self.clock.start()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Stop the clock after the epoch's last batch, once all processes are there."""
        if trainer.is_last_batch:
            trainer.strategy.barrier()
            self.clock.stop()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what was measured."""
        if not trainer.is_global_zero:
            return
        import torch

        batches, data = int(trainer.num_training_batches), trainer.datamodule  # type: ignore[attr-defined]
        share = math.ceil(data.train_images / trainer.world_size)
        images = batches * data.batch_size if self.repeat else share * trainer.world_size
        found = {
            "train_s": self.clock.seconds,
            "cpu_s": self.clock.cpu_seconds,
            "images": images,
            "batch": data.batch_size,
            "workers": self.workers,
            "processes": trainer.world_size,
            "threads": torch.get_num_threads(),
            "precision": str(trainer.precision),
        }
        Path(self.file).write_text(json.dumps(found), encoding="utf-8")
