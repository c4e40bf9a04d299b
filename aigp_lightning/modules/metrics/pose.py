"""Keypoint metrics: Ultralytics' own for boxes and keypoints, and what a racing team asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from aigp_lightning.modules.metrics.corner_report import QUALITIES
from aigp_lightning.modules.metrics.corners import CornerReport, corner_and_pose_rows, row_width
from aigp_lightning.modules.metrics.detection import LEAST, DetectionMetrics
from aigp_lightning.modules.metrics.pairing import Floats, Indices, match_pairs, pairs_of_images
from aigp_lightning.modules.metrics.rigid_pose import target_of
from aigp_lightning.modules.metrics.split import Found, Labelled, Waiting, joined
from aigp_lightning.types import CornerErrors, DetectionBatch, Keypoints, PoseBatch, Prediction

if TYPE_CHECKING:
    from aigp_lightning.modules.metrics.gate_camera import GateCamera


class PoseMetrics(DetectionMetrics):
    """`DetectionMetrics`, with the same for keypoints, and errors in pixels, metres and degrees.

    Args:
        names: class names by id.
        keypoints: the data set's.
        camera: solves objects for their place, where it is known how their keypoints lie; None: no metres.

    Attributes:
        report: errors of corners and gates; None before the first `compute`.

    Example:
        >>> batch = {"img": torch.zeros(1, 3, 64, 64), "cls": torch.tensor([0]), "batch_idx": torch.tensor([0]),
        ...          "bboxes": torch.tensor([[0.5, 0.5, 0.5, 0.5]]), "keypoints": torch.full((1, 1, 3), 0.5),
        ...          "ori_shape": [(64, 64)], "ratio_pad": [((1.0, 1.0), (0.0, 0.0))]}
        >>> place = torch.tensor([[[32.0, 33.0, 0.9]]])  # 1 pixel too low
        >>> found = Prediction(torch.tensor([[16.0, 16, 48, 48]]), torch.tensor([0.9]), torch.tensor([0]), place)
        >>> metrics = PoseMetrics({0: "gate"}, Keypoints(1, 3, ("middle",)), camera=None)
        >>> metrics.update([found], batch)
        >>> metrics.compute()["corners/error_px_mean"]
        1.0
    """

    second = "pose"
    columns = (*DetectionMetrics.columns, *(f"pose {name}" for name in DetectionMetrics.columns))
    correct_pose: list[Tensor]
    rows: list[Tensor]
    poses: list[Tensor]

    def __init__(self, names: Mapping[int, str], keypoints: Keypoints, camera: GateCamera | None) -> None:
        from aigp_lightning.modules.yolo.metrics import oks_sigmas

        super().__init__(names)
        self.keypoints, self.camera, self.sigmas = keypoints, camera, oks_sigmas(keypoints)
        self.add_state("correct_pose", default=[], dist_reduce_fx="cat")
        self.target = target_of(keypoints, camera)
        self.add_state("rows", default=[], dist_reduce_fx="cat")
        self.add_state("poses", default=[], dist_reduce_fx="cat")
        self._labels_waiting: list[PoseBatch] = []
        self.report: CornerReport | None = None
        self.figures: dict[str, float] = {}

    def update(self, predictions: list[Prediction], batch: DetectionBatch) -> None:
        """Add a batch; see `DetectionMetrics.update`. `batch` has keypoints."""
        if predictions:
            self._labels_waiting.append(without_pixels(cast("PoseBatch", batch)))
        super().update(predictions, batch)

    def _add(self, waiting: list[Waiting], found: Found, true: Labelled) -> None:
        from aigp_lightning.modules.yolo.metrics import IOU_THRESHOLDS

        super()._add(waiting, found, true)
        labels, self._labels_waiting = self._labels_waiting, []
        near = alike_keypoints(labels, found, true, self.sigmas)
        right = match_pairs(*near, len(found.scores), IOU_THRESHOLDS.numpy())
        predictions = [batch.predictions for batch in waiting if batch.predictions]
        count = self.keypoints.count
        measured = [
            corner_and_pose_rows(*one, self.camera, count, self.target) for one in zip(predictions, labels, strict=True)
        ]
        nothing = np.zeros((0, row_width(count)), np.float32), np.zeros((0, QUALITIES), np.float32)
        rows, poses = (np.concatenate(parts) for parts in zip(nothing, *measured, strict=True))
        self._append(correct_pose=right, rows=rows, poses=poses)

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self._labels_waiting = []

    def compute(self) -> dict[str, float]:
        """Return the metrics by Ultralytics' names, errors by ours, and `fitness`."""
        results = super().compute()
        rows, poses = (torch.cat(all_) if isinstance(all_, list) else all_ for all_ in (self.rows, self.poses))
        self.report = CornerReport(rows.cpu().numpy(), self.keypoints, self.camera, poses.cpu().numpy())
        # A figure that was known once stays in the log, as NaN: Lightning would go on showing an earlier epoch's.
        self.figures = {**dict.fromkeys(self.figures, float("nan")), **self.report.scalars()}
        return {**results, **self.figures}

    def corner_errors(self) -> CornerErrors | None:
        """Return how far off corners were, by distance; None before the first `compute` and without any distance."""
        return self.report.errors() if self.report is not None else None

    def _states(self) -> tuple[list[Tensor], ...]:
        return (*super()._states(), self.correct_pose)

    def _by_prefix(self) -> dict[str, Any]:
        details = cast("Any", self.details)
        return {"Box": details.box, "Pose": details.pose}


