"""Non-maximum suppression of a whole batch, by Ultralytics' rule to the last bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from aigp_lightning.modules.yolo.nms_free import COLUMNS, sure_rows
from aigp_lightning.modules.yolo.suppression import suppress_batch

MOST_CANDIDATES = 30_000
"""Of so many of an image's candidates, the surest, is chosen at most."""
CLASS_OFFSET = 7680
"""Pixels by which the boxes of each class are moved apart, so that no two classes overlap."""
FIRST = 1024
"""Of so many of an image's candidates, the surest, it is tried first to find enough."""
AT_ONCE = 4096
"""So many candidates of each image are suppressed at once on a GPU; images that need more are done again by one."""


@dataclass(frozen=True)
class Rule:
    """What is kept.

    Attributes:
        conf: lowest confidence kept, 0…1.
        iou: overlap above which the weaker of two boxes goes, 0…1.
        max_det: most boxes kept an image.
        nc: number of classes; further channels (keypoints) are carried along.
        multi_label: a box may be kept once for every class above `conf`, as in validation.
        agnostic: boxes of other classes are suppressed like those of the same.
    """

    conf: float
    iou: float
    max_det: int
    nc: int
    multi_label: bool
    agnostic: bool = False

    @property
    def offset(self) -> int:
        """Pixels by which the boxes of each class are moved apart."""
        return 0 if self.agnostic else CLASS_OFFSET


def nms(
    raw: Any,
    conf: float,
    iou: float,
    max_det: int,
    nc: int,
    multi_label: bool = True,
    agnostic: bool = False,
    nms_free: bool = False,
) -> list[Tensor]:
    """Run non-maximum suppression (NMS) over raw outputs.

    Of equally confident boxes the one that comes first in the output counts as surer. On a GPU a batch waits for the
    device once, for the numbers of boxes.

    Args:
        raw: what the model returns in eval mode.
        conf: lowest confidence kept, 0…1.
        iou: overlap above which the weaker of two boxes goes, 0…1.
        max_det: most boxes kept an image.
        nc: number of classes; further channels (keypoints) are carried along.
        multi_label: a box may be kept once for every class above `conf`, as in validation.
        agnostic: boxes of other classes are suppressed like those of the same.
        nms_free: what came is of a one-to-one head, and stays as it is.

    Returns:
        Per image (n, 6 + extra): xyxy in network-input pixels, confidence, class, extra channels; best first.
    """
    output: Any = raw
    while isinstance(output, list | tuple):  # of a network with masks the first of a pair
        output = output[0]
    if nms_free or output.shape[-1] == COLUMNS:
        return sure_rows(output, conf, max_det)
    rule = Rule(conf, iou, max_det, nc, multi_label and nc > 1, agnostic)
    return nms_by_image(output, rule) if output.device.type == "cpu" else nms_at_once(output, rule)


def nms_by_image(output: Tensor, rule: Rule) -> list[Tensor]:
    """Find all candidates of a batch at once, and suppress image by image, as is quickest on a processor.

    Args:
        output: (B, 4 + nc + extra, A).
        rule: what is kept.
    """
    mine, first_extra = output.transpose(1, 2), 4 + rule.nc
    image, anchor = (output[:, 4:first_extra].amax(1) > rule.conf).nonzero(as_tuple=True)
    found = mine[image, anchor, :first_extra]
    boxes, scores = _corners(found[:, :4]), found[:, 4:]
    if rule.multi_label:
        row, label = (scores > rule.conf).nonzero(as_tuple=True)
        boxes, conf, image, anchor = boxes[row], scores[row, label], image[row], anchor[row]
    else:
        conf, label = scores.max(1) if len(scores) else (scores.sum(1), scores.sum(1).long())
    rows = torch.cat((boxes, conf[:, None], label[:, None].float()), 1)
    counts = torch.bincount(image, minlength=len(output)).tolist()
    kept = []
    for number, (part, places) in enumerate(zip(torch.split(rows, counts), torch.split(anchor, counts), strict=True)):
        chosen = _suppress(part, rule)
        extra = mine[number, places[chosen], first_extra:]
        kept.append(torch.cat((part[chosen], extra), 1).float())
    return kept


