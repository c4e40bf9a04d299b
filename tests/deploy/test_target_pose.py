"""The solver of poses, by poses that keypoints were projected from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aigp_lightning.data.targets.built_in import TARGETS
from aigp_lightning.deploy.runtime import AMBIGUOUS, Camera, TargetPoses, no_poses, solve_targets

MILLIMETRE, TENTH = 0.001, 0.1
GATE, RINGS, ROWS = (np.array(TARGETS[name]) for name in ("gate-4", "gate-8", "gate-8-rows"))
DOCK = np.array([[-0.3, -0.2, 0], [0.3, -0.2, 0.05], [0.3, 0.2, -0.1], [-0.3, 0.2, 0], [0, 0, 0.4], [0.1, -0.3, 0.2]])
"""A docking target that lies in no plane."""
PINHOLE = Camera(640, 360, 410.0, 402.5, 311.25, 190.75)
BENT: dict[int, tuple[float, ...]] = {
    0: (),
    4: (-0.28, 0.09, 0.001, -0.002),
    5: (-0.28, 0.09, 0.001, -0.002, -0.01),
    8: (0.2, 0.05, 0.001, -0.001, 0.01, 0.3, 0.1, 0.02),
    12: (0.2, 0.05, 0.001, -0.001, 0.01, 0.3, 0.1, 0.02, 0.001, 0.002, -0.001, 0.001),
    14: (-0.2, 0.05, 0.001, -0.001, 0, 0, 0, 0, 0.001, 0.002, -0.001, 0.001, 0.01, -0.02),
}


def turns(axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Rotation matrices (n, 3, 3) by axes (n, 3) and angles (n,) radians."""
    axis = axis / np.linalg.norm(axis, axis=1, keepdims=True)
    cross = np.cross(axis[:, None], np.eye(3)[None]).transpose(0, 2, 1)
    sin, cos = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.eye(3) + sin * cross + (1 - cos) * cross @ cross


def poses(count: int, seed: int, near: float = 0.5, far: float = 40.0, lean: float = 80.0) -> tuple[np.ndarray, ...]:
    """Anywhere in the picture, turned to any side of it, a third seen from behind."""
    random = np.random.default_rng(seed)
    ray = np.stack([random.uniform(-0.75, 0.75, count), random.uniform(-0.45, 0.45, count), np.ones(count)], 1)
    distance = np.exp(random.uniform(np.log(near), np.log(far), count))
    flat = random.uniform(-np.pi, np.pi, count)
    leaning = turns(np.stack([np.cos(flat), np.sin(flat), 0 * flat], 1), np.deg2rad(random.uniform(0, lean, count)))
    rotation = leaning @ turns(np.tile([0.0, 0, 1], (count, 1)), random.uniform(-np.pi, np.pi, count))
    rotation[::3] = rotation[::3] @ np.diag([1.0, -1, -1])
    return ray / np.linalg.norm(ray, axis=1, keepdims=True) * distance[:, None], rotation


