"""Evaluation of a network: its outputs, of one or several views of an image, and the boxes that suppression leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aigp_lightning.modules.yolo.fused import FusedCopy

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass
class Inference:
    """Outputs and boxes of a network.

    Attributes:
        iou: overlap above which suppression drops the weaker of two boxes, 0…1.
        max_det: most boxes kept an image.
        agnostic_nms: boxes of other classes are suppressed like those of the same.
        tta: run a network on several views of each image, where `outputs` is not told otherwise.
        nms_free: answer by the one-to-one head, whose boxes need no suppression.
        fused: the copy with folded batch norms.
    """

    iou: float
    max_det: int
    agnostic_nms: bool = False
    tta: bool = False
    nms_free: bool = False
    fused: FusedCopy = field(default_factory=FusedCopy)

    def check(self, network: nn.Module) -> None:
        """Choose the network's head, and refuse several views of an image for one that cannot combine them.

        Args:
            network: from `build_model`.

        Raises:
            ConfigError: it cannot, or has no head without NMS, and one is asked for.
        """
        from aigp_lightning.modules.yolo.nms_free import choose_head

        head: Any = network.model[-1]  # type: ignore[index]
        head.agnostic_nms = self.agnostic_nms  # of heads that suppress by themselves
        choose_head(network, self.nms_free, self.max_det)
        if self.tta:
            from aigp_lightning.modules.yolo.augmented import check_augmentable

            check_augmentable(network)

    def outputs(self, network: nn.Module, images: Tensor, *, final: bool, training: bool) -> Any:
        """Run the network.

        Args:
            network: in evaluation.
            images: (B, 3, H, W) in 0…1.
            final: whether its weights stay as they are, so that a copy with folded batch norms pays.
            training: whether a run trains it: then an image has one view, and what is found on a CPU is in float32 as
                in `validate`.

        Returns:
            Decoded rows, and the raw outputs.
        """
        from aigp_lightning.modules.yolo.augmented import augmented_outputs
        from aigp_lightning.modules.yolo.forward import network_outputs

        used, run = self.fused.of(network) if final else network, network_outputs
        return (augmented_outputs if self.tta and not training else run)(used, images, training and not images.is_cuda)

    def rows(self, raw: Any, conf: float, classes: int, multi_label: bool) -> list[Tensor]:
        """Suppress overlapping boxes in what the network returns; see `nms`.

        Args:
            raw: see `outputs`.
            conf: lowest confidence kept, 0…1.
            classes: number of them.
            multi_label: a box may be kept once for every class above `conf`, as in validation.
        """
        from aigp_lightning.modules.yolo.nms import nms

        return nms(raw, conf, self.iou, self.max_det, classes, multi_label, self.agnostic_nms, self.nms_free)

    def rows_by_iou(
        self, raw: Any, conf: float, classes: int, ious: Sequence[float | None], wanted: Sequence[int] | None
    ) -> list[list[Tensor]]:
        """Suppress overlapping boxes at each of several overlaps, one label a box, as `predict` does.

        Args:
            raw: see `outputs`.
            conf: lowest confidence kept, 0…1.
            classes: number of them.
            ious: overlaps; None is the own one.
            wanted: ids of the classes that count; None: all.

        Returns:
            For each overlap what `rows` returns.
        """
        from aigp_lightning.modules.yolo.best_of_classes import best_of_classes
        from aigp_lightning.modules.yolo.nms import nms

        raw = best_of_classes(raw, classes, wanted, self.nms_free)
        limits = [self.iou if iou is None else iou for iou in ious]
        fixed = self.max_det, classes, False, self.agnostic_nms, self.nms_free
        return [nms(raw, conf, iou, *fixed) for iou in limits]
