"""Ultralytics' matching of predictions with labels, and its metrics over a split."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from ultralytics.engine.validator import BaseValidator
from ultralytics.utils.metrics import OKS_SIGMA, DetMetrics, PoseMetrics, SegmentMetrics, box_iou, mask_iou

from aigp_lightning.modules.yolo import quiet  # noqa: F401
from aigp_lightning.types import Keypoints

__all__ = ["DetMetrics", "detection_metrics", "keypoint_likeness", "mask_overlaps", "match_predictions", "oks_sigmas"]


IOU_THRESHOLDS = torch.linspace(0.5, 0.95, 10)
"""The ten IoU thresholds of mAP50-95."""


SECOND: dict[str, tuple[type[DetMetrics], str]] = {"pose": (PoseMetrics, "tp_p"), "mask": (SegmentMetrics, "tp_m")}
"""Ultralytics' metrics of what is judged beside boxes, and their name of what was right."""
EPSILON = 1e-7
"""Keeps Ultralytics' likeness from a division by zero."""
PERSON = (17, 3)
"""COCO's person: the one shape with tolerances of its own."""


def match_predictions(boxes: Tensor, labels: Tensor, true_boxes: Tensor, true_labels: Tensor) -> Tensor:
    """Match boxes with labels at each of the ten IoU thresholds, by Ultralytics' greedy one-to-one rule.

    Args:
        boxes: (n, 4) xyxy pixels, best first.
        labels: (n,) class ids.
        true_boxes: (m, 4) xyxy pixels.
        true_labels: (m,) class ids.

    Returns:
        bool (n, 10), on the CPU: True where a prediction is right.
    """
    if not len(boxes) or not len(true_boxes):
        return torch.zeros(len(boxes), len(IOU_THRESHOLDS), dtype=torch.bool)
    holder: Any = SimpleNamespace(iouv=IOU_THRESHOLDS)
    overlaps = box_iou(true_boxes, boxes)
    return cast("Tensor", BaseValidator.match_predictions(holder, labels, true_labels, overlaps))


def mask_overlaps(masks: Tensor, true_masks: Tensor) -> Tensor:
    """Compute the overlaps of masks (IoU) with labelled ones, on their device, as Ultralytics validates.

    Args:
        masks: (n, h, w) 0 or 1.
        true_masks: (m, H, W) 0 or 1; brought to the size of the others.

    Returns:
        float32 (m, n).
    """
    if not len(masks) or not len(true_masks):
        return torch.zeros(len(true_masks), len(masks), device=masks.device)
    true = true_masks.float()
    if true.shape[1:] != masks.shape[1:]:
        true = interpolate(true[None], masks.shape[1:], mode="bilinear", align_corners=False)[0].gt(0.5).float()
    return cast("Tensor", mask_iou(true.flatten(1), masks.flatten(1).float()))


def oks_sigmas(keypoints: Keypoints) -> Tensor:
    """Return the keypoints' tolerances (K,): the data set's, else COCO's for its person and 1 / K for anything else."""
    if keypoints.sigmas is not None:
        return torch.tensor(keypoints.sigmas, dtype=torch.float32)
    if (keypoints.count, keypoints.numbers) == PERSON:
        return torch.from_numpy(OKS_SIGMA).float()
    return torch.ones(keypoints.count) / keypoints.count


def keypoint_likeness(
    points: npt.NDArray[np.float32],
    true_points: npt.NDArray[np.float32],
    true_boxes: npt.NDArray[np.float32],
    sigmas: Tensor,
) -> npt.NDArray[np.float32]:
    """Compute the likeness of keypoints (COCO's OKS), pair by pair, to the last bit as Ultralytics' `kpt_iou`.

    Args:
        points: (p, K, 2 or 3) x, y in pixels.
        true_points: (p, K, 3) x, y in pixels and visibility; what is not visible does not count.
        true_boxes: (p, 4) xyxy pixels; an object's area is taken as 0.53 of its box's, as in xtcocotools.
        sigmas: (K,) see `oks_sigmas`.

    Returns:
        (p,) 0…1.
    """
    sides = torch.from_numpy(true_boxes[:, 2:] - true_boxes[:, :2])
    area = (sides[:, 0] * sides[:, 1] * 0.53)[:, None] + EPSILON
    away = torch.from_numpy(true_points[..., :2] - points[..., :2]).square()
    seen = torch.from_numpy(true_points[..., 2] != 0)
    error = (away[..., 0] + away[..., 1]) / ((2 * sigmas).square() * area * 2)
    return ((-error).exp() * seen).sum(-1).div(seen.sum(-1) + EPSILON).numpy()


def detection_metrics(
    names: Mapping[int, str],
    correct: npt.NDArray[np.bool_],
    conf: npt.NDArray[np.float32],
    pred_cls: npt.NDArray[np.float32],
    target_cls: npt.NDArray[np.float32],
    target_img: npt.NDArray[np.float32],
    second: tuple[str, npt.NDArray[np.bool_]] | None = None,
) -> DetMetrics:
    """Compute Ultralytics' own metrics over a whole split, of boxes and of what else is judged.

    Args:
        names: class names by id.
        correct: (n, 10) see `match_predictions`.
        conf: (n,) confidence of every prediction.
        pred_cls: (n,) its class.
        target_cls: (m,) class of every labelled object.
        target_img: (k,) the classes present in each image, once an image.
        second: `pose` or `mask`, and (n, 10) see `match_predictions`, of keypoints or masks.
    """
    kind, state = (DetMetrics, "") if second is None else SECOND[second[0]]
    metrics = kind(dict(names))
    stats = {"tp": correct, "conf": conf, "pred_cls": pred_cls, "target_cls": target_cls, "target_img": target_img}
    if second is not None:
        stats[state] = second[1]
    for key, value in stats.items():
        metrics.stats[key].append(value)
    metrics.process()
    metrics.clear_stats()
    return metrics
