"""The one door to Ultralytics: model, loss, suppression, metrics, checkpoint files.

Nothing else in the package imports Ultralytics, whose internals move between patch releases; the contract tests in
`tests/test_bridge.py` say what this file relies on. Importing this module is slow, so callers import it inside the
functions that need it.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from ultralytics import __version__ as ultralytics_version
from ultralytics.cfg import DEFAULT_CFG_DICT
from ultralytics.engine.validator import BaseValidator
from ultralytics.nn import modules as layers
from ultralytics.nn.tasks import (
    DetectionModel,
    PoseModel,
    _SafeLoad,
    guess_model_task,
    parse_model,
    yaml_model_load,
)
from ultralytics.optim import MuSGD
from ultralytics.utils import LOGGER
from ultralytics.utils.metrics import OKS_SIGMA, DetMetrics, PoseMetrics, box_iou, kpt_iou
from ultralytics.utils.nms import non_max_suppression

from aigp_lightning.errors import WeightsError
from aigp_lightning.modules.yolo.pt_file import read_pt
from aigp_lightning.types import Keypoints

__all__ = [
    "IOU_THRESHOLDS",
    "DetMetrics",
    "MuSGD",
    "build_model",
    "class_logit_parameters",
    "deployable",
    "deployment_metadata",
    "detection_metrics",
    "epoch_end",
    "keypoint_shape",
    "load_weights",
    "loss_names",
    "match_keypoints",
    "match_predictions",
    "nms",
    "noted_divisors",
    "oks_sigmas",
    "save_pt",
    "transfer_weights",
    "weigh_classes",
]

LOGGER.setLevel("WARNING")  # what a user should know, this project says itself

IOU_THRESHOLDS = torch.linspace(0.5, 0.95, 10)
"""The ten IoU thresholds of mAP50-95."""

MODEL_CLASSES = {"detect": DetectionModel, "pose": PoseModel}
EXAMPLES = {"detect": "yolo11n", "pose": "yolo11n-pose"}

PER_ANCHOR = ("pose_loss", "kobj_loss")
PER_KEYPOINT = "rle_loss"
"""Loss components that are means over anchors with an object, over their visible keypoints; others are divided by the
sum of the targets' scores."""

PERSON = (17, 3)
"""COCO's person: the one shape with tolerances of its own."""

MOST_LAYERS = 2000
MOST_PARAMETERS = 10**9
"""Far above any YOLO: the largest has 0.1 thousand million."""

CLASS_WIDTH = "class_width"
"""Our key in a model's `yaml`: the class branch's channels, where they came with weights of other classes."""


@contextmanager
def _no_foreign_code() -> Iterator[None]:
    """Let Ultralytics read files and descriptions as data: nothing in them is evaluated or called.

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
        task: `detect` or `pose`.
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
        cfg = dict(variant) if isinstance(variant, Mapping) else yaml_model_load(_yaml_name(variant))
        with _no_foreign_code():
            _check_layers(cfg)
            model = MODEL_CLASSES[task](deepcopy(cfg), nc=len(names), verbose=False, **extra)
            width = model.yaml.get(CLASS_WIDTH)
            if width is not None and width != class_width(model):
                model.load(MODEL_CLASSES[task](deepcopy(cfg), nc=int(width), verbose=False, **extra), verbose=False)
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


def loss_names(model: nn.Module) -> tuple[str, ...]:
    """Names of the loss components of a model from `build_model`, in their order; heads differ in the last ones."""
    criterion: Any = cast("Any", model).init_criterion()
    return tuple(getattr(criterion, "one2one", criterion).loss_names)


@contextmanager
def noted_divisors(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Note what the loss divides its components by, in the call that is made meanwhile.

    Args:
        model: a model from `build_model`.

    Yields:
        Scalars by the components' names, filled in by the call: the sum of the targets' scores, for keypoints the
        number of anchors that have an object. Ultralytics divides by at least 1.
    """
    attributes: Any = model
    if attributes.criterion is None:
        attributes.criterion = attributes.init_criterion()
    criterion: Any = getattr(attributes.criterion, "one2one", attributes.criterion)  # whose components are reported
    divisors: dict[str, Tensor] = {}

    def assigned(_module: Any, _inputs: Any, targets: Any) -> None:
        scores, anchors = targets[2].sum(), targets[3].sum()
        for name in criterion.loss_names:
            divisors[name] = anchors if name in PER_ANCHOR else scores
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


def _yaml_name(variant: str) -> str:
    return variant if variant.endswith((".yaml", ".yml")) else f"{variant}.yaml"


