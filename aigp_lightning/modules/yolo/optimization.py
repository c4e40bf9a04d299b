"""Optimization by Ultralytics' recipe, step by step: accumulation over a warm-up and over the ends of epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.checkpoints.schema import METADATA, PENDING_GRADIENTS
from aigp_lightning.errors import ConfigError, tell_user
from aigp_lightning.modules.gradients import clip, unscale
from aigp_lightning.modules.run_length import PLAN
from aigp_lightning.modules.yolo.optim import (
    LONG_RUN,
    OptimConfig,
    build_optimizer,
    nominal_steps,
    resolve_optimizer,
    scaled_decay,
    set_decay,
)
from aigp_lightning.modules.yolo.run_plan import WAITING, ResumedRun, RunPlan
from aigp_lightning.modules.yolo.schedule import Schedule
from aigp_lightning.run.lightning_internals import datamodule_of

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from torch import Tensor, nn
    from torch.optim import Optimizer

REPLACED_OPTIONS = {
    "accumulate_grad_batches": "--model.optim.nbs",
    "gradient_clip_val": "--model.optim.clip_norm",
    "gradient_clip_algorithm": "--model.optim.clip_norm",
}
"""Options of Lightning's trainer that this optimization does not heed, and its own that take their place."""
LossOf = Callable[[], "tuple[Tensor, dict[str, Tensor]]"]


