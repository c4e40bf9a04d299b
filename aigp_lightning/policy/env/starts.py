"""Starts of episodes: on the line, or in flight between two gates."""

from __future__ import annotations

import numpy as np

from aigp_lightning.policy.env.arrays import FLOAT, Floats, Ints, Rows
from aigp_lightning.policy.env.dynamics import Quadrotors
from aigp_lightning.policy.env.rotation import from_euler
from aigp_lightning.policy.env.streams import Streams
from aigp_lightning.policy.env.track import Gates

TILT_PER_METRE = 0.2  # rad of roll, pitch and yaw for each metre of start noise
BEHIND_GATE = 1.5  # m that a start in flight keeps from the gate behind it
MAX_SHARE = 0.7  # of the way to the next gate
MAX_SPEED = 10.0  # m/s
SIDEWAYS = 0.5  # m
TILT = 0.3  # rad
LOWEST = 0.5  # m above the ground


def place_at_start(
    drones: Quadrotors, gates: Gates, streams: Streams, rows: Rows, noise: float, in_flight: bool
) -> Ints:
    """Place drones at their starts.

    Args:
        drones: those of all environments.
        gates: their tracks.
        streams: their random numbers.
        rows: environments whose episodes begin, m of them.
        noise: largest perturbation of starts on the line, m.
        in_flight: True if half of them start on the way to a random gate.

    Returns:
        The gate to fly to first, (m,).
    """
    position, yaw = gates.start[:, rows], gates.start_yaw[rows]
    draws = streams.signed(9, rows) * FLOAT(noise)
    position = position + draws[:3]
    velocity = draws[3:6]
    roll, pitch, turned = draws[6:9] * FLOAT(TILT_PER_METRE)
    yaw = yaw + turned
    first: Ints = np.zeros(yaw.shape[0], np.int64)
    if in_flight:
        other = _on_the_way(gates, streams, rows)
        pick = (streams.uniform(1, rows)[0] < FLOAT(0.5)) & (other[0] > 0)
        first = np.where(pick, other[0], first)
        position, velocity = np.where(pick, other[1], position), np.where(pick, other[2], velocity)
        roll, pitch, yaw = (np.where(pick, new, old) for new, old in zip(other[3], (roll, pitch, yaw), strict=True))
    position[2] = np.minimum(position[2], FLOAT(-LOWEST))
    drones.place(rows, position, velocity, from_euler(roll, pitch, yaw))
    return first


def _on_the_way(gates: Gates, streams: Streams, rows: Rows) -> tuple[Ints, Floats, Floats, Floats]:
    """Return first gate, position, velocity and Euler angles of starts between two gates; gate 0 has none before it."""
    gate = streams.integers(0, gates.count[rows], rows)
    envs = np.arange(gates.n)[rows]
    here, there = gates.centre[:, np.maximum(gate - 1, 0), envs], gates.centre[:, gate, envs]
    edge = there - here
    length = np.maximum(np.sqrt((edge * edge).sum(axis=0)), FLOAT(1e-3))
    along = edge / length
    share, speed = streams.uniform(2, rows)
    draws = streams.signed(6, rows)
    distance = FLOAT(BEHIND_GATE) + share * (length * FLOAT(MAX_SHARE) - FLOAT(BEHIND_GATE))
    position = here + along * distance + FLOAT(SIDEWAYS) * draws[:3]
    angles = FLOAT(TILT) * draws[3:]
    angles[2] += np.arctan2(edge[1], edge[0])
    return gate, position, along * speed * FLOAT(MAX_SPEED), angles
