"""A gate follower written by hand: the baseline for trained policies.

It uses the true state of drone and gates. The desired velocity points at the next gate, lined up with its axis; thrust
and attitude follow from the acceleration that this takes, as in Lee, Leok and McClamroch,
 *Geometric tracking control of a quadrotor UAV on SE(3)*, CDC 2010.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.policy.env.arrays import FLOAT, Floats
from aigp_lightning.policy.env.crossing import to_gate_frame
from aigp_lightning.policy.env.dynamics import GRAVITY, thrust_to_action
from aigp_lightning.policy.env.gym_env import GateRaceEnv, GateRaceVectorEnv
from aigp_lightning.policy.env.race import Race


@dataclass(frozen=True)
class Follower:
    """A geometric controller that flies the track of every environment.

    Attributes:
        speed: desired, m/s.
        slow: share by which the speed is reduced for a turn of 90 degrees behind the gate, less for a smaller one.
        line_up: share of the distance to the gate by which the drone aims before it, to get onto its axis early.
        velocity_gain: m/s² of acceleration for each m/s of error.
        attitude_gain: rad/s of body rate for each rad of error.
    """

    speed: float = 11.0
    slow: float = 0.7
    line_up: float = 0.3
    velocity_gain: float = 5.5
    attitude_gain: float = 14.0

    def act(self, env: GateRaceEnv | GateRaceVectorEnv) -> NDArray[np.float32]:
        """Return the actions for the present state.

        Args:
            env: a race, unwrapped.

        Returns:
            (n, 4) in [-1, 1]; (4,) for a single race.
        """
        race = env.race
        actions: NDArray[np.float32] = self._actions(race).T.astype(np.float32)
        return actions[0] if isinstance(env, GateRaceEnv) else actions

    def _actions(self, race: Race) -> Floats:
        drones, vehicle = race.drones, race.drones.vehicle
        force = self.velocity_gain * (self._desired_velocity(race) - drones.velocity)
        force[2] -= FLOAT(GRAVITY)
        down = -drones.attitude[:, 2]
        thrust = (force * down).sum(axis=0)
        rates = self._rates(drones.attitude, force, self._heading(race))
        lift = thrust_to_action(thrust, vehicle.max_thrust)
        action = np.concatenate([lift[None], rates / np.array(vehicle.max_rates, FLOAT)[:, None]])
        clipped: Floats = np.clip(action, -1, 1)
        return clipped

    def _next_gates(self, race: Race) -> tuple[Floats, Floats, Floats]:
        """Return the centre of the next gate, its direction, and the centre of the gate after it, (3, n) each."""
        gates, every = race.gates, np.arange(race.n)
        cos, sin = gates.cos[race.gate, every], gates.sin[race.gate, every]
        behind = gates.centre[:, gates.index_after(race.gate, every), every]
        return gates.centre[:, race.gate, every], np.stack([cos, sin, 0 * cos]), behind

    def _desired_velocity(self, race: Race) -> Floats:
        """Return the desired velocity, (3, n), m/s."""
        centre, axis, behind = self._next_gates(race)
        ahead = -to_gate_frame(race.drones.position - centre, axis[0], axis[1])[0]
        aim = centre - axis * np.clip(ahead * FLOAT(self.line_up), -1, 6)
        towards = _unit(aim - race.drones.position)
        turn = 1 - (_unit(behind - centre) * axis).sum(axis=0)
        near = np.exp(-np.maximum(ahead, 0) / FLOAT(6.0))
        desired: Floats = towards * FLOAT(self.speed) * (1 - FLOAT(self.slow) * np.clip(turn, 0, 1) * near)
        return desired

    @staticmethod
    def _heading(race: Race) -> Floats:
        """Return the horizontal direction to the gate, (2, n), which the nose should point to."""
        every = np.arange(race.n)
        return (race.gates.centre[:, race.gate, every] - race.drones.position)[:2]

    def _rates(self, attitude: Floats, force: Floats, heading: Floats) -> Floats:
        """Return the body rates, (3, n), towards the attitude with thrust along `force` and nose along `heading`."""
        down = -_unit(force)
        nose = np.concatenate([heading, np.zeros_like(heading[:1])])
        right = _unit(np.cross(down, nose, axis=0))
        desired = np.stack([np.cross(right, down, axis=0), right, down], axis=1)
        error = (attitude[:, :, None] * desired[:, None]).sum(axis=0)
        skew = np.stack([error[2, 1] - error[1, 2], error[0, 2] - error[2, 0], error[1, 0] - error[0, 1]])
        rates: Floats = FLOAT(self.attitude_gain / 2) * skew
        return rates


def _unit(vector: Floats) -> Floats:
    unit: Floats = vector / np.maximum(np.sqrt((vector * vector).sum(axis=0)), FLOAT(1e-6))
    return unit
