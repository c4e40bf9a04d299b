"""Parts of an ONNX graph that fewer bits must leave alone: what turns a head's answers into boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

LEARNED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that multiply by a weight."""


@dataclass(frozen=True)
class GraphParts:
    """Names of the nodes at the end of a network.

    Attributes:
        decoding: nodes behind the last learned layers: distances of boxes (DFL), anchors, strides, confidences.
        last: the last learned layers themselves, whose answers are decoded.
    """

    decoding: frozenset[str]
    last: frozenset[str]


def parts_of(model: ModelProto) -> GraphParts:
    """Walk back from a graph's outputs to its last learned layers.

    Args:
        model: its nodes are named, and weights are initializers; see `with_plain_weights`.

    Example:
        >>> from onnx import TensorProto, helper, numpy_helper
        >>> weight = numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "w")
        >>> nodes = [helper.make_node("Conv", ["x", "w"], ["y"], "c"), helper.make_node("Sigmoid", ["y"], ["z"], "s")]
        >>> ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, 2, 2)) for name in "xz"]
        >>> parts = parts_of(helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight])))
        >>> sorted(parts.decoding), sorted(parts.last)
        (['s'], ['c'])
    """
    made_by = {output: node for node in model.graph.node for output in node.output}
    weights = {each.name: each for each in model.graph.initializer}
    decoding: set[str] = set()
    last: set[str] = set()
    waiting = [output.name for output in model.graph.output]
    while waiting:
        node = made_by.get(waiting.pop())
        if node is None or node.name in decoding or node.name in last:
            continue
        if _is_learned(node, weights):
            last.add(node.name)
            continue
        decoding.add(node.name)
        waiting.extend(node.input)
    return GraphParts(frozenset(decoding), frozenset(last))


def _is_learned(node: NodeProto, weights: Mapping[str, Any]) -> bool:
    """True if a node multiplies by a weight; the fixed one of DFL, which counts 0, 1, 2, …, is none."""
    found = [weights[name] for name in node.input[:2] if name in weights] if node.op_type in LEARNED else []
    if not found:
        return False
    from onnx import numpy_helper

    values = numpy_helper.to_array(found[0]).ravel()
    return not np.array_equal(values, np.arange(len(values)))


def products_of_activations(model: ModelProto) -> frozenset[str]:
    """Return the names of the matrix products without a weight, such as those of queries and keys in attention.

    Args:
        model: its nodes are named, and weights are initializers; see `with_plain_weights`.
    """
    weights = {each.name for each in model.graph.initializer}
    products = (node for node in model.graph.node if node.op_type in ("MatMul", "Gemm"))
    return frozenset(node.name for node in products if not weights.intersection(node.input[:2]))


def with_plain_weights(model: ModelProto) -> ModelProto:
    """Return a graph without `Identity` nodes of weights, which tracing puts where layers share equal ones.

    What reduces bits finds a weight by its being an initializer.

    Args:
        model: stays as it is.
    """
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    weights = {each.name for each in copy.graph.initializer}
    stands_for = {
        node.output[0]: node.input[0]
        for node in copy.graph.node
        if node.op_type == "Identity" and node.input[0] in weights
    }
    outputs = {each.name for each in copy.graph.output}
    kept = [node for node in copy.graph.node if node.output[0] not in stands_for or node.output[0] in outputs]
    for node in kept:
        node.input[:] = [stands_for.get(name, name) for name in node.input]
    nodes = [_copied(node) for node in kept]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def _copied(node: NodeProto) -> NodeProto:
    import onnx

    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
