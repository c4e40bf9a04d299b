"""ONNX graphs in 8 bits: ranges measured on pictures, layers between QuantizeLinear and DequantizeLinear (QDQ)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.deploy.graph_parts import parts_of, products_of_activations, with_plain_weights

if TYPE_CHECKING:
    from onnx import ModelProto

INPUT = "images"
LEARNED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
PASSING = ("Concat", "MaxPool", "Resize", "Split")
"""Operators that move or choose 8-bit numbers without rounding them anew. All others, such as activation functions,
compute in float32: they are cheap beside layers, and rounding less keeps boxes in place."""
PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")
"""Entry of the metadata without which the library warns of a graph that it has not prepared itself."""


def is_quantized(model: ModelProto) -> bool:
    """True if a graph rounds to 8 bits, as that of a network does that was trained with `--model.qat`.

    Args:
        model: the graph.
    """
    return any(node.op_type == "QuantizeLinear" for node in model.graph.node)


def quantized(model: ModelProto, pictures: Iterable[NDArray[np.float32]], symmetric: bool = False) -> ModelProto:
    """Return a graph that computes in 8 bits, but for the head's last layers and what makes boxes of their answers.

    Weights have a range for each channel, activations one, from the least to the greatest value on these pictures.

    Args:
        model: float32; stays as it is.
        pictures: (1, 3, H, W) float32 RGB, 0…1, one after the other.
        symmetric: ranges of activations have 0 in their middle, and biases stay float32, as TensorRT wants it; else
            activations are unsigned, which processors compute fastest.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType
    from onnxruntime.quantization.quantize import quantize_static

    class Pictures(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[NDArray[np.float32]] = iter(pictures)

        def get_next(self) -> dict[str, Any] | None:
            picture = next(self._left, None)
            return None if picture is None else {INPUT: picture}

    plain = with_plain_weights(model)
    plain.metadata_props.add(key=PREPARED[0], value=PREPARED[1])
    parts = parts_of(plain)
    # Attention rounds badly, and OpenVINO's CPU plugin cannot compile it when its products are in 8 bits.
    in_float32 = parts.decoding | parts.last | products_of_activations(plain)
    options = {"ActivationSymmetric": symmetric, "QuantizeBias": not symmetric}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "int8.onnx"
        quantize_static(
            plain, str(target), Pictures(), quant_format=QuantFormat.QDQ, per_channel=True,
            op_types_to_quantize=[*LEARNED, *PASSING], nodes_to_exclude=sorted(in_float32),
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8, weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax, extra_options=options,
        )  # fmt: skip
        done = onnx.load(str(target))
    del done.metadata_props[:]
    done.metadata_props.extend(model.metadata_props)
    return done
