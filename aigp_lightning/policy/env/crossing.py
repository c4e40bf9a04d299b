"""Tests for flying through a gate, into its frame, or past it.

They use the straight path from one control step to the next, not positions alone. The airframe is a ball: the opening
shrinks by its radius, the frame grows by it.
"""

from __future__ import annotations

import numpy as np

from aigp_lightning.policy.env.arrays import FLOAT, Bools, Floats, Ints
from aigp_lightning.policy.env.track import DEPTH, OPENING, OUTER, RADIUS, Gates

CLEAR = OPENING / 2 - RADIUS  # m from the axis that the drone's centre may be
BLOCKED = OUTER / 2 + RADIUS  # m from the axis that the frame reaches to
REACH = float(np.hypot(BLOCKED * np.sqrt(2), DEPTH / 2))  # m from a gate's centre beyond which its frame can't be hit


def to_gate_frame(offset: Floats, cos: Floats, sin: Floats) -> Floats:
    """Rotate offsets from a gate's centre into the gate's frame.

    Args:
        offset: in the world, (3, …), m.
        cos: cosine of the gate's yaw, (…).
        sin: its sine, (…).

    Returns:
        Along the flight, right, down, (3, …), m.
    """
    return np.stack([offset[0] * cos + offset[1] * sin, offset[1] * cos - offset[0] * sin, offset[2]])


def crosses_gate(before: Floats, after: Floats) -> tuple[Bools, Bools, Floats]:
    """Return masks of paths that cross a gate's plane in the direction of flight, through the gate or past it.

    Args:
        before: start of the path in the gate's frame, (3, n), m.
        after: its end, (3, n), m.

    Returns:
        passes: through the opening, the airframe clear of the frame; (n,).
        misses: beside the frame; (n,).
        share: of the path that lies before the plane, from 0 to 1; (n,), valid where it crosses.
    """
    forward = (before[0] < 0) & (after[0] >= 0)
    share = np.where(forward, before[0] / np.minimum(before[0] - after[0], FLOAT(-1e-9)), FLOAT(0))
    point = before[1:] + share * (after[1:] - before[1:])
    off = np.maximum(np.abs(point[0]), np.abs(point[1]))
    return forward & (off <= CLEAR), forward & (off > BLOCKED), share


def hits_frame(before: Floats, after: Floats) -> Bools:
    """Return a mask of paths that touch a gate's frame.

    The gate's box is convex, and so is its opening: where the path is within the box, it stays clear of the frame if
    and only if it enters and leaves within the opening.

    Args:
        before: start of the path in the gate's frame, (3, n), m.
        after: its end, (3, n), m.

    Returns:
        (n,).
    """
    step = after - before
    step = np.where(np.abs(step) < FLOAT(1e-9), FLOAT(1e-9), step)
    box = np.array([DEPTH / 2, BLOCKED, BLOCKED], FLOAT)[:, None]
    one, other = (-box - before) / step, (box - before) / step
    enter = np.maximum(np.minimum(one, other).max(axis=0), 0)
    leave = np.minimum(np.maximum(one, other).min(axis=0), 1)
    first, last = np.abs(before + enter * step)[1:], np.abs(before + leave * step)[1:]
    clear = (np.maximum(first, last) <= CLEAR).all(axis=0)
    hit: Bools = (enter <= leave) & ~clear
    return hit


def hits_any_frame(gates: Gates, before: Floats, after: Floats) -> Bools:
    """Return a mask of paths that touch the frame of any gate of the track, the next one or another.

    Args:
        gates: of all environments.
        before: start of the path, world, (3, n), m.
        after: its end, (3, n), m.

    Returns:
        (n,).
    """
    slots = gates.max_gates
    offset = gates.centre[:, :slots] - after[:, None]
    step = after - before
    reach = REACH + np.sqrt((step * step).sum(axis=0))
    gate, env = np.nonzero((offset * offset).sum(axis=0) < reach * reach)
    hit = np.zeros(gates.n, np.bool_)
    if len(env):
        real = gate < gates.count[env]
        gate, env = gate[real], env[real]
        hit[env[_hits_frame_of(gates, gate, env, before, after)]] = True
    return hit


def _hits_frame_of(gates: Gates, gate: Ints, env: Ints, before: Floats, after: Floats) -> Bools:
    centre, cos, sin = gates.centre[:, gate, env], gates.cos[gate, env], gates.sin[gate, env]
    return hits_frame(*(to_gate_frame(end[:, env] - centre, cos, sin) for end in (before, after)))
