"""Rolling shutter and blur of synthetic pictures: labels by an independent root finder, pixels by brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation

from aigp_lightning.data.synthetic.annotate import keypoints, label_lines
from aigp_lightning.data.synthetic.draw import compose
from aigp_lightning.data.synthetic.gate import Gate
from aigp_lightning.data.synthetic.geometry import Camera, clipped_contours
from aigp_lightning.data.synthetic.motion import Motion, blurred
from aigp_lightning.data.synthetic.objects import Body, Surface
from aigp_lightning.data.synthetic.render import Picture, paint
from aigp_lightning.data.synthetic.surroundings import moved

FAST = Motion(np.array([4.0, -2.0, 9.0]), np.array([2.5, -2.0, 3.0]), rolling=0.016, exposure=0.008)
CAMERA = Camera(640, 360, tilt=0.0, profile="ts-005", motion=FAST, exact=True)
GATE = Gate.facing(np.array([5.5, 0.4, -0.2]), 0.4, 0.1, 0.2, depth=0.08)


def at_time(points: np.ndarray, time: float, motion: Motion = FAST) -> np.ndarray:
    """Points (n, 3) of the middle's camera frame in that of a time."""
    return (points - time * motion.velocity) @ Rotation.from_rotvec(motion.rate * time).as_matrix()


def seen_at(point: np.ndarray, camera: Camera) -> np.ndarray:
    """The pixel (2,) that sees a point (3,) of the camera's frame: its row is read when the point is there."""

    def pixel(time: float) -> np.ndarray:
        x, y, z = at_time(point[None], time, camera.motion)[0]
        return np.array([camera.width / 2 + camera.focal * x / z, camera.height / 2 + camera.focal * y / z])

    def late(time: float) -> float:
        return (pixel(time)[1] - camera.height / 2) / (camera.height - 1) * camera.motion.rolling - time

    half = camera.motion.rolling / 2
    return pixel(brentq(late, -2 * half, 2 * half, xtol=1e-15))


def flat_gate(gate: Gate, texture: np.ndarray) -> Body:
    """The near face of a gate alone, in a texture."""
    outer, inner = gate.square(2.7, -gate.depth / 2), gate.square(1.5, -gate.depth / 2)
    plane = np.stack([outer[0], outer[1] - outer[0], outer[3] - outer[0]])
    return Body("gate", gate.centre, [Surface([outer, inner], texture=texture, plane=plane)], gate)


def wall(texture: np.ndarray) -> Body:
    """A wall 9 m ahead that fills the picture."""
    plane = np.array([[9.0, -20.0, -12.0], [0.0, 40.0, 0.0], [0.0, 0.0, 24.0]])
    corner, across, down = plane
    contour = np.stack([corner, corner + across, corner + across + down, corner + down])
    return Body("clutter", np.array([9.0, 0.0, 0.0]), [Surface([contour], texture=texture, plane=plane)])


def draw(camera: Camera, bodies: list[Body]) -> Picture:
    nearness = np.zeros((camera.height, camera.width), np.float32) if camera.motion is not None else None
    return paint(np.zeros((camera.height, camera.width, 3), np.uint8), camera, bodies, nearness)


def displaced(camera: Camera, time: float) -> tuple[Camera, np.ndarray]:
    """The camera at another time, and its place in the world."""
    assert camera.motion is not None
    turn = Rotation.from_rotvec(camera.motion.rate * time).as_matrix()
    body = camera.axes.T @ turn @ np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    yaw, pitch, roll = Rotation.from_matrix(body).as_euler("ZYX")
    velocity = turn.T @ camera.motion.velocity
    there = replace(camera, yaw=yaw, pitch=pitch, roll=roll, tilt=0.0, motion=replace(camera.motion, velocity=velocity))
    return there, camera.axes.T @ camera.motion.velocity * time


def shifted(bodies: list[Body], eye: np.ndarray) -> list[Body]:
    return [replace(body, surfaces=[moved(each, eye) for each in body.surfaces]) for body in bodies]


def noisy(seed: int, side: int, cells: int) -> np.ndarray:
    """A smooth random texture."""
    import cv2

    small = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3)).astype(np.uint8)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("seed", range(3))
