"""Distillation: a trained network teaches a smaller one its feature maps, by Ultralytics' loss.

The student's maps that enter its head are projected to the teacher's width, and held against the teacher's own, most
where the teacher sees objects. Teacher and projection are for training alone: no exported file has them, and a
checkpoint has the projection, for a resumed run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from aigp_lightning.errors import ConfigError, tell_user

DIS_LOSS = "dis_loss"
PROJECTOR = "projector."
"""Beginning of the names of the projection's tensors in a module's state."""


class Distillation:
    """A teacher, and the loss by which a student follows it.

    Args:
        path: Ultralytics `.pt` of the teacher; None: there is none.
        gain: weight of the loss.
    """

    loss_names = (DIS_LOSS,)

    def __init__(self, path: str | None, gain: float) -> None:
        self.path, self.gain = path, gain
        self._teacher: nn.Module | None = None
        self._device: torch.device | None = None

    @property
    def teacher(self) -> nn.Module:
        """The network, read when it is first asked for; it learns nothing.

        Raises:
            WeightsError: it is not there, or no Ultralytics checkpoint.
        """
        if self._teacher is None:
            assert self.path is not None
            from aigp_lightning.modules.yolo.weights import load_weights

            self._teacher = load_weights(self.path).eval().requires_grad_(False)
        return self._teacher

    def projection(self, student: nn.Module) -> nn.ModuleList:
        """Return new projections, one a level of the heads, from the student's maps to the teacher's.

        Args:
            student: from `build_model`.

        Raises:
            ConfigError: the two heads have other levels.
            WeightsError: see `teacher`.
        """
        widths, wanted = (_widths(network) for network in (student, self.teacher))
        if len(widths) != len(wanted):
            raise ConfigError(
                f"--model.distill_model {self.path}: its head has {len(wanted)} levels, that of --model.variant "
                f"{len(widths)}; both must have the same."
            )
        count = sum(parameter.numel() for parameter in self.teacher.parameters()) / 1e6
        tell_user(f"distillation: {self.path} teaches, {count:.1f} million parameters")
        return nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, other, 1), nn.ReLU(inplace=True), nn.Conv2d(other, other, 1))
            for width, other in zip(widths, wanted, strict=True)
        )

    def loss(self, images: Tensor, raw: Any, projection: nn.Module) -> Tensor:
        """Return the weighted loss of a batch, (), not times the batch size.

        Args:
            images: (B, 3, H, W) in 0…1.
            raw: what the student in training gave for them.
            projection: see `projection`.
        """
        if self._device != images.device:
            layout = torch.channels_last if images.is_contiguous(memory_format=torch.channels_last) else None
            self.teacher.to(images.device, memory_format=layout)  # type: ignore[call-overload]
            self._device = images.device
        with torch.no_grad():
            told = self.teacher(images)[1]
        both = [told["one2many"], told["one2one"]] if "one2one" in told else [told, told]
        maps = both[0]["feats"]
        scores = (both[0]["scores"] + both[1]["scores"]) / 2
        levels = torch.split(scores, [each.shape[-2] * each.shape[-1] for each in maps], dim=-1)
        total = images.new_zeros(())
        for project, ours, theirs, level in zip(
            cast("Any", projection), raw.get("one2many", raw)["feats"], maps, levels, strict=True
        ):
            weights = level.float().sigmoid().amax(1, keepdim=True)
            total = total + _weighted(project(ours).float(), theirs.float(), weights)
        return total * self.gain

    def added(
        self, loss: Tensor, items: dict[str, Tensor], images: Tensor, raw: Any, projection: nn.Module | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return a batch's loss, times the batch size, and its components, the teacher's part among them.

        Args:
            loss: without it.
            items: without it.
            images: see `loss`.
            raw: see `loss`.
            projection: None: there is no such part.
        """
        if projection is None:
            return loss, items
        likeness = self.loss(images, raw, projection)
        return loss + likeness * len(images), {**items, DIS_LOSS: likeness.detach()}

    def unmeasured(
        self, items: dict[str, Tensor], divisors: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the loss components of a validation, which asks no teacher: 0, as in Ultralytics.

        Args:
            items: the other components.
            divisors: of these.
        """
        some = next(iter(items.values()))
        return {**items, DIS_LOSS: torch.zeros_like(some)}, {**divisors, DIS_LOSS: torch.ones_like(some)}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the teacher: copies, such as the average of the weights, do without."""
        return {**vars(self), "_teacher": None, "_device": None}


def without_projection(checkpoint: Mapping[str, Any], projection: nn.Module | None) -> None:
    """Take the projection out of a checkpoint that is opened for anything but training.

    Args:
        checkpoint: changed in place.
        projection: of the module that opens it; one that has trained has it still.
    """
    state = checkpoint.get("state_dict", {}) if projection is None else {}
    for name in [name for name in state if name.startswith(PROJECTOR)]:
        del state[name]


def trained_part(network: nn.Module, projection: nn.Module | None) -> nn.Module:
    """Return what is trained, as one module.

    Args:
        network: the student.
        projection: see `Distillation.projection`; None without a teacher.
    """
    return network if projection is None else nn.ModuleList([network, projection])


def _weighted(ours: Tensor, theirs: Tensor, weights: Tensor) -> Tensor:
    """Return the mean squared difference of two maps, each cell weighted by the teacher's best score there."""
    difference = mse_loss(ours, theirs, reduction="none").flatten(2)
    return (difference * weights).sum() / (weights.sum() * ours.shape[1] + 1e-9)


def _widths(network: nn.Module) -> list[int]:
    """Return the channels of the maps that enter a network's head, level by level."""
    first = [next(each for each in branch.modules() if isinstance(each, nn.Conv2d)) for branch in _branches(network)]
    return [convolution.in_channels for convolution in first]


def _branches(network: nn.Module) -> Any:
    return cast("Any", network).model[-1].cv2
