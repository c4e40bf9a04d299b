"""Frames in order, from data sets, folders and videos; and truth that is not what it has to be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from sequence_flights import KEYPOINTS, write_flights

from aigp_lightning.errors import DataError
from aigp_lightning.evaluation.sequence.flights import Flight, find_flights, positions
from aigp_lightning.evaluation.sequence.frames import FrameReader
from aigp_lightning.evaluation.sequence.truth import read_truth

FRAMES = 12


@pytest.fixture(scope="session")
def tiny_flights(made_once: Callable[..., Path]) -> Path:
    """Two flights of 12 frames; returns the folder."""
    return made_once("tiny flights", lambda path: write_flights(path / "data", 2, FRAMES, pictures=False)) / "data"


def found(source: Path, split: str = "val", fps: float | None = None) -> list[Flight]:
    return find_flights(str(source), split, fps, {0: "gate"}, KEYPOINTS)


def test_a_data_set_with_truth(tiny_flights: Path) -> None:
    flights = found(tiny_flights)
    assert [flight.name for flight in flights] == ["flight_000", "flight_001"]
    one = flights[0]
    assert [Path(file.path).name for file in one.files] == [f"{frame:06d}.png" for frame in range(FRAMES)]
    assert one.timed == "truth" and one.hz == pytest.approx(30)
    assert one.time == pytest.approx(np.arange(FRAMES) / 30)
    assert np.isfinite(one.turning).all()
    lines = [json.loads(line) for line in (tiny_flights / "truth" / "flight_000.jsonl").read_text().splitlines()]
    first = lines[0]["objects"][0]
    assert one.labels is not None
    assert one.labels.ident[0] == first["id"]
    assert one.labels.box[0] == pytest.approx(first["box"])
    assert one.labels.place[0] == pytest.approx(first["position"])
    assert np.bincount(one.labels.frame, minlength=FRAMES).tolist() == [len(line["objects"]) for line in lines]


def test_labels_alone_say_what_but_not_which(tiny_flights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(tiny_flights, folder)
    shutil.rmtree(folder / "truth")
    (one, other), (told, _) = found(folder), found(tiny_flights)
    assert one.labels is not None and told.labels is not None
    assert other.name == "flight_001"
    assert one.timed == "assumed" and one.hz == pytest.approx(30)
    assert (one.labels.ident == -1).all() and np.isnan(one.labels.place).all()
    assert one.labels.box == pytest.approx(told.labels.box, abs=0.01)
    assert one.labels.points == pytest.approx(told.labels.points, abs=0.01)
    assert found(folder, fps=60.0)[0].hz == pytest.approx(60)


def test_a_flight_without_a_label_file_is_not_labelled(tiny_flights: Path, tmp_path: Path) -> None:
    """Else each detection in it would be a false alarm."""
    folder = tmp_path / "data"
    shutil.copytree(tiny_flights, folder)
    shutil.rmtree(folder / "truth")
    shutil.rmtree(folder / "labels" / "flight_001")
    one, other = found(folder)
    assert one.labels is not None and other.labels is None


def test_a_flights_own_folder_finds_its_truth_too(tiny_flights: Path) -> None:
    (one,) = found(tiny_flights / "images" / "flight_001")
    assert (one.name, one.timed) == ("flight_001", "truth")
    assert one.labels is not None


def test_pictures_alone(tiny_flights: Path, tmp_path: Path) -> None:
    for frame in (9, 10, 11, 14):
        shutil.copy(tiny_flights / "images" / "flight_000" / "000000.png", tmp_path / f"f{frame}.png")
    (one,) = found(tmp_path)
    assert [Path(file.path).name for file in one.files] == ["f9.png", "f10.png", "f11.png", "f14.png"]
    assert one.labels is None
    assert one.position.tolist() == [0, 1, 2, 4]  # a gap is no step
    assert one.time == pytest.approx(np.array([0, 1, 2, 4]) / 30)


def test_a_folder_of_folders_is_several_flights(tiny_flights: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "rec" / name).mkdir(parents=True)
        shutil.copy(tiny_flights / "images" / "flight_000" / "000000.png", tmp_path / "rec" / name / "0.png")
    assert [flight.name for flight in found(tmp_path / "rec")] == ["a", "b"]


def test_a_video_has_its_own_times(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "hall.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for shade in range(5):
        writer.write(np.full((48, 64, 3), 40 * shade, np.uint8))
    writer.release()
    (one,) = found(tmp_path / "hall.avi")
    assert (one.name, one.timed) == ("hall", "video")
    assert one.hz == pytest.approx(25)
    reader = FrameReader(one.files)
    assert len(reader) == len(one.position) == 5
    assert [int(reader.image(frame).mean().round(-1)) for frame in range(5)] == [0, 40, 80, 120, 160]
    assert found(tmp_path / "hall.avi", fps=50.0)[0].hz == pytest.approx(50)


def test_frames_that_a_split_leaves_out_are_gaps(tiny_flights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(tiny_flights, folder)
    kept = [f"./images/flight_000/{frame:06d}.png" for frame in (0, 1, 2, 5, 6)]
    (folder / "val.txt").write_text("\n".join(kept), encoding="utf-8")
    yaml = (folder / "data.yaml").read_text(encoding="utf-8").replace("val: images", "val: val.txt")
    (folder / "data.yaml").write_text(yaml, encoding="utf-8")
    (one,) = found(folder)
    assert one.position.tolist() == [0, 1, 2, 5, 6]
    assert one.hz == pytest.approx(30)
    assert one.labels is not None and one.labels.frame.max() == 4
    assert len(found(folder, "all")) == 2


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["a.png"], [0]),
        (["a.png", "b.png"], [0, 1]),
        (["x_2.png", "x_4.png", "x_6.png", "x_12.png"], [0, 1, 2, 4]),
        (["000010.jpg", "000011.jpg", "000012.jpg"], [0, 1, 2]),
    ],
)
def test_numbers_in_names_say_what_follows_what(names: list[str], places: list[int]) -> None:
    assert positions(names).tolist() == places


LINE = {"image": "images/a/0.png", "t": 0.0, "angular_rate": [0, 0, 1.0], "objects": []}
OBJECT = {"id": 1, "cls": 0, "box": [0, 0, 9, 9], "position": [0, 0, 5], "keypoints": [[1, 1, 2]] * 4}


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ([LINE, "{"], ":2: no JSON"),
        ([LINE, {**LINE, "t": "now"}], ":2: 't' must be a number"),
        ([{**LINE, "t": 1.0}, LINE], ":2: 't' does not rise"),
        ([{**LINE, "image": 3}], ":1: a line must be an object with the frame's 'image'"),
        ([{**LINE, "angular_rate": [1]}], ":1: 'angular_rate' must be three numbers"),
        ([{**LINE, "objects": None}], ":1: 'objects' must be a list"),
        ([{**LINE, "objects": [{**OBJECT, "box": [1, 2]}]}], ":1: an object must have a 'box'"),
        ([{**LINE, "objects": [{**OBJECT, "id": "x"}]}], ":1: an object's 'id' and 'cls'"),
        ([{**LINE, "objects": [{**OBJECT, "position": [1]}]}], ":1: an object's 'position'"),
        ([{**LINE, "objects": [{**OBJECT, "keypoints": [[1, 1, 2]]}]}], ":1: an object's 'keypoints' must be 4 times"),
        ([], "has no line"),
    ],
)
def test_truth_that_is_wrong_is_told_with_its_line(tmp_path: Path, lines: list[object], named: str) -> None:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_truth(tmp_path / "a.jsonl", 4)
    assert named in str(caught.value) and "a.jsonl" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truth_without_a_frames_line_is_refused(tiny_flights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(tiny_flights, folder)
    path = folder / "truth" / "flight_000.jsonl"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    with pytest.raises(DataError, match=r"no line for .*000011\.png"):
        found(folder)


@pytest.mark.parametrize("name", ["none", "empty", "notes.txt"])
def test_what_is_no_sequence_is_refused_in_a_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="--sequence") as caught:
        found(tmp_path / name)
    assert "\n" not in str(caught.value)