def class_width(model: nn.Module) -> int | None:
    """Channels of the class branch, which Ultralytics sizes by the number of classes; None for other heads."""
    branch = getattr(cast("Any", model).model[-1], "cv3", None)
    return int(branch[0][-1].in_channels) if branch is not None else None


def class_logit_parameters(model: nn.Module) -> set[int]:
    """`id`s of the classification branch's parameters, which MuSGD trains three times as fast."""
    head: Any = cast("Any", model).model[-1]
    branches = (getattr(head, "cv3", None), getattr(head, "one2one_cv3", None))
    return {id(parameter) for branch in branches if branch is not None for parameter in branch.parameters()}


def epoch_end(model: nn.Module) -> None:
    """Advance losses that anneal over the epochs (NMS-free heads)."""
    criterion: Any = getattr(model, "criterion", None)
    if hasattr(criterion, "update"):
        criterion.update()


def nms(raw: Any, conf: float, iou: float, max_det: int, nc: int, multi_label: bool = True) -> list[Tensor]:
    """Non-maximum suppression.

    Args:
        raw: what the model returns in eval mode.
        conf: lowest confidence kept, 0…1.
        iou: overlap above which the weaker of two boxes goes, 0…1.
        max_det: most boxes kept an image.
        nc: number of classes; further channels (keypoints) are carried along.
        multi_label: a box may be kept once for every class above `conf`, as in validation.

    Returns:
        Per image (n, 6 + extra): xyxy in network-input pixels, confidence, class, extra channels; best first.
    """
    return cast(
        "list[Tensor]",
        non_max_suppression(raw, conf, iou, nc=nc, multi_label=multi_label, max_det=max_det, max_time_img=10.0),
    )


def match_predictions(boxes: Tensor, labels: Tensor, true_boxes: Tensor, true_labels: Tensor) -> Tensor:
    """Which predictions are right at each of the ten IoU thresholds, by Ultralytics' greedy one-to-one rule.

    Args:
        boxes: (n, 4) xyxy pixels, best first.
        labels: (n,) class ids.
        true_boxes: (m, 4) xyxy pixels.
        true_labels: (m,) class ids.

    Returns:
        bool (n, 10), on the CPU.
    """
    if not len(boxes) or not len(true_boxes):
        return torch.zeros(len(boxes), len(IOU_THRESHOLDS), dtype=torch.bool)
    holder: Any = SimpleNamespace(iouv=IOU_THRESHOLDS)
    overlaps = box_iou(true_boxes, boxes)
    return cast("Tensor", BaseValidator.match_predictions(holder, labels, true_labels, overlaps))


def keypoint_shape(model: nn.Module) -> tuple[int, int]:
    """How many keypoints a pose model finds, and how many numbers it gives for each (2 or 3)."""
    count, numbers = cast("Any", model).model[-1].kpt_shape
    return int(count), int(numbers)


def oks_sigmas(keypoints: Keypoints) -> Tensor:
    """(K,) tolerances of the data set, else COCO's for its person and 1 / K for anything else, as in Ultralytics."""
    if keypoints.sigmas is not None:
        return torch.tensor(keypoints.sigmas, dtype=torch.float32)
    if (keypoints.count, keypoints.numbers) == PERSON:
        return torch.from_numpy(OKS_SIGMA).float()
    return torch.ones(keypoints.count) / keypoints.count


def match_keypoints(
    points: Tensor, labels: Tensor, true_points: Tensor, true_boxes: Tensor, true_labels: Tensor, sigmas: Tensor
) -> Tensor:
    """Which predictions are right at each of the ten thresholds, by the likeness of their keypoints (COCO's OKS).

    Args:
        points: (n, K, 2 or 3) x, y in pixels, best first.
        labels: (n,) class ids.
        true_points: (m, K, 3) x, y in pixels and visibility; what is not visible does not count.
        true_boxes: (m, 4) xyxy pixels; an object's area is taken as 0.53 of its box's, as in xtcocotools.
        true_labels: (m,) class ids.
        sigmas: (K,) see `oks_sigmas`.

    Returns:
        bool (n, 10), on the CPU.
    """
    if not len(points) or not len(true_points):
        return torch.zeros(len(points), len(IOU_THRESHOLDS), dtype=torch.bool)
    holder: Any = SimpleNamespace(iouv=IOU_THRESHOLDS)
    area = (true_boxes[:, 2:] - true_boxes[:, :2]).prod(1) * 0.53
    likeness = kpt_iou(true_points, points, area=area, sigma=sigmas.tolist())
    return cast("Tensor", BaseValidator.match_predictions(holder, labels, true_labels, likeness))


