"""What every detector shares: steps, optimizer, validation, checkpoint contents. One level of inheritance."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from aigp_lightning.checkpoints.load import checkpoint_metadata, restore_rng_state, rng_state
from aigp_lightning.errors import ConfigError, WeightsError
from aigp_lightning.modules.metrics.batch_losses import BatchLosses, divisors_of
from aigp_lightning.modules.yolo.optim import OptimConfig, Schedule
from aigp_lightning.types import DetectionBatch, Keypoints, Prediction, StepOutput

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from aigp_lightning.modules.metrics.detection import DetectionMetrics


class BaseModule(pl.LightningModule):
    """Training, validation and checkpointing of a detector, whatever its family.

    A subclass says how its network is built (`build_network`), what its loss is (`compute_loss`) and what it finds
    (`evaluate`, `predict_batch`). The network waits for the data set's class names, so it is built when Lightning
    calls `configure_model`.

    Optimization is manual: accumulation grows during warm-up and runs on over the end of an epoch, as in Ultralytics,
    and the loss of accumulated batches is summed, not averaged.

    Args:
        optim: see `OptimConfig`.
        conf: lowest confidence that validation keeps.
        predict_conf: lowest confidence that `predict` keeps.
        iou: overlap above which suppression drops the weaker box.
        max_det: most boxes an image.
        channels_last: memory layout of the network; faster on CPU and on GPUs with tensor cores.
    """

    task = "detect"
    loss_names: tuple[str, ...] = ("box_loss", "cls_loss", "dfl_loss")
    curve_prefixes: tuple[str, ...] = ("",)
    """Of the files of its curves, one for each set."""
    keypoints: Keypoints | None = None
    """What the data set says about keypoints, for modules that find any."""

    def __init__(
        self,
        optim: OptimConfig,
        conf: float,
        predict_conf: float,
        iou: float,
        max_det: int,
        channels_last: bool,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.optim, self.conf, self.predict_conf, self.iou, self.max_det = optim, conf, predict_conf, iou, max_det
        self.channels_last = channels_last
        self.network: nn.Module | None = None
        self.names: dict[int, str] = {}
        self.schedule: Schedule | None = None
        self.metrics: DetectionMetrics | None = None
        self.val_losses = BatchLosses()
        self._last_step = -1
        self._pending: dict[str, Tensor] = {}
        self._random: dict[str, Any] | None = None

    # ---- what a family fills in -------------------------------------------------------------------------------------

    def build_network(self, names: Mapping[int, str] | None, description: Mapping[str, Any] | None = None) -> nn.Module:
        """Build the network for these classes, or as a checkpoint's `network_description` says."""
        raise NotImplementedError

    def compute_loss(self, batch: DetectionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, summed over the batch's images, and its detached components by name."""
        raise NotImplementedError

    def evaluate(self, batch: DetectionBatch) -> StepOutput:
        """One forward pass for both the loss components and the predictions."""
        raise NotImplementedError

    def predict_batch(self, batch: DetectionBatch, conf: float) -> list[Prediction]:
        """What the model finds in each image, above `conf`."""
        raise NotImplementedError

    def setup_from_data(self, data: Any) -> None:
        """Learn what the network's shape depends on besides the class names; called before it is built.

        Args:
            data: the datamodule, its data set read.
        """

    @property
    def wants_keypoints(self) -> bool:
        """True if batches must have `keypoints`."""
        return False

    def build_metrics(self) -> DetectionMetrics:
        """What a validation counts."""
        from aigp_lightning.modules.metrics.detection import DetectionMetrics

        return DetectionMetrics(self.names)

    @property
    def closing_kinds(self) -> tuple[str, ...]:
        """Kinds of picture, drawn when training ends, that only some tasks have."""
        return ()

    def boosted_lr_parameter_ids(self) -> set[int]:
        """`id`s of parameters that MuSGD trains faster."""
        return set()

    # ---- building ---------------------------------------------------------------------------------------------------

    @property
    def fitting(self) -> bool:
        """Whether a trainer is training this module, rather than validating or predicting with it."""
        return self._trainer is not None and self.trainer.state.fn == "fit"

    @property
    def epochs(self) -> int:
        """Length of the run; 1 without a trainer."""
        return (self.trainer.max_epochs if self._trainer is not None else None) or 1

    def configure_model(self) -> None:
        """Build the network once the data set's classes are known; later calls do nothing.

        `predict` has no data set: the network then comes from `weights`, or later from the checkpoint.
        """
        if self.network is not None or self._trainer is None:
            return
        data = getattr(self.trainer, "datamodule", None)
        if data is None:
            raise ConfigError("the module needs a datamodule, which knows the class names: trainer.fit(model, data).")
        names = None
        if self.trainer.state.fn != "predict":
            self.setup_from_data(data)
            names = dict(data.names)
        if names is not None or getattr(self, "weights", None):
            self.set_network(self.build_network(names))

    def set_network(self, network: nn.Module) -> None:
        """Install a built network: its memory layout, class names and metrics."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        self.network = network.to(memory_format=layout)  # type: ignore[call-overload]
        self.names = dict(cast("Any", network).names)
        self.metrics = self.build_metrics()

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Bytes to fractions, on the device, in the network's memory layout."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return {**batch, "img": batch["img"].to(torch.float32, memory_format=layout).div_(255)}

    def configure_optimizers(self) -> Optimizer:
        """Build optimizer and schedule for the run's length and batch."""
        from aigp_lightning.modules.yolo.optim import build_optimizer, nominal_steps, resolve_optimizer, scaled_decay

        data, epochs = cast("Any", self.trainer).datamodule, self.trainer.max_epochs or 0
        if epochs < 1:
            raise ConfigError("--trainer.max_epochs must be 1 or more: the schedule is laid out over the whole run.")
        assert self.trainer.estimated_stepping_batches  # asking for it makes Lightning load the training data now
        batches = int(self.trainer.num_training_batches)
        steps = nominal_steps(data.train_images, epochs, self.optim, data.batch_size)
        choice = resolve_optimizer(self.optim, len(self.names), steps)
        self.schedule = Schedule.plan(self.optim, choice, epochs, batches, data.batch_size)
        assert self.network is not None
        return build_optimizer(
            self.network, choice, scaled_decay(self.optim, data.batch_size), self.boosted_lr_parameter_ids()
        )

    # ---- training ---------------------------------------------------------------------------------------------------

    def training_step(self, batch: DetectionBatch, batch_idx: int) -> StepOutput:
        """Accumulate one batch and, when due, step."""
        assert self.schedule is not None
        optimizer = cast("Any", self.optimizers())
        accumulate = self.schedule.apply(optimizer.optimizer, self.current_epoch, batch_idx)
        iteration = batch_idx + self.schedule.batches * self.current_epoch
        due = iteration - self._last_step >= accumulate
        loss, items = self.compute_loss(batch)
        # What waits for its step over the end of an epoch is exchanged too, so that one process's checkpoint holds all.
        with self._exchange(due or self.trainer.is_last_batch):
            self.manual_backward(loss * self.trainer.world_size)  # DDP averages gradients; the loss is a sum
        if due:
            optimizer.step()
            optimizer.zero_grad()
            self._last_step = iteration
        self.log_dict({f"train/{key}": value for key, value in items.items()}, on_epoch=True, on_step=False,
                      batch_size=1, sync_dist=True)  # fmt: skip
        if self.trainer.is_last_batch:
            rates = {f"lr/pg{index}": group["lr"] for index, group in enumerate(optimizer.param_groups)}
            self.log_dict(rates, on_epoch=True, on_step=False, batch_size=1, sync_dist=True)
        return {"loss": loss.detach(), "loss_items": items}

    def _exchange(self, due: bool) -> Any:
        """Exchange gradients between processes only where asked to."""
        wrapper = self.trainer.model
        return nullcontext() if due or not isinstance(wrapper, DistributedDataParallel) else wrapper.no_sync()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip, after the gradients were unscaled."""
        if self.optim.clip_norm > 0:
            assert self.network is not None
            nn.utils.clip_grad_norm_(self.network.parameters(), self.optim.clip_norm)

    def on_train_start(self) -> None:
        """Put back gradients that waited for their step when the run was stopped, and the state of chance."""
        for name, parameter in self.named_parameters():
            if name in self._pending:
                parameter.grad = self._pending[name].to(parameter.device)
        self._pending = {}
        if self._random is not None:
            restore_rng_state(self._random)
        self._random = None

    # ---- validation -------------------------------------------------------------------------------------------------

    def on_validation_model_zero_grad(self) -> None:
        """Keep gradients that wait for their step; Lightning would drop them to make room."""

    def validation_step(self, batch: DetectionBatch, batch_idx: int) -> StepOutput:
        """Loss components and metrics of one batch."""
        assert self.metrics is not None
        if not len(batch["img"]):  # this process's share of the last group of images is empty
            nothing = dict.fromkeys(self.loss_names, torch.tensor(0.0))
            output: StepOutput = {"predictions": [], "loss_items": nothing, "loss_divisors": nothing}
        else:
            output = self.evaluate(batch)
        self.metrics.update(output["predictions"], batch)
        names, items = list(output["loss_items"]), list(output["loss_items"].values())
        self.val_losses.update(items, divisors_of(output.get("loss_divisors"), names, len(batch["img"])))
        return output

    def on_validation_epoch_end(self) -> None:
        """Compute the metrics over the whole split, and start anew."""
        assert self.metrics is not None
        results = self.metrics.compute()
        fitness = results.pop("fitness")
        losses = {f"val/{name}": mean for name, mean in zip(self.loss_names, self.val_losses.compute(), strict=True)}
        # All processes know the same figures; the mean of three equal numbers can be another one, the largest cannot.
        self.log_dict({**losses, **results}, sync_dist=True, reduce_fx="max")
        self.log("fitness", fitness, logger=False, sync_dist=True, reduce_fx="max")
        self.table = self.metrics.table()
        self.metrics.reset()
        self.val_losses.reset()

    def test_step(self, batch: DetectionBatch, batch_idx: int) -> StepOutput:
        """As validation, on the test split."""
        return self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """As validation, on the test split."""
        self.on_validation_epoch_end()

    def predict_step(self, batch: DetectionBatch, batch_idx: int) -> list[Prediction]:
        """What the model finds in each image."""
        return self.predict_batch(batch, self.predict_conf) if len(batch["img"]) else []

    # ---- checkpoints ------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed run and a reader outside a trainer need."""
        checkpoint["aigp"] = {
            "names": dict(self.names),
            "task": self.task,
            "network": self.network_description(),
            "last_step": self._last_step,
            "optim": asdict(self.optim),
        }
        checkpoint["random_state"] = rng_state()
        waiting = {name: p.grad for name, p in self.named_parameters() if p.grad is not None and bool(p.grad.any())}
        if waiting:
            checkpoint["pending_gradients"] = waiting

    def network_description(self) -> dict[str, Any]:
        """Plain values from which the network can be rebuilt without the data set."""
        return {}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that the checkpoint is ours and fits the data set.

        Raises:
            WeightsError: another program's checkpoint, another task, or other classes.
        """
        path = str((self.trainer.ckpt_path if self._trainer is not None else None) or "this checkpoint")
        ours = checkpoint_metadata(checkpoint, path)
        if ours["task"] != self.task:
            raise WeightsError(f"{path} is of a {ours['task']} model; the configuration asks for {self.task}.")
        if self.names and len(ours["names"]) != len(self.names):
            raise WeightsError(
                f"{path} knows {len(ours['names'])} classes ({_short(ours['names'])}), the data set "
                f"{len(self.names)} ({_short(self.names)}). Use the data set it was trained on, or start from its "
                "exported .pt with --model.weights, which adapts the classes."
            )
        if self.network is None or ours["network"] != self.network_description():
            if self.fitting:
                raise WeightsError(f"{path} holds another network than --model.variant. Resume with its own config.")
            self.set_network(self.build_network(self.names or ours["names"], ours["network"]))
        self._last_step = int(ours.get("last_step", -1))
        self._pending = checkpoint.get("pending_gradients", {})
        self._random = checkpoint.get("random_state")


def _short(names: Mapping[int, str]) -> str:
    shown = list(names.values())[:4]
    return ", ".join(shown) + (", …" if len(names) > len(shown) else "")