class YoloOptimization:
    """The optimizer steps of a module, which are not Lightning's automatic ones.

    Accumulation grows during warm-up and runs on over the end of an epoch, and the loss of accumulated batches is
    summed, not averaged. Gradients that wait for their step when a checkpoint is written are in it, and what waits is
    counted in images: a run may be resumed with another batch.

    Args:
        config: see `OptimConfig`.
    """

    def __init__(self, config: OptimConfig) -> None:
        self.config = config
        self.schedule: Schedule | None = None
        self.plan: RunPlan | None = None
        self.waiting = 0
        """Images since the last optimizer step, where every batch counts as a full one."""
        self._decay = 0.0
        self._batch_size = 0
        self._extended = False
        self._resumed: ResumedRun | None = None
        self._pending: dict[str, Tensor] = {}

    @property
    def anneal_epochs(self) -> int:
        """Epochs over which losses anneal: those of the first plan, also in a run that was extended."""
        assert self.plan is not None
        return self.plan.epochs

    def configure(self, trainer: pl.Trainer, network: nn.Module, classes: int, boosted: set[int]) -> Optimizer:
        """Build optimizer and schedule for the run's length and batch, or those of the run that is resumed.

        Args:
            trainer: about to train.
            network: what it trains.
            classes: how many the data set has.
            boosted: `id`s of parameters that MuSGD trains at three times the rate.

        Raises:
            ConfigError: the run has no length, or a resumed run would need another schedule than it has.
        """
        data, epochs = datamodule_of(trainer), trainer.max_epochs or 0
        if epochs < 1:
            raise ConfigError("--trainer.max_epochs must be 1 or more: the schedule is laid out over the whole run.")
        assert trainer.estimated_stepping_batches  # asking for it makes Lightning load the training data now
        batches, self._batch_size = int(trainer.num_training_batches), data.batch_size
        steps = nominal_steps(data.train_images, epochs, self.config, data.batch_size)
        self.waiting, self._extended, resumed = 0, False, self._resumed
        if resumed is not None:
            self.waiting = resumed.waiting_images(batches, data.batch_size)
            if resumed.plan is None:
                steps = LONG_RUN + 1 if resumed.muon else LONG_RUN
        plan = resumed.plan if resumed is not None else None
        if plan is None:
            first = resumed.epochs or epochs if resumed is not None else epochs
            plan = RunPlan(first, resolve_optimizer(self.config, classes, steps))
            if resumed is not None:
                resumed.check_rates(plan.schedule(self.config, resumed.progress.batches, data.batch_size))
        if resumed is not None and epochs > plan.end:
            plan, self._extended = plan.extended(resumed.progress.trained, epochs), True
        self.plan, self.schedule = plan, plan.schedule(self.config, batches, data.batch_size)
        self._decay = scaled_decay(self.config, data.batch_size)
        return build_optimizer(network, plan.optimizer, self._decay, boosted)

    def plan_anew(self, epochs: int) -> None:
        """Lay the schedule out over so many epochs; see `PlansAnew`."""
        assert self.plan is not None
        assert self.schedule is not None
        self.plan = self.plan.planned_anew(epochs)
        self.schedule = self.plan.schedule(self.config, self.schedule.batches, self._batch_size)

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
        self.waiting += self._batch_size
        due = self.waiting >= accumulate * self._batch_size
        loss, items = loss_of()
        # What waits for its step over the end of an epoch is exchanged too, so that one process's checkpoint holds all.
        with _gradient_exchange(trainer, due or trainer.is_last_batch):
            module.manual_backward(loss * trainer.world_size)  # DDP averages gradients; the loss is a sum
        if due:
            unscale(optimizer.optimizer, getattr(trainer.precision_plugin, "scaler", None))
            optimizer.step()
            optimizer.zero_grad()
            self.waiting = 0
        return loss, items

    def clip(self, network: nn.Module) -> None:
        """Clip the norm of the gradients, after they were unscaled.

        Args:
            network: what is trained.
        """
        clip(network.parameters(), self.config.clip_norm)

    def resume(self, module: pl.LightningModule) -> None:
        """Restore what a checkpoint holds beside Lightning's own part, in the units of this run's batch.

        Args:
            module: whose parameters get the gradients that waited; its optimizer is restored.
        """
        resumed, pending = self._resumed, self._pending
        self._resumed, self._pending = None, {}
        if resumed is None:
            return
        optimizer = cast("Any", module.optimizers()).optimizer
        set_decay(optimizer, self._decay)
        scaler = getattr(module.trainer.precision_plugin, "scaler", None)
        share = (scaler.get_scale() if scaler is not None else 1.0) / resumed.gradient_scale
        for name, parameter in module.named_parameters():
            if name in pending and self.waiting:
                gradient = pending[name].to(parameter.device)
                parameter.grad = gradient if share == 1 else gradient * share
        if self._extended:
            self._tell_extension(optimizer)

    def _tell_extension(self, optimizer: Optimizer) -> None:
        """Say how an extended run goes on."""
        assert self.plan is not None
        assert self.schedule is not None
        start, end = self.plan.extensions[-1].start, self.plan.end
        before = self.plan.extensions[-2].epochs if len(self.plan.extensions) > 1 else self.plan.epochs
        initial = self.plan.optimizer.lr
        first, last = initial * self.schedule.factor(start), initial * self.config.lrf
        how = f"falls {'by half a cosine' if self.config.cos_lr else 'linearly'} to {last:.4g} over the epochs left"
        tell_user(
            f"extended from {before} to {end} epochs: the learning rate goes on at {first:.4g}, that of epoch {start}, "
            f"and {how}"
        )

    def save(self, module: nn.Module, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed run needs.

        Args:
            module: its parameters hold the gradients.
            checkpoint: it has the base module's part already.
        """
        checkpoint[METADATA] |= {WAITING: self.waiting, "optim": asdict(self.config)}
        if self.plan is not None:
            checkpoint[METADATA][PLAN] = self.plan.state()
        waiting = {name: p.grad for name, p in module.named_parameters() if p.grad is not None and bool(p.grad.any())}
        if waiting:
            checkpoint[PENDING_GRADIENTS] = waiting

    def load(self, checkpoint: Mapping[str, Any], epochs: int, extend: bool, planned: int | None = None) -> None:
        """Take what a resumed run needs.

        Args:
            checkpoint: of ours, checked.
            epochs: of the trainer.
            extend: whether the run may become longer than it was planned.
            planned: epochs of the run, where the checkpoint does not say.

        Raises:
            ConfigError: the run cannot go on with these options.
            WeightsError: a run cannot be resumed from this checkpoint.
        """
        resumed = ResumedRun.read(checkpoint)
        if resumed.epochs is None:
            resumed = replace(resumed, epochs=planned)
        resumed.check_length(epochs, extend)
        resumed.check_config(self.config)
        self._resumed, self._pending = resumed, checkpoint.get(PENDING_GRADIENTS, {})


def _gradient_exchange(trainer: pl.Trainer, wanted: bool) -> AbstractContextManager[Any]:
    """Exchange gradients between processes only where asked to."""
    from torch.nn.parallel import DistributedDataParallel

    wrapper = trainer.model
    return nullcontext() if wanted or not isinstance(wrapper, DistributedDataParallel) else wrapper.no_sync()
