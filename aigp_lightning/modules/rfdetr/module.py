"""The RF-DETR detector.

Longer than 250 lines: one class answers the whole contract of a family.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.nn.functional import interpolate

from aigp_lightning.checkpoints.schema import METADATA
from aigp_lightning.errors import ConfigError, WeightsError, tell_user
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.building import matches_by_name
from aigp_lightning.modules.chosen_classes import chosen_classes
from aigp_lightning.modules.deployment import Deployment
from aigp_lightning.modules.gradients import clip, unscale
from aigp_lightning.modules.rfdetr.description import Description, DetrGains
from aigp_lightning.modules.rfdetr.multi_scale import check_multi_scale, drawn_size, training_sizes
from aigp_lightning.modules.rfdetr.network import RFDETRNetwork
from aigp_lightning.modules.rfdetr.optim import OptimConfig, build_optimizer, logged_rates, rate_factor
from aigp_lightning.modules.rfdetr.package import check_installed
from aigp_lightning.modules.rfdetr.pth_file import FAMILY
from aigp_lightning.modules.rfdetr.resuming import resumed_length
from aigp_lightning.modules.rfdetr.transfer import transfer_weights
from aigp_lightning.modules.rfdetr.variants import check_input, variant_of
from aigp_lightning.modules.rfdetr.weights import read_weights
from aigp_lightning.modules.run_length import PLAN, RunLength
from aigp_lightning.ranges import COUNT, SHARE, Range, check_ranges
from aigp_lightning.run.lightning_internals import datamodule_of
from aigp_lightning.types import DetectionBatch, Prediction, StepOutput

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

RANGES = {
    **dict.fromkeys(("conf", "predict_conf"), SHARE),
    **dict.fromkeys(("max_det", "queries", "groups", "decoder_layers"), COUNT),
    "drop_path": Range(0, 1, below=True),
}
KEPT = (
    "variant", "multi_scale", "groups", "queries", "decoder_layers", "drop_path", "freeze_encoder", "conf",
    "predict_conf", "max_det",
)  # fmt: skip
"""Arguments that a checkpoint keeps, beside groups of them."""


class RFDETRModule(BaseModule):
    """An RF-DETR detector: the package's network, matching and loss, trained by Lightning.

    Args:
        variant: nano, small, medium, base or large.
        weights: weights file on disk to start from: RF-DETR's `.pth`, its own checkpoint or one of ours. Its classes
            are matched by name. None starts from random weights; nothing is ever fetched. `validate`, `test` and
            `predict` take the whole network from this file.
        optim: rates, decay, warm-up and schedule.
        gains: weights of the loss components.
        multi_scale: train each batch at a size drawn around `--data.imgsz`: `expanded`, five strides of 32 px (base:
            56) less to five more; `normal`, three less to four more; or `off`.
        groups: groups of queries that are trained at once, of which one is used afterwards.
        queries: objects that can be found in an image.
        decoder_layers: layers of the decoder; the variant's own if not given. Fewer are faster, and worse.
        drop_path: chance that the encoder's last layer is skipped for an image in training; earlier ones less often.
        freeze_encoder: train all but the encoder.
        conf: lowest confidence that validation keeps, 0…1.
        predict_conf: lowest confidence that `predict` keeps, 0…1, and at which a validation counts false alarms.
        max_det: most objects kept an image.
        thresholds: file of `calibrate` whose limits `predict` takes; auto: that of the model's run, if any; null: none.

    Example:
        >>> module = RFDETRModule("nano")  # the network waits for the data set's classes
        >>> module.stride, module.training_size(384)
        (32, 544)
    """

    family = FAMILY
    portable_suffix = ".pth"
    replaced_options: Mapping[str, str] = {
        "gradient_clip_val": "--model.optim.clip_norm",
        "gradient_clip_algorithm": "--model.optim.clip_norm",
    }
    loss_names: tuple[str, ...] = ("loss", "loss_ce", "loss_bbox", "loss_giou")
    extend: bool = False
    planned: int | None = None
    """Epochs of the run that is resumed, where its checkpoint does not say."""

    def __init__(
        self,
        variant: str = "nano",
        weights: str | None = None,
        optim: OptimConfig = OptimConfig(),
        gains: DetrGains = DetrGains(),
        multi_scale: str = "expanded",
        groups: int = 13,
        queries: int = 300,
        decoder_layers: int | None = None,
        drop_path: float = 0.0,
        freeze_encoder: bool = False,
        conf: float = 0.001,
        predict_conf: float = 0.5,
        max_det: int = 300,
        thresholds: str | None = "auto",
    ) -> None:
        numbers = {"conf": conf, "predict_conf": predict_conf, "max_det": max_det, "queries": queries, "groups": groups}
        check_ranges("--model", {**numbers, "drop_path": drop_path, "decoder_layers": decoder_layers or 1}, RANGES)
        check_multi_scale(multi_scale)
        super().__init__(conf, predict_conf)
        self.imgsz, self.variant, self.weights = variant_of(variant).imgsz, variant, weights
        self.multi_scale, self.groups, self.queries, self.decoder_layers = multi_scale, groups, queries, decoder_layers
        self.drop_path, self.freeze_encoder, self.max_det = drop_path, freeze_encoder, max_det
        self.optim, self.gains, self.thresholds = optim, gains, thresholds
        self.length: RunLength | None = None
        self._resumed: tuple[RunLength, int] | None = None
        self._factor = 1.0

    # ---- the network ------------------------------------------------------------------------------------------------

    @property
    def stride(self) -> int:
        """Sides of the network's input are multiples of this, pixels."""
        return variant_of(self.variant).stride

    def check_input(self, imgsz: int, resize: str) -> None:
        """Refuse a side of the input, pixels, that is no whole number of windows; see `SizesImages`."""
        check_input(self.variant, imgsz, resize)

    def training_size(self, imgsz: int) -> int:
        """Return the side of training images as they are loaded, pixels: the largest that a batch is drawn at."""
        return max(training_sizes(self.variant, imgsz, self.multi_scale))

    def example_batch(self, images: int, imgsz: int, crowd: int, device: torch.device) -> DetectionBatch:
        """Return a batch of random images of the largest size that training draws; see `BaseModule`."""
        return super().example_batch(images, self.training_size(imgsz), crowd, device)

    def setup_from_data(self, data: Any) -> None:
        """Note the size of the input, by which embeddings of positions are made."""
        self.imgsz = data.imgsz

    def build_network(self, names: Mapping[int, str] | None, description: Mapping[str, Any] | None = None) -> nn.Module:
        """Build the network, with random weights or those of `weights`; see `BaseModule`."""
        check_installed()
        if description is not None:
            return self._built(Description.read(description), names or {})
        found = read_weights(self.weights) if self.weights is not None else None
        if names is None:
            if found is None:
                raise WeightsError("no classes to build the network for: give weights, or a data set.")
            network = self._built(found.description, found.names)
            transfer_weights(network, found.names, found)
            return network
        variant = variant_of(self.variant)
        layers, positions = self.decoder_layers or variant.layers, variant.positions or self.imgsz // variant.patch
        described = Description(self.variant, len(names), self.imgsz, positions, layers, self.queries, self.groups)
        network = self._built(described, names)
        if found is not None:
            tell_user(f"weights: {transfer_weights(network, names, found, matches_by_name(self))}")
        return network

    def _built(self, description: Description, names: Mapping[int, str]) -> RFDETRNetwork:
        network = RFDETRNetwork(description, self.gains, self.drop_path, self.freeze_encoder)
        network.names = dict(names)
        return network

    def set_network(self, network: nn.Module, names: Mapping[int, str] | None = None) -> None:
        """Install a built network; its own class names count where none are given."""
        super().set_network(network, names or cast("RFDETRNetwork", network).names)

    def network_description(self) -> dict[str, Any]:
        """Return the numbers from which the network is built."""
        return self._network.description.state()

    @property
    def _network(self) -> RFDETRNetwork:
        return cast("RFDETRNetwork", self.network)

    @property
    def deployment(self) -> Deployment | None:
        """The files in which other programs open the network: RF-DETR's `.pth`, ONNX and TorchScript."""
        from aigp_lightning.modules.rfdetr.deployment import RFDETRDeployment

        return RFDETRDeployment(self._network, self.names) if self.network is not None else None

    # ---- training ---------------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> Optimizer:
        """Build AdamW, and lay out the schedule over the run or what is left of it.

        Raises:
            ConfigError: the run has no length.
        """
        epochs = self.trainer.max_epochs or 0
        if epochs < 1:
            raise ConfigError("--trainer.max_epochs must be 1 or more: the schedule is laid out over the whole run.")
        self.length, self.imgsz = RunLength(epochs), getattr(datamodule_of(self.trainer), "imgsz", self.imgsz)
        if self._resumed is not None:
            length, trained = self._resumed
            self.length = length.extended(trained, epochs) if epochs > length.end else length
        return build_optimizer(self._network.model, self.optim, self._network.layers)

    def plan_anew(self, epochs: int) -> None:
        """Lay the schedule out over so many epochs; see `PlansAnew`."""
        self.length = RunLength(epochs)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Preprocess a batch, and in training resize it to a size that the step's number draws, as the package does."""
        done = super().on_after_batch_transfer(batch, dataloader_idx)
        if self.multi_scale != "off" and self.training and self.fitting:
            size = drawn_size(self.variant, self.imgsz, self.multi_scale, self.trainer.global_step)
            if done["img"].shape[-1] != size:
                done["img"] = interpolate(done["img"], (size, size), mode="bilinear", align_corners=False)
        return done

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set the learning rates of this step."""
        assert self.length is not None
        trained = self.current_epoch + batch_idx / max(int(self.trainer.num_training_batches), 1)
        self._factor = rate_factor(self.optim, self.length, trained)
        for group in cast("Any", self.optimizers()).param_groups:
            group["lr"] = group["initial_lr"] * self._factor

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradients, after they were unscaled."""
        unscale(optimizer, getattr(self.trainer.precision_plugin, "scaler", None))
        clip(self._network.model.parameters(), self.optim.clip_norm)

    def learning_rates(self) -> dict[str, float]:
        """Return the rates of heads, decoder and the encoder's last layer, rather than those of all layers."""
        return logged_rates(self.optim, self._network.layers, self._factor, encoder=not self.freeze_encoder)

    def training_step(self, batch: DetectionBatch, batch_idx: int) -> StepOutput:
        """Compute the loss of one batch, divided by the mean number of labels over all processes."""
        loss, items = self._loss(batch, None)
        self.log_step(items)
        return {"loss": loss, "loss_items": items}

    def compute_loss(self, batch: DetectionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted loss, and that of the last layer by its components; other processes are not asked."""
        labels = len(batch["cls"]) * (self._network.description.groups if self.training else 1)
        return self._loss(batch, torch.tensor(float(max(labels, 1))))

    def _loss(self, batch: DetectionBatch, boxes: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        found = self._network.losses(self._network(batch["img"]), batch, boxes)
        return (loss := self._network.weighted(found)), self._items(loss, found)

    def _items(self, loss: Tensor, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": loss.detach(), **{name: found[name].detach() for name in self.loss_names[1:]}}

    # ---- evaluation -------------------------------------------------------------------------------------------------

    def evaluate(self, batch: DetectionBatch) -> StepOutput:
        """Return loss components, each process's divided by the labels of its own share, and predictions."""
        network, outputs = self._network, self._outputs(batch["img"])
        found = network.losses(outputs, batch, (labels := torch.tensor(float(len(batch["cls"])))).clamp(min=1))
        items = self._items(network.weighted(found), found)
        with self.timed("post"):
            predictions = network.predictions(outputs, batch["img"], self.conf, self.max_det)
        return {"loss_items": items, "loss_divisors": dict.fromkeys(items, labels), "predictions": predictions}

    def predict_batch(self, batch: DetectionBatch, conf: float) -> list[Prediction]:
        """Find the objects in each image above a confidence; see `BaseModule`."""
        outputs = self._outputs(batch["img"])
        with self.timed("post"):
            return self._network.predictions(outputs, batch["img"], conf, self.max_det, chosen_classes(self))

    def _outputs(self, images: Tensor) -> dict[str, Any]:
        """Run the network; what a run on a CPU finds in its validations is in float32, as in `validate`."""
        on_cpu = self.length is not None and not images.is_cuda
        with torch.autocast(images.device.type, enabled=False) if on_cpu else nullcontext(), self.timed("network"):
            return dict(self._network(images.float() if on_cpu else images))

    # ---- checkpoints ------------------------------------------------------------------------------------------------

    def checkpoint_options(self) -> dict[str, Any]:
        """Return the arguments that a checkpoint keeps, see `BaseModule`."""
        groups = {"gains": asdict(self.gains), "optim": asdict(self.optim)}
        return {**{name: getattr(self, name) for name in KEPT}, **groups}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the length of the run, and the settings of its optimizer."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[METADATA]["optim"] = asdict(self.optim)
        if self.length is not None:
            checkpoint[METADATA][PLAN] = self.length.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check the checkpoint, see `BaseModule`; a resumed run keeps its length and optimizer.

        Raises:
            ConfigError: the run cannot go on with these options.
            WeightsError: a run cannot be resumed from this checkpoint.
        """
        super().on_load_checkpoint(checkpoint)
        if self.fitting:
            self._resumed = resumed_length(checkpoint, self.optim, self.trainer.max_epochs or 0, self.extend)
