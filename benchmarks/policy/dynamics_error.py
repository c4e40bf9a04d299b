"""Integration error after a second of flight, against classical Runge-Kutta in double precision.

Random flights: speeds to 8 m/s, tilts to 0.4 rad, ten random commands in the second (thrust 2 to 30 m/s², rates to
3 rad/s). Also what single precision costs: the same flights, stepped from arrays in double precision.

    python benchmarks/policy/dynamics_error.py
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import machine, write_json

from aigp_lightning.policy.env.dynamics import GRAVITY, PHYSICS_HZ, Quadrotors, Vehicle
from aigp_lightning.policy.env.rotation import from_euler

COMMANDS = 10
PARTS = ("position", "velocity", "attitude", "rates", "thrust")


def change(state: dict[str, np.ndarray], command: np.ndarray, vehicle: Vehicle) -> dict[str, np.ndarray]:
    """Time derivatives of the state, written out once more, apart from the environment's code."""
    rotation, rates = state["attitude"], state["rates"]
    body = np.einsum("ijn,in->jn", rotation, state["velocity"])
    force = -np.array(vehicle.drag)[:, None] * body * np.abs(body)
    force[2] -= state["thrust"]
    zero = np.zeros_like(rates[0])
    skew = np.array([[zero, -rates[2], rates[1]], [rates[2], zero, -rates[0]], [-rates[1], rates[0], zero]])
    return {
        "position": state["velocity"],
        "velocity": np.einsum("ijn,jn->in", rotation, force) + np.array([[0], [0], [GRAVITY]]),
        "attitude": np.einsum("ijn,jkn->ikn", rotation, skew),
        "rates": (command[1:] - rates) / vehicle.rate_lag,
        "thrust": (command[0] - state["thrust"]) / vehicle.thrust_lag,
    }


def exact(state: dict[str, np.ndarray], command: np.ndarray, vehicle: Vehicle, seconds: float) -> dict[str, np.ndarray]:
    """Return the state `seconds` later, by steps of a millisecond."""
    step = 1e-3

    def ahead(slope: dict[str, np.ndarray], part: float) -> dict[str, np.ndarray]:
        return {name: state[name] + part * slope[name] for name in state}

    for _ in range(round(seconds / step)):
        one = change(state, command, vehicle)
        two = change(ahead(one, step / 2), command, vehicle)
        three = change(ahead(two, step / 2), command, vehicle)
        four = change(ahead(three, step), command, vehicle)
        state = {k: state[k] + step / 6 * (one[k] + 2 * two[k] + 2 * three[k] + four[k]) for k in state}
    return state


def fly(n: int, precision: type) -> tuple[np.ndarray, float]:
    """Return the position errors after a second, (n,), m, and the processor time of the environment's steps, s."""
    generator, vehicle = np.random.default_rng(0), Vehicle()
    drones = Quadrotors(n, vehicle)
    angles = generator.uniform(-0.4, 0.4, (3, n)).astype(np.float32)
    drones.place(slice(None), np.zeros((3, n)), generator.uniform(-8, 8, (3, n)), from_euler(*angles))
    for name in PARTS:
        setattr(drones, name, getattr(drones, name).astype(precision))
    truth = {name: getattr(drones, name).astype(np.float64) for name in PARTS}
    spent = 0.0
    for _ in range(COMMANDS):
        command = np.concatenate([generator.uniform(2, 30, (1, n)), generator.uniform(-3, 3, (3, n))]).astype(precision)
        began = time.process_time()
        for _ in range(PHYSICS_HZ // COMMANDS):
            drones.step(command)
        spent += time.process_time() - began
        truth = exact(truth, command.astype(np.float64), vehicle, 1 / COMMANDS)
    return np.linalg.norm(drones.position - truth["position"], axis=0), spent


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flights", type=int, default=256)
    parser.add_argument("--json", type=Path, help="write everything measured")
    args = parser.parse_args()
    print(f"{machine(1)}\n\n| precision | mean error after 1 s | largest | µs a step of all {args.flights} |")
    print("|---|---|---|---|")
    errors = {}
    for precision in (np.float32, np.float64):
        fly(args.flights, precision)
        error, spent = fly(args.flights, precision)
        errors[precision.__name__] = error.tolist()
        micro = spent / PHYSICS_HZ * 1e6
        print(f"| {precision.__name__} | {error.mean() * 1000:.2f} mm | {error.max() * 1000:.2f} mm | {micro:.0f} |")
    if args.json:
        write_json(args.json, errors)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
