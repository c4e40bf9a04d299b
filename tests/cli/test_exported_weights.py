"""`validate` and `predict` with an exported file: no configuration is needed, and its contract counts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from exported_models import exported, picture
from helpers import REPO

from aigp_lightning import load
from aigp_lightning.cli.main import main
from aigp_lightning.deploy.runtime import Model
from aigp_lightning.modules.metrics.gate_camera import GateCamera
from aigp_lightning.modules.thresholds import NAME, Thresholds, write_thresholds

pytestmark = pytest.mark.usefixtures("one_thread")

CHOSEN = Thresholds(conf=0.55, keypoint_conf=0.35, iou=0.3, reprojection_px=5.0, max_det=7)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of eight corners, exported for the camera ts-005 with chosen thresholds; alone in its folder."""
    folder = tmp_path_factory.mktemp("exported")
    write_thresholds(folder / NAME, CHOSEN)
    made = exported("pose8", folder, of_module={"camera": GateCamera(profile="ts-005")})
    (folder / "away").mkdir()
    return Path(shutil.copy(made, folder / "away"))


def predicted(file: Path, folder: Path, *words: str) -> list[dict[str, Any]]:
    source = folder / "frame.png"
    cv2.imwrite(str(source), picture(72, 128))
    given = ["--data.source", str(source), "--run.root", str(folder / "out"), "--data.workers", "0"]
    assert main(["predict", *words, *given, "--trainer.accelerator", "cpu", "--model.weights", str(file)]) == 0
    (written,) = (folder / "out").rglob("predictions.json")
    found: list[dict[str, Any]] = json.loads(written.read_text())[0]["detections"]
    return found


