"""Ultralytics' matching of predictions with labels, and its metrics over a split."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from ultralytics.engine.validator import BaseValidator
from ultralytics.utils.metrics import OKS_SIGMA, DetMetrics, PoseMetrics, box_iou

from aigp_lightning.modules.yolo import quiet  # noqa: F401
from aigp_lightning.types import Keypoints

__all__ = ["DetMetrics", "detection_metrics", "keypoint_likeness", "match_predictions", "oks_sigmas"]


IOU_THRESHOLDS = torch.linspace(0.5, 0.95, 10)
"""The ten IoU thresholds of mAP50-95."""


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
    correct_pose: npt.NDArray[np.bool_] | None = None,
) -> DetMetrics:
    """Compute Ultralytics' own metrics over a whole split, of boxes and, where there are any, of keypoints.

    Args:
        names: class names by id.
        correct: (n, 10) see `match_predictions`.
        conf: (n,) confidence of every prediction.
        pred_cls: (n,) its class.
        target_cls: (m,) class of every labelled object.
        target_img: (k,) the classes present in each image, once an image.
        correct_pose: (n, 10) see `match_predictions`, of keypoints; with it the result is a `PoseMetrics`.
    """
    metrics = DetMetrics(dict(names)) if correct_pose is None else PoseMetrics(dict(names))
    stats = {"tp": correct, "conf": conf, "pred_cls": pred_cls, "target_cls": target_cls, "target_img": target_img}
    if correct_pose is not None:
        stats["tp_p"] = correct_pose
    for key, value in stats.items():
        metrics.stats[key].append(value)
    metrics.process()
    metrics.clear_stats()
    return metrics
