"""Writing a network as ONNX or TorchScript, and reading what was written back."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.deploy.difference import example_picture
from aigp_lightning.errors import ConfigError, first_line
from aigp_lightning.files import DEBUG_RECORDS, without_members

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor

    from aigp_lightning.modules.deployment import Answers, ExportGraph


def write_torchscript(path: Path, graph: ExportGraph, imgsz: int) -> Answers:
    """Write TorchScript.

    Args:
        path: where to.
        graph: what is traced.
        imgsz: side of the picture that it is traced with, pixels.

    Returns:
        The answers of the file, read back.
    """
    import torch

    buffer = io.BytesIO()  # torch's own writer cannot open every path on Windows
    with torch.no_grad():
        traced = cast("Any", torch.jit).trace(graph.network, example_picture(imgsz), strict=False, check_trace=False)
    torch.jit.save(traced, buffer, _extra_files={"config.txt": json.dumps(graph.metadata)})
    path.write_bytes(without_members(buffer.getvalue(), DEBUG_RECORDS))
    answers: Answers = cast("Any", torch.jit).load(io.BytesIO(path.read_bytes()))
    return answers


def onnx_model(graph: ExportGraph, imgsz: int, dynamic: bool, opset: int) -> ModelProto:
    """Trace a network to ONNX, its input named `images` and its outputs `output0`, `output1`, ….

    Args:
        graph: what is traced.
        imgsz: side of the picture that it is traced with, pixels.
        dynamic: whether the graph takes any batch and size.
        opset: ONNX operator set.

    Raises:
        ConfigError: the operator set does not do.
    """
    import onnx
    import torch

    outputs = {f"output{n}": {0: "batch", **names} for n, names in enumerate((graph.axes, *graph.further))}
    axes = {"images": {0: "batch", 2: "height", 3: "width"}, **outputs}
    buffer = io.BytesIO()
    try:
        with torch.no_grad():
            torch.onnx.export(  # the tracing exporter, since the other needs one more package
                graph.network,
                (example_picture(imgsz),),
                cast("Any", buffer),
                opset_version=opset,
                input_names=["images"],
                output_names=list(outputs),
                dynamic_axes=axes if dynamic else None,
                dynamo=False,
            )
    except Exception as error:
        raise ConfigError(f"cannot export to ONNX with --opset {opset}: {first_line(error)}") from error
    model = with_metadata(onnx.load_model_from_string(buffer.getvalue()), graph.metadata)
    onnx.checker.check_model(model)
    return model


def with_metadata(model: ModelProto, metadata: Mapping[str, Any]) -> ModelProto:
    """Have a graph say something of itself, in the place of what it said under the same names; returns it.

    Args:
        model: the graph.
        metadata: by name; values are written as Python prints them.
    """
    told = {**told_by(model), **{key: str(value) for key, value in metadata.items()}}
    del model.metadata_props[:]
    for key, value in told.items():
        model.metadata_props.add(key=key, value=value)
    return model


def told_by(model: ModelProto) -> dict[str, str]:
    """Return what a graph says of itself.

    Args:
        model: the graph.
    """
    return {entry.key: entry.value for entry in model.metadata_props}


def answers_of_onnx(content: bytes) -> Answers:
    """Return how an ONNX file answers, by ONNX Runtime on the CPU.

    Args:
        content: of the file.
    """
    import onnxruntime
    import torch

    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def answers(images: Tensor) -> Tensor | tuple[Tensor, ...]:
        found = tuple(map(torch.from_numpy, session.run(None, {"images": images.numpy()})))
        return found if len(found) > 1 else found[0]

    return answers
