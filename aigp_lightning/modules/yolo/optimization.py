"""Optimization by Ultralytics' recipe, step by step: accumulation over a warm-up and over the ends of epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.checkpoints.schema import METADATA, PENDING_GRADIENTS
from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.yolo.optim import (
    OptimConfig,
    build_optimizer,
    nominal_steps,
    resolve_optimizer,
    scaled_decay,
)
from aigp_lightning.modules.yolo.schedule import Schedule
from aigp_lightning.run.lightning_internals import datamodule_of

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from torch import Tensor, nn
    from torch.optim import Optimizer

LossOf = Callable[[], "tuple[Tensor, dict[str, Tensor]]"]


class YoloOptimization:
    """The optimizer steps of a module, which are not Lightning's automatic ones.

    Accumulation grows during warm-up and runs on over the end of an epoch, and the loss of accumulated batches is
    summed, not averaged. Gradients that wait for their step when a checkpoint is written are in it.

    Args:
        config: see `OptimConfig`.
    """

    def __init__(self, config: OptimConfig) -> None:
        self.config = config
        self.schedule: Schedule | None = None
        self.last_step = -1
        """Iteration, over all epochs, of the last optimizer step."""
        self._pending: dict[str, Tensor] = {}

    def configure(self, trainer: pl.Trainer, network: nn.Module, classes: int, boosted: set[int]) -> Optimizer:
        """Build optimizer and schedule for the run's length and batch.

        Args:
            trainer: about to train.
            network: what it trains.
            classes: how many the data set has.
            boosted: `id`s of parameters that MuSGD trains at three times the rate.

        Raises:
            ConfigError: the run has no length.
        """
        data, epochs = datamodule_of(trainer), trainer.max_epochs or 0
        if epochs < 1:
            raise ConfigError("--trainer.max_epochs must be 1 or more: the schedule is laid out over the whole run.")
        assert trainer.estimated_stepping_batches  # asking for it makes Lightning load the training data now
        batches = int(trainer.num_training_batches)
        steps = nominal_steps(data.train_images, epochs, self.config, data.batch_size)
        resolved = resolve_optimizer(self.config, classes, steps)
        self.schedule = Schedule.plan(self.config, resolved, epochs, batches, data.batch_size)
        return build_optimizer(network, resolved, scaled_decay(self.config, data.batch_size), boosted)

    def step(self, module: pl.LightningModule, batch_idx: int, loss_of: LossOf) -> tuple[Tensor, dict[str, Tensor]]:
        """Accumulate the gradients of one batch and, when due, step.

        Args:
            module: it is being trained.
            batch_idx: the batch's number in its epoch.
            loss_of: computes the batch's loss, summed over its images, and its components.

        Returns:
            Loss and components.
        """
        assert self.schedule is not None
        trainer, optimizer = module.trainer, cast("Any", module.optimizers())
        accumulate = self.schedule.apply(optimizer.optimizer, module.current_epoch, batch_idx)
        iteration = batch_idx + self.schedule.batches * module.current_epoch
        due = iteration - self.last_step >= accumulate
        loss, items = loss_of()
        # What waits for its step over the end of an epoch is exchanged too, so that one process's checkpoint holds all.
        with _gradient_exchange(trainer, due or trainer.is_last_batch):
            module.manual_backward(loss * trainer.world_size)  # DDP averages gradients; the loss is a sum
        if due:
            optimizer.step()
            optimizer.zero_grad()
            self.last_step = iteration
        return loss, items

    def clip(self, network: nn.Module) -> None:
        """Clip the norm of the gradients, after they were unscaled.

        Args:
            network: what is trained.
        """
        from torch.nn.utils import clip_grad_norm_

        if self.config.clip_norm > 0:
            clip_grad_norm_(network.parameters(), self.config.clip_norm)

    def restore_gradients(self, module: nn.Module) -> None:
        """Restore gradients that waited for their step when the checkpoint was written.

        Args:
            module: whose parameters have them.
        """
        for name, parameter in module.named_parameters():
            if name in self._pending:
                parameter.grad = self._pending[name].to(parameter.device)
        self._pending = {}

    def save(self, module: nn.Module, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed run needs.

        Args:
            module: its parameters hold the gradients.
            checkpoint: it has the base module's part already.
        """
        checkpoint[METADATA] |= {"last_step": self.last_step, "optim": asdict(self.config)}
        waiting = {name: p.grad for name, p in module.named_parameters() if p.grad is not None and bool(p.grad.any())}
        if waiting:
            checkpoint[PENDING_GRADIENTS] = waiting

    def load(self, checkpoint: Mapping[str, Any]) -> None:
        """Take what a resumed run needs.

        Args:
            checkpoint: of ours, checked.
        """
        self.last_step = int(checkpoint[METADATA].get("last_step", -1))
        self._pending = checkpoint.get(PENDING_GRADIENTS, {})


def _gradient_exchange(trainer: pl.Trainer, wanted: bool) -> AbstractContextManager[Any]:
    """Exchange gradients between processes only where asked to."""
    from torch.nn.parallel import DistributedDataParallel

    wrapper = trainer.model
    return nullcontext() if wanted or not isinstance(wrapper, DistributedDataParallel) else wrapper.no_sync()
