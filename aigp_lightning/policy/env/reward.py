"""Rewards of a step.

Sources:

- Swift: Kaufmann, Bauersfeld, Loquercio, Müller, Koltun and Scaramuzza, *Champion-level drone racing using deep
  reinforcement learning*, Nature 620 (2023): progress, perception, command and crash terms.
- Song, Steinweg, Kaufmann and Scaramuzza, *Autonomous drone racing with deep reinforcement learning*, IROS 2021
  (progress along the path), and Song, Romero, Müller, Koltun and Scaramuzza, *Reaching the limit in autonomous
  racing: optimal control versus reinforcement learning*, Science Robotics 8 (2023) (distance to the gate's centre,
  rate penalty).
- TU Delft's MAVLab (`tudelft/optimal_quad_control_RL`, the M23 model): a bonus for each gate.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.env.arrays import FLOAT, Bools, Floats
from aigp_lightning.policy.env.camera import off_axis


@dataclass(frozen=True)
class RewardWeights:
    """Weights of the terms; 0 leaves one out.

    Attributes:
        progress: for each metre nearer to the gate.
        speed_limit: m/s towards the gate up to which progress is rewarded; faster is allowed. Without a limit a policy
            that flies well keeps getting faster, and crashes more; see `benchmarks/policy/RESULTS.md`.
        gate: for each gate passed.
        finish: for the whole course.
        perception: for a gate in the middle of the camera's view, each step.
        perception_sharpness: how fast that falls with the angle; Swift's λ₃.
        rates: against body rates, for each rad/s.
        smooth: against changes of the action, for each unit squared.
        crash: against hitting something, missing a gate, leaving the box or taking too long for a gate.
    """

    progress: float = 1.0
    speed_limit: float = np.inf
    gate: float = 1.0
    finish: float = 0.0
    perception: float = 0.02
    perception_sharpness: float = 10.0
    rates: float = 0.001
    smooth: float = 0.002
    crash: float = 5.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not value >= 0 or (value == np.inf and item.name != "speed_limit"):
                raise ConfigError(
                    f"reward.{item.name} is {value}: weights are numbers of at least 0; signs are built in"
                )


def progress(before: Floats, after: Floats, most: float = np.inf) -> Floats:
    """Return the metres gained towards the gate's centre (Swift; Song 2023).

    The difference is undiscounted: a drone that flies to and fro gains nothing. A discounted one would reward standing
    far away (potential-based shaping needs bounded potentials).

    Args:
        before: distance to the gate before the step, (n,), m.
        after: distance to the same gate after it, (n,), m.
        most: gain that is rewarded at most, m. Losses count in full, so that flying to and fro still gains nothing.
    """
    nearer: Floats = np.minimum(before - after, FLOAT(most))
    return nearer


def perception(gate: Floats, sharpness: float) -> Floats:
    """Return exp(−λ₃·δ⁴) with δ the angle between the camera's axis and the gate (Swift).

    Args:
        gate: centre of the next gate in the body frame, (3, n), m.
        sharpness: λ₃.
    """
    angle = off_axis(gate)
    square = angle * angle
    seen: Floats = np.exp(-FLOAT(sharpness) * square * square)
    return seen


def smoothness(action: Floats, last: Floats) -> Floats:
    """Return ‖aₜ − aₜ₋₁‖² (Swift), for actions (4, n)."""
    change = action - last
    rough: Floats = (change * change).sum(axis=0)
    return rough


def rate(rates: Floats) -> Floats:
    """Return ‖ω‖ of the drone's true rates, (3, n) rad/s (Song 2023; TU Delft). Swift takes the commanded ones."""
    speed: Floats = np.sqrt((rates * rates).sum(axis=0))
    return speed


@dataclass(frozen=True)
class Transition:
    """One step of `n` environments, as far as rewards depend on it.

    Attributes:
        before, after: distances to the gate that was flown to, (n,), m.
        gate: centre of the gate to fly to now, body frame, (3, n), m.
        rates: (3, n), rad/s.
        action, last: this step's action and the one before, (4, n).
        passed, finished, crashed: masks, (n,).
        dt: length of the step, s.
    """

    before: Floats
    after: Floats
    gate: Floats
    rates: Floats
    action: Floats
    last: Floats
    passed: Bools
    finished: Bools
    crashed: Bools
    dt: float


def reward(step: Transition, weights: RewardWeights) -> Floats:
    """Return the sum of all terms, (n,)."""
    total: Floats = weights.progress * progress(step.before, step.after, weights.speed_limit * step.dt)
    if weights.perception:
        total = total + weights.perception * perception(step.gate, weights.perception_sharpness)
    if weights.rates:
        total = total - weights.rates * rate(step.rates)
    if weights.smooth:
        total = total - weights.smooth * smoothness(step.action, step.last)
    total = total + weights.gate * step.passed + weights.finish * step.finished - weights.crash * step.crashed
    return total
