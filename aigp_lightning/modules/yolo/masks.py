"""Masks from what a YOLO with prototypes returns, and the semantic targets of its loss."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any, cast

import torch
from torch import Tensor, nn
from ultralytics.nn.modules.head import Segment26
from ultralytics.utils.ops import process_mask

from aigp_lightning.modules.yolo.loss import prepare_criterion

PROTO_STRIDE = 4
"""Pixels of the network's input for one of a prototype."""


def prototypes(raw: Any) -> Tensor:
    """Return the prototypes (B, 32, h, w) of what the network returns in evaluation, or an exported file."""
    first = raw[0]
    proto = first[1] if isinstance(first, list | tuple) else raw[1]
    return cast("Tensor", proto)


def masks_of(rows: list[Tensor], raw: Any, first: int, whole: bool) -> list[Tensor]:
    """Make the masks of what suppression left, by Ultralytics' rule.

    Args:
        rows: of each image (n, first + 32): box, confidence, class, coefficients.
        raw: what the network returned.
        first: column of the first coefficient.
        whole: at the size of the network's input, as `predict` has them; else at that of the prototypes, as validation.

    Returns:
        Of each image uint8 (n, h, w), nothing outside of the boxes.
    """
    proto = prototypes(raw)
    shape = tuple(PROTO_STRIDE * side for side in proto.shape[2:])
    return [
        process_mask(proto[image], row[:, first:].float(), row[:, :4].float(), shape, upsample=whole)
        for image, row in enumerate(rows)
    ]


def learns_classes_of_pixels(model: nn.Module) -> bool:
    """True if the head's loss wants the class of every pixel."""
    return isinstance(cast("Any", model).model[-1], Segment26)


def classes_of_pixels(batch: Mapping[str, Any]) -> Tensor:
    """Return the class of every pixel of a batch, float32 (B, h, w), where objects overlap that of the smallest.

    Args:
        batch: with `masks`, see `SegmentBatch`; 0 where there is no object.
    """
    masks, cls = cast("Tensor", batch["masks"]), cast("Tensor", batch["cls"])
    counts: list[int] = batch["counts"]
    starts = list(accumulate(counts, initial=0))[:-1]
    if batch["overlap_mask"]:
        first = torch.tensor(starts, device=masks.device).view(-1, 1, 1)
        place = (masks.long() - 1 + first).clamp(0, max(len(cls) - 1, 0))
        found = cls.view(-1)[place] if len(cls) else torch.zeros_like(place)
        return (found * (masks > 0)).float()
    found = masks.new_zeros(len(counts), *masks.shape[1:], dtype=torch.float32)
    for image, (start, count) in enumerate(zip(starts, counts, strict=True)):
        mine = masks[start : start + count]
        if count:
            area = mine.sum((1, 2), dtype=torch.int64)
            smallest = torch.where(mine.bool(), area[:, None, None], area.max() + 1).min(0).indices
            found[image] = cls.view(-1)[start : start + count][smallest] * mine.any(0)
    return found


def follow_overlap(model: nn.Module, overlap: bool) -> None:
    """Tell a model's loss in which of the two ways the masks of a batch are drawn; see `SegmentBatch`."""
    criterion: Any = prepare_criterion(model)
    for part in (criterion, getattr(criterion, "one2one", None), getattr(criterion, "one2many", None)):
        if part is not None:
            part.overlap = overlap
