"""The YOLO detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from lightning_utilities.core.rank_zero import rank_zero_info

from aigp_lightning.errors import WeightsError
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.yolo.class_weights import check_class_weights, class_weights
from aigp_lightning.modules.yolo.optim import OptimConfig
from aigp_lightning.types import DetectionBatch, Prediction, StepOutput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn


@dataclass(frozen=True)
class LossGains:
    """Weights of the loss components.

    Args:
        box: box overlap (CIoU).
        cls: classification.
        dfl: distribution of the box sides.
    """

    box: float = 7.5
    cls: float = 0.5
    dfl: float = 1.5


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
            0.5 is in between and a start. Or one number for each class, in the order of the data set.
    """

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
    ) -> None:
        super().__init__(optim, conf, predict_conf, iou, max_det, channels_last)
        check_class_weights(class_weights)
        self.class_weights = class_weights
        self._weighed: NDArray[np.float32] | None = None
        self.variant, self.weights, self.gains, self.freeze_layers = variant, weights, gains, freeze

    def setup_from_data(self, data: Any) -> None:
        """Weigh the classes by what the training split has of them."""
        super().setup_from_data(data)
        if self.class_weights == 0 or not self.fitting:
            return
        import numpy as np

        names = dict(data.names)
        counts = np.bincount(data.label_table("train")[0], minlength=len(names))
        self._weighed = class_weights(self.class_weights, counts, names)
        if self._weighed is not None:
            shown = zip(names.values(), self._weighed, counts, strict=True)
            rank_zero_info(
                "class weights: " + ", ".join(f"{name} {weight:.3g} ({count} objects)" for name, weight, count in shown)
            )

    def set_network(self, network: nn.Module) -> None:
        """Install a built network, and name its losses and weigh its classes."""
        from aigp_lightning.modules.yolo.bridge import loss_names

        super().set_network(network)
        self.loss_names = loss_names(network)
        self._weigh()

    def _weigh(self) -> None:
        from aigp_lightning.modules.yolo.bridge import weigh_classes

        weigh_classes(cast("nn.Module", self.network), self._weighed)

    def build_network(self, names: Mapping[int, str] | None, description: Mapping[str, Any] | None = None) -> nn.Module:
        """Build the YOLO, and start it from `weights` if given.

        Args:
            names: class names by id; None takes those of `weights`.
            description: a checkpoint's `network_description`, which then decides instead of `variant`.

        Raises:
            WeightsError: the weights are of another task, or (outside training) of other classes.
        """
        from aigp_lightning.modules.yolo import bridge

        source = bridge.load_weights(self.weights) if self.weights and description is None else None
        if source is not None and getattr(source, "task", None) != self.task:
            raise WeightsError(f"{self.weights} is a {source.task} model; this configuration trains {self.task}.")
        gains, epochs = asdict(self.gains), self.epochs
        if source is not None and not self.fitting:
            theirs = _as_dict(cast("Any", source).names)
            if names is not None and len(theirs) != len(names):
                raise WeightsError(
                    f"{self.weights} knows {len(theirs)} classes, the data set {len(names)}. Metrics need the same "
                    "classes; `fit` adapts them."
                )
            return bridge.prepare_model(source, names or theirs, gains, self.task, epochs, self.keypoints)
        variant = self.variant if description is None else description.get("yaml")
        if not isinstance(variant, str | Mapping):
            raise WeightsError("this checkpoint does not describe its network.")
        network = bridge.build_model(variant, names or {}, gains, self.task, self.keypoints, epochs)
        if source is not None:
            taken, total = bridge.transfer_weights(network, source)
            rank_zero_info(f"took {taken} of {total} tensors from {self.weights}")
        self._freeze(network)
        return network

    def _freeze(self, network: nn.Module) -> None:
        for layer in cast("Any", network).model[: self.freeze_layers]:
            layer.requires_grad_(False)

    def on_train_epoch_start(self) -> None:
        """Keep the statistics of frozen layers as they are."""
        for layer in cast("Any", self.network).model[: self.freeze_layers]:
            layer.eval()

    def on_train_epoch_end(self) -> None:
        """Advance losses that anneal over the epochs."""
        from aigp_lightning.modules.yolo.bridge import epoch_end

        epoch_end(cast("nn.Module", self.network))

    def boosted_lr_parameter_ids(self) -> set[int]:
        """The classification branch."""
        from aigp_lightning.modules.yolo.bridge import class_logit_parameters

        return class_logit_parameters(cast("nn.Module", self.network))

    def compute_loss(self, batch: DetectionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return box + class + DFL loss times the batch size, and the components (not times the batch size)."""
        loss, items = cast("Any", self.network).loss(batch)
        return loss.sum(), items

    def evaluate(self, batch: DetectionBatch) -> StepOutput:
        """One forward pass for loss components and predictions, several labels a box allowed."""
        from aigp_lightning.modules.yolo.bridge import noted_divisors

        network = cast("Any", self.network)
        raw = network(batch["img"])
        with noted_divisors(network) as divisors:
            _, items = network.loss(batch, raw)
        found = self._nms(raw, self.conf, multi_label=True)
        return {"loss_items": items, "loss_divisors": divisors, "predictions": found}

    def predict_batch(self, batch: DetectionBatch, conf: float) -> list[Prediction]:
        """What the model finds in each image above `conf`, one label a box."""
        return self._nms(cast("Any", self.network)(batch["img"]), conf, multi_label=False)

    def match(self, prediction: Prediction, boxes: Tensor, labels: Tensor) -> Tensor:
        """Assign predictions to labelled boxes, by Ultralytics' greedy one-to-one rule.

        Args:
            prediction: of one image, best first.
            boxes: (m, 4) xyxy, its labelled boxes in network-input pixels.
            labels: (m,) their class ids.

        Returns:
            bool (n, 10), on the CPU: True if right at IoU 0.5, 0.55, … 0.95.
        """
        from aigp_lightning.modules.yolo.bridge import match_predictions

        return match_predictions(prediction.boxes, prediction.labels, boxes, labels)

    def _nms(self, raw: Any, conf: float, multi_label: bool) -> list[Prediction]:
        from aigp_lightning.modules.yolo.bridge import nms

        rows = nms(raw, conf, self.iou, self.max_det, len(self.names), multi_label)
        return self._predictions(rows)

    def _predictions(self, rows: list[Tensor]) -> list[Prediction]:
        """Convert the rows that NMS left, (n, 6 + extra) an image, to predictions."""
        return [Prediction(row[:, :4].float(), row[:, 4].float(), row[:, 5].long()) for row in rows]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the classes' weights: the checkpoint then validates with the same loss, without the training split."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["aigp"]["class_weights"] = None if self._weighed is None else self._weighed.tolist()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check the checkpoint, see `BaseModule`; outside training its classes' weights come with it."""
        super().on_load_checkpoint(checkpoint)
        if not self.fitting:
            import numpy as np

            kept = checkpoint["aigp"].get("class_weights")
            self._weighed = None if kept is None else np.asarray(kept, dtype=np.float32)
            self._weigh()

    def network_description(self) -> dict[str, Any]:
        """The model YAML's content."""
        return {"yaml": dict(cast("Any", self.network).yaml)}


def _as_dict(names: Any) -> dict[int, str]:
    return dict(names) if isinstance(names, Mapping) else dict(enumerate(names))
