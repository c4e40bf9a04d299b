"""The second camera and its gates, keypoints of two rings, and what data.yaml says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.synthetic import MakeDataOptions, make_data
from aigp_lightning.data.synthetic.annotate import body_box, label_lines, labelled
from aigp_lightning.data.synthetic.draw import draw
from aigp_lightning.data.synthetic.gate import GATE_DEPTH, Gate
from aigp_lightning.data.synthetic.gate_body import make_gate
from aigp_lightning.data.synthetic.geometry import Camera
from aigp_lightning.data.synthetic.hall_scene import sample_hall_scene
from aigp_lightning.data.synthetic.orange import FORMS, make_banner, orange, orange_paint
from aigp_lightning.data.synthetic.record import header, read_header, recorded_values
from aigp_lightning.data.synthetic.render import paint
from aigp_lightning.data.targets.built_in import TARGETS
from aigp_lightning.errors import ConfigError

LIGHT = np.array([0.0, 0.0, -1.0])
SMALL = MakeDataOptions(task="pose", train=6, val=2, test=0, imgsz=(160, 90), workers=1)

LABELS = [
    "0 0.692417 0.350903 0.455293 0.701805 0.610279 "
    "0.123554 2 0.791922 0.234280 2 0.702359 0.540031 2 0.543294 0.417741 2",
    "0 0.230470 0.414418 0.460941 0.828837 0.007117 "
    "0.087971 2 0.353899 0.243852 2 0.305681 0.627943 2 0.000000 0.000000 0",
]
"""Of the first training picture with seed 3, made by an earlier version."""


def test_focal_lengths_are_the_profiles() -> None:
    """90 degrees are 320 pixels of 640; 74 degrees are 424.65, whatever the width."""
    assert Camera(640, 360).focal == 320.0
    assert Camera(640, 360, profile="ts-005").focal == pytest.approx(320 / np.tan(np.deg2rad(37)), abs=1e-9)
    assert Camera(160, 90, profile="ts-005").focal == pytest.approx(424.654 / 4, abs=1e-3)


def test_a_thin_gate_has_its_face_nearer_to_its_middle() -> None:
    """Corners of the 0.08 m gate at 5.04 m are 5 m away: 424.65 · 1.35 / 5 pixels from the middle, outside."""
    camera = Camera(640, 360, tilt=0.0, profile="ts-005")
    gate = Gate.facing(np.array([5.04, 0.0, 0.0]), 0.0, depth=0.08)
    assert GATE_DEPTH == 0.26
    flat = camera.project(camera.to_camera(gate.corners(camera, "gate-8")))
    reach = camera.focal * np.array([1.35, 0.75]) / 5
    np.testing.assert_allclose(flat[0], [320 - reach[0], 180 - reach[0]], atol=1e-9)
    np.testing.assert_allclose(flat[6], [320 + reach[1], 180 + reach[1]], atol=1e-9)
    box = body_box(camera, make_gate(np.random.default_rng(0), gate, LIGHT))
    assert box is not None
    np.testing.assert_allclose(box, [320 - reach[0], 180 - reach[0], 320 + reach[0], 180 + reach[0]], atol=1e-9)


@pytest.mark.parametrize("behind", [0.0, np.pi])
def test_rings_run_clockwise_outer_then_inner(behind: float) -> None:
    """From either side: the same four directions in both rings, the outer 1.8 times as far out."""
    camera = Camera(640, 360, tilt=0.0)
    gate = Gate.facing(np.array([7.0, 0.5, -0.4]), behind + 0.4, 0.05, 0.2)
    flat = camera.project(camera.to_camera(gate.corners(camera, "gate-8")))
    for ring in (flat[:4], flat[4:]):
        x, y = ring.T
        assert x @ np.roll(y, -1) - y @ np.roll(x, -1) > 0
        assert x[[0, 3]].max() < x[[1, 2]].min() and y[[0, 1]].max() < y[[2, 3]].min()
    corners = gate.corners(camera, "gate-8")
    middle = corners.mean(0)
    np.testing.assert_allclose(corners[:4] - middle, 1.8 * (corners[4:] - middle), atol=1e-12)
    np.testing.assert_allclose(corners[4:], gate.corners(camera, "gate-4"), atol=1e-12)
    np.testing.assert_allclose(corners[[4, 5, 7, 6, 0, 1, 3, 2]], gate.corners(camera, "gate-8-rows"), atol=1e-12)


@pytest.mark.parametrize("kind", ["inner", "rings", "rings-rows"])
def test_orders_hold_the_same_corners(kind: str) -> None:
    """Of one picture, whatever the order: where `object_points` says that a corner is, it is."""
    places = {}
    for name, target in (("rings", "gate-8"), (kind, {"inner": "gate-4", "rings": "gate-8"}.get(kind, "gate-8-rows"))):
        data, lines = draw(replace(SMALL, keypoints=name, backgrounds=0.0, seed=4), "train", 1)
        rows = np.array([line.split() for line in lines], float)
        points = rows[:, 5:].reshape(len(rows), -1, 3)
        places[name] = {point: points[:, i] for i, point in enumerate(TARGETS[target])}
        places[name + " bytes"] = data
    assert places["rings bytes"] == places[kind + " bytes"]
    for point, found in places[kind].items():
        np.testing.assert_array_equal(found, places["rings"][point])


def test_data_yaml_of_the_orders_can_be_read(tmp_path: Path) -> None:
    """Mirror orders by the points' own geometry, two rings of edges, and the target's name."""
    expected = {
        "inner": ([1, 0, 3, 2], [3, 2, 1, 0], 4),
        "rings": ([1, 0, 3, 2, 5, 4, 7, 6], [3, 2, 1, 0, 7, 6, 5, 4], 8),
        "rings-rows": ([1, 0, 3, 2, 5, 4, 7, 6], [2, 3, 0, 1, 6, 7, 4, 5], 8),
    }
    targets = {"inner": "gate-4", "rings": "gate-8", "rings-rows": "gate-8-rows"}
    for kind, (flip, vertical, edges) in expected.items():
        options = replace(SMALL, out=str(tmp_path / kind), keypoints=kind, train=1, val=1)
        file = make_data(options, progress=False)
        keypoints = read_data_yaml(file).keypoints
        assert keypoints is not None and keypoints.points == TARGETS[targets[kind]]
        assert list(keypoints.flip_idx or ()) == flip and list(keypoints.flip_idx_vertical or ()) == vertical
        assert yaml.safe_load(file.read_text(encoding="utf-8"))["object_points"] == targets[kind]
        assert len(keypoints.edges) == edges
        points = np.array(keypoints.points)
        sides = [np.abs(points[a] - points[b]).sum() for a, b in keypoints.edges]
        assert sorted(sides) == pytest.approx([1.5] * 4 + [2.7] * (edges - 4))
        assert read_header(file) == recorded_values(options)


def test_a_header_tells_the_profile_and_one_of_an_earlier_version_is_the_first(tmp_path: Path) -> None:
    assert "profile" not in header(MakeDataOptions()) and header(MakeDataOptions(profile="ts-005")).endswith(
        "seed=0, profile=ts-005"
    )
    file = tmp_path / "data.yaml"
    file.write_text(header(MakeDataOptions()) + "\n", encoding="utf-8")
    assert read_header(file)["profile"] == "ts-002" and read_header(file)["sequences"] == "0"


def doubles(seed: int) -> list[tuple[Gate, Gate]]:
    """Pairs of gates of a scene that stand on one another."""
    scene = sample_hall_scene(np.random.default_rng(seed), "pose", False, (320, 180))
    gates = [body.gate for body in scene.bodies if body.gate is not None]
    for gate in gates:
        assert scene.ground - gate.centre[2] == pytest.approx(1.35) or scene.ground - gate.centre[2] == pytest.approx(
            4.05
        )
        assert gate.depth == 0.08
    return [
        (low, high)
        for low in gates
        for high in gates
        if low is not high and np.linalg.norm((low.centre - high.centre)[:2]) < 1e-9 and high.centre[2] < low.centre[2]
    ]


def test_gates_stand_on_the_floor_and_some_are_double() -> None:
    """1.35 m above the floor, and of a double gate a second opening 2.70 m higher, turned the same way."""
    pairs = [pair for seed in range(40) for pair in doubles(seed)]
    assert 4 <= len(pairs) <= 30
    for low, high in pairs:
        assert low.centre[2] - high.centre[2] == pytest.approx(2.70)
        np.testing.assert_array_equal(low.axes, high.axes)


def test_both_openings_of_a_double_gate_are_labelled() -> None:
    camera = Camera(640, 360, tilt=0.0, profile="ts-005")
    paints = np.random.default_rng(0)
    gates = [Gate.facing(np.array([9.0, 0.0, z]), 0.0, depth=0.08) for z in (1.35, -1.35)]
    picture = paint(np.zeros((360, 640, 3), np.uint8), camera, [make_gate(paints, gate, LIGHT) for gate in gates])
    boxes = np.array([box for _, box in labelled(picture, camera, "pose")])
    assert len(boxes) == 2
    boxes = boxes[boxes[:, 1].argsort()]
    np.testing.assert_allclose(boxes[0, 3], boxes[1, 1], atol=1e-9)
    assert len(label_lines(picture, camera, "pose", "gate-8")[0].split()) == 5 + 8 * 3


def hue(color: np.ndarray) -> float:
    """The hue of BGR, degrees."""
    return float(cv2.cvtColor(color.reshape(1, 1, 3).astype(np.float32) / 255, cv2.COLOR_BGR2HSV)[0, 0, 0])


@pytest.mark.parametrize("form", FORMS)
def test_banners_have_the_gates_orange_and_no_label(form: str) -> None:
    rng = np.random.default_rng(5)
    color = orange(rng)
    banner = make_banner(rng, np.array([6.0, 0.5, 1.5]), color, LIGHT, form)
    face = orange_paint(rng, color).face
    gate_hue = hue(np.median(face[:40].reshape(-1, 3), axis=0))
    surface = banner.surfaces[0]
    banner_hue = hue(np.array(surface.color if surface.texture is None else surface.texture[2, 2], float))
    assert abs(gate_hue - banner_hue) < 4 and 10 < gate_hue < 35
    camera = Camera(640, 360, tilt=0.0, profile="ts-005")
    picture = paint(np.zeros((360, 640, 3), np.uint8), camera, [banner])
    assert picture.outlines[0].sum() > 400
    assert all(label_lines(picture, camera, task) == [] for task in ("detect", "pose", "segment", "obstacle"))


def test_backgrounds_of_the_second_profile_hold_banners_and_no_gate() -> None:
    orange_ones = 0
    for index in range(3, 40, 4):
        data, lines = draw(replace(SMALL, profile="ts-005"), "train", index)
        assert lines == []
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        orange_ones += bool(np.ptp(image.astype(int), axis=2).max() > 60)
    assert orange_ones >= 4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"profile": "ts-003"}, "--profile is 'ts-003'; choose one of ts-002, ts-005"),
        ({"keypoints": "outer"}, "--keypoints is 'outer'; choose one of inner, rings, rings-rows"),
        ({"keypoints": "rings", "task": "detect"}, "--keypoints rings: only --task pose has keypoints"),
        ({"frames": 20}, "--frames 20: for --sequences; leave it out"),
        ({"sequences": 1001}, "--sequences 1001: a number from 0 to 1000."),
        ({"sequences": 2, "train": 8}, "--train 8: with --sequences --frames counts; leave it out"),
        ({"sequences": 2, "train": 512, "val": 128, "test": 64, "task": "obstacle"}, "--sequences fly past gates"),
        ({"sequences": 2, "train": 512, "val": 128, "test": 64, "fps": float("nan")}, "--fps nan: a number from 1"),
    ],
    ids=str,
)
def test_options_that_do_not_go_together_are_one_line(tmp_path: Path, wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_data(replace(SMALL, **{"out": str(tmp_path / "set"), **wrong}), progress=False)  # type: ignore[arg-type]
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_labels_of_the_first_profile_are_those_of_earlier_versions() -> None:
    """Written down when there was one profile: the same options give the same pictures."""
    _, lines = draw(MakeDataOptions(task="pose", seed=3), "train", 0)
    assert lines == LABELS
