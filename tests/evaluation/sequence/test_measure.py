"""`validate --sequence` with a real model: the command, its files, and that it looks as `predict` does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from sequence_flights import CAMERA, KEYPOINTS, write_flights

from aigp_lightning.evaluation.sequence.flights import find_flights
from aigp_lightning.evaluation.sequence.look import open_looker
from aigp_lightning.evaluation.sequence.measure import measure_sequence
from aigp_lightning.evaluation.sequence.options import SequenceOptions
from aigp_lightning.media.plots.timeline import COLOURS, LOST
from aigp_lightning.modules.thresholds import NAME, Thresholds, write_thresholds
from aigp_lightning.policy.env.dropout_file import read_dropout
from aigp_lightning.policy.env.observation import Noise, Observer

FRAMES = 20
LOOSE = Thresholds(conf=1e-4, keypoint_conf=0.3, iou=0.5, reprojection_px=50.0, max_det=20)
"""With which a model of two epochs finds something."""
THE_CAMERA = {name: getattr(CAMERA, name) for name in ("width", "height", "fx", "fy", "cx", "cy")}


@pytest.fixture(scope="session")
def drawn_flights(made_once: Callable[..., Path]) -> Path:
    """Two flights of 20 frames past gates that are drawn as the model has learned them."""
    return made_once("drawn flights", lambda path: write_flights(path / "data", 2, FRAMES)) / "data"


@pytest.fixture
def loose(tmp_path: Path) -> str:
    write_thresholds(tmp_path / "loose.json", LOOSE)
    return str(tmp_path / "loose.json")


def test_the_command_measures_and_writes(
    finished_pose: Path, drawn_flights: Path, loose: str, tmp_path: Path, run_cli: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    words = ["--sequence", drawn_flights, "--ckpt_path", finished_pose, "--thresholds", loose, "--out", tmp_path / "a"]
    words += [word for name, value in THE_CAMERA.items() for word in (f"--model.camera.{name}", value)]
    assert run_cli("validate", *words, "--batch", 7) == 0
    printed = capsys.readouterr().out
    assert "corners lost" in printed and "sent nowhere" in printed
    content = json.loads((tmp_path / "a" / "sequence.json").read_text(encoding="utf-8"))
    assert content["format"] == "aigp-sequence-1"
    assert content["model"]["task"] == "pose" and len(content["model"]["sha256"]) == 64
    assert content["thresholds"] == {**LOOSE.values(), "file": loose}
    assert content["camera"]["fx"] == CAMERA.fx
    assert [each["flights"] for each in content["flights"]] == [["flight_000"], ["flight_001"]]
    pooled = content["pooled"]
    assert pooled["frames"] == 2 * FRAMES and pooled["hz"] == pytest.approx(30)
    assert pooled["objects"] == sum(each["objects"] for each in content["flights"]) > 0
    assert pooled["empty_frames"] == 10
    assert [corner["name"] for corner in pooled["corners"]] == ["tl", "tr", "br", "bl"]
    assert pooled["corners"][0]["frames"] > 0 and 0 < pooled["all_corners"]["rate"] <= 1
    assert pooled["by_turning"] and pooled["by_distance"] and pooled["usable"]["frames"] == 2 * FRAMES
    assert set(content["not_measured"]) <= {name for name, value in pooled.items() if value is None}
    assert content["not_written"] == {}
    for name in ("flight_000", "flight_001"):
        picture = cv2.imread(str(tmp_path / "a" / f"{name}_timeline.png"))[..., ::-1]
        assert (picture == COLOURS[LOST]).all(2).sum() > 100
        video = cv2.VideoCapture(str(tmp_path / "a" / f"{name}.mp4"))
        assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == FRAMES
        assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(30)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted([
        "sequence.json", "dropout.json", *content["files"]["timelines"], *content["files"]["videos"]
    ])  # fmt: skip


def test_the_environment_takes_what_was_written(
    finished_pose: Path, drawn_flights: Path, loose: str, tmp_path: Path
) -> None:
    result = measure_sequence(
        SequenceOptions(
            str(drawn_flights), str(finished_pose), thresholds=loose, out=str(tmp_path / "a"), video=False,
            camera=THE_CAMERA,
        )
    )  # fmt: skip
    assert result.content["not_written"] == {"videos": "--video false"}
    model = read_dropout(tmp_path / "a" / "dropout.json")
    assert list(model.rate) == [corner["rate"] for corner in result.content["pooled"]["corners"]]
    assert model.bands_m == (5.0, 10.0, 20.0) and len(model.rate_by_band) == 4
    if all(rate == 0 or stay is not None for rate, stay in zip(model.rate, model.stay_lost, strict=True)):
        Observer(4, Noise(camera=True, dropout_model=str(tmp_path / "a" / "dropout.json")), 1 / 60)


def test_it_looks_as_predict_does(
    finished_pose: Path, drawn_flights: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    """Boxes, scores and corners of `predict`, to the precision of its JSON."""
    source = drawn_flights / "images" / "flight_000"
    words = ["--ckpt_path", finished_pose / "weights" / "best.ckpt", "--data.source", source, "--run.root", tmp_path]
    words += ["--model.predict_conf", LOOSE.conf, "--model.iou", LOOSE.iou, "--model.max_det", LOOSE.max_det]
    words += ["--trainer.accelerator", "cpu", "--data.workers", 0, "--output.save_images", "false"]
    assert run_cli("predict", *words) == 0
    (written,) = tmp_path.rglob("predictions.json")
    entries = json.loads(written.read_text(encoding="utf-8"))
    looker = open_looker(finished_pose / "weights" / "best.ckpt", LOOSE)
    (flight,) = find_flights(str(source), "val", None, {0: "gate"}, KEYPOINTS)
    found = list(looker.look(flight.files, 6, lambda count: None))
    by_name = {Path(entry["file"]).name: entry for entry in entries}
    assert sum(len(one.boxes) for one in found) > 0
    for file, one in zip(flight.files, found, strict=True):
        theirs = by_name[Path(file.path).name]["detections"]
        assert len(theirs) == len(one.boxes)
        assert one.keypoints is not None or not theirs
        for row, each in enumerate(theirs):
            assert each["box"] == pytest.approx(one.boxes[row].tolist(), abs=0.02)
            assert each["confidence"] == pytest.approx(float(one.scores[row]), abs=2e-5)
            assert np.array(each["keypoints"]) == pytest.approx(one.keypoints[row], abs=0.02)  # type: ignore[index]


def test_an_exported_file_gives_the_same_figures(
    finished_pose: Path, drawn_flights: Path, loose: str, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    assert run_cli("export", finished_pose, "--format", "torchscript", "--out", tmp_path / "exported") == 0
    common = {"thresholds": loose, "video": False, "camera": THE_CAMERA}
    exported = str(tmp_path / "exported" / "best.torchscript")
    (theirs, ours) = (
        measure_sequence(SequenceOptions(str(drawn_flights), out=str(tmp_path / name), **model, **common)).content
        for name, model in (("a", {"weights": exported}), ("b", {"ckpt_path": str(finished_pose)}))
    )
    # A square input instead of a rectangle: boxes at the edge may differ, the figures hardly.
    assert theirs["pooled"]["objects"] == ours["pooled"]["objects"]
    assert theirs["pooled"]["recall"] == pytest.approx(ours["pooled"]["recall"], abs=0.15)


def test_thresholds_that_lie_in_the_run_are_taken_and_the_folder_gets_a_number(
    finished_pose: Path, drawn_flights: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "pose" / "mine"
    shutil.copytree(finished_pose, run, ignore=shutil.ignore_patterns("*.pt", "last.ckpt", "*.jpg", "*.png"))
    write_thresholds(run / NAME, LOOSE)
    source = str(drawn_flights / "images" / "flight_000")
    first, second = (measure_sequence(SequenceOptions(source, str(run), video=False)) for _ in range(2))
    assert first.content["thresholds"]["file"] == str(run / NAME)
    assert (first.folder, second.folder) == (run.parent / "sequence", run.parent / "sequence-2")
    assert (first.folder / "sequence.json").is_file()


def test_pictures_alone_are_measured_as_far_as_they_can_be(
    finished_pose: Path, drawn_flights: Path, loose: str, tmp_path: Path
) -> None:
    shutil.copytree(drawn_flights / "images" / "flight_000", tmp_path / "mine")
    result = measure_sequence(
        SequenceOptions(str(tmp_path / "mine"), str(finished_pose), thresholds=loose, out=str(tmp_path / "a"), fps=15.0)
    )
    content, pooled = result.content, result.content["pooled"]
    assert (content["time"], pooled["hz"]) == ({"mine": "--fps"}, pytest.approx(15))
    assert not pooled["labelled"] and pooled["recall"] is None
    assert content["not_measured"]["recall"] == "nothing is labelled"
    assert pooled["visits"] > 0 and pooled["corners"] is not None
    assert (tmp_path / "a" / "mine.mp4").is_file()


def test_a_detector_without_corners_is_measured_too(finished: Path, tmp_path: Path) -> None:
    for frame in range(6):
        picture = np.random.default_rng(0).integers(0, 60, (96, 96, 3), dtype=np.uint8)
        cv2.rectangle(picture, (20 + 2 * frame, 20), (50 + 2 * frame, 50), (240, 60, 60), -1)
        (tmp_path / "mine").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "mine" / f"{frame}.png"), picture)
    write_thresholds(tmp_path / "t.json", Thresholds(conf=0.001, max_det=3))
    options = SequenceOptions(str(tmp_path / "mine"), str(finished), thresholds=str(tmp_path / "t.json"), out="a")
    content = measure_sequence(options).content
    assert content["pooled"]["corners"] is None and content["not_measured"]["corners"] == "the model finds no keypoints"
    assert content["not_written"]["dropout.json"] == "the model finds no keypoints"
    assert content["pooled"]["object"]["frames"] > 0
    assert Path("a/mine_timeline.png").is_file()
