"""The YOLO detector.

Longer than 250 lines: one class answers the whole contract of a family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.checkpoints.schema import METADATA
from aigp_lightning.data.class_names import FollowsClasses
from aigp_lightning.errors import ConfigError, WeightsError, tell_user
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.deployment import Deployment
from aigp_lightning.modules.gains import LossGains
from aigp_lightning.modules.yolo.class_weights import check_class_weights, in_model_order, weigh_split
from aigp_lightning.modules.yolo.deployment import YoloDeployment
from aigp_lightning.modules.yolo.fused import FusedCopy
from aigp_lightning.modules.yolo.optim import OptimConfig
from aigp_lightning.modules.yolo.optimization import YoloOptimization
from aigp_lightning.ranges import COUNT, COUNT_OR_NONE, SHARE, check_ranges
from aigp_lightning.run.lightning_internals import datamodule_of, trainer_of
from aigp_lightning.types import DetectionBatch, Prediction, StepOutput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from aigp_lightning.modules.yolo.compiled import CompiledForward

RANGES = {"freeze": COUNT_OR_NONE, "conf": SHARE, "predict_conf": SHARE, "iou": SHARE, "max_det": COUNT}


STRIDE = 32
"""Pixels a cell of the last layers, as long as the network is not built; those with a P6 head have 64."""


class DetectorModule(BaseModule):
    """A YOLO detector: Ultralytics' network and loss, trained by Lightning.

    Args:
        variant: name of an Ultralytics model YAML (`yolo11n`, `yolo11s`, …) or a path to one.
        weights: Ultralytics `.pt` on disk to start from; its classes are adapted. None starts from random weights.
            `validate`, `test` and `predict` take the whole network from this file.
        gains: weights of the loss components.
        optim: optimizer, warm-up and schedule.
        freeze: freeze this many layers, counted from the input.
        conf: lowest confidence that validation keeps, 0…1.
        predict_conf: lowest confidence that `predict` keeps, 0…1.
        iou: overlap above which suppression drops the weaker of two boxes, 0…1.
        max_det: most boxes kept an image.
        channels_last: memory layout of the network; faster on CPU and on GPUs with tensor cores.
        class_weights: how much each class counts in the classification loss. A number between 0 and 1 for data with
            rare classes: at 0 all count the same, at 1 a class with a tenth of the objects counts ten times as much,
            0.5 is in between and a start. Or one number for each class, in the order of the data set's own file.
        compile: compile the network for training, for some minutes at the start; for long runs on a GPU.

    Example:
        >>> module = DetectorModule("yolo11n").eval()
        >>> module.set_network(module.build_network({0: "gate", 1: "tree"}))
        >>> list(module.compute_loss(module.example_batch(images=1, imgsz=64, crowd=2, device=module.device))[1])
        ['box_loss', 'cls_loss', 'dfl_loss']
    """

    family = "yolo"
    portable_suffix = ".pt"
    replaced_options: Mapping[str, str] = {
        "accumulate_grad_batches": "--model.optim.nbs",
        "gradient_clip_val": "--model.optim.clip_norm",
        "gradient_clip_algorithm": "--model.optim.clip_norm",
    }
    loss_names: tuple[str, ...] = ("box_loss", "cls_loss", "dfl_loss")
    extend: bool = False
    planned: int | None = None
    """True lets a resumed run train more epochs than it was planned for; its schedule is then planned anew."""

    def __init__(
        self,
        variant: str = "yolo11n",
        weights: str | None = None,
        gains: LossGains = LossGains(),
        optim: OptimConfig = OptimConfig(),
        freeze: int = 0,
        conf: float = 0.001,
        predict_conf: float = 0.25,
        iou: float = 0.7,
        max_det: int = 300,
        channels_last: bool = True,
        class_weights: float | list[float] = 0.0,
        compile: bool = False,
    ) -> None:
        numbers = {"freeze": freeze, "conf": conf, "predict_conf": predict_conf, "iou": iou, "max_det": max_det}
        check_ranges("--model", numbers, RANGES)
        super().__init__(conf, predict_conf, channels_last)
        self.automatic_optimization = False
        check_class_weights(class_weights)
        self.variant, self.weights, self.gains, self.freeze_layers = variant, weights, gains, freeze
        self.iou, self.max_det, self.class_weights = iou, max_det, class_weights
        self.optimization, self.compile_network = YoloOptimization(optim), compile
        self._compiled: CompiledForward | None = None
        self._fused = FusedCopy()
        self._loss_weights: NDArray[np.float32] | None = None

    def on_fit_start(self) -> None:
        """Weigh the classes by what the training split has of them, once it has the order of a checkpoint."""
        super().on_fit_start()
        if self.class_weights == 0 or (data := datamodule_of(self.trainer)) is None:
            return
        asked = in_model_order(self.class_weights, data.ids_of_files() if isinstance(data, FollowsClasses) else None)
        self._loss_weights = weigh_split(asked, data.label_table("train")[0], dict(data.names))
        self._weigh_classes()

    def set_network(self, network: nn.Module, names: Mapping[int, str] | None = None) -> None:
        """Install a built network, name its losses and weigh its classes.

        Args:
            network: see `build_network`.
            names: class names by id; those that the network carries, where not given.
        """
        from aigp_lightning.modules.yolo.loss import loss_names

        named: Any = network
        named.names = dict(names or named.names)
        super().set_network(network, named.names)
        self.loss_names = loss_names(network)
        self._weigh_classes()

    def _weigh_classes(self) -> None:
        from aigp_lightning.modules.yolo.loss import weigh_classes

        weigh_classes(cast("nn.Module", self.network), self._loss_weights)

    @property
    def deployment(self) -> Deployment:
        """Ultralytics' `.pt`, ONNX and TorchScript."""
        return YoloDeployment(cast("nn.Module", self.network))

    def build_network(self, names: Mapping[int, str] | None, description: Mapping[str, Any] | None = None) -> nn.Module:
        """Build the YOLO, and start it from `weights` if given.

        Args:
            names: class names by id; None takes those of `weights`.
            description: a checkpoint's `network_description`, which then decides instead of `variant`.

        Raises:
            ConfigError: nothing would be left to train.
            WeightsError: the weights are of another task.
        """
        from aigp_lightning.modules.yolo import build
        from aigp_lightning.modules.yolo import weights as files

        source: Any = files.load_weights(self.weights) if self.weights and description is None else None
        if source is not None and source.task != self.task:
            raise WeightsError(f"{self.weights} is of a {source.task} model; the configuration asks for {self.task}.")
        trainer = trainer_of(self)
        gains, epochs = asdict(self.gains), (trainer.max_epochs if trainer is not None else None) or 1
        if source is not None and not self.fitting:
            return build.prepare_model(source, names or dict(source.names), gains, self.task, epochs, self.keypoints)
        variant = self.variant if description is None else description.get("yaml")
        if not isinstance(variant, str | Mapping):
            raise WeightsError("this checkpoint does not describe its network.")
        network = build.build_model(variant, names or {}, gains, self.task, self.keypoints, epochs)
        if source is not None:
            taken, total = files.transfer_weights(network, source)
            rows = files.class_rows(source.names, names or {})
            tell_user(f"took {taken} of {total} tensors from {self.weights}; {rows}")
        layers = cast("Any", network).model
        if self.freeze_layers >= len(layers):
            raise ConfigError(f"--model.freeze {self.freeze_layers}: the network has {len(layers)} layers; leave some.")
        for layer in layers[: self.freeze_layers]:
            layer.requires_grad_(False)
        return network

    def on_train_epoch_start(self) -> None:
        """Keep the statistics of frozen layers as they are, and advance losses that anneal over the epochs."""
        from aigp_lightning.modules.yolo.loss import begin_epoch

        for layer in cast("Any", self.network).model[: self.freeze_layers]:
            layer.eval()
        begin_epoch(cast("nn.Module", self.network), self.current_epoch, self.optimization.anneal_epochs)

    def configure_optimizers(self) -> Optimizer:
        """Build Ultralytics' optimizer and schedule for the run's length and batch."""
        from aigp_lightning.modules.yolo.build import class_logit_parameters

        network = cast("nn.Module", self.network)
        return self.optimization.configure(self.trainer, network, len(self.names), class_logit_parameters(network))

    def on_train_start(self) -> None:
        """Restore what waited in the checkpoint that the run resumes from: gradients and the RNG state."""
        self.optimization.resume(self)
        super().on_train_start()

    def training_step(self, batch: DetectionBatch, batch_idx: int) -> StepOutput:
        """Accumulate one batch and, when due, step."""
        loss, items = self.optimization.step(self, batch_idx, lambda: self.compute_loss(batch))
        self.log_step(items)
        return {"loss": loss.detach(), "loss_items": items}

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clip the gradients, after they were unscaled."""
        self.optimization.clip(cast("nn.Module", self.network))

    def on_validation_model_zero_grad(self) -> None:
        """Keep gradients that wait for their step; Lightning would drop them to make room."""

    def least_images(self, imgsz: int) -> int:
        """Return 2 where the last layers see one cell an image: batch norm needs two values a channel to train."""
        strides = getattr(self.network, "stride", (STRIDE,))
        return 2 if imgsz <= max(int(stride) for stride in strides) else 1

    def compute_loss(self, batch: DetectionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return box + class + DFL loss times the batch size, and the components (not times the batch size)."""
        from aigp_lightning.modules.yolo.compiled import CompiledForward
        from aigp_lightning.modules.yolo.loss import network_loss

        network = cast("nn.Module", self.network)
        if self.compile_network and self._compiled is None:
            self._compiled = CompiledForward()
        raw = self._compiled(network, batch["img"]) if self._compiled is not None else network(batch["img"])
        loss, items = network_loss(network, batch, raw)
        return loss.sum(), items

    def evaluate(self, batch: DetectionBatch) -> StepOutput:
        """Return loss components and predictions of one forward pass, several labels a box allowed."""
        from aigp_lightning.modules.yolo.loss import noted_divisors

        network = cast("Any", self.network)
        raw = self._outputs(batch)
        with noted_divisors(network) as divisors:
            _, items = network.loss(batch, raw)
        found = self.decode(raw, self.conf)
        return {"loss_items": items, "loss_divisors": divisors, "predictions": found}

    def predict_batch(self, batch: DetectionBatch, conf: float) -> list[Prediction]:
        """Find the objects in each image above a confidence, one label a box; see `BaseModule`."""
        return self.decode(self._outputs(batch), conf, multi_label=False)

    def _outputs(self, batch: DetectionBatch) -> Any:
        """Run the network; what a run on a CPU finds in its validations is in float32, as in `validate`."""
        from aigp_lightning.modules.yolo.forward import network_outputs

        trained_here = self.optimization.plan is not None  # then the best epoch is validated once more at the end
        network = self._inference_network()
        with self.timed("network"):
            return network_outputs(network, batch["img"], trained_here and not batch["img"].is_cuda)

    def _inference_network(self) -> nn.Module:
        """Return the network, its batch norms folded where its weights are final: in `validate`, `test`, `predict`."""
        network, final = cast("nn.Module", self.network), trainer_of(self) is not None and not self.fitting
        return self._fused.of(network) if final else network

    def decode(self, raw: Any, conf: float, multi_label: bool = True) -> list[Prediction]:
        """Suppress overlapping boxes in what the network returns; see `nms`."""
        from aigp_lightning.modules.yolo.nms import nms

        with self.timed("post"):
            return self._predictions(nms(raw, conf, self.iou, self.max_det, len(self.names), multi_label))

    def _predictions(self, rows: list[Tensor]) -> list[Prediction]:
        """Convert the rows that NMS left, (n, 6 + extra) an image, to predictions."""
        return [Prediction(row[:, :4].float(), row[:, 4].float(), row[:, 5].long()) for row in rows]

    def checkpoint_options(self) -> dict[str, Any]:
        """Return the arguments that a checkpoint keeps, see `BaseModule`."""
        return {
            **super().checkpoint_options(),
            **{"variant": self.variant, "freeze": self.freeze_layers, "iou": self.iou, "max_det": self.max_det},
            **{"gains": asdict(self.gains), "optim": asdict(self.optimization.config)},
            "class_weights": self.class_weights,
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add waiting gradients, and the classes' weights: the same validation loss without the training split."""
        super().on_save_checkpoint(checkpoint)
        self.optimization.save(self, checkpoint)
        checkpoint[METADATA]["class_weights"] = None if self._loss_weights is None else self._loss_weights.tolist()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check the checkpoint, see `BaseModule`; outside training its classes' weights come with it."""
        super().on_load_checkpoint(checkpoint)
        if self.fitting:
            self.optimization.load(checkpoint, self.trainer.max_epochs or 0, self.extend, self.planned)
        else:
            import numpy as np

            kept = checkpoint[METADATA].get("class_weights")
            self._loss_weights = None if kept is None else np.asarray(kept, dtype=np.float32)
            self._weigh_classes()

    def network_description(self) -> dict[str, Any]:
        """Return the content of the model's YAML."""
        return {"yaml": dict(cast("Any", self.network).yaml)}
