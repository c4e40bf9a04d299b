"""The quadrotor: a rigid body that follows commanded thrust and body rates with a lag."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.env.arrays import FLOAT, Floats, Ints, Rows
from aigp_lightning.policy.env.rotation import orthonormal, rotate, to_body, to_world
from aigp_lightning.policy.env.streams import Streams

GRAVITY = 9.81  # m/s²
PHYSICS_HZ = 120
AXES = 3


@dataclass(frozen=True)
class Vehicle:
    """Parameters of a quadrotor. Thrust and drag are per unit of mass, so that mass is not needed.

    The figures are a competing team's measurements in the competition's simulator (thrust, drag, delay), and a rate
    controller as in TU Delft's racing policies (lags).

    Attributes:
        max_thrust: largest collective thrust, m/s².
        max_rates: largest commanded roll, pitch and yaw rate, rad/s.
        drag: quadratic drag along body x, y, z, 1/m.
        thrust_lag: time constant of the thrust, s.
        rate_lag: time constant of the rate controller, s.
        delay: steps of physics (1/120 s) from a command to its effect.
    """

    max_thrust: float = 51.7
    max_rates: tuple[float, float, float] = (6.0, 6.0, 4.0)
    drag: tuple[float, float, float] = (0.049, 0.050, 0.044)
    thrust_lag: float = 0.03
    rate_lag: float = 0.02
    delay: int = 1

    def __post_init__(self) -> None:
        if self.max_thrust < 1.5 * GRAVITY:  # else `action_to_thrust` would fall near 1
            raise ConfigError(f"vehicle.max_thrust is {self.max_thrust} m/s²: give at least {1.5 * GRAVITY:.1f}")
        if min(self.thrust_lag, self.rate_lag) < 0 or self.delay < 0:
            raise ConfigError("vehicle.thrust_lag, rate_lag and delay can't be negative")
        if len(self.max_rates) != AXES or len(self.drag) != AXES:
            raise ConfigError("vehicle.max_rates and vehicle.drag take three numbers")


@dataclass(frozen=True)
class Randomize:
    """Ranges of the vehicles' random parameters, drawn for each episode. 0.1 means a factor between 0.9 and 1.1.

    Attributes:
        thrust: of the thrust that a command gives.
        rates: of the rates that a command gives, each axis its own.
        drag: of the drag, each axis its own.
        lag: of both lags.
        delay: largest number of further steps of physics.
    """

    thrust: float = 0.0
    rates: float = 0.0
    drag: float = 0.0
    lag: float = 0.0
    delay: int = 0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not 0 <= value < (100 if item.name == "delay" else 1):
                raise ConfigError(f"randomize.{item.name} is {value}: give a number from 0 to below 1 (delay: steps)")


@dataclass
class Quadrotors:
    """`n` quadrotors in flight.

    v̇ = g·e₃ + R·(−c·e₃ − k∘v_b∘|v_b|),  Ṙ = R·[ω]ₓ,  ċ = (c_cmd − c)/τ_c,  ω̇ = (ω_cmd − ω)/τ_ω.

    Attributes:
        n: number of quadrotors.
        vehicle: common parameters.
        randomize: ranges of the random parameters.
        position, velocity: (3, n), m and m/s, world.
        attitude: (3, 3, n), body to world.
        rates: (3, n), rad/s, body.
        thrust: (n,), m/s².
    """

    n: int
    vehicle: Vehicle = field(default_factory=Vehicle)
    randomize: Randomize = field(default_factory=Randomize)

    def __post_init__(self) -> None:
        n = self.n
        self.position, self.velocity, self.rates = (np.zeros((3, n), FLOAT) for _ in range(3))
        self.attitude = np.repeat(np.eye(3, dtype=FLOAT)[:, :, None], n, axis=2)
        self.thrust = np.full(n, GRAVITY, FLOAT)
        self.delay: Ints = np.full(n, self.vehicle.delay, np.int64)
        self._drag = np.repeat(np.array(self.vehicle.drag, FLOAT)[:, None], n, axis=1)
        self._thrust_gain, self._rate_gain = np.ones(n, FLOAT), np.ones((3, n), FLOAT)
        self._thrust_share = np.full(n, step_fraction(self.vehicle.thrust_lag), FLOAT)
        self._rate_share = np.full(n, step_fraction(self.vehicle.rate_lag), FLOAT)

    def randomize_parameters(self, streams: Streams, rows: Rows) -> None:
        """Draw the parameters of vehicles for new episodes.

        Args:
            streams: random numbers.
            rows: environments whose episodes begin.
        """
        spread, vehicle = self.randomize, self.vehicle
        if spread == Randomize():
            return
        draws = streams.signed(9, rows)
        self._thrust_gain[rows] = 1 + spread.thrust * draws[0]
        self._rate_gain[:, rows] = 1 + spread.rates * draws[1:4]
        self._drag[:, rows] = np.array(vehicle.drag, FLOAT)[:, None] * (1 + spread.drag * draws[4:7])
        self._thrust_share[rows] = step_fraction(vehicle.thrust_lag * (1 + spread.lag * draws[7]))
        self._rate_share[rows] = step_fraction(vehicle.rate_lag * (1 + spread.lag * draws[8]))
        self.delay[rows] = vehicle.delay + streams.integers(0, spread.delay + 1, rows)

    def place(self, rows: Rows, position: Floats, velocity: Floats, attitude: Floats) -> None:
        """Place vehicles, with hovering thrust and no rates.

        Args:
            rows: environments, m of them.
            position: (3, m), m.
            velocity: (3, m), m/s.
            attitude: (3, 3, m).
        """
        self.position[:, rows], self.velocity[:, rows], self.attitude[:, :, rows] = position, velocity, attitude
        self.rates[:, rows], self.thrust[rows] = 0, GRAVITY

    def scale_action(self, action: Floats) -> Floats:
        """Convert actions to commands.

        Args:
            action: (4, n) in [-1, 1]: thrust (see `action_to_thrust`); three body rates as shares of the largest.

        Returns:
            (4, n): thrust in m/s² and rates in rad/s.
        """
        thrust = action_to_thrust(action[0], self.vehicle.max_thrust)
        rates = action[1:] * np.array(self.vehicle.max_rates, FLOAT)[:, None]
        return np.concatenate([(thrust * self._thrust_gain)[None], rates * self._rate_gain])

    def step(self, command: Floats) -> None:
        """Fly one step of physics, semi-implicit: rates, then attitude, then velocity, then position.

        Each is integrated with the mean of the others before and after the step, which is exact for constant
        acceleration; the lags are integrated exactly.

        Args:
            command: (4, n) as `scale_action` returns it.
        """
        dt, half = FLOAT(1 / PHYSICS_HZ), FLOAT(0.5 / PHYSICS_HZ)
        thrust = self.thrust + (command[0] - self.thrust) * self._thrust_share
        rates = self.rates + (command[1:] - self.rates) * self._rate_share
        attitude = rotate(self.attitude, (self.rates + rates) * half)
        middle = (self.attitude + attitude) * FLOAT(0.5)
        body = to_body(middle, self.velocity)
        force = -self._drag * body * np.abs(body)
        force[2] -= (self.thrust + thrust) * FLOAT(0.5)
        velocity = self.velocity + dt * to_world(middle, force)
        velocity[2] += dt * FLOAT(GRAVITY)
        self.position = self.position + (self.velocity + velocity) * half
        self.velocity, self.attitude, self.rates, self.thrust = velocity, attitude, rates, thrust

    def orthonormalize(self) -> None:
        """Remove accumulated rounding errors from the attitudes."""
        self.attitude = orthonormal(self.attitude)


def action_to_thrust(action: Floats, max_thrust: float) -> Floats:
    """Convert the thrust component of an action: -1 gives no thrust, 0 hovering, 1 the largest.

    g·(1 + a) + (max − 2g)·max(a, 0)². A straight line from hovering to the largest would be four times as steep as the
    one below it: noise of the action, as exploration makes it, would lift the drone, and a policy that has learnt with
    that noise would sink without it.

    Args:
        action: in [-1, 1], (n,).
        max_thrust: m/s².

    Returns:
        (n,), m/s².
    """
    up = np.maximum(action, 0)
    thrust: Floats = FLOAT(GRAVITY) * (1 + action) + FLOAT(max_thrust - 2 * GRAVITY) * up * up
    return thrust


def thrust_to_action(thrust: Floats, max_thrust: float) -> Floats:
    """Invert `action_to_thrust`; the result is clipped to [-1, 1].

    Args:
        thrust: (n,), m/s².
        max_thrust: m/s².
    """
    extra = np.clip(thrust, 0, FLOAT(max_thrust)) / FLOAT(GRAVITY) - 1
    bend = FLOAT(max_thrust / GRAVITY - 2)
    up = 2 * extra / (1 + np.sqrt(np.maximum(1 + 4 * bend * np.maximum(extra, 0), 0)))
    action: Floats = np.where(extra > 0, up, extra)
    return np.clip(action, -1, 1)


def step_fraction(lag: float | Floats) -> Floats:
    """Return the fraction of the way to its command that a first-order lag covers in one step of physics.

    Args:
        lag: time constant, s; 0 gives 1.
    """
    lag = np.asarray(lag, np.float64)
    return np.where(lag > 0, -np.expm1(-1 / (PHYSICS_HZ * np.maximum(lag, 1e-6))), 1.0).astype(FLOAT)
