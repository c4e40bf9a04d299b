"""The quadrotor against closed forms and a reference integration in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.env.dynamics import (
    GRAVITY,
    PHYSICS_HZ,
    Quadrotors,
    Randomize,
    Vehicle,
    action_to_thrust,
    thrust_to_action,
)
from aigp_lightning.policy.env.rotation import from_euler, rotate
from aigp_lightning.policy.env.streams import Streams

NO_DRAG = Vehicle(drag=(0.0, 0.0, 0.0), thrust_lag=0.0, rate_lag=0.0)
INSTANT = Vehicle(thrust_lag=0.0, rate_lag=0.0)


def fly(drones: Quadrotors, command: list[float], seconds: float) -> None:
    fixed = np.repeat(np.array(command, np.float32)[:, None], drones.n, axis=1)
    for _ in range(round(seconds * PHYSICS_HZ)):
        drones.step(fixed)


def test_free_fall() -> None:
    drones = Quadrotors(1, NO_DRAG)
    drones.thrust[:] = 0
    fly(drones, [0, 0, 0, 0], 2.0)
    assert drones.velocity[2, 0] == pytest.approx(2 * GRAVITY, rel=1e-5)
    assert drones.position[2, 0] == pytest.approx(2 * GRAVITY, rel=1e-5)  # g·t²/2 at t = 2
    assert np.array_equal(drones.position[:2, 0], [0, 0])


def test_hover_stays() -> None:
    drones = Quadrotors(1)
    fly(drones, [GRAVITY, 0, 0, 0], 5.0)
    assert np.abs(drones.position).max() < 1e-4
    assert np.abs(drones.velocity).max() < 1e-4


def test_terminal_velocity() -> None:
    """Falling flat, drag k·v² meets g at √(g/k)."""
    drones = Quadrotors(1)
    fly(drones, [0, 0, 0, 0], 12.0)
    assert drones.velocity[2, 0] == pytest.approx(np.sqrt(GRAVITY / 0.044), rel=1e-4)


def test_drag_is_quadratic_in_each_body_axis() -> None:
    drones = Quadrotors(1, INSTANT)
    drones.velocity[:, 0] = [8, -4, 0]
    drones.step(np.array([[GRAVITY], [0], [0], [0]], np.float32))
    change = (drones.velocity[:, 0] - [8, -4, 0]) * PHYSICS_HZ
    assert change == pytest.approx([-0.049 * 64, 0.050 * 16, 0], rel=1e-4, abs=1e-4)


def test_lags_follow_their_time_constants() -> None:
    drones = Quadrotors(1, Vehicle(thrust_lag=0.1, rate_lag=0.05))
    fly(drones, [20, 1, 0, -2], 0.1)
    assert drones.thrust[0] == pytest.approx(20 + (GRAVITY - 20) * np.exp(-1), rel=1e-4)
    assert drones.rates[:, 0] == pytest.approx(np.array([1, 0, -2]) * (1 - np.exp(-2)), rel=1e-4)


def test_turns_the_right_way_about_each_axis() -> None:
    """Roll right, pitch up, yaw right are positive in a forward-right-down frame."""
    for axis, towards in ((0, (1, 2)), (1, (2, 0)), (2, (0, 1))):
        drones = Quadrotors(1, INSTANT)
        rates = [0.0, 0.0, 0.0]
        drones.rates[axis] = rates[axis] = 0.6
        fly(drones, [GRAVITY, *rates], 1.0)
        start, end = towards
        turned = drones.attitude[:, start, 0]
        assert turned[start] == pytest.approx(np.cos(0.6), abs=1e-4)
        assert turned[end] == pytest.approx(np.sin(0.6), abs=1e-4)


def test_attitudes_stay_rotations() -> None:
    generator = np.random.default_rng(0)
    drones = Quadrotors(8, INSTANT)
    for _ in range(2000):
        drones.step(np.concatenate([np.full((1, 8), 15.0), generator.uniform(-6, 6, (3, 8))]).astype(np.float32))
        drones.orthonormalize()
    gram = np.einsum("jin,jkn->nik", drones.attitude, drones.attitude)
    assert np.abs(gram - np.eye(3)).max() < 1e-6
    assert np.linalg.det(drones.attitude.transpose(2, 0, 1)) == pytest.approx(np.ones(8), abs=1e-6)


def test_cayley_turn_is_the_closed_form() -> None:
    half = 0.2
    turned = rotate(np.eye(3, dtype=np.float32)[:, :, None], np.array([[0], [0], [2 * half]], np.float32))[:, :, 0]
    angle = 2 * np.arctan(half)
    assert turned == pytest.approx(
        np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]), abs=1e-6
    )


def reference(vehicle: Vehicle, state: np.ndarray, command: np.ndarray, seconds: float) -> np.ndarray:
    """Classical Runge-Kutta in double precision, 2.5 ms a step. State: p, v, R (rows), ω, c."""

    def change(x: np.ndarray) -> np.ndarray:
        velocity, rotation, rates, thrust = x[3:6], x[6:15].reshape(3, 3), x[15:18], x[18]
        body = rotation.T @ velocity
        force = -np.array(vehicle.drag) * body * np.abs(body) - np.array([0, 0, thrust])
        skew = np.array([[0, -rates[2], rates[1]], [rates[2], 0, -rates[0]], [-rates[1], rates[0], 0]])
        return np.concatenate(
            [
                velocity,
                rotation @ force + [0, 0, GRAVITY],
                (rotation @ skew).ravel(),
                (command[1:] - rates) / vehicle.rate_lag,
                [(command[0] - thrust) / vehicle.thrust_lag],
            ]
        )

    step = 2.5e-3
    for _ in range(round(seconds / step)):
        one = change(state)
        two = change(state + step / 2 * one)
        three = change(state + step / 2 * two)
        state = state + step / 6 * (one + 2 * two + 2 * three + change(state + step * three))
    return state


def test_a_second_of_flight_against_runge_kutta() -> None:
    """Commands change ten times in the second; the error in position stays below a centimetre."""
    generator, n = np.random.default_rng(3), 6
    vehicle = Vehicle()
    drones = Quadrotors(n, vehicle)
    angles = generator.uniform(-0.4, 0.4, (3, n)).astype(np.float32)
    drones.place(slice(None), np.zeros((3, n)), generator.uniform(-8, 8, (3, n)), from_euler(*angles))
    states = np.concatenate(
        [drones.position, drones.velocity, drones.attitude.reshape(9, n), drones.rates, drones.thrust[None]]
    ).astype(np.float64)
    for _ in range(10):
        command = np.concatenate([generator.uniform(2, 30, (1, n)), generator.uniform(-3, 3, (3, n))])
        for _ in range(PHYSICS_HZ // 10):
            drones.step(command.astype(np.float32))
        states = np.stack([reference(vehicle, states[:, i], command[:, i], 0.1) for i in range(n)], axis=1)
    error = np.linalg.norm(drones.position - states[:3], axis=0)
    assert error.max() < 0.01
    assert np.abs(drones.attitude.reshape(9, n) - states[6:15]).max() < 0.005


def test_thrust_of_an_action() -> None:
    actions = np.array([-1, -0.5, 0, 0.5, 1], np.float32)
    thrust = action_to_thrust(actions, 51.7)
    assert thrust == pytest.approx([0, GRAVITY / 2, GRAVITY, 1.5 * GRAVITY + (51.7 - 2 * GRAVITY) / 4, 51.7], rel=1e-5)
    assert thrust_to_action(thrust, 51.7) == pytest.approx(actions, abs=1e-6)


def test_random_vehicles_stay_within_their_spread() -> None:
    streams, n = Streams(4000), 4000
    streams.seed(np.arange(n, dtype=np.uint64))
    drones = Quadrotors(n, Vehicle(), Randomize(thrust=0.1, rates=0.2, drag=0.3, delay=2))
    drones.randomize_parameters(streams, slice(None))
    command = drones.scale_action(np.ones((4, n), np.float32))
    gain = command[0] / 51.7
    assert 0.9 <= gain.min() < 0.91
    assert 1.09 < gain.max() <= 1.1
    assert np.abs(command[3] / 4.0 - 1).max() == pytest.approx(0.2, abs=0.01)
    assert set(drones.delay) == {1, 2, 3}


@pytest.mark.parametrize("wrong", [{"max_thrust": 10.0}, {"rate_lag": -1.0}, {"drag": (0.1, 0.1)}])
def test_impossible_vehicles_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="vehicle"):
        Vehicle(**wrong)
