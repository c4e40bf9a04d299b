"""What tests of exported files share: untrained models of every layout that find something, and graphs by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rfdetr_networks import SIZE as DETR_SIZE
from rfdetr_networks import tiny_module
from rfdetr_scored import spread_boxes
from yolo_scored import wake_up

from aigp_lightning.data.targets.built_in import TARGETS
from aigp_lightning.deploy.export import export
from aigp_lightning.deploy.options import ExportOptions
from aigp_lightning.deploy.runtime import seal
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.pose import PoseModule
from aigp_lightning.modules.segment import SegmentModule
from aigp_lightning.types import Keypoints

NAMES = {0: "gate", 1: "tree ü"}
SIZE = 96
RING = tuple(f"corner {number}" for number in range(8))
KEYPOINTS = {
    "pose4": Keypoints(4, 3, ("tl", "tr", "br", "bl"), flip_idx=(1, 0, 3, 2)),
    "pose8": Keypoints(8, 3, RING, points=TARGETS["gate-8"]),
    "pose of x and y": Keypoints(4, 2, ("tl", "tr", "br", "bl")),
    "pose26": Keypoints(4, 3, ("tl", "tr", "br", "bl")),
}
VARIANTS = {"pose26": "yolo26n-pose", "detect10": "yolov10n", "detect26": "yolo26n"}
KINDS = ("detect", "dynamic", "segment", "detect10", "detect26", "rfdetr", *KEYPOINTS)
NMS_FREE = ("detect10", "detect26", "pose26")


def awake_module(kind: str, **options: Any) -> BaseModule:
    """A module whose untrained network finds boxes of many places, classes and confidences."""
    torch.manual_seed(0)
    if kind == "rfdetr":
        return spread_boxes(tiny_module(predict_conf=0.6, **options))
    build: Any = PoseModule if kind in KEYPOINTS else SegmentModule if kind == "segment" else DetectorModule
    variant = {"variant": VARIANTS[kind]} if kind in VARIANTS else {}
    module = build(**variant, nms_free=kind in NMS_FREE, predict_conf=0.5, **options)
    module.keypoints = KEYPOINTS.get(kind)
    module.set_network(module.build_network(NAMES))
    wake_up(module.network)
    spread_scores(module.network.eval())
    return module.eval()  # type: ignore[no-any-return]


def spread_scores(network: Any) -> None:
    """Scale the last layers of the classes so that confidences are spread over 0…1, as few as possible alike."""
    head = network.model[-1]
    layers = [branch[-1] for branch in (*head.cv3, *(getattr(head, "one2one_cv3", None) or ()))]
    told: dict[Any, torch.Tensor] = {}
    hooks = [layer.register_forward_hook(lambda layer, _, out: told.update({layer: out})) for layer in layers]
    pictures = np.stack([picture(SIZE, SIZE, seed) for seed in range(4)])
    with torch.no_grad():
        network(torch.from_numpy(pictures[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255)
        for layer, out in told.items():
            scale, bias = 2 / out.std(), layer.bias.data.mean()
            layer.weight.data *= scale
            layer.bias.data.fill_(float(-1.5 - (out.mean() - bias) * scale))
    for hook in hooks:
        hook.remove()


def exported(
    kind: str, folder: Path, form: str = "onnx", of_module: Mapping[str, Any] | None = None, **options: Any
) -> Path:
    """Write the checkpoint of such a module and its exported file beside it; return the file."""
    module = awake_module(kind, **(of_module or {}))
    content = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(content)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(content, folder / "best.ckpt")
    size = DETR_SIZE if kind == "rfdetr" else SIZE
    options |= {"dynamic": kind == "dynamic", "tolerance": 0.05}  # boxes of untrained networks are wide
    (file,) = export(ExportOptions(str(folder / "best.ckpt"), format=[form], imgsz=size, **options))
    return file


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Coloured squares, six along the long side, with noise, (H, W, 3) BGR."""
    random, side = np.random.default_rng(seed), max(height, width) // 6 + 1
    blocks = np.kron(random.integers(0, 255, (height // side + 1, width // side + 1, 3)), np.ones((side, side, 1)))
    return (blocks[:height, :width] * 0.8 + random.integers(0, 50, (height, width, 3))).astype(np.uint8)


FIELDS: dict[str, Any] = {
    "task": "pose",
    "classes": ["gate", "flag"],
    "keypoints": {"count": 4, "numbers": 3, "names": ["tl", "tr", "br", "bl"], "flip_idx": [1, 0, 3, 2]},
    "input": {"width": 64, "height": 64, "dynamic": False, "batch": 1, "axes": "NCHW"},
    "resize": {"rule": "letterbox", "interpolation": "bilinear", "rounding": "up", "grey": 114, "centred": True},
    "colour": "RGB",
    "scaling": {"divide_by": 255},
    "output": {
        "family": "any", "layout": "candidates", "boxes": "cxcywh", "unit": "pixels of the input", "nms": True,
        "agnostic": False,
    },
    "thresholds": {
        "conf": 0.25, "keypoint_conf": 0.5, "iou": 0.7, "reprojection_px": 2.0, "max_det": 300, "chosen": True,
    },
    "camera": {"width": 64, "height": 64, "fx": 40.0, "fy": 40.0, "cx": 32.0, "cy": 32.0, "distortion": []},
    "object_points": [[-0.75, -0.75, 0.0], [0.75, -0.75, 0.0], [0.75, 0.75, 0.0], [-0.75, 0.75, 0.0]],
}  # fmt: skip
"""A contract of four corners, for graphs by hand."""


def write_graph(path: Path, answer: np.ndarray, metadata: Mapping[str, str] | None = None, kind: Any = None) -> Path:
    """Write an ONNX file that answers the same to each picture, and what it was given as a second output.

    Args:
        path: of the file.
        answer: (1, …) float32.
        metadata: None for a sealed `FIELDS`.
        kind: type of its input, by default float32.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kind = TensorProto.FLOAT if kind is None else kind
    given = helper.make_tensor_value_info("images", kind, [1, 3, 64, 64])
    outputs = [
        helper.make_tensor_value_info("output0", TensorProto.FLOAT, list(answer.shape)),
        helper.make_tensor_value_info("given", kind, [1, 3, 64, 64]),
    ]
    nodes = [helper.make_node("Identity", ["answer"], ["output0"]), helper.make_node("Identity", ["images"], ["given"])]
    weights = [numpy_helper.from_array(np.ascontiguousarray(answer, np.float32), "answer")]
    graph = helper.make_graph(nodes, "by hand", [given], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (seal(FIELDS) if metadata is None else metadata).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(path))
    return path