def placed(target: np.ndarray, position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    return position[:, None] + target @ rotation.transpose(0, 2, 1)


def degrees(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.rad2deg(2 * np.arcsin(np.minimum(np.sqrt(((one - other) ** 2).sum((1, 2)) / 8), 1)))


def in_view(points: np.ndarray) -> np.ndarray:
    """Points before the camera, and not further out than its lens was made for."""
    return (points[..., 2] > 0.05) & (np.abs(points[..., :2]) < 1.1 * points[..., 2:]).all(-1)


def solvable(target: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Four points at least, that do not lie in a line."""
    spread = [np.linalg.svd(target[row] - target[row].mean(0))[1][1] if row.sum() > 3 else 0 for row in seen]
    return np.array(spread) > 1e-6


def assert_true(found: TargetPoses, position: np.ndarray, rotation: np.ndarray) -> None:
    assert found.solved.all()
    assert np.linalg.norm(found.position - position, axis=1).max() < MILLIMETRE
    assert degrees(found.rotation, rotation).max() < TENTH
    assert found.reprojection_px.max() < 1e-3


@pytest.mark.parametrize("count", BENT)
@pytest.mark.parametrize("target", [GATE, RINGS, ROWS, DOCK], ids=["four", "rings", "rows", "docking"])
def test_perfect_points_give_the_true_pose(target: np.ndarray, count: int) -> None:
    """Of whatever is in view, four at least, through each of OpenCV's models of a lens."""
    camera = replace(PINHOLE, distortion=BENT[count])
    position, rotation = poses(60 if target is DOCK else 250, seed=count, near=1.0 if target is DOCK else 0.5)
    points = placed(target, position, rotation)
    seen = in_view(points)
    kept = solvable(target, seen)
    assert kept.sum() > 40 and (len(target) < 8 or (~seen[kept]).any())
    found = solve_targets(camera.project(points)[kept], seen[kept], target, camera)
    assert_true(found, position[kept], rotation[kept])
    np.testing.assert_array_equal(found.used, seen[kept])


@pytest.mark.parametrize("target", [RINGS, DOCK], ids=["rings", "docking"])
def test_any_four_are_enough(target: np.ndarray) -> None:
    """Also three in a line, as two of the frame's corners and two of the opening's on one diagonal, and a fourth."""
    random = np.random.default_rng(3)
    position, rotation = poses(150, seed=4, near=4.0)
    points = placed(target, position, rotation)
    seen = np.argsort(np.argsort(random.random(points.shape[:2]), 1), 1) < 4
    seen[:20] = np.isin(np.arange(len(target)), [0, 4, 2, 1] if target is RINGS else [0, 1, 4, 5])
    kept = solvable(target, seen) & in_view(points).all(1)
    assert kept.sum() > 60
    found = solve_targets(PINHOLE.project(points)[kept], seen[kept], target, PINHOLE)
    assert_true(found, position[kept], rotation[kept])


@pytest.mark.parametrize("roll", [0, 45, 90, 180])
@pytest.mark.parametrize("tilt", [0.0, 1e-12, 1e-8, 1e-4, 0.5])
def test_straight_ahead(roll: int, tilt: float) -> None:
    """Planes square to the line of sight, where both poses of a plane are one, upright, turned and upside down."""
    random = np.random.default_rng(5)
    position = np.zeros((60, 3))
    position[:, 2] = np.linspace(1.5, 40, 60)
    position[30:, :2] = random.uniform(-0.3, 0.3, (30, 2)) * position[30:, 2:]
    small = turns(random.normal(size=(60, 3)), np.full(60, tilt))
    rotation = small @ turns(np.tile([0.0, 0, 1], (60, 1)), np.full(60, np.deg2rad(roll)))
    found = solve_targets(
        PINHOLE.project(placed(RINGS, position, rotation)), np.ones((60, 8), bool), RINGS, PINHOLE, sigma_px=0.1
    )
    assert_true(found, position, rotation)
    alone = np.isnan(found.other_position).all(1)
    np.testing.assert_array_equal(found.ambiguity[alone], 0)


def test_both_poses_of_a_plane() -> None:
    """The other one is turned the other way about the line of sight, and fits worse; from afar nearly as well."""
    position = np.array([[0.5, 0.2, 9.0], [0.5, 0.2, 39.0]])
    rotation = turns(np.tile([0.0, 1, 0], (2, 1)), np.deg2rad([40.0, 40.0]))
    random = np.random.default_rng(1)
    points = PINHOLE.project(placed(GATE, position, rotation)) + random.normal(0, 0.1, (2, 4, 2))
    found = solve_targets(points, np.ones((2, 4), bool), GATE, PINHOLE)
    assert found.solved.all() and np.isfinite(found.other_position).all()
    assert found.ambiguity[0] < 0.05 and found.ambiguity[1] > 0.1
    apart = degrees(found.other_rotation, found.rotation)
    assert (apart > 60).all()
    other = PINHOLE.project(placed(GATE, found.other_position, found.other_rotation))
    error = np.sqrt(((other - points) ** 2).sum(2).mean(1))
    np.testing.assert_allclose(found.reprojection_px / error, found.ambiguity, rtol=0.05)


def test_a_prior_decides_between_alike_poses_and_not_against_the_picture() -> None:
    position = np.array([[0.0, 0.0, 25.0]])
    rotation = turns(np.array([[0.0, 1, 0]]), np.deg2rad([35.0]))
    random = np.random.default_rng(0)
    points = PINHOLE.project(np.repeat(placed(GATE, position, rotation), 200, 0)) + random.normal(0, 1, (200, 4, 2))
    seen = np.ones((200, 4), bool)
    plain = solve_targets(points, seen, GATE, PINHOLE)
    truth = np.repeat(rotation, 200, 0)
    wrong = degrees(plain.other_rotation, truth) < degrees(plain.rotation, truth)
    assert wrong.sum() > 20  # a pixel at 25 metres is too much for the picture alone
    about = turns(np.array([[1.0, 0, 1]]), np.array([0.1])) @ rotation
    prior = replace(
        no_poses(200, 4), position=np.repeat(position * 1.02, 200, 0), rotation=np.repeat(about, 200, 0),
        solved=np.ones(200, bool),
    )  # fmt: skip
    told = solve_targets(points, seen, GATE, PINHOLE, priors=prior)
    unsure = plain.ambiguity > AMBIGUOUS
    taken = degrees(told.rotation, truth) <= degrees(told.other_rotation, truth)
    assert unsure.sum() > 20 and taken[unsure].all() and not wrong[unsure].all()
    near = PINHOLE.project(placed(GATE, position / 8, rotation))
    against = replace(no_poses(1, 4), position=position / 8, rotation=rotation.transpose(0, 2, 1), solved=seen[:1, 0])
    assert_true(solve_targets(near, seen[:1], GATE, PINHOLE, priors=against), position / 8, rotation)


@pytest.mark.parametrize("target", [RINGS, DOCK], ids=["rings", "docking"])
def test_three_with_a_prior(target: np.ndarray) -> None:
    """Three have up to four poses, of which a prior that is about right has the true one; without one: not solved."""
    random = np.random.default_rng(7)
    position, rotation = poses(80, seed=8, near=3.0, far=15.0, lean=60.0)
    points = placed(target, position, rotation)
    seen = np.isin(np.arange(len(target)), [0, 1, 5])[None].repeat(80, 0) & in_view(points)
    kept = seen.sum(1) == 3
    pixels, seen, position, rotation = PINHOLE.project(points)[kept], seen[kept], position[kept], rotation[kept]
    assert not solve_targets(pixels, seen, target, PINHOLE).solved.any()
    about = turns(random.normal(size=(len(position), 3)), np.full(len(position), 0.03)) @ rotation
    prior = replace(
        no_poses(len(position), len(target)), position=position * random.uniform(0.99, 1.01, (len(position), 1)),
        rotation=about, solved=np.ones(len(position), bool),
    )  # fmt: skip
    found = solve_targets(pixels, seen, target, PINHOLE, priors=prior)
    assert found.solved.all() and (found.used.sum(1) == 3).all()
    right = (np.linalg.norm(found.position - position, axis=1) < MILLIMETRE) & (
        degrees(found.rotation, rotation) < TENTH
    )
    assert right.mean() > 0.95  # two of the four may lie within what a prior is off
    prior.solved[:] = False
    assert not solve_targets(pixels, seen, target, PINHOLE, priors=prior).solved.any()


def test_what_no_view_of_a_target_has_is_not_solved() -> None:
    """No exception, nothing but NaN, and the targets beside have their poses."""
    fine = PINHOLE.project(placed(RINGS, np.array([[0.2, 0.1, 6.0]]), np.eye(3)[None]))[0]
    line, nothing = np.linspace(0, 1, 8)[:, None] * [100, 50] + 100, np.full((8, 2), 120.0)
    unknown, far, crossed = np.full((8, 2), np.nan), np.full((8, 2), 1e300), fine[[0, 2, 1, 3, 4, 5, 6, 7]]
    points = np.stack([fine, line, nothing, unknown, far, crossed, fine[[4, 5, 6, 7, 0, 1, 2, 3]], fine, fine, fine])
    seen = np.ones((10, 8), bool)
    seen[7] = [True, False, True, False, True, False, True, False]  # all on one diagonal
    seen[8, 3:] = False
    found = solve_targets(points, seen, RINGS, PINHOLE)
    assert found.solved.tolist() == [True, *[False] * 8, True]
    for values in (found.position, found.rotation, found.covariance, found.other_position):
        assert np.isnan(values[1:9]).all()
    assert not found.used[1:4].any() and (found.ambiguity[1:9] == 0).all()
    assert solve_targets(np.zeros((0, 8, 2)), np.zeros((0, 8), bool), RINGS, PINHOLE).position.shape == (0, 3)


def test_points_that_a_lens_cannot_show_are_left_out() -> None:
    """This barrel folds back at its rim: the pose comes from the other corners."""
    camera = replace(PINHOLE, distortion=(-0.45, 0.0, 0.0, 0.0))
    position, rotation = np.array([[0.0, 0.0, 6.0]]), np.eye(3)[None]
    points = camera.project(placed(RINGS, position, rotation))
    points[0, 2] = 3000, 2000
    found = solve_targets(points, np.ones((1, 8), bool), RINGS, camera)
    assert_true(found, position, rotation)
    assert found.used[0].tolist() == [True, True, False, True, True, True, True, True]


def test_a_limit_refuses_and_says_the_error() -> None:
    position, rotation = poses(40, seed=9, near=4, far=10, lean=40)
    points = PINHOLE.project(placed(RINGS, position, rotation)) + np.random.default_rng(2).normal(0, 3, (40, 8, 2))
    seen = np.ones((40, 8), bool)
    free = solve_targets(points, seen, RINGS, PINHOLE)
    limited = solve_targets(points, seen, RINGS, PINHOLE, limit_px=3.5)
    np.testing.assert_array_equal(limited.solved, free.solved & (free.reprojection_px <= 3.5))
    assert 0 < limited.solved.sum() < 40
    np.testing.assert_allclose(limited.reprojection_px, free.reprojection_px)
    again = PINHOLE.project(placed(RINGS, free.position, free.rotation))
    np.testing.assert_allclose(np.sqrt(((again - points) ** 2).sum(2).mean(1)), free.reprojection_px, rtol=1e-6)
    assert np.isnan(limited.position[~limited.solved]).all() and np.isnan(limited.covariance[~limited.solved]).all()


@pytest.mark.parametrize("bent", [0, 5])
def test_the_covariance_is_that_of_many_trials(bent: int) -> None:
    """Scatter of 3000 solutions of noisy corners, of a gate that is seen at a slant and off the axis: within 20 %."""
    camera, sigma, count = replace(PINHOLE, distortion=BENT[bent]), 0.5, 3000
    position = np.array([[0.8, -0.3, 4.0]])
    rotation = turns(np.array([[0.3, 1, 0.2]]), np.array([0.6]))
    pixels = camera.project(placed(RINGS, position, rotation))
    noise = np.random.default_rng(11).normal(0, sigma, (count, 8, 2))
    found = solve_targets(pixels + noise, np.ones((count, 8), bool), RINGS, camera, sigma_px=sigma)
    assert found.solved.all()
    turn = found.rotation @ rotation.transpose(0, 2, 1)
    small = (
        np.stack([turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1]], 1) / 2
    )
    scatter = np.cov(np.concatenate((found.position, small), 1).T)
    told = solve_targets(pixels, np.ones((1, 8), bool), RINGS, camera, sigma_px=sigma).covariance[0]
    np.testing.assert_allclose(np.sqrt(np.diag(told)), np.sqrt(np.diag(scatter)), rtol=0.1)
    size = np.sqrt(np.outer(np.diag(scatter), np.diag(scatter)))
    np.testing.assert_allclose(told / size, scatter / size, atol=0.15)
    loud = solve_targets(pixels + 6 * noise[:1], np.ones((1, 8), bool), RINGS, camera, sigma_px=sigma)
    spread = loud.reprojection_px[0] ** 2 * 8 / (16 - 6)
    assert spread > sigma**2  # then the scatter counts, not what is believed
    assert np.trace(loud.covariance[0]) / np.trace(told) == pytest.approx(spread / sigma**2, rel=0.5)


def test_one_by_one_is_as_all_at_once() -> None:
    position, rotation = poses(30, seed=12, near=2, far=20, lean=60)
    points = PINHOLE.project(placed(ROWS, position, rotation)) + np.random.default_rng(3).normal(0, 1, (30, 8, 2))
    seen = in_view(placed(ROWS, position, rotation))
    whole = solve_targets(points, seen, ROWS, PINHOLE)
    parts = [solve_targets(points[row][None], seen[row][None], ROWS, PINHOLE) for row in range(30)]
    np.testing.assert_array_equal(whole.solved, np.concatenate([part.solved for part in parts]))
    np.testing.assert_allclose(whole.position, np.concatenate([part.position for part in parts]), atol=1e-5)
    assert whole.solved.sum() > 20
