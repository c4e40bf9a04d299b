"""Ultralytics' networks, built for a data set's classes, and what our code reads off them.

Importing this is slow, since Ultralytics is; callers do so inside the functions that need it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import nn
from ultralytics.cfg import DEFAULT_CFG_DICT
from ultralytics.nn import modules as layers
from ultralytics.nn.tasks import (
    DetectionModel,
    PoseModel,
    SegmentationModel,
    _SafeLoad,
    parse_model,
    yaml_model_load,
)

from aigp_lightning.errors import WeightsError
from aigp_lightning.modules.yolo import quiet  # noqa: F401
from aigp_lightning.modules.yolo.description import CLASS_WIDTH, public_description
from aigp_lightning.types import Keypoints

MODEL_CLASSES = {"detect": DetectionModel, "pose": PoseModel, "segment": SegmentationModel}
EXAMPLES = {"detect": "yolo11n", "pose": "yolo11n-pose", "segment": "yolo11n-seg"}


MOST_LAYERS = 2000
MOST_PARAMETERS = 10**9
"""Far above any YOLO: the largest has 0.1 thousand million."""


@contextmanager
def no_foreign_code() -> Iterator[None]:
    """Have Ultralytics read descriptions as data within this context: nothing in them is evaluated or called.

    A description travels in checkpoints, and Ultralytics would otherwise evaluate its `activation`.
    """
    before = getattr(_SafeLoad._local, "active", False)
    _SafeLoad._local.active = True
    try:
        yield
    finally:
        _SafeLoad._local.active = before


def build_model(
    variant: str | Mapping[str, Any],
    names: Mapping[int, str],
    gains: Mapping[str, float],
    task: str = "detect",
    keypoints: Keypoints | None = None,
    epochs: int = 100,
) -> nn.Module:
    """Build a randomly initialised YOLO for this data set's classes.

    Args:
        variant: name or path of an Ultralytics model YAML (`yolo11n`, `yolo11n.yaml`), or its content.
        names: class names by id.
        gains: loss gains by Ultralytics' names (`box`, `cls`, `dfl`, …).
        task: `detect`, `pose` or `segment`.
        keypoints: the data set's, for pose; None keeps those of the YAML.
        epochs: length of the run; some heads anneal their loss over it.

    Raises:
        WeightsError: the variant is unknown, or not a YAML of this task.
    """
    # a list, which Ultralytics compares with its person's
    extra = {"data_kpt_shape": [keypoints.count, keypoints.numbers]} if keypoints is not None else {}
    try:
        if "://" in str(variant if isinstance(variant, str) else ""):
            raise ValueError("models are not fetched from the network")
        cfg = public_description(variant if isinstance(variant, Mapping) else yaml_model_load(_yaml_name(variant)))
        with no_foreign_code():
            _check_layers(cfg)
            model = MODEL_CLASSES[task](deepcopy(cfg), nc=len(names), verbose=False, **extra)
            width = model.yaml.get(CLASS_WIDTH)
            if width is not None and width != class_width(model):
                take_class_branch(model, MODEL_CLASSES[task](deepcopy(cfg), nc=int(width), verbose=False, **extra))
    except Exception as error:  # a YAML can be wrong in many ways; the user needs the name and the reason
        raise WeightsError(
            f"cannot build the model '{variant if isinstance(variant, str) else 'from YAML'}': {_why(error)}. "
            f"--model.variant takes the name of an Ultralytics model YAML, such as {EXAMPLES[task]}, or a path to one."
        ) from error
    return prepare_model(model, names, gains, task, epochs, keypoints)


def _check_layers(cfg: Mapping[str, Any]) -> None:
    """Refuse a description whose layers fetch things or fill the memory; it may come with a file.

    Raises:
        ValueError: it does.
    """
    rows = [*cfg["backbone"], *cfg["head"]]
    for _, _, name, *_ in rows:
        if str(name) in layers.__dict__.get("__all__", ()) and name != "TorchVision":
            continue
        if not str(name).startswith(("nn.", "torchvision.ops.")):
            raise ValueError(f"{name!s:.40} is no layer of Ultralytics' that needs nothing from the network")
    depth = max(scale[0] for scale in (cfg.get("scales") or {"": [cfg.get("depth_multiple", 1)]}).values())
    if not sum(max(float(row[1]) * max(float(depth), 1), 1) for row in rows) <= MOST_LAYERS:
        raise ValueError(f"it has over {MOST_LAYERS} layers")
    with torch.device("meta"):
        network, _ = parse_model(deepcopy(dict(cfg)), ch=int(cfg.get("channels", 3)), verbose=False)
    size = sum(parameter.numel() for parameter in network.parameters())
    if size > MOST_PARAMETERS:
        raise ValueError(f"it has {size / 1e6:.0f} million parameters, at most {MOST_PARAMETERS / 1e6:.0f} are built")


def _why(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def prepare_model(
    model: nn.Module,
    names: Mapping[int, str],
    gains: Mapping[str, float],
    task: str,
    epochs: int = 100,
    keypoints: Keypoints | None = None,
) -> nn.Module:
    """Attach what Ultralytics' loss and loader expect to find on a model: names, task, gains, keypoints."""
    attributes: Any = model
    attributes.names, attributes.nc, attributes.task = dict(names), len(names), task
    attributes.args = SimpleNamespace(**{**DEFAULT_CFG_DICT, **gains, "epochs": epochs})
    attributes.criterion = attributes.class_weights = None
    if keypoints is not None:
        attributes.kpt_shape = [keypoints.count, keypoints.numbers]
        attributes.kpt_names = {index: list(keypoints.names) for index in names}
        attributes.kpt_oks_sigmas = None if keypoints.sigmas is None else list(keypoints.sigmas)
    attributes.end2end = False  # boxes of the one-to-many head and NMS, as Ultralytics' trainer validates
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".dfl" not in name)  # the DFL projection is a constant, never trained
    return model