def detection_metrics(
    names: Mapping[int, str],
    correct: npt.NDArray[np.bool_],
    conf: npt.NDArray[np.float32],
    pred_cls: npt.NDArray[np.float32],
    target_cls: npt.NDArray[np.float32],
    target_img: npt.NDArray[np.float32],
    correct_pose: npt.NDArray[np.bool_] | None = None,
) -> DetMetrics:
    """Ultralytics' own metrics over a whole split, of boxes and, where there are any, of keypoints.

    Args:
        names: class names by id.
        correct: (n, 10) see `match_predictions`.
        conf: (n,) confidence of every prediction.
        pred_cls: (n,) its class.
        target_cls: (m,) class of every labelled object.
        target_img: (k,) the classes present in each image, once an image.
        correct_pose: (n, 10) see `match_keypoints`; with it the result is a `PoseMetrics`.
    """
    metrics = DetMetrics(dict(names)) if correct_pose is None else PoseMetrics(dict(names))
    stats = {"tp": correct, "conf": conf, "pred_cls": pred_cls, "target_cls": target_cls, "target_img": target_img}
    if correct_pose is not None:
        stats["tp_p"] = correct_pose
    for key, value in stats.items():
        metrics.stats[key].append(value)
    metrics.process()
    metrics.clear_stats()
    return metrics


def load_weights(path: str | Path) -> nn.Module:
    """Open an Ultralytics `.pt`: the network that it describes, built anew, with the tensors of the file.

    Nothing that the file pickles is built or called, see `pt_file`.

    Returns:
        The network (its EMA where there is one), float32, on the CPU.

    Raises:
        WeightsError: no such file, or not an Ultralytics checkpoint, or it needs code beyond Ultralytics' own.
    """
    path = Path(path)
    if not path.is_file():  # asked here, since Ultralytics would look for it on the network
        raise WeightsError(f"no weights file at {path}. Give the path of an Ultralytics .pt file on this disk.")
    if path.suffix != ".pt":
        raise WeightsError(f"{path} is not a .pt file. Lightning checkpoints (.ckpt) go to --ckpt_path.")
    about, tensors = read_pt(path)
    described, settings, names = about.get("yaml"), about.get("args"), about.get("names")
    task = (settings.get("task") if isinstance(settings, dict) else None) or about.get("task")
    task = task or guess_model_task(cast("Any", described))
    if task not in MODEL_CLASSES:
        raise WeightsError(f"{path} is a {task} model; this version knows {', '.join(MODEL_CLASSES)}.")
    names = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(described, dict) or not isinstance(names, dict) or not names:
        raise WeightsError(f"{path} does not say which network it holds and which classes that knows.")
    try:
        model: Any = _rebuilt(described, {int(key): str(name) for key, name in names.items()}, task, tensors)
    except Exception as error:  # a damaged description fails in many ways
        why = _first_line(error).split(" --model.variant")[0]
        raise WeightsError(f"{path}: its weights do not fit the network that it describes: {why}") from error
    model.pt_path = str(path)
    for key in ("kpt_names", "kpt_oks_sigmas"):
        if about.get(key) is not None:
            setattr(model, key, about[key])
    return cast("nn.Module", model)


def _rebuilt(described: dict[str, Any], names: dict[int, str], task: str, tensors: dict[str, Tensor]) -> nn.Module:
    model: Any = build_model(described, names, {}, task)
    width = class_width(model)
    if width is not None:
        last = tensors[f"model.{len(model.model) - 1}.cv3.0.{len(model.model[-1].cv3[0]) - 1}.weight"]
        if last.shape[1] != width:  # the class branch came with weights of other classes
            model = build_model({**described, CLASS_WIDTH: last.shape[1]}, names, {}, task)
    if not any(key.endswith(".bn.weight") for key in tensors):
        model.fuse(verbose=False)
    model.load_state_dict(tensors)
    return cast("nn.Module", model)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def transfer_weights(model: nn.Module, source: nn.Module) -> tuple[int, int]:
    """Copy every tensor of `source` that fits; class rows go by name where the classes differ.

    Returns:
        How many tensors were taken, and how many the model has.
    """
    before = {key: value.clone() for key, value in model.state_dict().items()}
    built = class_width(model)
    cast("Any", model).load(source, verbose=False)
    if class_width(model) != built:  # the class branch was replaced by the source's wider or narrower one
        cast("Any", model).yaml[CLASS_WIDTH] = class_width(model)
    theirs = source.state_dict()
    after = model.state_dict()

    def taken(key: str) -> bool:
        mine, its = after[key], theirs.get(key)
        if its is not None and its.shape == mine.shape and torch.equal(its, mine):
            return True
        if key in before and before[key].shape == mine.shape:
            return not torch.equal(before[key], mine)
        # a replaced class branch: its last layer is new, but for the rows of classes that both know
        return its is not None and its.shape[1:] == mine.shape[1:] and _share_a_row(mine, its)

    return sum(map(taken, after)), len(after)


