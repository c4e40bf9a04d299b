"""Speed of the gate race's steps: ratios within one run, in processor time, so that a busy machine matters little.

- 256 races in one vector environment against 256 copies of the single one, stepped one by one: at least 40×.
- The same against PyFlyt's `QuadX-Gates-v3`, the one installable environment with gates, in one process: at least
  1,000×. It is skipped where PyFlyt is missing. `pip install PyFlyt==0.29.0` asks for NumPy below 2; with `--no-deps`
  (and pybullet and numba beside it) it runs on later ones. The tasks differ: PyFlyt renders a camera picture each step.
- The share of PPO's training that stepping takes, with `configs/policy.yaml`: at most a third.

Actions are random, ends of episodes and new starts included.

    python benchmarks/policy/env_speed.py --rounds 5 --json speed.json
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import REPO, machine, write_json

from aigp_lightning.policy.env.gym_env import GateRaceEnv, GateRaceVectorEnv

N = 256
SINGLE_RATIO, PYFLYT_RATIO, MOST_SHARE = 40, 1000, 1 / 3
KWARGS: dict[str, Any] = {"start_noise": 0.5, "randomize": 0.1, "loop": True}
TIMED = "benchmark/TimedRace-v0"


class TimedRace(GateRaceVectorEnv):
    """The vector environment with a clock for its steps."""

    seconds = 0.0

    def step(self, actions: Any) -> Any:
        """Step, and add its processor time."""
        began = time.process_time()
        stepped = super().step(actions)
        TimedRace.seconds += time.process_time() - began
        return stepped


def actions(n: int, count: int = 64) -> np.ndarray:
    """Random actions, (count, n, 4)."""
    return np.random.default_rng(0).uniform(-1, 1, (count, n, 4)).astype(np.float32)


def batched(n: int, kwargs: dict[str, Any]) -> Callable[[float], float]:
    """Environment steps a second of one vector environment."""
    env, drawn = GateRaceVectorEnv(n, **kwargs), actions(n)
    env.reset(seed=0)

    def run(seconds: float) -> float:
        began, steps = time.process_time(), 0
        while (spent := time.process_time() - began) < seconds:
            env.step(drawn[steps % len(drawn)])
            steps += 1
        return steps * n / spent

    return run


def one_by_one(n: int, kwargs: dict[str, Any]) -> Callable[[float], float]:
    """Environment steps a second of n single environments."""
    envs, drawn = [GateRaceEnv(**kwargs) for _ in range(n)], actions(n)
    for index, env in enumerate(envs):
        env.reset(seed=index)

    def run(seconds: float) -> float:
        began, steps = time.process_time(), 0
        while (spent := time.process_time() - began) < seconds:
            for env, action in zip(envs, drawn[steps % len(drawn)], strict=True):
                _, _, terminated, truncated, _ = env.step(action)
                if terminated or truncated:
                    env.reset()
            steps += 1
        return steps * n / spent

    return run


def pyflyt() -> Callable[[float], float] | None:
    """Environment steps a second of PyFlyt's gates; None where it is missing."""
    try:
        import PyFlyt
        import PyFlyt.gym_envs
    except ImportError as error:
        print(f"PyFlyt is skipped: {error}. `pip install --no-deps PyFlyt==0.29.0 pybullet numba llvmlite`")
        return None
    env: Any = gymnasium.make("PyFlyt/QuadX-Gates-v3").unwrapped
    env.gate_obj_dir = str(next(Path(PyFlyt.__path__[0]).rglob("race_gate.urdf")))  # the path it has leads nowhere
    env.reset(seed=0)
    env.action_space.seed(0)

    def run(seconds: float) -> float:
        began, steps = time.process_time(), 0
        while (spent := time.process_time() - began) < seconds:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            steps += 1
            if terminated or truncated:
                env.reset()
        return steps / spent

    return run


def ppo_share(updates: int) -> tuple[float, float]:
    """Share of PPO's processor time that stepping takes, and environment steps for each second of processor time."""
    from aigp_lightning.cli.ppo import parse
    from aigp_lightning.policy.config import PolicyConfig
    from aigp_lightning.policy.learner import build_model
    from aigp_lightning.policy.make_env import make_env
    from aigp_lightning.policy.train import torch_threads

    if TIMED not in gymnasium.registry:
        gymnasium.register(TIMED, entry_point=GateRaceEnv, vector_entry_point=TimedRace)
    config = parse(PolicyConfig, "fit", ["--config", str(REPO / "configs" / "policy.yaml"), "--env.id", TIMED])
    with torch_threads(1):
        env = make_env(config.env)
        model = build_model(config, env)
        samples = config.ppo.n_steps * config.env.n_envs
        model.learn(samples)  # warm up
        TimedRace.seconds, began = 0.0, time.process_time()
        model.learn(updates * samples, reset_num_timesteps=False)
        spent = time.process_time() - began
        env.close()
    return TimedRace.seconds / spent, updates * samples / spent


def line(name: str, speed: float, spread: list[float], ratio: float | None, target: float | None) -> str:
    """Return a row of the table."""
    verdict = "" if ratio is None or target is None else f"{ratio:,.0f}× (target {target:,}×)"
    return f"| {name} | {speed:,.0f} ({min(spread):,.0f}–{max(spread):,.0f}) | {verdict} |"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of processor time, for each side and round")
    parser.add_argument("--updates", type=int, default=10, help="of PPO that its share is taken of; 0 for none")
    parser.add_argument("--json", type=Path, help="write everything measured")
    args = parser.parse_args()
    sides = {
        "256 batched": batched(N, KWARGS),
        "256 one by one": one_by_one(N, KWARGS),
        "PyFlyt QuadX-Gates": pyflyt(),
        "1 alone": batched(1, KWARGS),
        "1024 batched": batched(1024, KWARGS),
        "256 batched, generated tracks": batched(N, {**KWARGS, "track": "random"}),
        "256 batched, camera and noise": batched(N, {**KWARGS, "noise": {"camera": True, "corner": 0.01, "delay": 1}}),
    }
    there = {name: side for name, side in sides.items() if side is not None}
    speeds: dict[str, list[float]] = {name: [] for name in there}
    for _ in range(args.rounds):
        for name, side in there.items():
            speeds[name].append(side(args.seconds))
    middle = {name: statistics.median(rounds) for name, rounds in speeds.items()}
    targets = {"256 one by one": SINGLE_RATIO, "PyFlyt QuadX-Gates": PYFLYT_RATIO}
    print(f"{machine(1)}\n\n| | steps for each second of processor time (range) | 256 batched against it |")
    print("|---|---|---|")
    missed = []
    for name, speed in middle.items():
        ratio = middle["256 batched"] / speed if name in targets else None
        print(line(name, speed, speeds[name], ratio, targets.get(name)))
        missed += [name] if ratio is not None and ratio < targets[name] else []
    share = fps = None
    if args.updates:
        share, fps = ppo_share(args.updates)
        print(f"\nStepping takes {share:.1%} of PPO's training (at most {MOST_SHARE:.0%}); {fps:,.0f} steps a second.")
        missed += ["PPO's share"] if share > MOST_SHARE else []
    if args.json:
        write_json(args.json, {"speeds": speeds, "share": share, "fps": fps})
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
