"""Poses of gates against the ones they were projected from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aigp_lightning.data.synthetic.gate import GATE_DEPTH, Gate
from aigp_lightning.data.synthetic.geometry import Camera
from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.metrics.gate_camera import GateCamera, degrees_between, solve_gates

MILLIMETRE = 0.001
SQUARE = np.array([[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 1.0, 0.0]])
BENT = [-0.28, 0.09, 0.001, -0.002, -0.01]


def turned(axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Rotation matrices (n, 3, 3) by unit axes (n, 3) and angles (n,)."""
    cross = np.cross(np.eye(3)[None], axis[:, None, :]).transpose(0, 2, 1) * -1
    sin, cos = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.eye(3) + sin * cross + (1 - cos) * cross @ cross


def poses(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Gates 1 to 40 m away, wholly in view, up to 80° from straight, up to 180° turned in the picture."""
    random = np.random.default_rng(seed)
    many = 40 * count
    flat = random.uniform(-np.pi, np.pi, many)
    lean = turned(np.stack([np.cos(flat), np.sin(flat), 0 * flat], 1), np.deg2rad(random.uniform(0, 85, many)))
    roll = turned(np.tile([0.0, 0.0, 1.0], (many, 1)), random.uniform(-np.pi, np.pi, many))
    ray = np.stack([random.uniform(-0.9, 0.9, many), random.uniform(-0.5, 0.5, many), np.ones(many)], 1)
    position, rotation = ray * random.uniform(1, 40, many)[:, None], lean @ roll
    seen = (rotation[:, :, 2] * position).sum(1) / np.linalg.norm(position, axis=1)
    corners = position[:, None] + SQUARE * 0.75 @ rotation.transpose(0, 2, 1)
    flat_corners = corners[..., :2] / corners[..., 2:]
    inside = (np.abs(flat_corners) < (1, 0.5625)).all((1, 2)) & (corners[..., 2] > 0.1).all(1)
    kept = np.flatnonzero(inside & (seen > np.cos(np.deg2rad(80))))[:count]
    assert len(kept) == count
    return position[kept], rotation[kept]


def project(position: np.ndarray, rotation: np.ndarray, camera: GateCamera, scale: float = 1.0) -> np.ndarray:
    """Corners (n, 4, 2) in pixels: a pinhole with OpenCV's distortion by k1 k2 p1 p2 k3, written out."""
    corners = position[:, None] + SQUARE * camera.size / 2 @ rotation.transpose(0, 2, 1)
    x, y = corners[..., 0] / corners[..., 2], corners[..., 1] / corners[..., 2]
    k1, k2, p1, p2, k3 = camera.distortion or [0.0] * 5
    r2 = x * x + y * y
    bend = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    across = x * bend + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    down = y * bend + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    own = camera.runtime
    return np.stack([own.fx * across + own.cx, own.fy * down + own.cy], -1) * scale


def shapes(count: int, scale: float = 1.0) -> np.ndarray:
    return np.tile([360 * scale, 640 * scale], (count, 1))


@pytest.mark.parametrize("scale", [1.0, 0.25, 3.0])
@pytest.mark.parametrize(
    "camera",
    [
        GateCamera(),
        GateCamera(distortion=BENT),
        GateCamera(size=2.7, fx=410.0, fy=402.5, cx=311.25, cy=190.75, distortion=[-0.3, 0.1, 0.0, 0.0, 0.0]),
    ],
    ids=["pinhole", "distorted", "calibrated"],
)
def test_perfect_corners_give_the_true_pose(camera: GateCamera, scale: float) -> None:
    """To a millimetre and a tenth of a degree, 400 poses each."""
    position, rotation = poses(400, seed=3)
    found = solve_gates(project(position, rotation, camera, scale), shapes(400, scale), camera)
    assert found.solved.all()
    assert np.linalg.norm(found.position - position, axis=1).max() < MILLIMETRE
    assert degrees_between(found.rotation, rotation).max() < 0.1


def test_labels_in_single_precision_are_good_enough() -> None:
    """Corners as a label file and a batch hold them, of a small picture: fractions in float32."""
    position, rotation = poses(400, seed=5)
    pixels = project(position, rotation, GateCamera(), 0.25)
    fractions = (pixels / (160, 90)).astype(np.float32)
    found = solve_gates(fractions.astype(np.float64) * (160, 90), shapes(400, 0.25), GateCamera())
    assert found.solved.all()
    assert np.median(np.linalg.norm(found.position - position, axis=1)) < MILLIMETRE
    assert np.median(degrees_between(found.rotation, rotation)) < 0.1


@pytest.mark.parametrize("tilt", [0.0, 1e-12, 1e-9, 1e-7, 1e-5, 1e-3])
def test_gates_straight_ahead(tilt: float) -> None:
    """Where OpenCV's rotation vectors are at their worst: turned by exactly or almost nothing, or half a circle."""
    random = np.random.default_rng(11)
    axis = random.normal(size=(300, 3))
    small = turned(axis / np.linalg.norm(axis, axis=1, keepdims=True), np.full(300, tilt))
    quarters = turned(np.tile([0.0, 0.0, 1.0], (300, 1)), np.arange(300) % 4 * np.pi / 2)
    position = np.stack([random.uniform(-0.5, 0.5, 300), random.uniform(-0.2, 0.2, 300), np.ones(300)], 1)
    position *= random.uniform(2, 40, 300)[:, None]
    position[:50, :2] = 0
    found = solve_gates(project(position, small @ quarters, GateCamera()), shapes(300), GateCamera())
    assert found.solved.all()
    assert np.linalg.norm(found.position - position, axis=1).max() < MILLIMETRE
    assert degrees_between(found.rotation, small @ quarters).max() < 0.1


@pytest.mark.parametrize("side", [0, 1])
def test_gates_turned_about_one_side_alone(side: int) -> None:
    """An upright gate seen by a level camera: where OpenCV's solver takes the root of 0, or of a little less."""
    random = np.random.default_rng(13)
    angle = np.deg2rad(np.concatenate([np.repeat([0.0, 15.0, 30.0, 45.0, 60.0], 100), np.linspace(-75, 75, 500)]))
    angle = np.concatenate([angle, 10.0 ** random.uniform(-9, -1, 1000)])
    rotation = turned(np.tile(np.eye(3)[side], (2000, 1)), angle)
    position = np.stack([random.uniform(-0.5, 0.5, 2000), random.uniform(-0.2, 0.2, 2000), np.ones(2000)], 1)
    position[::2, 1 - side] = 0
    position[::4, side] = 0
    position *= random.uniform(3, 40, 2000)[:, None]
    found = solve_gates(project(position, rotation, GateCamera()), shapes(2000), GateCamera())
    assert found.solved.all()
    in_front = (rotation[:, :, 2] * position).sum(1) > 0.17 * np.linalg.norm(position, axis=1)
    assert in_front.mean() > 0.95
    assert np.linalg.norm(found.position - position, axis=1)[in_front].max() < MILLIMETRE
    assert degrees_between(found.rotation, rotation)[in_front].max() < 0.1


def test_gates_of_the_synthetic_world() -> None:
    """The keypoints' pose is that of the face that is near, 0.13 m before the gate's middle."""
    random = np.random.default_rng(7)
    for _ in range(60):
        camera = Camera(640, 360, *random.uniform(-0.4, 0.4, 3))
        centre = camera.ray(random.uniform(200, 440), random.uniform(130, 230)) * random.uniform(5, 30)
        heading = np.arctan2(centre[1], centre[0]) + random.uniform(-1, 1) + random.choice([0, np.pi])
        gate = Gate.facing(centre, heading, random.uniform(-0.3, 0.3), random.uniform(-1.5, 1.5))
        corners = camera.to_camera(gate.corners(camera))
        found = solve_gates(camera.project(corners)[None], shapes(1), GateCamera())
        into = gate.axes[:, 2] if gate.seen_from_front() else -gate.axes[:, 2]
        face = camera.to_camera((gate.centre - into * GATE_DEPTH / 2)[None])
        assert np.abs(found.position - face).max() < MILLIMETRE
        right, down = corners[1] - corners[0], corners[3] - corners[0]
        axes = np.stack([right / 1.5, down / 1.5, np.cross(right, down) / 2.25], 1)
        assert degrees_between(found.rotation, axes[None])[0] < 0.1
        assert np.abs(axes[:, 2] - camera.to_camera(into[None])[0]).max() < 1e-9


def test_any_order_of_the_corners_is_a_pose() -> None:
    """Turned orders are turned gates, mirrored orders are gates seen from behind; the place stays."""
    position, rotation = poses(50, seed=9)
    corners = project(position, rotation, GateCamera())
    for turns in range(4):
        found = solve_gates(np.roll(corners, -turns, axis=1), shapes(50), GateCamera())
        assert np.linalg.norm(found.position - position, axis=1).max() < MILLIMETRE
        assert degrees_between(found.rotation, rotation) == pytest.approx([0, 90, 180, 90][turns], abs=0.01)
        found = solve_gates(np.roll(corners[:, ::-1], -turns, axis=1), shapes(50), GateCamera())
        assert np.linalg.norm(found.position - position, axis=1).max() < MILLIMETRE
        assert degrees_between(found.rotation, rotation) == pytest.approx(180, abs=0.01)


def test_two_pixels_at_ten_metres_are_half_a_metre() -> None:
    """The corners of a gate 10 m away, each 1 px further out: 48 px across become 50."""
    corners = np.array([[[295, 155], [345, 155], [345, 205], [295, 205.0]]])
    found = solve_gates(corners, shapes(1), GateCamera())
    assert found.position[0] == pytest.approx([0, 0, 320 * 1.5 / 50], abs=1e-6)


def test_what_no_gate_can_look_like_is_not_solved() -> None:
    """No exception, no pose, and the gates beside it have theirs."""
    fine = np.array([[300, 160], [340, 160], [340, 200], [300, 200.0]])
    nothing, line = np.zeros((4, 2)), np.array([[10, 10], [20, 20], [30, 30], [40, 40.0]])
    crossed, hollow = fine[[0, 2, 1, 3]], np.array([[300, 160], [340, 160], [310, 170], [300, 200.0]])
    three, far = np.array([[300, 160], [340, 160], [340, 160], [300, 200.0]]), np.full((4, 2), 1e300)
    unknown = np.where(np.arange(8).reshape(4, 2) == 3, np.nan, fine)
    corners = np.stack([fine, nothing, line, crossed, hollow, three, unknown, far, fine])
    found = solve_gates(corners, shapes(9), GateCamera())
    assert found.solved.tolist() == [True, *[False] * 7, True]
    assert np.isnan(found.position[1:8]).all() and np.isnan(found.rotation[1:8]).all()
    assert found.position[8] == pytest.approx([0, 0, 12], abs=1e-9)
    assert len(solve_gates(np.zeros((0, 4, 2)), np.zeros((0, 2)), GateCamera(distortion=BENT)).solved) == 0


def test_corners_beyond_what_a_lens_can_show_are_not_solved() -> None:
    """This barrel folds back at its rim: no point of the world looks like this."""
    camera = GateCamera(distortion=[-0.45, 0.0, 0.0, 0.0])
    outside = np.array([[-200, -200], [840, -200], [840, 560], [-200, 560.0]])
    assert not solve_gates(outside[None], shapes(1), camera).solved.any()


def test_pictures_of_another_aspect_are_not_the_cameras() -> None:
    corners = np.tile([[300, 160], [340, 160], [340, 200], [300, 200.0]], (4, 1, 1))
    found = solve_gates(corners, np.array([[360, 640], [480, 640], [361, 640], [365, 640]]), GateCamera())
    assert found.solved.tolist() == [True, False, True, False]


def test_degrees_between() -> None:
    axis = np.tile([[0.6, 0.0, 0.8]], (5, 1))
    angles = np.array([0.0, 1e-9, 0.3, 90.0, 180.0])
    assert degrees_between(turned(axis, np.deg2rad(angles)), np.tile(np.eye(3), (5, 1, 1))) == pytest.approx(
        angles, abs=1e-12
    )


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"size": 0.0}, "--model.camera.size 0: a number above 0"),
        ({"width": -640}, "--model.camera.width"),
        ({"fy": float("nan")}, "--model.camera.fy"),
        ({"cx": float("inf")}, "--model.camera.cx"),
        ({"distortion": [0.1, 0.2, 0.3]}, "4, 5, 8, 12 or 14"),
        ({"distortion": [0.1, 0.2, 0.3, float("nan")]}, "--model.camera.distortion"),
        ({"bands": [5.0, 5.0, 20.0]}, "--model.camera.bands must be rising"),
        ({"bands": [0.0, 5.0]}, "--model.camera.bands"),
        ({"bands": []}, "--model.camera.bands"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        replace(GateCamera(), **wrong)
