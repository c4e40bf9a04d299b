"""What the policy sees, and what it can't."""

from __future__ import annotations

import numpy as np
import pytest

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.env.camera import in_view, off_axis
from aigp_lightning.policy.env.observation import SIZE, Noise, Observer, Truth
from aigp_lightning.policy.env.options import race_options
from aigp_lightning.policy.env.race import Race
from aigp_lightning.policy.env.rotation import from_euler
from aigp_lightning.policy.env.streams import Streams

ALL = slice(None)


def angle(radians: float) -> np.ndarray:
    return np.array([radians], np.float32)


def test_corners_of_known_poses() -> None:
    """On the circuit's first gate's axis, 5 m before it, turned by 90 degrees to the right of its direction."""
    race = Race(1, race_options())
    race.reset()
    centre, yaw = np.array([10.0, 0.0, -2.0]), np.deg2rad(-25.0)
    here = centre - 5 * np.array([np.cos(yaw), np.sin(yaw), 0])
    attitude = from_euler(angle(0), angle(0), angle(yaw + np.pi / 2))
    race.drones.place(ALL, here[:, None], np.array([[np.cos(yaw)], [np.sin(yaw)], [0]]) * 3, attitude)
    seen = race.observe()[:, 0]
    assert seen.shape == (SIZE,)
    assert seen[:3] == pytest.approx([0, -3, 0], abs=1e-5)  # flies to its left
    assert seen[3:6] == pytest.approx([0, 0, 1], abs=1e-6)
    corners = seen[9:21].reshape(4, 3)
    expected = [[-0.75, -5, -0.75], [0.75, -5, -0.75], [0.75, -5, 0.75], [-0.75, -5, 0.75]]
    assert corners == pytest.approx(np.array(expected), abs=1e-5)
    behind = seen[21:33].reshape(4, 3).mean(axis=0)  # the second gate's centre
    offset = np.array([23.5, -3.6, -2.6]) - here
    assert behind == pytest.approx(attitude[:, :, 0].T @ offset, abs=1e-4)
    assert seen[33:] == pytest.approx([0, 0, 0, 0])


def test_gravity_is_seen_in_the_body() -> None:
    race = Race(1, race_options())
    race.reset()
    race.drones.attitude[:] = from_euler(angle(0.3), angle(0), angle(1.0))
    assert race.observe()[3:6, 0] == pytest.approx([0, np.sin(0.3), np.cos(0.3)], abs=1e-6)


def test_nothing_of_position_or_heading_is_seen() -> None:
    """Move and turn the world: the observation stays."""
    turned, shift = 2.1, np.array([120.0, -40.0, 0.0])
    race, other = Race(1, race_options()), Race(1, race_options())
    spin = from_euler(angle(0), angle(0), angle(turned))[:, :, 0]
    for world in (race, other):
        world.reset()
    for name in ("centre", "corners"):
        points = getattr(other.gates, name)
        moved = np.tensordot(spin, points, axes=1) + shift.reshape(3, *[1] * (points.ndim - 1))
        getattr(other.gates, name)[:] = moved
    other._update_targets(np.array([0]))
    attitude = from_euler(angle(0.2), angle(-0.3), angle(0.7))
    position, velocity = np.array([3.0, 4.0, -2.5]), np.array([5.0, 1.0, -0.5])
    race.drones.place(ALL, position[:, None], velocity[:, None], attitude)
    other.drones.place(
        ALL,
        (spin @ position + shift)[:, None],
        (spin @ velocity)[:, None],
        np.tensordot(spin, attitude, axes=1),
    )
    assert other.observe() == pytest.approx(race.observe(), abs=1e-4)


@pytest.mark.parametrize(
    ("direction", "seen"),
    [
        ((0, 0), True),
        ((49.2, 0), True),  # up to 49.4 degrees above the nose
        ((49.6, 0), False),
        ((-9.2, 0), True),  # and 9.4 below it
        ((-9.6, 0), False),
        ((180, 0), False),
    ],
)
def test_view_up_and_down(direction: tuple[float, float], seen: bool) -> None:
    up = np.deg2rad(direction[0])
    assert in_view(np.array([[np.cos(up)], [0], [-np.sin(up)]], np.float32) * 7)[0] == seen


def test_view_to_the_sides() -> None:
    """90 degrees wide about the camera's axis, which is 20 degrees up."""
    axis = np.array([np.cos(np.deg2rad(20)), 0, -np.sin(np.deg2rad(20))])
    for degrees, seen in ((44.9, True), (45.1, False), (-44.9, True), (-45.1, False)):
        side = np.deg2rad(degrees)
        point = np.cos(side) * axis + np.sin(side) * np.array([0, 1, 0])
        assert in_view(point[:, None].astype(np.float32))[0] == seen
        assert off_axis(point[:, None].astype(np.float32))[0] == pytest.approx(abs(side), abs=1e-3)


def sight(corners: np.ndarray, step: int = 0, switched: bool = False, velocity: float = 0.0) -> Truth:
    n = corners.shape[-1]
    moving = np.zeros((3, n), np.float32)
    moving[0] = velocity
    return Truth(
        velocity=moving,
        gravity=np.repeat(np.array([[0], [0], [1]], np.float32), n, axis=1),
        rates=np.zeros((3, n), np.float32),
        corners=corners,
        action=np.zeros((4, n), np.float32),
        step=np.full(n, step),
        switched=np.full(n, switched),
    )