def _yaml_name(variant: str) -> str:
    return variant if variant.endswith((".yaml", ".yml")) else f"{variant}.yaml"


def class_width(model: nn.Module) -> int | None:
    """Return the channels of the class branch, which Ultralytics sizes by the class count; None for other heads."""
    branch = getattr(cast("Any", model).model[-1], "cv3", None)
    return int(branch[0][-1].in_channels) if branch is not None else None


def take_class_branch(model: nn.Module, source: nn.Module) -> None:
    """Give a network the class branch of another, of another width, with new last layers for its own classes.

    As newer versions of Ultralytics do themselves when weights of many classes are taken for few.

    Args:
        model: it takes the branch.
        source: it has the branch, of a network of the same scale.
    """
    head, other = cast("Any", model).model[-1], cast("Any", source).model[-1]
    for name in ("cv3", "one2one_cv3"):
        mine, theirs = getattr(head, name, None), deepcopy(getattr(other, name, None))
        if mine is None or theirs is None or mine[0][-1].in_channels == theirs[0][-1].in_channels:
            continue
        for branch in theirs:
            branch[-1] = nn.Conv2d(branch[-1].in_channels, head.nc, 1)
        like = mine[0][-1].weight
        setattr(head, name, theirs.requires_grad_(True).to(like.device, like.dtype).train(mine.training))
        head.bias_init()


def differ_in_classes_alone(model: nn.Module, source: nn.Module) -> bool:
    """True if the class branch of one network fits into another, which has one of another width.

    Args:
        model: from `build_model`.
        source: from `load_weights`.
    """
    networks: list[Any] = [model, source]
    widths = [class_width(each) for each in networks]
    if None in widths or widths[0] == widths[1] or any(each.is_fused() for each in networks):
        return False
    inputs = [[branch[0].conv.in_channels for branch in each.model[-1].cv2] for each in networks]
    return bool(inputs[0] == inputs[1])


def class_logit_parameters(model: nn.Module) -> set[int]:
    """Return the `id`s of the classification branch's parameters, which MuSGD trains three times as fast."""
    head: Any = cast("Any", model).model[-1]
    branches = (getattr(head, "cv3", None), getattr(head, "one2one_cv3", None))
    return {id(parameter) for branch in branches if branch is not None for parameter in branch.parameters()}


def keypoint_shape(model: nn.Module) -> tuple[int, int]:
    """Return how many keypoints a pose model finds, and how many numbers it gives for each (2 or 3)."""
    count, numbers = cast("Any", model).model[-1].kpt_shape
    return int(count), int(numbers)


def stride_of(model: nn.Module) -> int:
    """Return the largest stride of the network, pixels; input sides must be multiples of it."""
    return max(math.ceil(float(cast("Any", model).stride.max())), 32)
