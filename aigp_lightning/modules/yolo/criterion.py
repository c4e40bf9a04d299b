"""The training loss of YOLO heads with boxes and with keypoints: Ultralytics' formulas, without waiting for a GPU.

Ultralytics asks the device how many anchors have a label, and the host stands still until it answers. Here a label
has a fixed number of slots, empty ones weigh nothing, and what only labelled anchors need is computed for these alone.
Figures and gradients are Ultralytics' own up to rounding. In mixed precision the loss is computed in float32: a
predicted side of 8 cells in bfloat16 is off by up to 0.03 cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from ultralytics.utils.metrics import OKS_SIGMA

from aigp_lightning.modules.yolo.assignment import Grid, Labels, Positives, angle, assign, ciou

MOST_GRIDS = 16
"""Shapes of input whose anchors are kept; validation in rectangles has several."""


class DetectionCriterion:
    """Losses of boxes and classes.

    Args:
        model: see `build_model`; its head is covered, see `covers`.
        dense: see `assign`; None: as the device of the predictions wants it.
    """

    loss_names: tuple[str, ...] = ("box_loss", "cls_loss", "dfl_loss")

    def __init__(self, model: nn.Module, dense: bool | None = None) -> None:
        attributes: Any = model
        head = attributes.model[-1]
        self.gains, self.dense = attributes.args, dense
        self.strides = tuple(float(stride) for stride in head.stride)
        self.bins = int(head.reg_max)
        self.class_weights: Tensor | None = getattr(model, "class_weights", None)
        self.divisors: dict[str, Tensor] = {}
        """Of the components in the last call, before they were made at least 1."""
        self._grids: dict[Any, tuple[Grid, Tensor]] = {}

    def __call__(self, predictions: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss.

        Args:
            predictions: what the network gives, in training or in evaluation.
            batch: see `DetectionBatch`.

        Returns:
            The components times the batch size, (C,), and each detached and not times it.
        """
        raw = predictions[1] if isinstance(predictions, tuple) else predictions
        with torch.autocast(raw["boxes"].device.type, enabled=False):
            losses = self._losses({key: _float(value) for key, value in raw.items()}, batch)
        loss = torch.stack([losses[name] for name in self.loss_names])
        return loss * len(raw["boxes"]), {name: losses[name].detach() for name in self.loss_names}

    def _losses(self, raw: dict[str, Any], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self._detection(raw, batch)[0]

    def _detection(
        self, raw: dict[str, Any], batch: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], Positives, Labels, Grid]:
        grid, bins = self._grid(raw["feats"])
        labels = _labels(batch, raw["feats"][0].shape[2:], self.strides[0], grid.points.device)
        dense = grid.points.is_cuda if self.dense is None else self.dense
        found = assign(raw["scores"].detach(), self._decoded(raw["boxes"].detach(), grid, bins), grid, labels, dense)
        total = found.score.sum()
        self.divisors = dict.fromkeys(self.loss_names, total)
        box, dfl = self._box_losses(raw["boxes"], found, labels, grid, bins)
        losses = {"box_loss": box, "cls_loss": self._class_loss(raw["scores"], found, labels), "dfl_loss": dfl}
        gains = {"box_loss": self.gains.box, "cls_loss": self.gains.cls, "dfl_loss": self.gains.dfl}
        return (
            {name: loss / total.clamp(min=1) * gains[name] for name, loss in losses.items()},
            *(found, labels, grid),
        )

    def _class_loss(self, logits: Tensor, found: Positives, labels: Labels) -> Tensor:
        _, classes, anchors = logits.shape
        place = (found.image * classes + labels.cls[found.label]) * anchors + found.anchor
        place = torch.where(found.filled, place, logits.numel())  # empty slots share one more place
        targets = logits.new_zeros(logits.numel() + 1).scatter_(0, place, found.score)[:-1].view_as(logits)
        if self.class_weights is None:
            return bce(logits, targets, reduction="sum")
        if self.class_weights.device != logits.device:
            self.class_weights = self.class_weights.to(logits.device)
        return (bce(logits, targets, reduction="none") * self.class_weights.view(1, -1, 1)).sum()

    def _box_losses(
        self, sides: Tensor, found: Positives, labels: Labels, grid: Grid, bins: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return 1 − CIoU and the distribution focal loss (https://arxiv.org/abs/2006.04388), weighted and summed."""
        logs = sides.transpose(1, 2)[found.image, found.anchor].view(-1, 4, self.bins).log_softmax(2)
        points = grid.points[:, found.anchor]
        target = labels.boxes[found.label].T / grid.strides[found.anchor]
        predicted = (logs.exp() @ bins).unbind(1)
        ours = *(points - torch.stack(predicted[:2])), *(points + torch.stack(predicted[2:]))
        theirs = target.unbind(0)
        box = (1 - ciou(ours, theirs, angle(ours), angle(theirs))) * found.score
        distance = torch.cat((points - target[:2], target[2:] - points)).T.clamp(0, self.bins - 1 - 0.01)
        left = distance.long()
        share = left + 1 - distance
        pairs = logs.gather(2, torch.stack((left, left + 1), 2))
        dfl = -(pairs[..., 0] * share + pairs[..., 1] * (1 - share)).mean(1) * found.score
        return box.sum(), dfl.sum()

    def _decoded(self, sides: Tensor, grid: Grid, bins: Tensor) -> Tensor:
        """Decode distributions of the sides, (B, 4 · bins, A), to boxes (B, 4, A) xyxy in pixels."""
        images, _, anchors = sides.shape
        distances = (bins @ sides.view(images, 4, self.bins, anchors).softmax(2)).view(images, 4, anchors)
        return torch.cat((grid.points - distances[:, :2], grid.points + distances[:, 2:]), 1).mul_(grid.strides)

    def _grid(self, features: list[Tensor]) -> tuple[Grid, Tensor]:
        """Return the anchors of an input's shape, and the numbers of the bins; both lie on the device already."""
        device = features[0].device
        shapes = tuple((int(each.shape[2]), int(each.shape[3])) for each in features)
        key = (shapes, device)
        if key not in self._grids:
            if len(self._grids) >= MOST_GRIDS:
                self._grids.clear()
            grid = _grid(shapes, self.strides)
            grid = Grid(grid.points.to(device), grid.strides.to(device), grid.least)
            self._grids[key] = grid, torch.arange(self.bins, dtype=torch.float32, device=device)
        return self._grids[key]


class PoseCriterion(DetectionCriterion):
    """Losses of boxes, classes and keypoints.

    Args:
        model, dense: as the detector's.
    """

    loss_names = ("box_loss", "pose_loss", "kobj_loss", "cls_loss", "dfl_loss")

    def __init__(self, model: nn.Module, dense: bool | None = None) -> None:
        super().__init__(model, dense)
        self.keypoints, self.numbers = (int(number) for number in cast("Any", model).model[-1].kpt_shape)
        self.sigmas = _sigmas(getattr(model, "kpt_oks_sigmas", None), self.keypoints, self.numbers)

    def _losses(self, raw: dict[str, Any], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        losses, found, labels, grid = self._detection(raw, batch)
        positives = found.filled.sum()
        self.divisors |= {"pose_loss": positives, "kobj_loss": positives}
        predicted = raw["kpts"].transpose(1, 2)[found.image, found.anchor].view(-1, self.keypoints, self.numbers)
        strides = grid.strides[found.anchor][:, None]
        height, width = raw["feats"][0].shape[2:]
        target = batch["keypoints"].to(grid.points.device).float()[found.label]
        x = target[..., 0] * (width * self.strides[0]) / strides
        y = target[..., 1] * (height * self.strides[0]) / strides
        points = grid.points[:, found.anchor, None] - 0.5
        far = (predicted[..., 0] * 2 + points[0] - x).square() + (predicted[..., 1] * 2 + points[1] - y).square()
        side = (labels.boxes[found.label, 2:] - labels.boxes[found.label, :2]) / strides
        seen = target[..., 2] != 0 if target.shape[2] > 2 else torch.ones_like(x, dtype=torch.bool)  # noqa: PLR2004
        pose = self._likeness(far, side.prod(1, keepdim=True), seen)
        filled, count = found.filled[:, None], (positives * self.keypoints).clamp(min=1)
        losses["pose_loss"] = (pose * filled).sum() / count * self.gains.pose
        losses["kobj_loss"] = pose.new_zeros(())
        if self.numbers > 2:  # noqa: PLR2004
            kobj = bce(predicted[..., 2], seen.float(), reduction="none")
            losses["kobj_loss"] = (kobj * filled).sum() / count * self.gains.kobj
        return losses

    def _likeness(self, far: Tensor, area: Tensor, seen: Tensor) -> Tensor:
        """Return 1 − OKS a keypoint, (M, K), weighted so that objects with few visible keypoints count the same."""
        if self.sigmas.device != far.device:
            self.sigmas = self.sigmas.to(far.device)
        share = self.keypoints / (seen.sum(1, keepdim=True) + 1e-9)
        return share * (1 - torch.exp(-far / ((2 * self.sigmas).square() * (area + 1e-9) * 2))) * seen


def _float(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) else value


def _labels(batch: Mapping[str, Tensor], cells: torch.Size, stride: float, device: torch.device) -> Labels:
    """Return the labels with boxes in pixels; `cells` are those of the finest level, high and wide."""
    boxes = batch["bboxes"].to(device).float()
    height, width = cells[0] * stride, cells[1] * stride
    x, y, wide, high = (boxes[:, 0] * width, boxes[:, 1] * height, boxes[:, 2] * width / 2, boxes[:, 3] * height / 2)
    corners = torch.stack((x - wide, y - high, x + wide, y + high), 1)
    return Labels(batch["batch_idx"].to(device).view(-1).long(), batch["cls"].to(device).view(-1).long(), corners)


def _grid(shapes: tuple[tuple[int, int], ...], strides: tuple[float, ...]) -> Grid:
    points, sides = [], []
    for (height, width), stride in zip(shapes, strides, strict=True):
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        points.append(torch.stack((x.flatten(), y.flatten())))
        sides.append(torch.full((height * width,), stride))
    return Grid(torch.cat(points, 1), torch.cat(sides), strides[1] if len(strides) > 1 else strides[0])


def _sigmas(told: Any, count: int, numbers: int) -> Tensor:
    if told is not None:
        return torch.as_tensor(told, dtype=torch.float32).flatten()
    if (count, numbers) == (len(OKS_SIGMA), 3):
        return torch.from_numpy(OKS_SIGMA).float()
    return torch.full((count,), 1 / count)


CRITERIA: dict[str, type[DetectionCriterion]] = {"v8DetectionLoss": DetectionCriterion, "v8PoseLoss": PoseCriterion}
"""Ours, by the name of the class of Ultralytics' that it stands for."""


def criterion_for(model: nn.Module, theirs: Any) -> Any:
    """Return the criterion by which a model is trained: ours where it covers the head, else Ultralytics'.

    Args:
        model: see `build_model`.
        theirs: Ultralytics' criterion of it, which NMS-free heads keep, and those without distributions of the sides.
    """
    ours = CRITERIA.get(type(theirs).__name__)
    return theirs if ours is None or not theirs.use_dfl else ours(model)