def square(distance: float, n: int = 1) -> np.ndarray:
    """Corners of two gates, the first straight ahead in the middle of the picture, the second behind the drone."""
    up = distance * np.tan(np.deg2rad(20))
    near = np.array([[distance, y, z - up] for y, z in ((-0.75, -0.75), (0.75, -0.75), (0.75, 0.75), (-0.75, 0.75))])
    both = np.concatenate([near, near * [-1, 1, 1]])
    return np.repeat(both.T[:, :, None], n, axis=2).astype(np.float32)


def watch(noise: Noise, n: int = 1) -> tuple[Observer, Streams]:
    streams = Streams(n)
    streams.seed(np.arange(n, dtype=np.uint64))
    return Observer(n, noise, 1 / 60), streams


def corners_of(observation: np.ndarray) -> np.ndarray:
    return observation[9:33].reshape(8, 3, -1).transpose(1, 0, 2)


def test_gates_out_of_view_are_unknown() -> None:
    observer, streams = watch(Noise(camera=True))
    known = corners_of(observer.observe(sight(square(8.0)), streams))
    assert known[:, :4] == pytest.approx(square(8.0)[:, :4])
    assert not known[:, 4:].any()


@pytest.mark.parametrize(("lost", "expected"), [("predict", 8.0 - 3 / 60), ("hold", 8.0), ("zero", 0.0)])
def test_a_gate_that_gets_lost(lost: str, expected: float) -> None:
    """Seen at 8 m, then turned away from: what is known of it while flying at 3 m/s."""
    observer, streams = watch(Noise(camera=True, frame_every=1, lost=lost))
    observer.observe(sight(square(8.0)), streams)
    known = corners_of(observer.observe(sight(-square(8.0), step=1, velocity=3.0), streams))
    assert known[0, :4, 0] == pytest.approx(np.full(4, expected), abs=1e-5)


def test_what_was_known_of_the_gate_behind_is_known_of_the_next() -> None:
    observer, streams = watch(Noise(camera=True, frame_every=1))
    both = np.concatenate([square(8.0)[:, :4], square(20.0)[:, :4]], axis=1)
    observer.observe(sight(both), streams)
    known = corners_of(observer.observe(sight(-square(8.0), step=1, switched=True), streams))
    assert known[:, :4] == pytest.approx(both[:, 4:], abs=1e-5)
    assert not known[:, 4:].any()


def test_pictures_come_every_other_step() -> None:
    observer, streams = watch(Noise(camera=True, frame_every=2, lost="hold"))
    distances = [corners_of(observer.observe(sight(square(9.0 - k), step=k), streams))[0, 0, 0] for k in range(4)]
    assert distances == pytest.approx([9, 9, 7, 7])


def test_dropout_grows_with_distance() -> None:
    noise, n = Noise(camera=True, dropout=0.2, max_distance=40.0), 4000
    for distance, share in ((10.0, 0.8), (30.0, 0.4), (41.0, 0.0)):
        observer, streams = watch(noise, n)
        ahead = square(distance * np.cos(np.deg2rad(20)), n)  # its centre is so far away
        known = corners_of(observer.observe(sight(ahead), streams))
        assert (known[0, 0] != 0).mean() == pytest.approx(share, abs=0.03)


def test_noise_has_the_deviation_asked_for() -> None:
    n = 4000
    observer, streams = watch(Noise(velocity=0.2, gravity=0.01, rates=0.1, corner=0.02), n)
    seen = observer.observe(sight(square(10.0, n)), streams)
    distance = np.linalg.norm(square(10.0)[:, :4, 0].mean(axis=1))
    assert seen[0].std() == pytest.approx(0.2, rel=0.05)
    assert seen[4].std() == pytest.approx(0.01, rel=0.05)
    assert seen[8].std() == pytest.approx(0.1, rel=0.05)
    assert (corners_of(seen) - square(10.0, n))[:, :4].std(axis=2) == pytest.approx(
        np.full((3, 4), 0.02 * distance), rel=0.08
    )


def test_range_noise_moves_a_gate_along_the_line_of_sight() -> None:
    observer, streams = watch(Noise(range=0.05), 2000)
    ratio = corners_of(observer.observe(sight(square(10.0, 2000)), streams))[:, :4] / square(10.0, 2000)[:, :4]
    assert np.abs(ratio - ratio[0, 0]).max() < 1e-5
    assert ratio[0, 0].std() == pytest.approx(0.05, rel=0.06)


def test_delay_shows_the_past_but_the_last_action_of_now() -> None:
    race, late = Race(1, race_options()), Race(1, race_options(noise={"delay": 2}))
    now, then = [], []
    for world, log in ((race, now), (late, then)):
        world.seed(np.array([3], np.uint64))
        world.reset()
        log.append(world.observe()[:, 0])
        for step in range(5):
            world.step(np.full((4, 1), 0.1 * step, np.float32))
            log.append(world.observe()[:, 0])
    for step in range(6):
        assert np.array_equal(then[step][:33], now[max(step - 2, 0)][:33])
        assert np.array_equal(then[step][33:], now[step][33:])


@pytest.mark.parametrize("wrong", [{"velocity": -1.0}, {"lost": "found"}, {"frame_every": 0}, {"dropout": 2.0}])
def test_impossible_noise_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="noise"):
        Noise(**wrong)