def alike_keypoints(
    labels: Sequence[PoseBatch], found: Found, true: Labelled, sigmas: Tensor
) -> tuple[Indices, Indices, Floats]:
    """Return the pairs of detections and objects of an image and a class, and how alike their keypoints are.

    Args:
        labels: the batches that the objects are from.
        found: in all their images.
        true: labelled in all their images.
        sigmas: (K,) the keypoints' tolerances.

    Example:
        >>> nothing, none = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
        >>> found = Found(nothing, nothing[:, 0], none, none, np.zeros((0, 3), np.float32))
        >>> [len(part) for part in alike_keypoints([], found, Labelled(nothing, none, none), torch.ones(1))]
        [0, 0, 0]
    """
    from aigp_lightning.modules.yolo.metrics import keypoint_likeness

    parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))]
    if not len(found.scores) or not len(true.labels):
        return parts[0]
    true_points = joined([true_keypoints(batch, slice(None)) for batch in labels])
    points = found.points.reshape(len(found.scores), len(sigmas), -1)
    for pairs in pairs_of_images(found.image, true.image):
        same = found.labels[pairs[0]] == true.labels[pairs[1]]
        one, other = pairs[0][same], pairs[1][same]
        alike = keypoint_likeness(points[one], true_points[other], true.boxes[other], sigmas)
        parts.append((one[alike >= LEAST], other[alike >= LEAST], alike[alike >= LEAST]))
    rows, others, values = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(others), np.concatenate(values)


def true_keypoints(batch: PoseBatch, rows: Tensor | slice) -> Tensor:
    """Return the labelled keypoints of some of a batch's objects as (n, K, 3).

    x and y are network-input pixels, the third number is visibility.

    Example:
        >>> batch = {"img": torch.zeros(1, 3, 10, 20), "keypoints": torch.tensor([[[0.5, 0.5, 2.0]]])}
        >>> true_keypoints(batch, torch.tensor([0])).tolist()
        [[[10.0, 5.0, 2.0]]]
    """
    height, width = batch["img"].shape[2:]
    x, y, visibility = batch["keypoints"][rows].unbind(-1)
    return torch.stack((x * width, y * height, visibility), -1)


def without_pixels(batch: PoseBatch) -> PoseBatch:
    """Return what keypoints are measured against, of a batch that is kept: its images' size in place of the images.

    Args:
        batch: of any size.

    Example:
        >>> batch = {"img": torch.zeros(2, 3, 8, 16), "cls": torch.zeros(0)}
        >>> without_pixels(batch)["img"].shape, without_pixels(batch)["img"].device.type
        (torch.Size([2, 3, 8, 16]), 'meta')
    """
    return cast("PoseBatch", {**batch, "img": torch.empty(batch["img"].shape, device="meta")})
