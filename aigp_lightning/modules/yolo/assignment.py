"""Assignment of labels to anchors by Ultralytics' rule, with shapes that the host knows without asking the device.

Source of the rule: task-aligned assignment, https://arxiv.org/abs/2108.07755, as in Ultralytics: the metric is
√score · CIoU⁶; each label claims the ten best anchors among those whose centre lies in its box; an anchor claimed twice
goes to the label that it overlaps most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

CLAIMS = 10
"""Anchors that a label claims."""
EPS, EPS_IOU = 1e-9, 1e-7
LOW_BITS = 2**32 - 1


@dataclass(frozen=True)
class Grid:
    """The anchors of an image.

    Args:
        points: (2, A) x and y of their centres, in cells of their level.
        strides: (A,) pixels a cell.
        least: boxes with a smaller side, pixels, are enlarged to it when their candidates are looked for.
    """

    points: Tensor
    strides: Tensor
    least: float


@dataclass(frozen=True)
class Labels:
    """The labels of a batch.

    Args:
        image: (N,) image of each.
        cls: (N,) class.
        boxes: (N, 4) xyxy, pixels.
    """

    image: Tensor
    cls: Tensor
    boxes: Tensor


@dataclass(frozen=True)
class Positives:
    """The anchors that have a label, as M = N · `CLAIMS` slots, of which some are empty.

    Args:
        image: (M,) of the anchor.
        anchor: (M,) its number in the image.
        label: (M,) its label, as a row of `Labels`.
        filled: (M,) False for an empty slot; what else stands in it is valid as an index, and means nothing.
        score: (M,) the class score that the anchor is to give, 0 in an empty slot.
    """

    image: Tensor
    anchor: Tensor
    label: Tensor
    filled: Tensor
    score: Tensor


@torch.no_grad()
def assign(logits: Tensor, boxes: Tensor, grid: Grid, labels: Labels, dense: bool) -> Positives:
    """Assign labels to anchors.

    Args:
        logits: (B, C, A) of the classes.
        boxes: (B, 4, A) predicted xyxy, pixels.
        grid: the anchors.
        labels: of the whole batch.
        dense: compare every label with every anchor of its image, which needs no answer from the device; otherwise
            only with those in its box, of which a GPU would first have to be asked how many there are.
    """
    images, _, anchors = logits.shape
    count = len(labels.cls)
    inside = _inside(grid, labels)
    overlaps, metric = (_compare_all if dense else _compare_inside)(logits, boxes, labels, inside)
    winner = _most_overlapping(overlaps, labels.image, images)
    anchor = metric.topk(min(CLAIMS, anchors), dim=1).indices
    claimed = inside.gather(1, anchor).flatten()
    label = torch.arange(count, device=anchor.device)[:, None].expand(anchor.shape).flatten()
    anchor, image = anchor.flatten(), labels.image[label]
    place = torch.where(claimed, image * anchors + anchor, images * anchors)  # empty slots share a place of their own
    slot = torch.arange(len(place), device=place.device)
    claims = place.new_zeros(images * anchors + 1).scatter_add_(0, place, claimed.long())
    first = place.new_full((images * anchors + 1,), len(place)).scatter_reduce_(0, place, slot, "amin")
    filled = claimed & (first[place] == slot)  # an anchor that was claimed twice still counts once
    contested = claims[place] > 1
    label = torch.where(contested, winner.flatten()[image * anchors + anchor], label)
    score = _scores(label, filled, metric[label, anchor], overlaps[label, anchor], count)
    return Positives(image, anchor, label, filled, score)


def _scores(label: Tensor, filled: Tensor, metric: Tensor, overlap: Tensor, count: int) -> Tensor:
    """Scale the metric so that the best anchor of a label gets the label's largest overlap."""
    metric, overlap = metric * filled, overlap * filled
    best_metric = metric.new_zeros(count).scatter_reduce_(0, label, metric, "amax")
    best_overlap = overlap.new_zeros(count).scatter_reduce_(0, label, overlap, "amax")
    return metric * best_overlap[label] / (best_metric[label] + EPS)