def test_a_point_is_labelled_in_the_row_that_is_read_when_it_is_there(seed: int) -> None:
    """The fixed point of time and row, found by Brent's method, for points in the picture."""
    rng = np.random.default_rng(seed)
    motion = Motion(rng.normal(0, 6, 3), rng.normal(0, 2, 3), rolling=0.016)
    camera = replace(CAMERA, motion=motion)
    depth = rng.uniform(1.0, 30.0, 40)
    points = np.column_stack([rng.uniform(-0.7, 0.7, 40) * depth, rng.uniform(-0.38, 0.38, 40) * depth, depth])
    expected = np.array([seen_at(point, camera) for point in points])
    inside = ((expected > 0) & (expected < (640, 360))).all(1)
    assert inside.sum() > 25
    np.testing.assert_allclose(camera.project(points)[inside], expected[inside], atol=1e-3)
    assert (camera.inside(points @ camera.axes) == inside).all()
    still = replace(CAMERA, motion=None).project(points)
    assert np.abs(still - expected)[inside].max() > 2, "the motion is to matter"


def test_keypoints_of_a_moving_camera_are_where_the_corners_appear() -> None:
    points = keypoints(draw(CAMERA, [flat_gate(GATE, noisy(0, 64, 8))]), CAMERA, 0, "gate-8")
    corners = CAMERA.to_camera(GATE.corners(CAMERA, "gate-8"))
    assert (points[:, 2] == 2).all()
    np.testing.assert_allclose(points[:, :2], [seen_at(corner, CAMERA) for corner in corners], atol=1e-3)


def test_every_row_is_that_of_a_picture_taken_at_its_own_time() -> None:
    """A rolling shutter by brute force: of as many pictures as there are rows, each gives one."""
    camera = replace(CAMERA, width=160, height=90)
    bodies = [wall(noisy(1, 256, 24)), flat_gate(GATE, noisy(2, 256, 6))]
    rolled = draw(camera, bodies).image.astype(int)
    rows = np.empty_like(rolled)
    for row in range(camera.height):
        there, eye = displaced(camera, (row + 0.5 - 45) / 89 * 0.016)
        rows[row] = draw(replace(there, motion=None), shifted(bodies, eye)).image[row]
    still = draw(replace(camera, motion=None), bodies).image.astype(int)
    assert np.abs(rolled - rows).mean() < 0.7
    assert (np.abs(rolled - rows).max(2) > 24).mean() < 0.006, "but for a few pixels at the edges"
    assert np.abs(still - rows).mean() > 5, "the motion is to matter"


def test_bent_edges_stay_on_the_contour() -> None:
    """A gate that fills the picture, rolled fast: its contour is that of its edge's points, not of its corners."""
    camera = replace(CAMERA, motion=Motion(np.zeros(3), np.array([0.0, 0.0, 6.0]), rolling=0.016))
    edge = np.array([[2.2, -1.2, -0.8], [2.2, -1.2, 0.8], [2.2, 1.2, 0.8], [2.2, 1.2, -0.8]])
    (flat,) = clipped_contours(camera, [edge], margin=4.0)
    share = np.linspace(0, 1, 50)[:, None]
    left = np.array([seen_at(p, camera) for p in camera.to_camera(edge[0] * (1 - share) + edge[1] * share)])
    chord = left[0] + share * (left[-1] - left[0])
    assert np.linalg.norm(left - chord, axis=1).max() > 0.5, "the edge is to bend"
    ends = np.roll(flat, -1, axis=0)
    along = ends - flat
    for point in left:
        where = (((point - flat) * along).sum(1) / (along**2).sum(1)).clip(0, 1)
        assert np.linalg.norm(flat + where[:, None] * along - point, axis=1).min() < 0.06


def crossings(image: np.ndarray, row: int, near: float, reach: float = 14.0) -> float:
    """Where brightness along a row passes half of its range, near a column, in pixels."""
    columns = np.arange(max(0, int(near - reach)), min(image.shape[1], int(near + reach) + 1))
    line = image[row, columns].mean(1)
    half = (line[:3].mean() + line[-3:].mean()) / 2
    above = line > half
    place = int(np.flatnonzero(above[1:] != above[:-1])[0])
    part = (half - line[place]) / (line[place + 1] - line[place])
    return float(columns[place] + 0.5 + part)


