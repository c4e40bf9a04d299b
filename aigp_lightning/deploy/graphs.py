"""Writing a network as ONNX or TorchScript, and reading the file back."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aigp_lightning.deploy.difference import example_picture
from aigp_lightning.errors import ConfigError, first_line
from aigp_lightning.files import DEBUG_RECORDS, without_members

if TYPE_CHECKING:
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


def write_onnx(path: Path, graph: ExportGraph, imgsz: int, dynamic: bool, opset: int) -> Answers:
    """Write ONNX, its input named `images` and its outputs `output0`, `output1`, ….

    Args:
        path: where to.
        graph: what is traced.
        imgsz: side of the picture that it is traced with, pixels.
        dynamic: whether the file takes any batch and size.
        opset: ONNX operator set.

    Returns:
        The answers of the file, read back.

    Raises:
        ConfigError: the operator set does not do.
    """
    import onnx
    import onnxruntime
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
    content = onnx.load_model_from_string(buffer.getvalue())
    for key, value in graph.metadata.items():
        content.metadata_props.add(key=key, value=str(value))
    onnx.checker.check_model(content)
    path.write_bytes(content.SerializeToString())
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])

    def answers(images: Tensor) -> Tensor | tuple[Tensor, ...]:
        found = tuple(map(torch.from_numpy, session.run(None, {"images": images.numpy()})))
        return found if len(found) > 1 else found[0]

    return answers
