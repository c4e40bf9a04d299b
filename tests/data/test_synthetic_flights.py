"""Rendered flights: the truth holds together, and says where the labels are."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.listing import list_images
from aigp_lightning.data.synthetic import MakeDataOptions, make_data
from aigp_lightning.data.synthetic.courses import COURSES
from aigp_lightning.data.synthetic.flight_frames import draw_frame
from aigp_lightning.data.synthetic.trajectory import fly
from aigp_lightning.data.targets.built_in import TARGETS
from aigp_lightning.deploy.runtime import Camera, solve_targets
from aigp_lightning.errors import DataError

SMALL = MakeDataOptions(task="pose", profile="ts-005", imgsz=(160, 90), workers=1, sequences=2, frames=8)
FULL = MakeDataOptions(task="pose", keypoints="rings", sequences=1, frames=400)
PINHOLE = Camera(640, 360, 320.0, 320.0, 320.0, 180.0)

Truth = list[dict[str, Any]]


def truth_of(options: MakeDataOptions, frames: range) -> tuple[list[list[str]], Truth]:
    """Label lines and truth of frames of the first flight."""
    drawn = [draw_frame(options, "flight_000", index) for index in frames]
    return [lines for _, lines, _ in drawn], [json.loads(line) for _, _, line in drawn]


@pytest.fixture(scope="module")
def global_shutter() -> tuple[list[list[str]], Truth]:
    return truth_of(FULL, range(0, 400, 40))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "flights"
    return make_data(replace(SMALL, out=str(out)), progress=False).parent


def test_a_folder_of_flights_is_a_data_set(made: Path) -> None:
    """Whole flights by split, a picture, a label file and a line of truth for each frame, in order of time."""
    spec = read_data_yaml(made / "data.yaml")
    assert spec.splits["train"] == ("images/flight_000",) or [Path(p).name for p in spec.splits["train"]] == [
        "flight_000"
    ]
    assert [Path(path).name for path in list_images(spec, "val")] == [f"{i:06d}.jpg" for i in range(8)]
    for name in ("flight_000", "flight_001"):
        lines = [json.loads(line) for line in (made / "truth" / f"{name}.jsonl").read_text("utf-8").splitlines()]
        assert [line["image"] for line in lines] == [f"images/{name}/{i:06d}.jpg" for i in range(8)]
        np.testing.assert_allclose([line["t"] for line in lines], np.arange(8) / 30, atol=1e-6)
        for line in lines:
            image = made / line["image"]
            assert cv2.imdecode(np.fromfile(image, np.uint8), cv2.IMREAD_COLOR).shape == (90, 160, 3)
            rows = np.loadtxt(made / "labels" / name / f"{image.stem}.txt", ndmin=2).reshape(-1, 17)
            assert len(rows) == len(line["objects"])
            for row, each in zip(rows, line["objects"], strict=True):
                x1, y1, x2, y2 = each["box"]
                box = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]
                np.testing.assert_allclose(row[1:5] * [160, 90, 160, 90], box, atol=1e-3)
                np.testing.assert_allclose(row[5:].reshape(4, 3) * [160, 90, 1], each["keypoints"], atol=1e-3)
    assert sum(len(line["objects"]) for line in lines) > 8


def test_same_files_whatever_the_workers_and_their_shares(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process at a stretch, and in two that get three frames at a time and may end in any order."""
    monkeypatch.setattr("aigp_lightning.data.synthetic.writer.FRAMES_CHUNK", 3)
    make_data(replace(SMALL, out=str(tmp_path / "two"), workers=2), progress=False)
    names = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())
    assert len(names) == 2 * 2 * 8 + 2 + 1
    assert names == sorted(p.relative_to(tmp_path / "two") for p in (tmp_path / "two").rglob("*") if p.is_file())
    assert all((made / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)


def test_flights_are_replaced_if_forced_and_nothing_else(tmp_path: Path) -> None:
    options = replace(SMALL, out=str(tmp_path / "set"), sequences=1, frames=2)
    folder = make_data(options, progress=False).parent
    text = (folder / "data.yaml").read_text("utf-8")
    assert "train: [images/flight_000]\nval: [images/flight_000]" in text and "# one flight alone" in text
    before = (folder / "truth/flight_000.jsonl").read_bytes()
    make_data(replace(options, force=True, seed=3), progress=False)
    assert (folder / "truth/flight_000.jsonl").read_bytes() != before
    (folder / "truth/notes.jsonl").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match=r"truth/notes.jsonl was not written by make-data"):
        make_data(replace(options, force=True), progress=False)
    make_data(MakeDataOptions(str(tmp_path / "other"), train=1, val=1, test=0, imgsz=(64, 64), workers=1), False)