def _share_a_row(one: Tensor, other: Tensor) -> bool:
    return bool((one.flatten(1)[:, None] == other.flatten(1)[None]).all(-1).any())


def save_pt(
    path: str | Path,
    model: nn.Module,
    epoch: int = -1,
    metrics: Mapping[str, float] | None = None,
    train_args: Mapping[str, Any] | None = None,
) -> None:
    """Write a `.pt` that `ultralytics.YOLO` opens, predicts with, validates and exports.

    The file is written whole or not at all. Weights are float16, as Ultralytics stores them.

    Args:
        path: where to.
        model: a model from `build_model`, with the weights to save.
        epoch: the epoch they are from.
        metrics: validation metrics to store with them.
        train_args: Ultralytics' names of settings worth keeping (`imgsz`, `data`, …).
    """
    path = Path(path)
    snapshot: Any = _plain_norms(deepcopy(model)).cpu().eval().half().to(memory_format=torch.contiguous_format)
    args = {key: value for key, value in {**DEFAULT_CFG_DICT, **(train_args or {})}.items() if key in DEFAULT_CFG_DICT}
    args["task"] = snapshot.task
    snapshot.criterion, snapshot.class_weights, snapshot.args = None, None, dict(args)
    for parameter in snapshot.parameters():
        parameter.requires_grad_(False)
    content = {
        "epoch": epoch,
        "model": snapshot,
        "ema": None,
        "train_args": args,
        "train_metrics": {key: float(value) for key, value in (metrics or {}).items()},
        "date": datetime.now().astimezone().isoformat(),
        "version": ultralytics_version,
        "license": "AGPL-3.0 (https://ultralytics.com/license)",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        buffer = io.BytesIO()  # torch's own writer hides a full disk's errno, and some paths on Windows
        torch.save(content, buffer)
        temporary.write_bytes(buffer.getbuffer())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _plain_norms(model: nn.Module) -> nn.Module:
    """Put ordinary batch norms in the place of those that Lightning made to be synchronised between processes."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.SyncBatchNorm):
                plain = nn.BatchNorm2d(child.num_features, child.eps, child.momentum, child.affine)
                plain.load_state_dict(child.state_dict())
                setattr(module, name, plain)
    return model


def deployable(model: nn.Module, dynamic: bool = False) -> nn.Module:
    """A copy for tracing: float32, fused, returning only the raw (B, 4 + nc + extra, anchors) tensor.

    Args:
        model: a model from `build_model` or `load_weights`; stays as it is.
        dynamic: the graph must take any image size, so anchors are computed inside it.
    """
    copy: Any = _plain_norms(deepcopy(model)).cpu().float().eval().to(memory_format=torch.contiguous_format)
    copy.criterion, copy.end2end = None, False
    for parameter in copy.parameters():
        parameter.requires_grad_(False)
    copy.fuse(verbose=False)
    head = copy.model[-1]
    head.export, head.format, head.dynamic, head.shape = True, "onnx", dynamic, None
    for layer in copy.modules():
        if hasattr(layer, "forward_split"):  # the same numbers by a simpler graph
            layer.forward = layer.forward_split
    return cast("nn.Module", copy)


def deployment_metadata(model: nn.Module, imgsz: int, dynamic: bool = False) -> dict[str, Any]:
    """What `ultralytics.YOLO` reads from an exported file to decode its output.

    Args:
        model: the exported model.
        imgsz: side of the exported input, pixels.
        dynamic: whether the file takes other sizes too.
    """
    described: Any = model
    metadata = {
        "description": f"{Path(str(described.yaml.get('yaml_file', 'model'))).stem}, trained with aigp_lightning",
        "author": "aigp_lightning",
        "date": datetime.now().astimezone().isoformat(),
        "version": ultralytics_version,
        "license": "AGPL-3.0 (https://ultralytics.com/license)",
        "stride": stride_of(model),
        "task": described.task,
        "head": type(described.model[-1]).__name__,
        "batch": 1,
        "imgsz": [imgsz, imgsz],
        "names": dict(described.names),
        "args": {"batch": 1, "dynamic": dynamic, "nms": False},
        "channels": described.yaml.get("channels", 3),
        "end2end": False,
    }
    if described.task == "pose":
        metadata["kpt_shape"] = list(described.model[-1].kpt_shape)
        if getattr(described, "kpt_names", None):
            metadata["kpt_names"] = dict(described.kpt_names)
    return metadata


def stride_of(model: nn.Module) -> int:
    """Largest stride of the network, pixels; input sides must be multiples of it."""
    return max(math.ceil(float(cast("Any", model).stride.max())), 32)
