"""Predictions by the one-to-one head: rows that stay as they are, in every precision and every file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from ultralytics import YOLO
from yolo_networks import GAINS, NAMES

from aigp_lightning.deploy.export import export
from aigp_lightning.deploy.options import ExportOptions
from aigp_lightning.errors import ConfigError
from aigp_lightning.evaluation.exported import open_exported, told_by_exported
from aigp_lightning.modules.deployment import Deployment
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.pose import PoseModule
from aigp_lightning.modules.registry import load_module
from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.forward import network_outputs
from aigp_lightning.modules.yolo.nms_free import choose_head, in_order_of, sure_rows
from aigp_lightning.types import Keypoints

CORNERS = Keypoints(4, 3, ("tl", "tr", "br", "bl"))
SIZE = 96

pytestmark = pytest.mark.usefixtures("one_thread")


def awake(variant: str, keypoints: Keypoints | None) -> Any:
    """Statistics as a trained network has them, and scores and boxes that differ from place to place."""
    torch.manual_seed(0)
    model: Any = build_model(variant, NAMES, GAINS, "detect" if keypoints is None else "pose", keypoints)
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif "cv2" in name or "cv3" in name:
            value.add_(torch.randn_like(value) / 20 if value.is_floating_point() else 0)
    for branch in (*model.model[-1].cv3, *model.model[-1].one2one_cv3):
        branch[-1].weight.data.normal_(0, 0.5)
        branch[-1].bias.data[:] = torch.tensor([-1.0, -2.0])
    return model.eval()


def picture() -> torch.Tensor:
    """Noise of whole bytes, on which an untrained network is unsure."""
    random = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (1, 3, SIZE, SIZE), generator=random).float() / 255


@pytest.fixture(scope="module")
def pose26() -> Any:
    return awake("yolo26n-pose", CORNERS)


@pytest.fixture(scope="module")
def checkpoint(pose26: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run with `--model.nms_free`."""
    module = PoseModule("yolo26n-pose", nms_free=True, max_det=20)
    module.keypoints = CORNERS
    module.set_network(pose26)
    content = {"state_dict": module.state_dict(), "epoch": 1}
    module.on_save_checkpoint(content)
    path = tmp_path_factory.mktemp("run") / "best.ckpt"
    torch.save(content, path)
    return path


@torch.no_grad()
def test_the_head_that_is_asked_for_answers(pose26: Any) -> None:
    """As Ultralytics' own postprocessing has it, best first; what it has beside boxes comes along."""
    choose_head(pose26, True, max_det=7)
    rows, raw = pose26(picture())
    assert rows.shape == (1, 7, 6 + 12)
    (kept,) = sure_rows((rows, raw), conf=float(rows[0, 4, 4]), max_det=3)
    assert torch.equal(kept, rows[0, :3])
    (kept,) = sure_rows(rows, conf=float(rows[0, 4, 4]), max_det=300)
    assert torch.equal(kept, rows[0, :4])
    choose_head(pose26, False, max_det=300)
    assert pose26(picture())[0].shape == (1, 4 + 2 + 12, 144 + 36 + 9)


def test_a_network_with_one_head_says_which_have_two() -> None:
    module = DetectorModule("yolo11n", nms_free=True)
    with pytest.raises(ConfigError, match=r"--model\.nms_free true: .* one head.*YOLOv10 and YOLO26.*yolo26n-pose"):
        module.set_network(module.build_network(NAMES))


@torch.no_grad()
def test_coordinates_are_decoded_in_32_bits(pose26: Any) -> None:
    """And keypoints' spreads, which are there in training alone, stay out of the validation's loss."""
    images = picture()
    for free in (True, False):
        choose_head(pose26, free, max_det=50)
        with torch.autocast("cpu", torch.bfloat16):
            rows, raw = network_outputs(pose26, images)
        assert rows.dtype == torch.float32
        assert set(raw["one2many"]) == set(pose26(images)[1]["one2many"])
        head = pose26.model[-1]
        expected = head._inference(raw["one2one" if free else "one2many"])
        expected = head.postprocess(expected.permute(0, 2, 1)) if free else expected
        torch.testing.assert_close(rows, expected, rtol=0, atol=0)
    choose_head(pose26, False, max_det=300)


