"""The contract of a model family: what a module answers, and the steps that all families share.

Longer than 250 lines: the contract is read as one before a family is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from aigp_lightning.checkpoints.schema import METADATA, RNG_STATE, RUN_OPTIONS, check_fits, checkpoint_metadata
from aigp_lightning.errors import WeightsError
from aigp_lightning.modules.building import build_for_data, take_classes
from aigp_lightning.modules.chosen_classes import chosen_classes, of_classes
from aigp_lightning.modules.deployment import Deployment
from aigp_lightning.modules.example_batch import random_batch
from aigp_lightning.modules.metrics.batch_losses import BatchLosses, divisors_of
from aigp_lightning.modules.metrics.detection import DetectionMetrics, match_boxes
from aigp_lightning.modules.run_options import run_options
from aigp_lightning.modules.stopwatch import Timed
from aigp_lightning.run.lightning_internals import trainer_of
from aigp_lightning.run.rng import restore_rng_state, rng_state
from aigp_lightning.types import DetectionBatch, Keypoints, Prediction, StepOutput


class BaseModule(Timed, pl.LightningModule):
    """A detector of any family, trained by Lightning.

    A family sets `family` and fills in `build_network`, `network_description`, `compute_loss`, `evaluate`,
    `predict_batch` and Lightning's `configure_optimizers`; everything else has an answer here that it may replace.
    Optimization is Lightning's automatic one, unless the family sets `automatic_optimization = False` and has a
    `training_step` of its own. The network waits for the data set's class names, so it is built when Lightning calls
    `configure_model`. `modules/registry.py` says which class opens a family's checkpoints.

    Args:
        conf: lowest confidence that validation keeps, 0…1.
        predict_conf: lowest confidence that `predict` keeps, 0…1, and at which a validation counts false alarms.
        channels_last: memory layout of the network; faster on CPU and on GPUs with tensor cores.

    Example:
        >>> module = BaseModule()  # the example of `registry.register` is a whole family
        >>> module.preprocess_batch({"img": torch.full((1, 3, 4, 4), 255)})["img"].max().item()
        1.0
    """

    family: str = ""
    """Name of the family in checkpoints; see `modules/registry.py`."""
    task: str = "detect"
    """`detect`, `pose` or `segment`; runs are kept apart by it."""
    loss_names: tuple[str, ...] = ("loss",)
    """Components of the loss, in the order of logs and plots."""
    curve_prefixes: tuple[str, ...] = ("",)
    """Prefixes of the files of its curves, one for each set."""
    keypoints: Keypoints | None = None
    """What the data set says about keypoints, for modules that find any."""
    weights: str | None = None
    """File of pretrained weights that the network starts from."""
    replaced_options: Mapping[str, str] = {}
    """Options of Lightning's trainer that the family does not heed, and its own that take their place."""
    portable_suffix: str | None = None
    """Suffix of the family's own weights file, such as `.pt`; None where it has none."""

    def __init__(self, conf: float = 0.001, predict_conf: float = 0.25, channels_last: bool = False) -> None:
        super().__init__()
        self.conf, self.predict_conf, self.channels_last = conf, predict_conf, channels_last
        self.network: nn.Module | None = None
        self.names: dict[int, str] = {}
        self.metrics: DetectionMetrics | None = None
        self.table: list[dict[str, Any]] | None = None
        self.val_losses = BatchLosses()
        self._rng_state: dict[str, Any] | None = None

    # ---- what a family answers --------------------------------------------------------------------------------------

    def build_network(self, names: Mapping[int, str] | None, description: Mapping[str, Any] | None = None) -> nn.Module:
        """Build the network.

        Args:
            names: class names by id; None takes those of `weights`.
            description: a checkpoint's `network_description`; it then decides, not the constructor's arguments.

        Raises:
            WeightsError: the weights do not fit.
        """
        raise NotImplementedError

    def network_description(self) -> dict[str, Any]:
        """Return plain values from which `build_network` rebuilds the network without the data set."""
        raise NotImplementedError

    def compute_loss(self, batch: DetectionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a preprocessed batch, and its detached components by the names of `loss_names`."""
        raise NotImplementedError

    def evaluate(self, batch: DetectionBatch) -> StepOutput:
        """Return loss components and predictions of a preprocessed batch, by one forward pass."""
        raise NotImplementedError

    def predict_batch(self, batch: DetectionBatch, conf: float) -> list[Prediction]:
        """Find the objects in each image.

        Args:
            batch: as `preprocess_batch` returns it; its labels are not looked at.
            conf: lowest confidence kept, 0…1.

        Returns:
            One an image, boxes in network-input pixels, best first.
        """
        raise NotImplementedError

    def match(self, prediction: Prediction, boxes: Tensor, labels: Tensor) -> Tensor:
        """Match what was found in an image with its labels, by overlap and class; see `match_boxes`."""
        return match_boxes(prediction, boxes, labels)

    def setup_from_data(self, data: Any) -> None:
        """Learn what the network's shape depends on besides the class names; called before it is built.

        Args:
            data: the datamodule, its data set read.
        """

    def build_metrics(self) -> DetectionMetrics:
        """Return the metrics of a validation, empty."""
        return DetectionMetrics(self.names)

    @property
    def wants_keypoints(self) -> bool:
        """True if batches must have `keypoints`."""
        return False

    @property
    def closing_kinds(self) -> tuple[str, ...]:
        """Kinds of picture, drawn when training ends, that only some tasks have."""
        return ()

    @property
    def deployment(self) -> Deployment | None:
        """The files in which other programs open the built network; None where there are none."""
        return None

    def preprocess_batch(self, batch: Any) -> Any:
        """Turn bytes into fractions 0…1, on the device, in the network's memory layout.

        Args:
            batch: as the loader gave it, moved to the device.
        """
        return {**batch, "img": batch["img"].to(torch.float32, memory_format=self.memory_format).div_(255)}

    def example_batch(self, images: int, imgsz: int, crowd: int, device: torch.device) -> DetectionBatch:
        """Return a batch of random images, ready for `compute_loss`, to measure the memory that it needs.

        Args:
            images: how many.
            imgsz: their sides, pixels.
            crowd: objects in each.
            device: where its tensors are.
        """
        return random_batch(images, imgsz, crowd, device, self.memory_format, self.keypoints)

    # ---- building ---------------------------------------------------------------------------------------------------

    @property
    def fitting(self) -> bool:
        """True while a trainer trains this module, rather than validates or predicts with it."""
        return trainer_of(self) is not None and self.trainer.state.fn == "fit"

    @property
    def memory_format(self) -> torch.memory_format:
        """Memory layout of the network and of its images."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def configure_model(self) -> None:
        """Build the network once the data set's classes are known; later calls do nothing.

        Raises:
            ConfigError: the trainer has no datamodule.
            WeightsError: the model and the data set have other classes.
        """
        if trainer_of(self) is not None:
            build_for_data(self, self.trainer)

    def set_network(self, network: nn.Module, names: Mapping[int, str] | None = None) -> None:
        """Install a built network.

        Args:
            network: see `build_network`.
            names: its class names by id; None where the network itself knows them.
        """
        self.network = network.to(memory_format=self.memory_format)  # type: ignore[call-overload]
        self.names = dict(names or {})
        self.metrics = self.build_metrics().with_alarms_at(self.predict_conf, self.conf)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Preprocess a batch that has arrived on the device."""
        with self.timed("pre"):
            return self.preprocess_batch(batch)

    # ---- training ---------------------------------------------------------------------------------------------------

    def on_train_start(self) -> None:
        """Restore the RNG state of the checkpoint that the run resumes from."""
        if self._rng_state is not None:
            restore_rng_state(self._rng_state)
        self._rng_state = None

    def training_step(self, batch: DetectionBatch, batch_idx: int) -> StepOutput:
        """Compute the loss of one batch; Lightning does the rest."""
        loss, items = self.compute_loss(batch)
        self.log_step(items)
        return {"loss": loss, "loss_items": items}

    def log_step(self, items: Mapping[str, Tensor]) -> None:
        """Log a training step's loss components, and after the epoch's last batch the learning rates.

        Args:
            items: scalars by name.
        """
        losses = {f"train/{key}": value for key, value in items.items()}
        self.log_dict(losses, on_epoch=True, on_step=False, batch_size=1, sync_dist=True)
        if self.trainer.is_last_batch:
            self.log_dict(self.learning_rates(), on_epoch=True, on_step=False, batch_size=1, sync_dist=True)

    def learning_rates(self) -> dict[str, float]:
        """Return the optimizer's learning rates now, by the names they are logged under."""
        groups = cast("Any", self.optimizers()).param_groups
        return {f"lr/pg{index}": group["lr"] for index, group in enumerate(groups)}

    # ---- validation -------------------------------------------------------------------------------------------------

    def validation_step(self, batch: DetectionBatch, batch_idx: int) -> StepOutput:
        """Compute loss components and predictions of one batch, and add them to the metrics."""
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
        """Compute and log the metrics over the whole split, and reset them."""
        assert self.metrics is not None
        fitness = (results := self.metrics.compute()).pop("fitness")
        losses = {f"val/{name}": mean for name, mean in zip(self.loss_names, self.val_losses.compute(), strict=True)}
        # All processes know the same figures; the mean of three equal numbers can be another one, the largest cannot.
        self.log_dict({**losses, **results}, sync_dist=True, reduce_fx="max")
        self.log("fitness", fitness, logger=False, sync_dist=True, reduce_fx="max")
        self.table = self.metrics.table()
        self.metrics.reset()
        self.val_losses.reset()

    def test_step(self, batch: DetectionBatch, batch_idx: int) -> StepOutput:
        """Do on the test split what `validation_step` does."""
        return self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        """Do on the test split what `on_validation_epoch_end` does."""
        self.on_validation_epoch_end()

    def predict_step(self, batch: DetectionBatch, batch_idx: int) -> list[Prediction]:
        """Find the objects in each image, above `predict_conf` and of the chosen classes."""
        found = self.predict_batch(batch, self.predict_conf) if len(batch["img"]) else []
        return of_classes(found, chosen_classes(self))

    # ---- checkpoints ------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed run and a reader outside a trainer need."""
        described = {"names": dict(self.names), "network": self.network_description()}
        identity = {"task": self.task, "family": self.family}
        checkpoint[METADATA] = {**identity, **described, RUN_OPTIONS: run_options(trainer_of(self), self)}
        checkpoint[RNG_STATE] = rng_state()

    def checkpoint_options(self) -> dict[str, Any]:
        """Return the arguments that a checkpoint keeps: those by which its validation comes out the same."""
        return {"conf": self.conf, "predict_conf": self.predict_conf, "channels_last": self.channels_last}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that the checkpoint fits module and data set, and build the network where there is none yet.

        Raises:
            WeightsError: another program's checkpoint, another family or task, other classes, or another network.
        """
        trainer = trainer_of(self)
        path = str((trainer.ckpt_path if trainer is not None else None) or "this checkpoint")
        ours = checkpoint_metadata(checkpoint, path)
        check_fits(ours, path, self.family, self.task)
        names = take_classes(self, trainer, ours["names"], path)
        if self.network is None or ours["network"] != self.network_description():
            if self.fitting:
                raise WeightsError(f"{path} holds another network than --model.variant. Resume with its own config.")
            self.set_network(self.build_network(names, ours["network"]), names)
        self._rng_state = checkpoint.get(RNG_STATE)