def _suppress(rows: Tensor, rule: Rule) -> Tensor:
    """Return which of an image's candidates (n, 6) stay, best first.

    Whether a box stays depends on surer ones alone. So when enough are found among the surest, the rest is not looked
    at: the time no longer grows with the square of their number.
    """
    from torchvision.ops import nms as suppress  # late: slow to import

    order = None
    if len(rows) > MOST_CANDIDATES:
        order = rows[:, 4].argsort(descending=True)[:MOST_CANDIDATES]
        rows = rows[order]
    by_score = rows[:, 4].sort(descending=True, stable=True).indices
    boxes, scores = (rows[:, :4] + rows[:, 5:6] * rule.offset)[by_score], rows[by_score, 4]
    size, kept = FIRST, by_score[:0]
    while True:
        kept = suppress(boxes[:size], scores[:size], rule.iou)[: rule.max_det]
        if len(kept) >= rule.max_det or size >= len(rows):
            break
        size *= 4
    kept = by_score[kept]
    return kept if order is None else order[kept]


def nms_at_once(output: Tensor, rule: Rule) -> list[Tensor]:
    """Suppress in all images of a batch at once, by operations whose sizes do not depend on what was found.

    Args:
        output: (B, 4 + nc + extra, A).
        rule: what is kept.
    """
    rows, counts = _padded(output, rule)
    told = counts.tolist()  # the batch's one wait for the device
    again = [number for number, count in enumerate(told) if count < 0]
    kept = [row[:count] for row, count in zip(rows, told, strict=True)]
    for number, one in zip(again, nms_by_image(output[again], rule) if again else [], strict=True):
        kept[number] = one
    return kept


def _padded(output: Tensor, rule: Rule) -> tuple[Tensor, Tensor]:
    """Return what stays, (B, max_det, 6 + extra), and of how many boxes it is, (B,).

    A number below zero: more candidates than were looked at are needed, or more rounds.
    """
    mine, classes = output.transpose(1, 2), output[:, 4 : 4 + rule.nc].transpose(1, 2)
    flat, best = (classes.flatten(1), None) if rule.multi_label else classes.max(2)
    known = classes.amax(2) > rule.conf  # of an anchor with a score that is no number, none counts
    sure = (flat > rule.conf) & (known if best is not None else known[..., None].expand_as(classes).flatten(1))
    flat, total, size = flat.masked_fill(~sure, -1), sure.sum(1), min(flat.shape[1], AT_ONCE)
    index = flat.topk(size, sorted=False).indices.sort(1).values  # of equal ones the first is the surer
    scores, order = flat.gather(1, index).sort(dim=1, descending=True, stable=True)
    index = index.gather(1, order)
    anchor, label = (index // rule.nc, index % rule.nc) if best is None else (index, best.gather(1, index))
    boxes = _corners(_rows(mine[..., :4], anchor))
    # The last place may be shared by candidates that were looked at and such that were not.
    valid = (scores > rule.conf) & ((total <= size)[:, None] | (scores > scores[:, -1:]))
    moved = boxes.float() + label[..., None].float() * rule.offset
    keep, settled = suppress_batch(moved, valid, rule.iou, rule.max_det)
    count, place = keep.sum(1), keep.cumsum(1) - 1
    place = torch.where(keep & (place < rule.max_det), place, rule.max_det)
    chosen = torch.zeros(len(place), rule.max_det + 1, dtype=torch.int64, device=place.device)
    chosen = chosen.scatter_(1, place, torch.arange(size, device=place.device).expand_as(place))[:, :-1]
    extra = _rows(mine[..., 4 + rule.nc :], anchor.gather(1, chosen))
    told = scores.gather(1, chosen)[..., None], label.gather(1, chosen)[..., None]
    rows = torch.cat((_rows(boxes, chosen).float(), told[0].float(), told[1].float(), extra.float()), 2)
    complete = settled & ((total <= size) | (count >= rule.max_det))
    return rows, count.clamp(max=rule.max_det).masked_fill(~complete, -1)


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """Take rows (B, k, c) of (B, n, c) by their numbers (B, k)."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[2]))


def _corners(boxes: Tensor) -> Tensor:
    """Turn centres and sizes into corners, in the boxes' own precision."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat((centre - half, centre + half), -1)
