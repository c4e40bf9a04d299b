"""`predict` takes the thresholds that were calibrated for its model, and says so."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prepared_model import Found, Picture, families, write_model, write_pictures

from aigp_lightning import load
from aigp_lightning.cli.main import main
from aigp_lightning.files import sha256_of
from aigp_lightning.modules.thresholds import Thresholds, write_thresholds

BOX, CORNERS = (60.0, 30.0, 90.0, 60.0), ((60, 30), (90, 30), (90, 60), (60, 60))


@pytest.fixture(autouse=True)
def _prepared() -> Iterator[None]:
    with families():
        yield


def a_run(folder: Path) -> tuple[Path, Path]:
    """A run whose model finds a gate at confidence 0.3, sure of three corners by 0.9 and of one by 0.1."""
    found = Found(0.3, BOX, CORNERS, (0.9, 0.9, 0.9, 0.1))
    data = write_pictures(folder / "data", [Picture([found])], pose=True)
    model = write_model(folder / "runs" / "pose" / "gates" / "weights" / "best.ckpt", [Picture([found])], True, data)
    return model, folder / "data" / "images" / "val" / "000.png"


def calibrated(model: Path, **values: Any) -> Path:
    file = model.parent.parent / "thresholds.json"
    write_thresholds(file, Thresholds(**values, about={"model": {"sha256": sha256_of(model)}}))
    return file


def predicted(model: Path, picture: Path, root: Path, *words: str) -> list[dict[str, Any]]:
    given = ["predict", "--ckpt_path", str(model), "--data.source", str(picture), "--run.root", str(root)]
    given += ["--data.workers", "0", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    assert main([*given, *words]) == 0
    (file,) = root.glob("**/predictions.json")
    found: list[dict[str, Any]] = json.loads(file.read_text())[0]["detections"]
    return found


def test_they_take_the_place_of_the_runs_limits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, picture = a_run(tmp_path)
    assert len(predicted(model, picture, tmp_path / "before")) == 1
    assert "thresholds.json" not in caplog.text
    file = calibrated(model, conf=0.4, iou=0.6, max_det=7, keypoint_conf=0.2)
    assert predicted(model, picture, tmp_path / "after") == []
    line = f"from {file}: predict_conf 0.4, iou 0.6, max_det 7, keypoint_conf 0.2"
    assert line in caplog.text and "asks for other options" not in caplog.text
    assert len(predicted(model, picture, tmp_path / "off", "--model.thresholds", "null")) == 1


def test_what_is_given_wins(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, picture = a_run(tmp_path)
    file = calibrated(model, conf=0.4, keypoint_conf=0.2)
    (found,) = predicted(model, picture, tmp_path / "out", "--model.predict_conf", "0.25")
    text = f"from {file}: iou 0.7, max_det 300, keypoint_conf 0.2; given otherwise: predict_conf 0.25 (there: 0.4)"
    assert text in caplog.text
    assert found["seen"] == [True, True, True, False] and len(found["keypoints"]) == 4


def test_without_thresholds_nothing_is_marked(tmp_path: Path) -> None:
    model, picture = a_run(tmp_path)
    (found,) = predicted(model, picture, tmp_path / "out")
    assert "seen" not in found
    (marked,) = predicted(model, picture, tmp_path / "marked", "--model.keypoint_conf", "0.05")
    assert marked["seen"] == [True] * 4


def test_those_of_other_weights_are_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, picture = a_run(tmp_path)
    file = calibrated(model, conf=0.4)
    file.write_text(file.read_text().replace(sha256_of(model), "0" * 64))
    assert len(predicted(model, picture, tmp_path / "out")) == 1
    assert f"warning: {file} was calibrated for other weights" in caplog.text
    assert "Run `calibrate` again" in caplog.text
    assert predicted(model, picture, tmp_path / "named", "--model.thresholds", str(file)) == []
    assert "it counts, since it is named" in caplog.text


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model, picture = a_run(tmp_path)
    words = ["predict", "--ckpt_path", str(model), "--data.source", str(picture), "--run.root", str(tmp_path / "out")]
    assert main([*words, "--model.thresholds", str(tmp_path / "none.json")]) == 2
    assert f"error: {tmp_path / 'none.json'} cannot be read: No such file" in capfd.readouterr().err


def test_a_script_takes_them_too(tmp_path: Path) -> None:
    model, picture = a_run(tmp_path)
    calibrated(model, conf=0.2, keypoint_conf=0.2)
    (result,) = load(model).predict(str(picture))
    assert result.seen is not None and result.seen.tolist() == [[True, True, True, False]]
    assert result.to_dict()["detections"][0]["seen"] == [True, True, True, False]
    (all_seen,) = load(model, thresholds=None).predict(str(picture))
    assert all_seen.seen is None
    assert load(model).predict(str(picture), conf=0.4)[0].scores.tolist() == []


def test_corners_that_are_not_seen_are_not_drawn(tmp_path: Path) -> None:
    model, picture = a_run(tmp_path)
    (result,) = load(model).predict(str(picture))
    usual = np.asarray(result.plot())  # corners above 0.25: three
    calibrated(model, conf=0.25, keypoint_conf=0.05)
    four = np.asarray(load(model).predict(str(picture))[0].plot())
    calibrated(model, conf=0.25, keypoint_conf=0.5)
    three = np.asarray(load(model).predict(str(picture))[0].plot())
    assert (three == usual).all()
    changed = np.argwhere((four != usual).any(2))
    assert len(changed) and np.abs(changed.mean(0) - (60, 60)).max() < 12  # at the corner below on the left
