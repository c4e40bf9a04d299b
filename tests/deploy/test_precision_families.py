"""Files in 16 and 8 bits of keypoints, masks, heads without NMS and RF-DETR: smaller, and with like answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import onnx
import pytest
import torch
from yolo_scored import build_case, build_mask_case

from aigp_lightning.data.images import read_image
from aigp_lightning.deploy.export import export
from aigp_lightning.deploy.graph_parts import parts_of, with_plain_weights
from aigp_lightning.deploy.options import ExportOptions
from aigp_lightning.evaluation.exported_graph import open_graph

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]


def pose(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    checkpoint = request.getfixturevalue("finished_pose") / "weights" / "best.ckpt"
    return {"ckpt_path": str(checkpoint), "data_yaml": str(request.getfixturevalue("corners"))}


def segment(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    weights, data = build_mask_case(folder, rect=False)
    return {"weights": str(weights), "data_yaml": str(data), "imgsz": 96}


def nms_free(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    weights, data = build_case(folder, rect=False, variant="yolo26n")
    options = {"weights": str(weights), "data_yaml": str(data), "imgsz": 96}
    return {**options, "nms_free": True, "tolerance": 0.05}


def rfdetr(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    scored = request.getfixturevalue("scored_rfdetr")
    return {"weights": str(scored / "best.pth"), "data_yaml": str(scored / "data.yaml"), "tolerance": 0.05}


def training_picture(data_yaml: str, size: int) -> torch.Tensor:
    """A picture as those on which ranges of 8 bits were found: values far outside them are cut off."""
    file = next(path for path in sorted(Path(data_yaml).parent.rglob("*")) if path.suffix in (".png", ".jpg"))
    pixels = cv2.resize(read_image(str(file)), (size, size))
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None].float() / 255


def tensors(file: Path, picture: torch.Tensor) -> list[torch.Tensor]:
    found = open_graph(file, gpu=False).run(picture)
    return list(found) if isinstance(found, tuple) else [found]


@pytest.mark.parametrize(
    ("case", "last"),
    [(pose, 9), (segment, 9 + 1), (nms_free, 6), (rfdetr, 4)],  # layers whose answers are decoded
)
def test_files_of_every_family(case, last, request, tmp_path):
    options, out = case(request, tmp_path), tmp_path / "out"
    usual = {**options, "out": str(out), "calibration": 2, "compare": "none"}
    export(ExportOptions(**usual, format="onnx", precision="fp32,fp16,int8"))
    export(ExportOptions(**usual, format="openvino", precision="int8"))
    (full,) = [path for path in out.glob("*.onnx") if ".fp16" not in path.name and ".int8" not in path.name]
    size = open_graph(full, gpu=False).told["imgsz"][0]
    parts = parts_of(with_plain_weights(onnx.load(full)))
    assert len(parts.last) == last
    picture = training_picture(options["data_yaml"], size)
    expected = tensors(full, picture)
    for ending, share in ((".fp16.onnx", 0.56), (".int8.onnx", 0.36), (".int8.bin", 0.36)):
        assert full.with_suffix(ending).stat().st_size < share * full.stat().st_size
    graph = onnx.load(full.with_suffix(".int8.onnx")).graph
    assert not [node.name for node in graph.node if node.name in parts.decoding and node.op_type.endswith("izeLinear")]
    rounded = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    constant = {node.output[0] for node in graph.node if node.input and node.input[0].endswith("_quantized")}
    products = [
        node for node in graph.node if node.op_type in ("MatMul", "Gemm") and rounded.issuperset(node.input[:2])
    ]
    assert not [node.name for node in products if node.input[1] not in constant], "attention is computed in float32"
    assert sum(each.data_type == onnx.TensorProto.INT8 and len(each.dims) > 1 for each in graph.initializer) > 20
    for ending, alike in ((".fp16.onnx", 0.99), (".int8.onnx", 0.9), (".int8.xml", 0.9)):
        found = tensors(full.with_suffix(ending), picture)
        assert [part.shape for part in found] == [part.shape for part in expected]
        assert all(part.isfinite().all() for part in found)
        if case in (pose, segment):  # the others choose among their finds, of which many are equal here
            for one, other in zip(found, expected, strict=True):
                assert float(torch.corrcoef(torch.stack((one.flatten(), other.flatten())))[0, 1]) > alike