@pytest.mark.parametrize("velocity", [(6.0, 0.0, 0.0), (0.0, 0.0, 9.0), (4.0, -2.0, 6.0)], ids=str)
@pytest.mark.parametrize("exposure", [0.0, 0.008])
def test_rendered_edges_lie_where_the_labels_say(velocity: tuple[float, ...], exposure: float) -> None:
    """Both upright edges of a bright gate, sharp and blurred, in rows between its corners: within half a pixel."""
    motion = Motion(np.array(velocity), np.array([1.5, 2.0, 1.0]), 0.016, exposure)
    camera = replace(CAMERA, motion=motion)
    gate = Gate.facing(np.array([4.5, 0.2, 0.0]), 0.2, depth=0.08)
    body = flat_gate(gate, np.full((64, 64, 3), 240, np.uint8))
    picture = draw(camera, [wall(np.full((8, 8, 3), 40, np.uint8)), body])
    assert picture.nearness is not None
    image = blurred(picture.image, picture.nearness, motion, camera.focal)
    assert exposure == 0 or np.abs(image.astype(int) - picture.image).max() > 40
    corners = camera.to_camera(gate.corners(camera, "gate-8"))
    for top, bottom in ((0, 3), (1, 2)):
        share = np.linspace(0.02, 0.98, 300)[:, None]
        edge = np.array([seen_at(p, camera) for p in corners[top] * (1 - share) + corners[bottom] * share])
        rows = range(int(edge[:, 1].min()) + 12, int(edge[:, 1].max()) - 12, 9)
        off = [crossings(image, row, x := np.interp(row + 0.5, edge[:, 1], edge[:, 0])) - x for row in rows]
        assert len(off) > 8
        assert np.abs(off).max() < 0.5, f"{np.abs(off).max():.2f} px"


def test_blur_is_that_of_many_pictures_within_the_exposure() -> None:
    """The mean of 33 sharp pictures taken during the exposure, against the smear of the middle one."""
    camera = replace(CAMERA, width=320, height=180)
    bodies = [wall(noisy(1, 512, 96)), flat_gate(GATE, noisy(2, 256, 24))]
    sharp = draw(camera, bodies)
    assert sharp.nearness is not None and camera.motion is not None
    total = np.zeros(sharp.image.shape)
    for time in (np.arange(33) + 0.5) / 33 * 0.008 - 0.004:
        there, eye = displaced(camera, float(time))
        total += draw(there, shifted(bodies, eye)).image
    smeared = blurred(sharp.image, sharp.nearness, camera.motion, camera.focal).astype(float)
    apart, before = np.abs(smeared - total / 33).mean(), np.abs(sharp.image - total / 33).mean()
    assert before > 6, "the motion is to matter"
    assert apart < before / 7


def test_nearness_is_one_over_the_depth_of_what_is_seen() -> None:
    camera = replace(CAMERA, motion=replace(FAST, velocity=np.zeros(3), rate=np.zeros(3)))
    gate = Gate.facing(np.array([5.04, 0.0, 0.0]), 0.0, depth=0.08)
    nearness = draw(camera, [wall(noisy(1, 64, 8)), flat_gate(gate, noisy(2, 64, 8))]).nearness
    assert nearness is not None
    assert float(nearness[180, 320]) == pytest.approx(1 / 9, rel=1e-5)  # through the opening
    assert float(nearness[180, 320 + 90]) == pytest.approx(1 / 5, rel=1e-5)


def test_nothing_moves_without_motion() -> None:
    still = replace(CAMERA, motion=Motion(np.zeros(3), np.zeros(3), rolling=0.016, exposure=0.008))
    gate = [flat_gate(GATE, noisy(0, 64, 8))]
    rolled, plain = draw(still, gate), draw(replace(CAMERA, motion=None), gate)
    apart = np.abs(rolled.image.astype(int) - plain.image).max(2)
    assert apart.mean() < 0.2 and (apart > 24).mean() < 0.002, "its edges are drawn in pieces"
    assert label_lines(rolled, still, "pose") == label_lines(plain, replace(CAMERA, motion=None), "pose")
    assert rolled.nearness is not None
    assert blurred(rolled.image, rolled.nearness, FAST_STILL, still.focal) is rolled.image


FAST_STILL = Motion(np.zeros(3), np.zeros(3), 0.016, 0.008)


def test_scenes_of_the_second_profile_move_and_those_of_the_first_do_not() -> None:
    for profile, moves in (("ts-002", False), ("ts-005", True)):
        scene, picture = compose(np.random.default_rng(1), "detect", False, (160, 90), profile)
        assert (scene.camera.motion is not None) is moves and (picture.nearness is not None) is moves
        assert scene.camera.profile == profile
