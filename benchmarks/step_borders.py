"""Callbacks that mark the borders between the stages of a training step; for `where_time_goes.py`."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
from stage_times import Stages
from torch import nn

LOADER = "wait for the loader"


class Borders(pl.Callback):
    """Mark where a stage of the step ends.

    Two of them stand around the averaging of the weights, so that it is a stage of its own. The first also marks the
    ends of forward pass, loss, backward pass and optimizer step, by the hooks that torch and Lightning have there.

    Args:
        stages: the stopwatch.
        at_end: name of the stage that ends when Lightning calls `on_train_batch_end` of this callback.
        last: the second of the two.
    """

    def __init__(self, stages: Stages, at_end: str, last: bool = False) -> None:
        self.stages, self.at_end, self.last = stages, at_end, last

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Register hooks at the network's last layer and at the optimizers."""
        if self.last:
            return
        layers = getattr(pl_module.network, "model", None)
        if isinstance(layers, nn.Sequential):
            layers[-1].register_forward_hook(lambda *_: self.stages.mark("forward"))
        for optimizer in trainer.optimizers:
            optimizer.register_step_post_hook(lambda *_: self.stages.mark("clip and optimizer step"))

    def on_train_batch_start(self, *_: Any) -> None:
        """End what Lightning does between transfer and step."""
        if not self.last:
            self.stages.mark("Lightning's loop")

    def on_before_backward(self, *_: Any) -> None:
        """End the loss."""
        if not self.last:
            self.stages.mark("loss")

    def on_after_backward(self, *_: Any) -> None:
        """End the backward pass."""
        if not self.last:
            self.stages.mark("backward")

    def on_train_batch_end(self, *_: Any) -> None:
        """End the logging, or the averaging of weights."""
        self.stages.mark(self.at_end)


class EpochTimes:
    """The time of the plain epochs as a whole; the stopwatch runs in those after them.

    Args:
        stages: the stopwatch.
        warm_up: first epochs, not timed.
        plain: epochs after them, timed without borders.

    Attributes:
        plain: seconds of the plain epochs.
    """

    def __init__(self, stages: Stages, warm_up: int, plain: int) -> None:
        self.stages, self.warm_up, self.first_staged = stages, warm_up, warm_up + plain
        self.plain = self._start = 0.0
        stages.on = False

    def _now(self) -> float:
        if self.stages.gpu:
            import torch

            torch.cuda.synchronize()
        return time.perf_counter()

    def start(self, epoch: int) -> None:
        """Begin an epoch, counted from 0; the stopwatch is switched on once its turn has come."""
        self.stages.on = epoch >= self.first_staged
        self.stages.start()
        self._start = self._now()

    def stop(self, epoch: int) -> None:
        """End the training of an epoch."""
        if self.warm_up <= epoch < self.first_staged:
            self.plain += self._now() - self._start


class EpochSwitch(pl.Callback):
    """Tell `EpochTimes` when epochs begin and end.

    Args:
        times: of this training.
    """

    def __init__(self, times: EpochTimes) -> None:
        self.times = times

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin an epoch."""
        self.times.start(trainer.current_epoch)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """End an epoch after its last batch."""
        if trainer.is_last_batch:
            self.times.stop(trainer.current_epoch)
