"""The segmentation model: what YOLO-seg adds to the detector."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.types import DetectionBatch, Prediction, StepOutput

if TYPE_CHECKING:
    from torch import Tensor, device, nn

    from aigp_lightning.data.masks import SegmentBatch

FIRST_COEFFICIENT = 6
"""Column of a row that NMS left; before it box, confidence and class."""


class SegmentModule(DetectorModule):
    """A YOLO that finds objects and the pixels that are theirs, judged by boxes and by masks.

    Args:
        variant: name of an Ultralytics segmentation model YAML (`yolo11n-seg`, `yolo11s-seg`, …) or a path to one.
        **options: as the detector's. `gains.box` weighs the masks too, as in Ultralytics.

    Example:
        >>> module = SegmentModule("yolo11n-seg").eval()
        >>> module.set_network(module.build_network({0: "gate", 1: "tree"}))
        >>> batch = module.example_batch(images=1, imgsz=64, crowd=2, device=module.device)
        >>> list(module.compute_loss(batch)[1])
        ['box_loss', 'seg_loss', 'cls_loss', 'dfl_loss']
    """

    task = "segment"
    loss_names = ("box_loss", "seg_loss", "cls_loss", "dfl_loss")
    curve_prefixes = ("Box", "Mask")
    starts_from = ("detect",)

    def __init__(self, variant: str = "yolo11n-seg", **options: Any) -> None:
        super().__init__(variant=variant, **options)

    @property
    def wants_masks(self) -> bool:
        """True if batches must have `masks`."""
        return True

    def build_metrics(self) -> Any:
        """Return the metrics of boxes and masks, empty."""
        from aigp_lightning.modules.metrics.segment import SegmentMetrics

        return SegmentMetrics(self.names)

    def compute_loss(self, batch: DetectionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return box + mask + class + DFL loss times the batch size, and the components; see `DetectorModule`."""
        loss, items = super().compute_loss(self._with_targets(batch))
        return loss, {name: items[name] for name in self.loss_names}

    def evaluate(self, batch: DetectionBatch) -> StepOutput:
        """Return loss components and predictions of one forward pass; see `DetectorModule`."""
        output = super().evaluate(self._with_targets(batch))
        output["loss_items"] = {name: output["loss_items"][name] for name in self.loss_names}
        return output

    def _with_targets(self, batch: DetectionBatch) -> DetectionBatch:
        """Return a batch with all that its loss looks at: where the head learns it, the class of every pixel too."""
        from aigp_lightning.modules.yolo import masks

        network, drawn = cast("nn.Module", self.network), cast("SegmentBatch", batch)
        masks.follow_overlap(network, drawn["overlap_mask"])
        if not masks.learns_classes_of_pixels(network):
            return batch
        return cast("DetectionBatch", {**batch, "sem_masks": masks.classes_of_pixels(drawn)})

    def decode(self, raw: Any, conf: float, multi_label: bool = True) -> list[Prediction]:
        """Suppress overlapping boxes in what the network returns, and make the masks of those that are left.

        Args:
            raw: what the network, or an exported file, returns.
            conf: lowest confidence kept, 0…1.
            multi_label: as in validation, whose masks are as small as the prototypes; else they are the input's size.
        """
        from aigp_lightning.modules.yolo.masks import masks_of

        rows = self.inference.rows(raw, conf, len(self.names), multi_label)
        found = zip(self._predictions(rows), masks_of(rows, raw, FIRST_COEFFICIENT, not multi_label), strict=True)
        return [replace(one, masks=masks) for one, masks in found]

    def example_batch(self, images: int, imgsz: int, crowd: int, device: device) -> DetectionBatch:
        """Return a batch of random images with masks; see `BaseModule`."""
        import torch

        batch: Any = super().example_batch(images, imgsz, crowd, device)
        batch["masks"] = torch.ones(images, imgsz // 4, imgsz // 4, dtype=torch.uint8, device=device)
        return cast("DetectionBatch", {**batch, "overlap_mask": True, "counts": [crowd] * images})
