"""Segmentation metrics by Ultralytics' definitions, of boxes and of masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from aigp_lightning.modules.metrics.detection import LEAST, DetectionMetrics
from aigp_lightning.modules.metrics.pairing import Floats, Indices, match_pairs
from aigp_lightning.modules.metrics.split import Found, Labelled, Waiting, joined
from aigp_lightning.types import DetectionBatch, Prediction

if TYPE_CHECKING:
    from aigp_lightning.data.masks import SegmentBatch


class SegmentMetrics(DetectionMetrics):
    """`DetectionMetrics`, with the same for masks; the fitness is the sum of both.

    Masks are large, so that overlaps are computed batch by batch, where the masks are, and only these are kept.

    Args:
        names: class names by id.

    Example:
        >>> masks = torch.zeros(1, 4, 4, dtype=torch.uint8)
        >>> masks[0, 1:3, 1:3] = 1
        >>> batch = {"img": torch.zeros(1, 3, 16, 16), "cls": torch.tensor([0]), "batch_idx": torch.tensor([0]),
        ...          "bboxes": torch.tensor([[0.5, 0.5, 0.5, 0.5]]), "counts": [1]}
        >>> batch |= {"masks": masks, "overlap_mask": True}
        >>> box = torch.tensor([[4.0, 4.0, 12.0, 12.0]])
        >>> found = Prediction(box, torch.tensor([0.9]), torch.tensor([0]), masks=masks)
        >>> metrics = SegmentMetrics({0: "gate"})
        >>> metrics.update([found], batch)
        >>> round(metrics.compute()["metrics/mAP50-95(M)"], 3)
        0.995
    """

    second = "mask"
    columns = (*DetectionMetrics.columns, *(f"mask {name}" for name in DetectionMetrics.columns))
    correct_mask: list[Tensor]

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__(names)
        self.add_state("correct_mask", default=[], dist_reduce_fx="cat")
        self._overlaps: list[Tensor] = []

    def update(self, predictions: list[Prediction], batch: DetectionBatch) -> None:
        """Add a batch; see `DetectionMetrics.update`. `batch` and predictions have masks."""
        if predictions:
            self._overlaps += overlaps_of_batch(predictions, cast("SegmentBatch", batch))
        super().update([replace(one, masks=None) for one in predictions], batch)

    def _add(self, waiting: list[Waiting], found: Found, true: Labelled) -> None:
        from aigp_lightning.modules.yolo.metrics import IOU_THRESHOLDS

        super()._add(waiting, found, true)
        overlaps, self._overlaps = self._overlaps, []
        pairs = pairs_of_masks(overlaps, found, true)
        self._append(correct_mask=match_pairs(*pairs, len(found.scores), IOU_THRESHOLDS.numpy()))

    def reset(self) -> None:
        """Forget all batches."""
        super().reset()
        self._overlaps = []

    def _states(self) -> tuple[list[Tensor], ...]:
        return (*super()._states(), self.correct_mask)

    def _by_prefix(self) -> dict[str, Any]:
        details = cast("Any", self.details)
        return {"Box": details.box, "Mask": details.seg} if details is not None else {}


def overlaps_of_batch(predictions: list[Prediction], batch: SegmentBatch) -> list[Tensor]:
    """Compute the overlaps of masks in each image of a batch, on the device, without waiting for it.

    Args:
        predictions: one an image, with masks.
        batch: the labels.

    Returns:
        Of each image float32 (m, n), labelled objects by detections.

    Example:
        >>> masks = torch.tensor([[[0, 1], [1, 2]]])
        >>> batch = {"masks": masks, "counts": [2], "overlap_mask": True}
        >>> found = Prediction(torch.zeros(1, 4), torch.ones(1), torch.zeros(1), masks=masks.clamp(max=1))
        >>> overlaps_of_batch([found], batch)[0].round(decimals=2).flatten().tolist()
        [0.6700000166893005, 0.33000001311302185]
    """
    from aigp_lightning.modules.yolo.metrics import mask_overlaps

    masks, starts = batch["masks"], np.cumsum([0, *batch["counts"]]).tolist()
    overlaps = []
    for image, (one, count) in enumerate(zip(predictions, batch["counts"], strict=True)):
        assert one.masks is not None
        if batch["overlap_mask"]:
            true = masks[image] == torch.arange(1, count + 1, device=masks.device)[:, None, None]
        else:
            true = masks[starts[image] : starts[image] + count]
        overlaps.append(mask_overlaps(one.masks, true))
    return overlaps


def pairs_of_masks(overlaps: list[Tensor], found: Found, true: Labelled) -> tuple[Indices, Indices, Floats]:
    """Return the pairs of detections and objects of an image and a class whose masks overlap, and by how much.

    Args:
        overlaps: of each image, see `overlaps_of_batch`.
        found: in all images.
        true: labelled in all images.

    Example:
        >>> none = np.zeros(0, np.int64)
        >>> found = Found(np.zeros((0, 4)), np.zeros(0), none, none, np.zeros((0, 0)))
        >>> [len(part) for part in pairs_of_masks([], found, Labelled(np.zeros((0, 4)), none, none))]
        [0, 0, 0]
    """
    if not overlaps:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    values = joined([each.flatten() for each in overlaps])
    objects, detections = np.array([each.shape for each in overlaps], np.int64).T
    sizes = objects * detections
    image = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(values)) - np.repeat(sizes.cumsum() - sizes, sizes)
    other = (objects.cumsum() - objects)[image] + place // detections[image]
    one = (detections.cumsum() - detections)[image] + place % detections[image]
    kept = (values >= LEAST) & (found.labels[one] == true.labels[other])
    return one[kept], other[kept], values[kept].astype(np.float32)