def _inside(grid: Grid, labels: Labels) -> Tensor:
    """Return (N, A): whether an anchor's centre lies in a label's box; small boxes are enlarged."""
    low, high = labels.boxes[:, :2], labels.boxes[:, 2:]
    valid = labels.boxes.sum(1, keepdim=True) > 0
    centre, side = (low + high) / 2, high - low
    half = torch.where((side < grid.least) & valid, grid.least, side) / 2
    low, high, points = centre - half, centre + half, grid.points * grid.strides
    inside = points[0] - low[:, :1] > EPS
    inside &= points[1] - low[:, 1:] > EPS
    inside &= high[:, :1] - points[0] > EPS
    inside &= high[:, 1:] - points[1] > EPS
    return inside.logical_and_(valid)


def _compare_all(logits: Tensor, boxes: Tensor, labels: Labels, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Return overlaps and metric, both (N, A) and 0 outside a label's box."""
    angles = angle(boxes.unbind(1))[labels.image]
    ours = labels.boxes[:, :, None].unbind(1)
    overlaps = ciou(ours, boxes[labels.image].unbind(1), angle(ours), angles).clamp_(0)
    overlaps.masked_fill_(~inside, 0)
    return overlaps, _metric(logits[labels.image, labels.cls].sigmoid(), overlaps)


def _compare_inside(logits: Tensor, boxes: Tensor, labels: Labels, inside: Tensor) -> tuple[Tensor, Tensor]:
    """Return what `_compare_all` does, computed only where it is not 0."""
    label, anchor = inside.nonzero(as_tuple=True)
    image = labels.image[label]
    ours, theirs = labels.boxes[label].unbind(1), boxes.transpose(1, 2)[image, anchor].unbind(1)
    pairs = ciou(ours, theirs, angle(ours), angle(theirs)).clamp_(0)
    overlaps, metric = torch.zeros((2, *inside.shape), dtype=pairs.dtype, device=pairs.device)
    overlaps[label, anchor] = pairs
    metric[label, anchor] = _metric(logits[image, labels.cls[label], anchor].sigmoid(), pairs)
    return overlaps, metric


def _metric(scores: Tensor, overlaps: Tensor) -> Tensor:
    squares = overlaps * overlaps
    return scores.sqrt() * (squares * squares * squares)


def _most_overlapping(overlaps: Tensor, image: Tensor, images: int) -> Tensor:
    """Return (B, A): the label that overlaps an anchor most; of equals, and of none at all, the image's first."""
    count, anchors = overlaps.shape
    order = torch.arange(count, 0, -1, device=overlaps.device)[:, None]
    # The bits of floats that are not negative are in the order of the floats: one maximum finds value and label.
    packed = overlaps.view(torch.int32).long().bitwise_left_shift_(32).add_(order)
    best = packed.new_zeros((images, anchors))
    best.scatter_reduce_(0, image[:, None].expand(count, anchors), packed, "amax")
    # Overlaps that are no numbers leave places empty, and so do images without labels: any label will do there.
    return (count - best.bitwise_and_(LOW_BITS)).clamp_(max=count - 1)


def angle(box: tuple[Tensor, ...]) -> Tensor:
    """Return the angles of boxes' diagonals, which `ciou` compares.

    Args:
        box: the four coordinates, xyxy.
    """
    return ((box[2] - box[0]) / (box[3] - box[1] + EPS_IOU)).atan()


def ciou(one: tuple[Tensor, ...], two: tuple[Tensor, ...], angle_one: Tensor, angle_two: Tensor) -> Tensor:
    """Compute complete IoU, https://arxiv.org/abs/1911.08287, of boxes that are broadcast to each other.

    Args:
        one: the four coordinates, xyxy.
        two: the four coordinates of the others.
        angle_one: of the diagonals of `one`, see `angle`.
        angle_two: of those of `two`.
    """
    wide = (one[2].minimum(two[2]) - one[0].maximum(two[0])).clamp_(0)
    inter = wide * (one[3].minimum(two[3]) - one[1].maximum(two[1])).clamp_(0)
    areas = (one[2] - one[0]) * (one[3] - one[1] + EPS_IOU) + (two[2] - two[0]) * (two[3] - two[1] + EPS_IOU)
    iou = inter / (areas - inter + EPS_IOU)
    wide, high = one[2].maximum(two[2]) - one[0].minimum(two[0]), one[3].maximum(two[3]) - one[1].minimum(two[1])
    far = ((two[0] + two[2] - one[0] - one[2]).square() + (two[1] + two[3] - one[1] - one[3]).square()) / 4
    v = (angle_two - angle_one).square() * (4 / math.pi**2)
    alpha = (v / (1 - iou + v + EPS_IOU)).detach()
    return iou - (far / (wide.square() + high.square() + EPS_IOU) + v * alpha)