def test_equals_may_change_places_and_nothing_else() -> None:
    """Two classes, five anchors: the third and the fourth best are equally sure but for rounding."""
    scores = torch.tensor([[0.9, 0.1, 0.5, 0.2, 0.3], [0.0, 0.8, 0.1, 0.5 + 1e-7, 0.0]])
    boxes = torch.arange(20.0).view(4, 5) * 3
    candidates = torch.cat((boxes, scores, torch.arange(5.0)[None] * 9))[None]
    pairs = [(0, 0), (1, 1), (2, 0), (3, 1)]  # as the file has them: the last two change places
    rows = torch.stack([torch.cat((boxes[:, a], scores[c, a, None], torch.tensor([c, a * 9.0]))) for a, c in pairs])
    found, expected = in_order_of(rows[None], candidates, 2, 64)
    torch.testing.assert_close(found, expected, atol=2e-7, rtol=0)
    spoilt = rows.clone()
    spoilt[1, 0] += 5  # a box
    found, expected = in_order_of(spoilt[None], candidates, 2, 64)
    assert float((found - expected).abs().max()) == pytest.approx(5)
    found, expected = in_order_of(rows[None, 1:], candidates, 2, 64)  # the surest is missing
    assert float((found - expected)[:, 4].abs().max()) == pytest.approx(0.3)


@torch.no_grad()
def test_files_answer_by_it(checkpoint: Path, pose26: Any, tmp_path: Path) -> None:
    """The checkpoint knows; Ultralytics and our own measuring read it from the file."""
    module: Any = load_module(checkpoint)
    assert (module.inference.nms_free, module.network.end2end) == (True, True)
    files = {file.suffix: file for file in export(ExportOptions(str(checkpoint), out=str(tmp_path), imgsz=SIZE))}
    batch: Any = {"img": picture()}
    image = (picture()[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    expected = module.predict_batch(batch, 0.05)[0]
    assert 3 < len(expected.boxes) <= 20
    for file in files.values():
        words = {"nms": False} if file.suffix == ".pt" else {}
        model = YOLO(file, task=None if file.suffix == ".pt" else "pose")
        bgr = np.ascontiguousarray(image[..., ::-1])
        found = model.predict(bgr, imgsz=SIZE, conf=0.05, max_det=20, device="cpu", verbose=False, **words)[0]
        close = {"atol": 0.3, "rtol": 0.01} if words else {"atol": 1e-2, "rtol": 0}
        torch.testing.assert_close(found.boxes.xyxy.float(), expected.boxes.clamp(0, SIZE), **close)
        torch.testing.assert_close(found.boxes.conf.float(), expected.scores, atol=2e-3, rtol=0)
        assert found.boxes.cls.int().tolist() == expected.labels.tolist()
        if not words:
            opened: Any = open_exported(file, told_by_exported(file))
            opened.set_network(opened.build_network(None))
            ours = opened.predict_batch(batch, 0.05)[0]
            torch.testing.assert_close(ours.boxes, expected.boxes, **close)
            torch.testing.assert_close(ours.keypoints, expected.keypoints, atol=1e-2, rtol=0)


def test_files_by_the_other_head_and_of_any_size(checkpoint: Path, tmp_path: Path) -> None:
    options = ExportOptions(str(checkpoint), format="onnx", imgsz=SIZE, out=str(tmp_path))
    (file,) = export(replace(options, nms_free=False))
    (answer,) = onnxruntime.InferenceSession(file.read_bytes()).run(None, {"images": picture().numpy()})
    assert answer.shape == (1, 4 + 2 + 12, 144 + 36 + 9)
    (file,) = export(replace(options, dynamic=True))
    (answer,) = onnxruntime.InferenceSession(file.read_bytes()).run(None, {"images": np.zeros((2, 3, 64, 32), "f4")})
    assert answer.shape == (2, 20, 6 + 12)
    with pytest.raises(ConfigError, match=r"20 boxes an image, and one of 32 × 0 pixels has 0 anchors"):
        export(replace(options, dynamic=True, imgsz=32))


def test_families_without_that_choice_say_so() -> None:
    class Plain(Deployment):
        formats = ("onnx",)

    with pytest.raises(ConfigError, match="--nms_free: networks of this family have no head to choose"):
        Plain().answer_nms_free(True)
