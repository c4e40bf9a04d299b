"""OpenVINO's form of a model, made of the ONNX graph: a `.xml` with the operators, a `.bin` with the weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.deploy.graphs import told_by
from aigp_lightning.deploy.options import WEIGHTS_BESIDE
from aigp_lightning.evaluation.openvino_graph import OURS, WEIGHTS_HASH, errors_as_lines
from aigp_lightning.files import sha256_of

if TYPE_CHECKING:
    from onnx import ModelProto


def write_openvino(path: Path, model: ModelProto, half: bool) -> None:
    """Write a graph in OpenVINO's form, with its metadata as `rt_info` named `aigp`.

    The `.xml` has the SHA-256 of its `.bin` among that, so that a pair that does not belong together is found out.

    Args:
        path: of the `.xml`; the `.bin` has its name.
        model: the ONNX graph; one that is quantised is computed in 8 bits.
        half: weights are stored as float16.

    Raises:
        WeightsError: OpenVINO does not know an operator of the graph.
    """
    import openvino

    with errors_as_lines("convert the ONNX graph"):
        read = openvino.Core().read_model(model.SerializeToString())
    for key, value in told_by(model).items():
        read.set_rt_info(value, [OURS, key])
    openvino.save_model(read, str(path), compress_to_fp16=half)
    read.set_rt_info(sha256_of(path.with_suffix(WEIGHTS_BESIDE)), [OURS, WEIGHTS_HASH])
    openvino.save_model(read, str(path), compress_to_fp16=half)