def test_flights_without_gates_are_empty_pictures_of_the_same_kind_of_place(tmp_path: Path) -> None:
    options = replace(SMALL, out=str(tmp_path / "set"), empty_flights=1)
    folder = make_data(options, progress=False).parent
    assert options.total() == 3 * 8 == len(list(folder.rglob("*.jpg")))
    assert "val: [images/flight_001, images/empty_000]" in (folder / "data.yaml").read_text("utf-8")
    labels = sorted((folder / "labels" / "empty_000").iterdir())
    assert len(labels) == 8 and not any(label.stat().st_size for label in labels)
    lines = [json.loads(line) for line in (folder / "truth" / "empty_000.jsonl").read_text("utf-8").splitlines()]
    assert [line["objects"] for line in lines] == [[]] * 8
    assert [line["image"] for line in lines] == [f"images/empty_000/{i:06d}.jpg" for i in range(8)]
    seen = [cv2.imread(str(folder / "images" / "empty_000" / f"{i:06d}.jpg")).std() for i in range(8)]
    assert min(seen) > 10  # the hall and what stands in it
    make_data(replace(options, force=True, empty_flights=0), progress=False)
    assert not (folder / "images" / "empty_000").exists()


def test_a_fifth_of_the_flights_validates() -> None:
    for count, held in ((1, 1), (2, 1), (4, 1), (5, 1), (10, 2), (11, 2)):
        flights = MakeDataOptions(sequences=count).flights()
        assert len(flights["val"]) == held and len(flights["train"]) == max(count - held, 1)
        assert count == 1 or not set(flights["train"]) & set(flights["val"])
    both = MakeDataOptions(sequences=4, empty_flights=6).flights()
    assert sum(name.startswith("empty_") for name in both["val"]) == 1 and len(both["train"]) == 3 + 5


def test_poses_of_the_truth_project_to_its_keypoints(global_shutter: tuple[list[list[str]], Truth]) -> None:
    """A global shutter: the object's points, by its pose, through the pinhole, to the labels' rounding."""
    points, seen = np.array(TARGETS["gate-8"]), 0
    for frame in global_shutter[1]:
        for each in frame["objects"]:
            x, y, z = (points @ np.array(each["rotation"]).T + each["position"]).T
            keypoints = np.array(each["keypoints"])
            flat = np.column_stack([320 + 320 * x / z, 180 + 320 * y / z])
            kept = keypoints[:, 2] > 0
            np.testing.assert_allclose(keypoints[kept, :2], flat[kept], atol=1e-4)
            assert (keypoints[~kept] == 0).all()
            seen += int(kept.sum())
    assert seen > 100


def test_labels_alone_give_the_true_pose(global_shutter: tuple[list[list[str]], Truth]) -> None:
    """From the label file's six decimals: to a millimetre and a tenth of a degree up to 15 m."""
    target, checked = np.array(TARGETS["gate-8"]), 0
    for lines, frame in zip(*global_shutter, strict=True):
        for line, each in zip(lines, frame["objects"], strict=True):
            keypoints = np.array(line.split()[5:], float).reshape(8, 3)
            if np.linalg.norm(each["position"]) > 15 or (keypoints[:, 2] > 0).sum() < 4:
                continue
            found = solve_targets(keypoints[None, :, :2] * (640, 360), keypoints[None, :, 2] > 0, target, PINHOLE)
            assert found.solved[0]
            turn = Rotation.from_matrix(found.rotation[0] @ np.array(each["rotation"]).T).magnitude()
            assert np.linalg.norm(found.position[0] - each["position"]) < 1e-3
            assert np.rad2deg(turn) < 0.1
            checked += 1
    assert checked >= 4


@pytest.mark.parametrize("profile", ["ts-002", "ts-005"])
def test_motion_of_the_truth_is_that_of_its_places(profile: str) -> None:
    """Velocities and angular rates between two frames are the mean of those at them; rotations are rotations."""
    flight = fly(COURSES[profile], np.random.default_rng(4), 240, 30.0)
    speed = np.diff(flight.position, axis=0) * 30
    np.testing.assert_allclose(speed, (flight.velocity[1:] + flight.velocity[:-1]) / 2, atol=0.02)
    turns = np.swapaxes(flight.rotation[:-1], 1, 2) @ flight.rotation[1:]
    rates = Rotation.from_matrix(turns).as_rotvec() * 30
    np.testing.assert_allclose(rates, (flight.rate[1:] + flight.rate[:-1]) / 2, atol=0.15)
    assert np.linalg.norm(flight.rate, axis=1).max() > 1
    np.testing.assert_allclose(turns @ np.swapaxes(turns, 1, 2) - np.eye(3), 0, atol=1e-12)


def test_the_drone_leans_as_its_thrust_has_to() -> None:
    """The body's up axis is that of acceleration, gravity and drag; the camera is mounted 20 degrees up."""
    rate = 1000.0
    flight = fly(COURSES["ts-005"], np.random.default_rng(1), 2000, rate)
    force = np.gradient(flight.velocity, 1 / rate, axis=0) + 0.35 * flight.velocity - (0, 0, 9.81)
    camera_axes = np.swapaxes(flight.rotation, 1, 2)
    ahead, down = camera_axes[:, 2], camera_axes[:, 1]
    tilt = np.deg2rad(20)
    body_down = np.cos(tilt) * down - np.sin(tilt) * ahead
    up = force / np.linalg.norm(force, axis=1, keepdims=True)
    apart = np.degrees(np.arccos((up * -body_down).sum(1).clip(-1, 1)))[2:-2]
    assert apart.max() < 1.0
    assert np.ptp(np.degrees(flight.angles[:, 2])) > 20, "it is to lean"


