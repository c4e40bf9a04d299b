"""The YOLO detector.

Longer than 250 lines: one class answers the whole contract of a family.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.checkpoints.schema import METADATA
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.building import matches_by_name
from aigp_lightning.modules.chosen_classes import chosen_classes
from aigp_lightning.modules.deployment import Deployment
from aigp_lightning.modules.gains import LossGains
from aigp_lightning.modules.yolo.best_of_classes import best_of_classes
from aigp_lightning.modules.yolo.class_weights import ClassWeighing
from aigp_lightning.modules.yolo.compiled import Compile, CompiledForward
from aigp_lightning.modules.yolo.deployment import YoloDeployment
from aigp_lightning.modules.yolo.distillation import Distillation, trained_part, without_projection
from aigp_lightning.modules.yolo.freezing import Frozen, check_freeze, hold_statistics
from aigp_lightning.modules.yolo.inference import Inference
from aigp_lightning.modules.yolo.multi_scale import TrainingSizes
from aigp_lightning.modules.yolo.optim import OptimConfig
from aigp_lightning.modules.yolo.optimization import REPLACED_OPTIONS, YoloOptimization
from aigp_lightning.modules.yolo.quantization import check_qat, prepare_qat
from aigp_lightning.modules.yolo.start import NetworkStart, described
from aigp_lightning.ranges import COUNT, SHARE, check_filled_in, check_ranges
from aigp_lightning.run.lightning_internals import datamodule_of, trainer_of
from aigp_lightning.types import DetectionBatch, Prediction, StepOutput

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.optim import Optimizer

RANGES = {"conf": SHARE, "predict_conf": SHARE, "iou": SHARE, "max_det": COUNT}


class DetectorModule(BaseModule):
    """A YOLO detector: Ultralytics' network and loss, trained by Lightning.

    Args:
        variant: name of an Ultralytics model YAML (`yolo11n`, `yolo11s`, …) or a path to one.
        weights: Ultralytics `.pt` on disk to start from; its classes are adapted. None starts from random weights.
            `validate`, `test` and `predict` take the whole network from this file.
        gains: weights of the loss components.
        optim: optimizer, warm-up and schedule.
        freeze: freeze this many layers, counted from the input; or a list of layers' numbers and of names of their
            parts, such as `[0, 1, 23.cv2]`.
        conf: lowest confidence that validation keeps, 0…1.
        predict_conf: lowest confidence that `predict` keeps, 0…1, and at which a validation counts false alarms.
        iou: overlap above which suppression drops the weaker of two boxes, 0…1.
        max_det: most boxes kept an image.
        channels_last: memory layout of the network; faster on CPU and on GPUs with tensor cores.
        class_weights: how much classes count in the classification loss. A number: at 0 all the same, at 1 a class with
            a tenth of the objects ten times as much, 0.5 is a start. Or one for each class, in the data set's order.
        compile: compile the network for training, for some minutes at the start; for long runs on a GPU. A word is the
            mode of `torch.compile`, and true is `default`.
        multi_scale: train each batch at a size drawn around `--data.imgsz`, up to this fraction of it smaller or
            larger; 0 for one size, true for 0.5.
        agnostic_nms: suppression drops the weaker of two boxes whatever their classes are.
        tta: test-time augmentation: `validate`, `test` and `predict` look at each image at three sizes, once mirrored.
            Better boxes for about 2.2 times the work; detectors alone.
        distill_model: Ultralytics `.pt` of a larger network that teaches this one; see `gains.dis`.
        qat: quantization-aware training: learn with weights and activations rounded to 8 bits, for INT8 on the robot.
        nms_free: validate, predict and export by the one-to-one head of YOLOv10 and YOLO26, whose boxes need no NMS;
            false: by their one-to-many head and NMS, as Ultralytics does unless it is told `nms=False`.
        thresholds: file of `calibrate` whose limits `predict` takes; auto: that of the model's run, if any; null: none.

    Example:
        >>> module = DetectorModule("yolo11n").eval()
        >>> module.set_network(module.build_network({0: "gate", 1: "tree"}))
        >>> list(module.compute_loss(module.example_batch(images=1, imgsz=64, crowd=2, device=module.device))[1])
        ['box_loss', 'cls_loss', 'dfl_loss']
    """

    family = "yolo"
    portable_suffix = ".pt"
    replaced_options: Mapping[str, str] = REPLACED_OPTIONS
    loss_names: tuple[str, ...] = ("box_loss", "cls_loss", "dfl_loss")
    starts_from: tuple[str, ...] = ()
    """Other tasks whose weights `fit` may start from, as far as their layers are the same."""
    extend: bool = False
    planned: int | None = None
    """True lets a resumed run train more epochs than it was planned for; its schedule is then planned anew."""

    def __init__(
        self,
        variant: str = "yolo11n",
        weights: str | None = None,
        gains: LossGains = LossGains(),
        optim: OptimConfig = OptimConfig(),
        freeze: Frozen = 0,
        conf: float = 0.001,
        predict_conf: float = 0.25,
        iou: float = 0.7,
        max_det: int = 300,
        channels_last: bool = True,
        class_weights: float | list[float] = 0.0,
        compile: Compile = False,
        multi_scale: float | bool = 0.0,
        agnostic_nms: bool = False,
        tta: bool = False,
        distill_model: str | None = None,
        qat: bool = False,
        nms_free: bool = False,
        thresholds: str | None = "auto",
    ) -> None:
        check_ranges("--model", {"conf": conf, "predict_conf": predict_conf, "iou": iou, "max_det": max_det}, RANGES)
        check_filled_in("--model", {"variant": variant, "weights": weights, "distill_model": distill_model})
        check_freeze(freeze)
        check_qat(qat, compile)
        super().__init__(conf, predict_conf, channels_last)
        self.automatic_optimization, self.inference = False, Inference(iou, max_det, agnostic_nms, tta, nms_free)
        self.variant, self.weights, self.gains, self.frozen = variant, weights, gains, freeze
        self.weighing, self.sizes, self.qat = ClassWeighing(class_weights), TrainingSizes(multi_scale), qat
        self.smaller_by = f"--model.multi_scale {self.sizes.fraction:g}" if self.sizes.fraction else ""
        self.optimization = YoloOptimization(optim)
        self.plan_anew, self.thresholds = self.optimization.plan_anew, thresholds
        self.distillation, self.projector = Distillation(distill_model, gains.dis), cast("nn.Module | None", None)
        self._compiled = CompiledForward.asked(compile, several_sizes=self.sizes.fraction > 0)
        self._frozen: list[str] = []

    def on_fit_start(self) -> None:
        """Weigh the classes by what the training split has of them, once it has the order of a checkpoint."""
        super().on_fit_start()
        self.weighing.measure(datamodule_of(self.trainer))
        self.weighing.apply(cast("nn.Module", self.network))

    def configure_model(self) -> None:
        """Build the network, see `BaseModule`; one rounded to 8 bits finds its ranges in training batches."""
        new = self.network is None
        super().configure_model()
        if new and self.qat and self.fitting and self.trainer.ckpt_path is None:
            prepare_qat(cast("nn.Module", self.network), self.trainer, self.preprocess_batch)

    def set_network(self, network: nn.Module, names: Mapping[int, str] | None = None) -> None:
        """Install a built network, choose its head, name its losses and weigh its classes.

        Args:
            network: see `build_network`.
            names: class names by id; those that the network carries, where not given.
        """
        from aigp_lightning.modules.yolo.loss import loss_names

        named: Any = network
        named.names = dict(names or named.names)
        self.inference.check(network)
        super().set_network(network, named.names)
        self.loss_names = loss_names(network)
        self.weighing.apply(network)
        if self.fitting and self.distillation.path is not None:
            self.projector = self.projector or self.distillation.projection(network)
            self.loss_names += self.distillation.loss_names

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
            ConfigError: nothing would be left to train, or what is to be frozen is not there.
            WeightsError: the weights are of another task.
        """
        trainer, how = trainer_of(self), (asdict(self.gains), self.keypoints, self.frozen, self.qat, self.starts_from)
        epochs, by_name = (trainer.max_epochs if trainer is not None else None) or 1, matches_by_name(self)
        start = NetworkStart(self.variant, self.weights, self.task, epochs, *how, by_name)
        network, self._frozen = start.build(names, description, self.fitting)
        return network

    def on_train_epoch_start(self) -> None:
        """Keep the statistics of frozen layers as they are, and advance losses that anneal over the epochs."""
        from aigp_lightning.modules.yolo.loss import begin_epoch

        hold_statistics(cast("nn.Module", self.network), self._frozen)
        begin_epoch(cast("nn.Module", self.network), self.current_epoch, self.optimization.anneal_epochs)

    def configure_optimizers(self) -> Optimizer:
        """Build Ultralytics' optimizer and schedule for the run's length and batch."""
        from aigp_lightning.modules.yolo.build import class_logit_parameters

        network = cast("nn.Module", self.network)
        trained, boosted = trained_part(network, self.projector), class_logit_parameters(network)
        return self.optimization.configure(self.trainer, trained, len(self.names), boosted)

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
        self.optimization.clip(trained_part(cast("nn.Module", self.network), self.projector))

    def on_validation_model_zero_grad(self) -> None:
        """Keep gradients that wait for their step; Lightning would drop them to make room."""

    def least_images(self, imgsz: int) -> int:
        """Return 2 where the last layers see one cell an image: batch norm needs two values a channel to train."""
        return self.sizes.least_images(self.network, imgsz)

    def example_batch(self, images: int, imgsz: int, crowd: int, device: torch.device) -> DetectionBatch:
        """Return a batch of random images of the largest size that training draws; see `BaseModule`."""
        return super().example_batch(images, self.sizes.largest(self.network, imgsz), crowd, device)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Preprocess a batch, and in training resize it to a size that its place in the run draws."""
        done = super().on_after_batch_transfer(batch, dataloader_idx)
        if self.training and self.fitting:
            done["img"] = self.sizes.resized(done["img"], self.trainer, self.network)
        return done

    def compute_loss(self, batch: DetectionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return box + class + DFL loss times the batch size, and the components (not times the batch size)."""
        from aigp_lightning.modules.yolo.loss import network_loss

        network = cast("nn.Module", self.network)
        raw = self._compiled(network, batch["img"]) if self._compiled is not None else network(batch["img"])
        loss, items = network_loss(network, batch, raw)
        if self.training:
            return self.distillation.added(loss.sum(), items, batch["img"], raw, self.projector)
        return loss.sum(), items

    def evaluate(self, batch: DetectionBatch) -> StepOutput:
        """Return loss components and predictions of one forward pass, several labels a box allowed."""
        from aigp_lightning.modules.yolo.loss import noted_divisors

        network, raw = cast("Any", self.network), self.outputs(batch)
        with noted_divisors(network) as divisors:
            _, items = network.loss(batch, raw)
        if self.projector is not None:
            items, divisors = self.distillation.unmeasured(items, divisors)
        return {"loss_items": items, "loss_divisors": divisors, "predictions": self.decode(raw, self.conf)}

    def predict_batch(self, batch: DetectionBatch, conf: float) -> list[Prediction]:
        """Find the objects in each image above a confidence, one label a box; see `BaseModule`."""
        raw = best_of_classes(self.outputs(batch), len(self.names), chosen_classes(self), self.inference.nms_free)
        return self.decode(raw, conf, multi_label=False)

    def outputs(self, batch: DetectionBatch) -> Any:
        """Run the network, its batch norms folded where its weights are final: in `validate`, `test`, `predict`."""
        network, final = cast("nn.Module", self.network), trainer_of(self) is not None and not self.fitting
        trained_here = self.optimization.plan is not None  # then the best epoch is validated once more at the end
        with self.timed("network"):
            return self.inference.outputs(network, batch["img"], final=final, training=trained_here or self.fitting)

    def decode(self, raw: Any, conf: float, multi_label: bool = True) -> list[Prediction]:
        """Suppress overlapping boxes in what the network returns; see `nms`."""
        with self.timed("post"):
            return self._predictions(self.inference.rows(raw, conf, len(self.names), multi_label))

    def _predictions(self, rows: list[Tensor]) -> list[Prediction]:
        """Convert the rows that NMS left, (n, 6 + extra) an image, to predictions."""
        return [Prediction(row[:, :4].float(), row[:, 4].float(), row[:, 5].long()) for row in rows]

    def checkpoint_options(self) -> dict[str, Any]:
        """Return the arguments that a checkpoint keeps, see `BaseModule`."""
        return {
            **super().checkpoint_options(),
            **{"variant": self.variant, "freeze": self.frozen, "multi_scale": self.sizes.fraction},
            **{name: getattr(self.inference, name) for name in ("iou", "max_det", "agnostic_nms", "tta", "nms_free")},
            **{"gains": asdict(self.gains), "optim": asdict(self.optimization.config)},
            "class_weights": self.weighing.asked,
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add waiting gradients, and the classes' weights: the same validation loss without the training split."""
        super().on_save_checkpoint(checkpoint)
        self.optimization.save(self, checkpoint)
        checkpoint[METADATA]["class_weights"] = self.weighing.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check the checkpoint, see `BaseModule`; outside training its classes' weights come with it."""
        super().on_load_checkpoint(checkpoint)
        if self.fitting:
            self.optimization.load(checkpoint, self.trainer.max_epochs or 0, self.extend, self.planned)
        else:
            without_projection(checkpoint, self.projector)
            self.weighing.load(checkpoint[METADATA].get("class_weights"))
            self.weighing.apply(cast("nn.Module", self.network))

    def network_description(self) -> dict[str, Any]:
        """Return the content of the model's YAML, and whether the network rounds to 8 bits."""
        return described(cast("nn.Module", self.network))
