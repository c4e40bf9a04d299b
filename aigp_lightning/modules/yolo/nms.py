"""Ultralytics' non-maximum suppression."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor
from ultralytics.utils.nms import non_max_suppression

from aigp_lightning.modules.yolo import quiet  # noqa: F401


def nms(raw: Any, conf: float, iou: float, max_det: int, nc: int, multi_label: bool = True) -> list[Tensor]:
    """Run non-maximum suppression (NMS) over raw outputs.

    Args:
        raw: what the model returns in eval mode.
        conf: lowest confidence kept, 0…1.
        iou: overlap above which the weaker of two boxes goes, 0…1.
        max_det: most boxes kept an image.
        nc: number of classes; further channels (keypoints) are carried along.
        multi_label: a box may be kept once for every class above `conf`, as in validation.

    Returns:
        Per image (n, 6 + extra): xyxy in network-input pixels, confidence, class, extra channels; best first.
    """
    return cast(
        "list[Tensor]",
        non_max_suppression(raw, conf, iou, nc=nc, multi_label=multi_label, max_det=max_det, max_time_img=10.0),
    )
