"""Keypoint metrics: Ultralytics' own for boxes and keypoints, and what a racing team asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from aigp_lightning.modules.metrics.corners import CornerReport, corner_rows, row_width
from aigp_lightning.modules.metrics.detection import DetectionMetrics
from aigp_lightning.types import CornerErrors, DetectionBatch, Keypoints, PoseBatch, Prediction

if TYPE_CHECKING:
    from aigp_lightning.modules.metrics.gate_camera import GateCamera


class PoseMetrics(DetectionMetrics):
    """`DetectionMetrics`, with the same for keypoints, and errors in pixels, metres and degrees.

    Args:
        names: class names by id.
        keypoints: the data set's.
        camera: solves gates for their place; None: no metres.

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

    columns = (*DetectionMetrics.columns, *(f"pose {name}" for name in DetectionMetrics.columns))
    correct_pose: list[Tensor]
    rows: list[Tensor]

    def __init__(self, names: Mapping[int, str], keypoints: Keypoints, camera: GateCamera | None) -> None:
        from aigp_lightning.modules.yolo.metrics import oks_sigmas

        super().__init__(names)
        self.keypoints, self.camera, self.sigmas = keypoints, camera, oks_sigmas(keypoints)
        self.add_state("correct_pose", default=[], dist_reduce_fx="cat")
        self.add_state("rows", default=[], dist_reduce_fx="cat")
        self.report: CornerReport | None = None
        self.figures: dict[str, float] = {}

    def update(self, predictions: list[Prediction], batch: DetectionBatch) -> None:
        """Add a batch; see `DetectionMetrics.update`. `batch` has keypoints."""
        super().update(predictions, batch)
        if predictions:
            rows = corner_rows(predictions, cast("PoseBatch", batch), self.camera, self.keypoints.count)
            self.rows.append(torch.from_numpy(rows).to(self.device))

    def _update_image(self, prediction: Prediction, batch: DetectionBatch, mine: Tensor, targets: Tensor) -> None:
        from aigp_lightning.modules.yolo.metrics import match_keypoints

        super()._update_image(prediction, batch, mine, targets)
        assert prediction.keypoints is not None
        points, labels = true_keypoints(cast("PoseBatch", batch), mine), batch["cls"][mine]
        found = prediction.keypoints, prediction.labels
        right = match_keypoints(*found, points, targets[mine], labels, self.sigmas)
        self.correct_pose.append(right.to(self.device))

    def _update_nothing(self) -> None:
        super()._update_nothing()
        self.correct_pose.append(torch.zeros(0, 10, dtype=torch.bool, device=self.device))
        self.rows.append(torch.zeros(0, row_width(self.keypoints.count), device=self.device))

    def compute(self) -> dict[str, float]:
        """Return the metrics by Ultralytics' names, errors by ours, and `fitness`."""
        results = super().compute()
        rows = torch.cat(self.rows) if isinstance(self.rows, list) else self.rows
        self.report = CornerReport(rows.cpu().numpy(), self.keypoints, self.camera)
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


def true_keypoints(batch: PoseBatch, rows: Tensor) -> Tensor:
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
