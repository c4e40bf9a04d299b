"""Greedy suppression of overlapping boxes in many images at once, without waiting for the device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

BLOCK = 256
"""Candidates of each image that are compared with one another at a time; memory grows with its square."""
ROUNDS = 16
"""Longest chain, in a block, of boxes that each are dropped but for the one before."""


def suppress_batch(boxes: Tensor, valid: Tensor, iou: float, most: int) -> tuple[Tensor, Tensor]:
    """Keep every box that overlaps no surer kept one.

    Blocks of candidates go through in order: first each is held against what its image has kept so far, then against
    the others of the block. There, a first guess that all stay is corrected until nothing changes; every round settles
    at least one box more of any chain, so that the result that no longer changes is the greedy one.

    Args:
        boxes: (B, n, 4) xyxy, surest first, float32.
        valid: (B, n) which of them are candidates at all.
        iou: overlap above which the less sure of two goes.
        most: boxes wanted of an image; beyond, more may be kept than the rule would.

    Returns:
        Which are kept, (B, n), and of which images that is certain, (B,): their chains were short enough.
    """
    limit = _below(iou)
    images, size = valid.shape
    kept = boxes.new_zeros(images, most + 1, 4)  # an empty box overlaps nothing; the last place is not looked at
    number = torch.zeros(images, dtype=torch.int64, device=boxes.device)
    settled, keep = torch.ones_like(number, dtype=torch.bool), torch.zeros_like(valid)
    for start in range(0, size, BLOCK):
        block = boxes[:, start : start + BLOCK]
        alive = valid[:, start : start + BLOCK] & ~(_overlap(block, kept[:, :-1]) > limit).any(2)
        stays, sure = _greedy(block, alive, limit)
        settled &= sure | (number >= most)
        keep[:, start : start + BLOCK] = stays
        place = number[:, None] + stays.cumsum(1) - 1
        place = torch.where(stays & (place < most), place, most)
        kept.scatter_(1, place[..., None].expand(-1, -1, 4), block)
        number += stays.sum(1)
    return keep, settled


def _greedy(boxes: Tensor, alive: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """Return which boxes of a block stay, and of which images that is certain."""
    weaker = torch.ones(boxes.shape[1], boxes.shape[1], dtype=torch.bool, device=boxes.device).tril(-1)
    beaten = (_overlap(boxes, boxes) > limit) & weaker & alive[:, None]
    before = stays = alive
    for _ in range(ROUNDS):
        before, stays = stays, alive & ~(beaten & stays[:, None]).any(2)
    return stays, (before == stays).all(1)


def _overlap(boxes: Tensor, others: Tensor) -> Tensor:
    """Compute intersection over union, (B, n, m), to the last bit as torchvision's `nms` on a processor."""
    sides = [
        torch.minimum(boxes[:, :, None, axis + 2], others[:, None, :, axis + 2])
        .sub_(torch.maximum(boxes[:, :, None, axis], others[:, None, :, axis]))
        .clamp_(min=0)
        for axis in (0, 1)
    ]
    shared = sides[0].mul_(sides[1])
    areas = [(one[..., 2] - one[..., 0]) * (one[..., 3] - one[..., 1]) for one in (boxes, others)]
    return shared / (areas[0][:, :, None] + areas[1][:, None]).sub_(shared)


def _below(value: float) -> float:
    """Round down to float32: what is above this float32 is above the value itself."""
    rounded = np.float32(value)
    return float(rounded if float(rounded) <= value else np.nextafter(rounded, np.float32(-1)))
