"""YOLO networks as graphs that other programs run: what is traced, and what a file says of itself."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from ultralytics import __version__ as ultralytics_version

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.deployment import Answers, ExportGraph
from aigp_lightning.modules.yolo.build import keypoint_shape, stride_of
from aigp_lightning.modules.yolo.nms_free import (
    COLUMNS,
    CONFIDENCE,
    all_candidates,
    decoded_one_to_one,
    has_one_to_one_head,
    is_nms_free,
    order_of,
)
from aigp_lightning.modules.yolo.quantization import TensorQuantizer
from aigp_lightning.modules.yolo.weights import plain_norms


def deployable(model: nn.Module, dynamic: bool = False) -> nn.Module:
    """Copy a network for tracing: float32, fused, returning only the raw (B, 4 + nc + extra, anchors) tensor.

    One with masks returns the prototypes too. One that answers by its one-to-one head returns the surest boxes,
    (B, max_det, 6 + extra).

    Args:
        model: a model from `build_model` or `load_weights`; stays as it is.
        dynamic: the graph must take any image size, so anchors are computed inside it.
    """
    copy: Any = plain_norms(deepcopy(model)).cpu().float().eval().to(memory_format=torch.contiguous_format)
    copy.criterion = None
    for parameter in copy.parameters():
        parameter.requires_grad_(False)
    copy.fuse(verbose=False)
    head = copy.model[-1]
    head.export, head.format, head.dynamic, head.shape = True, "onnx", dynamic, None
    for layer in copy.modules():
        if isinstance(layer, TensorQuantizer):
            layer.fix()
        if hasattr(layer, "forward_split"):  # the same numbers by a simpler graph
            layer.forward = layer.forward_split
    return cast("nn.Module", copy)


def deployment_metadata(model: nn.Module, imgsz: int, dynamic: bool = False) -> dict[str, Any]:
    """Return the metadata by which `ultralytics.YOLO` decodes an exported file's output.

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
        "end2end": is_nms_free(model),
    }
    if described.task == "pose":
        metadata["kpt_shape"] = list(described.model[-1].kpt_shape)
        if getattr(described, "kpt_names", None):
            metadata["kpt_names"] = dict(described.kpt_names)
    return metadata


def confidence_channels(model: nn.Module, nms_free: bool = False) -> list[int]:
    """Return the output's channels that hold confidences: of the classes, and of a keypoint being visible."""
    described: Any = model
    first, last = 4, 4 + len(described.names)
    if nms_free:
        first, last = CONFIDENCE, COLUMNS
    count, numbers = keypoint_shape(model) if described.task == "pose" else (0, 0)
    visible = range(last + 2, last + count * numbers, numbers) if numbers == len(("x", "y", "visible")) else ()
    return [*range(first, last), *visible]


def export_graph(model: nn.Module, imgsz: int, dynamic: bool) -> ExportGraph:
    """Describe how a YOLO is exported, and what its files are checked against.

    Args:
        model: a model from `build_model` or `load_weights`, float32, on the CPU, in eval mode; stays as it is.
        imgsz: side of the exported input, pixels.
        dynamic: whether the file takes other sizes too.
    """
    free = is_nms_free(model)
    if free and dynamic:
        _check_smallest(model, imgsz)
    return ExportGraph(
        network=deployable(model, dynamic),
        reference=all_candidates(model) if free else raw_output(model),
        scores=confidence_channels(model, free),
        axes={} if free else {2: "anchors"},
        metadata=deployment_metadata(model, imgsz, dynamic),
        further=({2: "mask_height", 3: "mask_width"},) if cast("Any", model).task == "segment" else (),
        order=order_of(len(cast("Any", model).names), imgsz) if free else None,
        layout="one_to_one" if free else "candidates",
    )


def _check_smallest(model: nn.Module, imgsz: int) -> None:
    """Refuse files of any size that give a fixed number of boxes, where smaller pictures have fewer anchors.

    Raises:
        ConfigError: they would fail on the next smaller picture.
    """
    described: Any = model
    wide = imgsz - stride_of(model)
    anchors = sum(int(imgsz / stride) * int(wide / stride) for stride in described.stride.tolist())
    if anchors < (most := int(described.model[-1].max_det)):
        raise ConfigError(
            f"--dynamic with --nms_free: the file gives {most} boxes an image, and one of {imgsz} × {wide} pixels has "
            f"{anchors} anchors. Export with a larger --imgsz, or without one of the two."
        )


def raw_output(model: nn.Module) -> Answers:
    """Return a function from images to the raw (B, 4 + nc + extra, anchors) tensor, as exported files answer.

    With masks to that and the prototypes.
    """
    return lambda images: cast("Tensor", model(images)[0])


def output_of_all_heads(model: nn.Module) -> Answers:
    """Return a function from images to the raw outputs of the one head, or of both, one after the other.

    Args:
        model: a model from `build_model` or `load_weights`; from then on it answers by its one-to-many head.
    """
    described: Any = model
    described.end2end = False

    def answers(images: Tensor) -> Any:
        output, raw = described(images)
        if not has_one_to_one_head(model):
            return output
        first, *others = output if isinstance(output, tuple) else (output,)
        both = torch.cat((first, decoded_one_to_one(model, raw)), 2)
        return (both, *others) if others else both

    return answers