@pytest.mark.parametrize("config", [(), ("--config", str(REPO / "configs" / "pose.yaml"), "--data.imgsz", "96")])
def test_predict_finds_what_the_runtime_finds(
    config: tuple[str, ...], file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = predicted(file, tmp_path, *config)
    expected = Model.load(file, threads=1, poses=False)(picture(72, 128))
    assert 0 < len(found) == len(expected) <= CHOSEN.max_det
    np.testing.assert_allclose([each["box"] for each in found], expected.boxes, atol=0.01)
    np.testing.assert_allclose([each["keypoints"] for each in found], expected.corners, atol=0.01)
    assert f"from {file}: predict_conf 0.55, iou 0.3, max_det 7" in caplog.text
    assert [each["seen"] for each in found] == expected.seen.tolist()


def test_a_typed_limit_wins(file: Path, tmp_path: Path) -> None:
    found = predicted(file, tmp_path, "--model.predict_conf", "0.5", "--model.thresholds", "null")
    (expected,) = load(file, thresholds=None).predict(picture(72, 128), channels="bgr", conf=0.5)
    assert len(found) == len(expected.boxes) > len(Model.load(file, threads=1, poses=False)(picture(72, 128)))


def test_what_cannot_be_is_a_line(file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = ("--data.source", str(REPO / "docs"), "--run.root", str(tmp_path))
    for words, told in (
        (("--ckpt_path", str(file)), f"error: --ckpt_path {file} is an exported file; it goes to --model.weights."),
        (("--model.weights", str(file), "--model.tta", "true"), f"--model.tta true: {file} looks at a picture once"),
        (("--model.weights", str(file), "--data.imgsz", "64"), "takes pictures of 96 pixels alone"),
    ):
        assert main(["predict", *source, *words]) == 2
        (line,) = [each for each in capfd.readouterr().err.splitlines() if each.startswith("error:")]
        assert told in line


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four pictures with a gate of eight corners."""
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / "data" / kind / split).mkdir(parents=True)
        for number in range(2):
            cv2.imwrite(str(tmp_path / "data" / "images" / split / f"{number}.png"), picture(90, 160, seed=number))
            ring = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
            points = np.concatenate((ring * 0.2 + 0.5, ring * 0.1 + 0.5)) * (0.8, 1.4) + (0.1, -0.2)
            row = " ".join(f"{value:.5f} {other:.5f} 2" for value, other in points)
            (tmp_path / "data" / "labels" / split / f"{number}.txt").write_text(f"0 0.5 0.5 0.32 0.56 {row}\n")
    names = ", ".join(f"corner {number}" for number in range(8))
    text = (
        f"train: images/train\nval: images/val\nnames: [gate, tree ü]\nkpt_shape: [8, 3]\nkpt_names: {{0: [{names}]}}\n"
    )
    (tmp_path / "data" / "data.yaml").write_text(text + "object_points: gate-8\n", encoding="utf-8")
    return tmp_path / "data" / "data.yaml"


def validated(file: Path, data: Path, *words: str) -> int:
    given = ("--data.data_yaml", str(data), "--run.root", str(data.parent / "out"), "--data.workers", "0")
    return main(["validate", *words, "--model.weights", str(file), *given, "--trainer.accelerator", "cpu"])


def test_validate_has_the_contracts_camera(
    file: Path, data: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a configuration, with one that names another, and what is typed wins over both."""
    seen = cameras_that_count(monkeypatch)
    config = ("--config", str(REPO / "configs" / "pose.yaml"), "--data.imgsz", "96", "--data.synthetic", "null")
    wanted = GateCamera(profile="ts-005").runtime
    assert validated(file, data) == 0
    assert seen[-1].runtime == wanted and "another camera" not in caplog.text
    assert validated(file, data, *config) == 0
    assert seen[-1].runtime == wanted
    assert (
        f"the configuration names another camera than the contract of {file}: fx 320 (there: 424.654), fy 320 (there: "
        "424.654). The contract's is taken; --model.camera on the command line asks for another"
    ) in caplog.text
    caplog.clear()
    assert validated(file, data, *config, "--model.camera.profile", "ts-002") == 0
    assert seen[-1].runtime == GateCamera().runtime
    assert "--model.camera.profile ts-002 (the run: ts-005)" in caplog.text and "another camera" not in caplog.text


@pytest.mark.parametrize("verb", ["validate", "validate a .pt", "sequence", "calibrate"])
def test_labels_in_another_order_are_refused(
    verb: str, file: Path, data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Those whose object_points or names are the model's in another order, before anything is measured."""
    text, checkpoint = data.read_text(encoding="utf-8"), file.parent.parent / "best.ckpt"
    common = ("--data.data_yaml", str(data), "--run.root", "out", "--data.workers", "0", "--data.imgsz", "96")
    words = {
        "validate": ["validate", "--model.weights", str(file), *common],
        "validate a .pt": ["validate", "--model.weights", "best.pt", *common],
        "sequence": ["validate", "--sequence", str(data), "--weights", str(file)],
        "calibrate": ["calibrate", "--weights", str(file), "--data.source", str(data), "--data.workers", "0"],
    }[verb]
    turned = text.replace("corner 0, corner 1", "corner 1, corner 0")
    changes = {"by its object_points": text.replace("gate-8", "gate-8-rows"), "has corner 1, corner 0": turned}
    if verb == "validate a .pt":  # which knows no object points
        assert main(["export", str(checkpoint), "--format", "pt", "--imgsz", "96", "--out", "."]) == 0
        changes = {"has corner 1, corner 0": turned}
    for told, content in changes.items():
        data.write_text(content, encoding="utf-8")
        capfd.readouterr()
        assert main(words) == 2
        (line,) = [each for each in capfd.readouterr().err.splitlines() if each.startswith("error:")]
        assert "in another order: corner 0, corner 1" in line and told in line


@pytest.mark.parametrize("verb", ["validate", "sequence", "calibrate"])
def test_a_checkpoint_is_not_measured_on_another_order(
    verb: str, finished_pose: Path, corners: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    turned = tmp_path / "turned.yaml"
    text = corners.read_text(encoding="utf-8").replace("tl, tr, br, bl", "tl, tr, bl, br")
    turned.write_text(f"path: {corners.parent}\n{text}", encoding="utf-8")
    model = ("--ckpt_path", str(finished_pose / "weights" / "best.ckpt"))
    words = {
        "validate": ["validate", *model, "--data.data_yaml", str(turned), "--run.root", "out", "--data.workers", "0"],
        "sequence": ["validate", "--sequence", str(turned), *model],
        "calibrate": ["calibrate", *model, "--data.source", str(turned), "--data.workers", "0"],
    }[verb]
    assert main(words) == 2
    (line,) = [each for each in capfd.readouterr().err.splitlines() if each.startswith("error:")]
    assert "in another order: tl, tr, br, bl; the data set has tl, tr, bl, br." in line


def cameras_that_count(monkeypatch: pytest.MonkeyPatch) -> list[GateCamera]:
    """Collects the camera of each metrics that are built."""
    from aigp_lightning.modules.metrics import pose

    seen: list[GateCamera] = []
    build: Callable[..., None] = pose.PoseMetrics.__init__

    def noted(self: Any, names: Any, keypoints: Any, camera: Any, *rest: Any) -> None:
        seen.append(camera)
        build(self, names, keypoints, camera, *rest)

    monkeypatch.setattr(pose.PoseMetrics, "__init__", noted)
    return seen
