"""TensorRT engines that are opened: the graph as a function, and what the file says of itself.

An engine of ours begins as Ultralytics' do: the length of the metadata (4 bytes, little-endian), these as JSON, and
then TensorRT's own bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from aigp_lightning.errors import WeightsError
from aigp_lightning.modules.deployment import Answers

LEAST_VERSION = 10
"""Of TensorRT: the first with strongly typed networks of 8 bits."""
LENGTH = 4
"""Bytes of the metadata's length."""


def with_header(told: Mapping[str, str], engine: bytes) -> bytes:
    """Put the metadata before an engine.

    Args:
        told: the metadata.
        engine: as TensorRT serialises it.

    Example:
        >>> parted(with_header({"task": "pose"}, b"engine"))
        ({'task': 'pose'}, b'engine')
    """
    text = json.dumps(dict(told)).encode()
    return len(text).to_bytes(LENGTH, "little") + text + engine


def parted(content: bytes) -> tuple[dict[str, Any], bytes]:
    r"""Return the metadata and the engine of a file; without metadata all of it is the engine.

    Args:
        content: of the file.

    Example:
        >>> parted(b"\x08\x00\x00\x00{}")
        ({}, b'\x08\x00\x00\x00{}')
    """
    length = int.from_bytes(content[:LENGTH], "little")
    text = content[LENGTH : LENGTH + length]
    try:
        told = json.loads(text) if len(text) == length else None
    except ValueError:
        told = None
    return (told, content[LENGTH + length :]) if isinstance(told, dict) else ({}, content)


def open_engine(path: Path) -> tuple[Answers, dict[str, Any]]:
    """Open an engine on the GPU that PyTorch uses.

    Args:
        path: of the `.engine`.

    Returns:
        How it answers, on the GPU, and what it says of itself.

    Raises:
        ImportError: there is no TensorRT.
        WeightsError: there is no GPU, or the engine is of another GPU or version of TensorRT.
    """
    import tensorrt

    if not torch.cuda.is_available():
        raise WeightsError("a TensorRT engine needs an NVIDIA GPU that PyTorch can use, and there is none")
    told, content = parted(path.read_bytes())
    runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        raise WeightsError(
            f"it is damaged, or was built for another GPU or another version of TensorRT than {tensorrt.__version__}"
        )
    context = engine.create_execution_context()
    names = [engine.get_tensor_name(place) for place in range(engine.num_io_tensors)]
    (taken,) = [name for name in names if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT]
    given = sorted(name for name in names if name != taken)

    def run(images: Tensor) -> Tensor | tuple[Tensor, ...]:
        pictures = images.float().cuda().contiguous()
        if not context.set_input_shape(taken, tuple(pictures.shape)):
            raise WeightsError("it takes no such size")
        found = tuple(
            torch.empty(tuple(context.get_tensor_shape(name)), dtype=torch.float32, device=pictures.device)
            for name in given
        )
        for name, tensor in zip((taken, *given), (pictures, *found), strict=True):
            context.set_tensor_address(name, tensor.data_ptr())
        stream = cast("Any", torch.cuda).Stream()
        stream.wait_stream(torch.cuda.current_stream())  # the pictures' copy is in that
        if not context.execute_async_v3(stream.cuda_stream):
            raise WeightsError("TensorRT could not run it")
        stream.synchronize()
        return found if len(found) > 1 else found[0]

    run.runtime = runtime  # type: ignore[attr-defined]  # an engine must not outlive it
    return run, told
