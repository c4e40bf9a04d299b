"""ONNX graphs in 16 bits: weights and layers as float16; boxes are still computed in float32."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from aigp_lightning.deploy.graph_parts import parts_of, with_plain_weights

if TYPE_CHECKING:
    from onnx import ModelProto

LARGEST = 65504.0
"""The largest number of float16."""
TO_HALF = "_cast_to_fp16"
"""In the names of the casts to float16 that the conversion puts behind a node that stays float32."""


def half_precision(model: ModelProto) -> ModelProto:
    """Return a graph whose layers compute in float16, with float32 inputs and outputs.

    What turns a head's answers into boxes stays float32: a float16 between 512 and 1024 pixels has steps of half a
    pixel. ONNX Runtime's CPU provider has few float16 kernels and computes such a graph in float32 between casts.

    Args:
        model: float32; stays as it is.
    """
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    plain = with_plain_weights(model)
    with warnings.catch_warnings():  # of numbers that are too small for float16, and become 0
        warnings.simplefilter("ignore")
        half: ModelProto = convert_float_to_float16(
            plain, keep_io_types=True, max_finite_val=LARGEST, op_block_list=DEFAULT_OP_BLOCK_LIST,
            node_block_list=sorted(parts_of(plain).decoding),
        )  # fmt: skip
    _join_float32(half)
    return half


def _join_float32(model: ModelProto) -> None:
    """Connect neighbours that stay float32: the conversion puts two casts between them, which round to float16."""
    import onnx

    nodes, outputs = model.graph.node, {output.name for output in model.graph.output}
    to_half = {node.output[0]: node.input[0] for node in nodes if node.op_type == "Cast" and TO_HALF in node.name}
    stands_for = {}
    for node in nodes:
        back = node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT
        if back and node.input[0] in to_half:
            node.input[0] = to_half[node.input[0]]  # nothing is left to cast
            if node.output[0] not in outputs:
                stands_for[node.output[0]] = node.input[0]
    for node in nodes:
        node.input[:] = [stands_for.get(name, name) for name in node.input]
    used = outputs.union(*(node.input for node in nodes if node.output[0] not in stands_for))
    for node in [node for node in nodes if node.op_type == "Cast" and node.output[0] not in used]:
        nodes.remove(node)