@pytest.mark.parametrize(("profile", "passages"), [("ts-002", 17), ("ts-005", 11)])
def test_gates_are_flown_through_one_after_the_other_in_their_direction(profile: str, passages: int) -> None:
    """In every lap each opening once, within 0.6 m of its middle and along its heading."""
    course = COURSES[profile]
    flight = fly(course, np.random.default_rng(2), 3000, 60.0)
    order = []
    for number, (centre, heading) in enumerate(course.gates()):
        way = np.array([np.cos(heading), np.sin(heading), 0.0])
        ahead = (flight.position - centre) @ way
        for i in np.flatnonzero((ahead[:-1] < 0) & (ahead[1:] >= 0)):
            aside = flight.position[i] - centre - ahead[i] * way
            if np.linalg.norm(aside) < 1.2:
                assert np.linalg.norm(aside) < 0.6
                order.append((i, number))
    # the double gate's lower opening is flown through against the direction of its upper one
    order.sort()
    numbers = [number for _, number in order]
    assert len(set(numbers)) == passages
    assert all((b - a) % passages == 1 for a, b in pairwise(numbers))
    speed = np.linalg.norm(flight.velocity, axis=1)
    assert 5 < np.median(speed) <= 12 and speed.max() <= 12.1


def test_flights_differ_in_start_speed_and_line() -> None:
    flights = [fly(COURSES["ts-005"], np.random.default_rng([0, 3, n]), 60, 30.0) for n in range(6)]
    starts = np.array([flight.position[0] for flight in flights])
    assert min(np.linalg.norm(a - b) for i, a in enumerate(starts) for b in starts[:i]) > 0.5


@pytest.mark.parametrize("profile", ["ts-002", "ts-005"])
def test_a_gate_keeps_id_and_place(profile: str) -> None:
    """By the camera's pose every labelled face is at its gate of the course, half its depth from the middle."""
    depth = {"ts-002": 0.26, "ts-005": 0.08}[profile]
    options = replace(SMALL, profile=profile, sequences=1, frames=300)
    gates, known = COURSES[profile].gates(), set()
    for frame in truth_of(options, range(0, 300, 29))[1]:
        for each in frame["objects"]:
            turn = np.array(frame["camera"]["rotation"])
            face = turn @ each["position"] + frame["camera"]["position"]
            middle = face + turn @ np.array(each["rotation"])[:, 2] * depth / 2
            np.testing.assert_allclose(middle, gates[each["id"]][0], atol=1e-5)
            known.add(each["id"])
    assert len(known) >= 5


def test_keypoints_of_a_rolling_shutter_are_not_those_of_the_pose_at_one_time() -> None:
    """What a solver without the shutter is up against: a few pixels."""
    options = replace(FULL, profile="ts-005", imgsz=(640, 360))
    points, off = np.array(TARGETS["gate-8"]), []
    for frame in truth_of(options, range(0, 400, 80))[1]:
        for each in frame["objects"]:
            x, y, z = (points @ np.array(each["rotation"]).T + each["position"]).T
            flat = 424.654 * np.column_stack([x, y]) / np.where(z > 0.3, z, np.nan)[:, None] + (320, 180)
            keypoints = np.array(each["keypoints"])
            off += np.linalg.norm(keypoints[:, :2] - flat, axis=1)[keypoints[:, 2] > 0].tolist()
    assert np.nanmedian(off) > 0.3 and np.nanmax(off) > 2


def test_frames_after_one_another_are_alike_and_the_place_stays() -> None:
    """At a high frame rate next to nothing moves, so textures, light and things must be the same."""
    options = replace(SMALL, profile="ts-002", sequences=1, frames=20, fps=1000.0)
    one, other = (
        cv2.GaussianBlur(cv2.imdecode(np.frombuffer(draw_frame(options, "flight_000", i)[0], np.uint8), 1), (0, 0), 2)
        for i in (7, 8)
    )
    assert np.abs(one.astype(int) - other).mean() < 4
    far = cv2.imdecode(np.frombuffer(draw_frame(replace(options, seed=1), "flight_000", 8)[0], np.uint8), 1)
    assert np.abs(one.astype(int) - far).mean() > 15


def test_a_detectors_flight_has_boxes_and_the_truth_its_corners() -> None:
    lines, truth = truth_of(replace(SMALL, task="detect"), range(0, 8, 3))
    assert all(len(line.split()) == 5 for each in lines for line in each)
    assert any(frame["objects"] for frame in truth)
    assert all(len(each["keypoints"]) == 4 for frame in truth for each in frame["objects"])
