"""The loss of a network: its components, what they are divided by, and the weights of classes in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from ultralytics.nn.modules.head import Segment26

from aigp_lightning.modules.yolo.criterion import DetectionCriterion, criterion_for

PER_ANCHOR = ("pose_loss", "kobj_loss", "seg_loss")
PER_IMAGE = "sem_loss"
"""Loss component that is a mean over all pixels of the batch."""
PER_KEYPOINT = "rle_loss"
"""Loss components that are means over anchors with an object, over their visible keypoints; others are divided by the
sum of the targets' scores."""


def loss_names(model: nn.Module) -> tuple[str, ...]:
    """Return the names of a model's loss components, in their order; heads differ in the last ones.

    Args:
        model: from `build_model`.
    """
    criterion: Any = cast("Any", model).init_criterion()
    names = tuple(getattr(criterion, "one2one", criterion).loss_names)
    # A head without classes of pixels has this component too, and it is 0.
    return names if isinstance(cast("Any", model).model[-1], Segment26) else tuple(n for n in names if n != PER_IMAGE)


def prepare_criterion(model: nn.Module) -> Any:
    """Return the criterion that a model's `loss` goes by, made and installed where it has none yet.

    Args:
        model: from `build_model`.
    """
    attributes: Any = model
    if getattr(model, "criterion", None) is None:
        attributes.criterion = criterion_for(model, attributes.init_criterion())
    return attributes.criterion


def network_loss(model: nn.Module, batch: Any, raw: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the components of the loss, times the batch size and with their gradients, and each detached.

    Args:
        model: from `build_model`.
        batch: preprocessed.
        raw: what the model gave for it.
    """
    criterion = prepare_criterion(model)
    if isinstance(criterion, DetectionCriterion):
        loss, items = criterion(raw, batch)
        return loss, items
    # In mixed precision too: a box's side in bfloat16 is off by up to 0.03 cells.
    with torch.autocast(batch["img"].device.type, enabled=False):
        loss, items = criterion(_in_float32(raw), batch)
    return loss, items


def _in_float32(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_float32(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_in_float32(each) for each in value)
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value


@contextmanager
def noted_divisors(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Note the divisors of the loss components in the call to the loss that is made within this context.

    Args:
        model: a model from `build_model`.

    Yields:
        Scalars by the components' names, filled in by the call: the sum of the targets' scores, for keypoints the
        number of anchors that have an object. Ultralytics divides by at least 1.
    """
    criterion: Any = prepare_criterion(model)
    divisors: dict[str, Tensor] = {}
    if isinstance(criterion, DetectionCriterion):
        yield divisors
        divisors.update(criterion.divisors)
        return
    criterion = getattr(criterion, "one2one", criterion)  # whose components are reported

    def assigned(_module: Any, _inputs: Any, targets: Any) -> None:
        scores, anchors = targets[2].sum(), targets[3].sum()
        for name in criterion.loss_names:
            divisors[name] = anchors if name in PER_ANCHOR else scores
        if PER_IMAGE in divisors:
            divisors[PER_IMAGE] = torch.full_like(scores, len(targets[2]))
        divisors.update({name: torch.zeros_like(scores) for name in criterion.loss_names if name == PER_KEYPOINT})

    def rated(_module: Any, inputs: Any, _output: Any) -> None:
        divisors[PER_KEYPOINT] = torch.tensor(float(len(inputs[2])))

    hooks = [criterion.assigner.register_forward_hook(assigned)]
    if getattr(criterion, "rle_loss", None) is not None:
        hooks.append(criterion.rle_loss.register_forward_hook(rated))
    try:
        yield divisors
    finally:
        for hook in hooks:
            hook.remove()


def weigh_classes(model: nn.Module, weights: npt.NDArray[np.float32] | None) -> None:
    """Weigh the classes in the classification loss.

    Args:
        model: a model from `build_model`.
        weights: (C,) one for each class; None: all count the same.
    """
    attributes: Any = model
    before = getattr(model, "class_weights", None)
    same = before is None if weights is None else before is not None and np.array_equal(before.numpy(), weights)
    if not same:  # a loss that stays keeps what it has annealed
        attributes.class_weights = None if weights is None else torch.from_numpy(weights.copy())
        attributes.criterion = None


def begin_epoch(model: nn.Module, epoch: int, epochs: int) -> None:
    """Bring losses that anneal over the epochs (NMS-free heads) to where they are in an epoch, resumed or not.

    Args:
        model: a model from `build_model`.
        epoch: that is about to be trained, from 0.
        epochs: over which they anneal.
    """
    attributes: Any = model
    attributes.args.epochs = epochs
    if epoch < 1:
        return
    criterion: Any = prepare_criterion(model)
    if hasattr(criterion, "update"):
        criterion.updates = epoch - 1  # of which it keeps no state in a checkpoint
        criterion.update()
