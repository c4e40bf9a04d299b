"""Ultralytics' `.pt` files: reading them as data, transferring their weights, writing what `ultralytics.YOLO` opens."""

from __future__ import annotations

import io
from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from ultralytics import __version__ as ultralytics_version
from ultralytics.cfg import DEFAULT_CFG_DICT
from ultralytics.nn.tasks import guess_model_task

from aigp_lightning.checkpoints.weight_places import find_weights
from aigp_lightning.errors import WeightsError, first_line
from aigp_lightning.files import write_atomic
from aigp_lightning.modules.yolo.build import (
    MODEL_CLASSES,
    build_model,
    class_width,
)
from aigp_lightning.modules.yolo.description import (
    CLASS_WIDTH,
    keypoint_names,
    keypoint_sigmas,
    public_description,
    public_settings,
)
from aigp_lightning.modules.yolo.pt_file import read_pt
from aigp_lightning.modules.yolo.quantization import unquantize


def load_weights(path: str | Path) -> nn.Module:
    """Open an Ultralytics `.pt`: the network that it describes, built anew, with the tensors of the file.

    Nothing that the file pickles is built or called, see `pt_file`.

    Args:
        path: the file.

    Returns:
        The network (its EMA where there is one), float32, on the CPU.

    Raises:
        WeightsError: no such file, or not an Ultralytics checkpoint, or it needs code beyond Ultralytics' own.
    """
    about, tensors, task = _read(Path(path))
    described, names = about.get("yaml"), about.get("names")
    names = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(described, dict) or not isinstance(names, dict) or not names:
        raise WeightsError(f"{path} does not say which network it holds and which classes that knows.")
    try:
        model: Any = _rebuilt(described, {int(key): str(name) for key, name in names.items()}, task, tensors)
    except Exception as error:  # a damaged description fails in many ways
        why = first_line(error).split(" --model.variant")[0]
        raise WeightsError(f"{path}: its weights do not fit the network that it describes: {why}") from error
    model.pt_path = str(path)
    for key, checked in (("kpt_names", keypoint_names), ("kpt_oks_sigmas", keypoint_sigmas)):
        if (value := checked(about.get(key))) is not None:
            setattr(model, key, value)
    return cast("nn.Module", model)


def task_of_weights(path: str | Path) -> str:
    """Return the task of an Ultralytics `.pt`: `detect` or `pose`.

    Args:
        path: the file.

    Raises:
        WeightsError: see `load_weights`.
    """
    return _read(Path(path))[2]


def settings_of(path: str | Path) -> tuple[str, dict[int, str], dict[str, Any]]:
    """Return what an Ultralytics `.pt` says of its training.

    Args:
        path: the file.

    Returns:
        Its task, its class names by id, and of Ultralytics' settings `imgsz`, `data` and `single_cls`, as far as they
        are there and of the right types.

    Raises:
        WeightsError: see `load_weights`.
    """
    about, _, task = _read(Path(path))
    settings, names = about.get("args"), about.get("names")
    found = settings if isinstance(settings, dict) else {}
    kinds: dict[str, type] = {"imgsz": int, "data": str, "single_cls": bool}
    names = dict(enumerate(names)) if isinstance(names, list) else names if isinstance(names, dict) else {}
    return task, names, {name: found[name] for name, kind in kinds.items() if type(found.get(name)) is kind}


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """Return what a `.pt` says of its network, its tensors, and its task."""
    path = find_weights(path, kind="an Ultralytics .pt file")  # asked here: Ultralytics would look on the network
    if path.suffix != ".pt":
        raise WeightsError(f"{path} is not a .pt file. Lightning checkpoints (.ckpt) go to --ckpt_path.")
    about, tensors = read_pt(path)
    settings = about.get("args")
    task = (settings.get("task") if isinstance(settings, dict) else None) or about.get("task")
    task = task or guess_model_task(cast("Any", about.get("yaml")))
    if task not in MODEL_CLASSES:
        raise WeightsError(f"{path} is a {task} model; this version knows {', '.join(MODEL_CLASSES)}.")
    return about, tensors, task


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


def save_pt(
    path: Path,
    model: nn.Module,
    epoch: int = -1,
    metrics: Mapping[str, float] | None = None,
    train_args: Mapping[str, Any] | None = None,
) -> None:
    """Write a `.pt` that `ultralytics.YOLO` opens, predicts with, validates and exports.

    The write is atomic. Weights are float16, as Ultralytics stores them. Of a network that rounds to 8 bits there are
    the weights without the rounding.

    Args:
        path: where to.
        model: a model from `build_model`, with the weights to save.
        epoch: the epoch they are from.
        metrics: validation metrics to store with them.
        train_args: Ultralytics' names of settings worth keeping (`imgsz`, `data`, …); of paths, files' names are kept.

    Raises:
        OSError: the disk is full or not writable; an older file is as it was.
    """
    snapshot: Any = (
        plain_norms(unquantize(deepcopy(model))).cpu().eval().half().to(memory_format=torch.contiguous_format)
    )
    args = {**public_settings(train_args or {}, DEFAULT_CFG_DICT), "task": snapshot.task}
    vars(snapshot).pop("pt_path", None)  # of the file that it was read from
    snapshot.yaml = public_description(snapshot.yaml)
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
    buffer = io.BytesIO()  # torch's own writer hides a full disk's errno, and some paths on Windows
    torch.save(content, buffer)
    write_atomic(path, buffer.getbuffer())


def plain_norms(model: nn.Module) -> nn.Module:
    """Put ordinary batch norms in the place of those that Lightning made to be synchronised between processes."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.SyncBatchNorm):
                plain = nn.BatchNorm2d(child.num_features, child.eps, child.momentum, child.affine)
                plain.load_state_dict(child.state_dict())
                setattr(module, name, plain)
    return model
