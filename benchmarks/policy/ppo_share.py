"""Shares of PPO's training time: environments, SB3's wrappers, the policy's choices, the update.

`ppo fit` with `configs/policy.yaml`, without evaluations, for a number of updates; the first is left out, since caches
and the allocator fill in it. Clocks sit around the environments' own step and around the step of the whole stack
(`VecNormalize` on `VecMonitor`), in processor time, so that a busy machine matters little. The target: the
environments' stepping takes at most a third; the rest is SB3's own.

    python benchmarks/policy/ppo_share.py --rounds 3 --json share.json
    python benchmarks/policy/ppo_share.py -- --env.id CartPole-v1 --env.module null --env.backend dummy --env.n_envs 8 \
        --ppo.batch_size 256
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import REPO, machine, write_json
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecMonitor

from aigp_lightning.cli.ppo import parse
from aigp_lightning.policy.config import PolicyConfig
from aigp_lightning.policy.learner import build_model
from aigp_lightning.policy.make_env import make_env
from aigp_lightning.policy.train import torch_threads

TARGET = 1 / 3
PARTS = ("environments", "wrappers", "policy and buffer", "update")


class Clock(VecEnvWrapper):
    """A wrapper that times the steps of environments."""

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.seconds = 0.0

    def reset(self) -> Any:
        """Not timed: once a training."""
        return self.venv.reset()

    def step_wait(self) -> Any:
        """Step, and add the time it takes."""
        began = time.process_time()
        found = self.venv.step_wait()
        self.seconds += time.process_time() - began
        return found


class Updates(BaseCallback):
    """A callback that reads the clocks at the begin and the end of rollouts."""

    def __init__(self, inner: Clock, outer: Clock) -> None:
        super().__init__()
        self.inner, self.outer = inner, outer
        self.marks: list[tuple[float, float, float]] = []

    def _on_step(self) -> bool:
        return True

    def _mark(self) -> None:
        self.marks.append((time.process_time(), self.inner.seconds, self.outer.seconds))

    _on_rollout_start = _on_rollout_end = _on_training_end = _mark


def measure(config: PolicyConfig, updates: int) -> dict[str, float]:
    """Train for a number of updates after the first.

    Returns:
        Processor seconds of each part, and environment steps a second of it all.
    """
    monitored = make_env(config.env)
    inner = Clock(monitored.venv)
    with torch_threads(config.ppo.torch_threads):
        model = build_model(config, VecMonitor(inner))
        outer = Clock(model.env)
        model.env = outer
        clocks = Updates(inner, outer)
        steps = config.ppo.n_steps * config.env.n_envs
        model.learn((updates + 1) * steps, clocks)
    monitored.close()
    starts, ends = clocks.marks[2::2], clocks.marks[3::2]  # without the first rollout and its update
    rollouts = list(zip(starts[:-1], ends, strict=True))
    seconds = dict.fromkeys(PARTS, 0.0)
    for (begin, inner_then, outer_then), (end, inner_now, outer_now) in rollouts:
        seconds["environments"] += inner_now - inner_then
        seconds["wrappers"] += (outer_now - outer_then) - (inner_now - inner_then)
        seconds["policy and buffer"] += (end - begin) - (outer_now - outer_then)
    seconds["update"] = sum(later[0] - end[0] for end, later in zip(ends, starts[1:], strict=True))
    return {**seconds, "steps_per_second": len(rollouts) * steps / sum(seconds.values())}


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=10, help="of a round, after the first")
    parser.add_argument("--json", type=Path, help="write everything that was measured")
    parser.add_argument("options", nargs="*", help="of `ppo fit`, after --")
    given = parser.parse_args()
    config = parse(PolicyConfig, "fit", ["--config", str(REPO / "configs" / "policy.yaml"), *given.options])
    config.check()
    rounds = [measure(config, given.updates) for _ in range(given.rounds)]
    totals = [sum(each[part] for part in PARTS) for each in rounds]
    print(f"{machine(config.ppo.torch_threads)}\n")
    print(f"{config.env.id}, {config.env.n_envs} environments, {given.updates} updates a round, processor time\n")
    print("| part | share, median | by round |\n|---|---|---|")
    shares = {part: [each[part] / total for each, total in zip(rounds, totals, strict=True)] for part in PARTS}
    for part, values in shares.items():
        print(f"| {part} | {median(values):.1%} | {', '.join(f'{value:.1%}' for value in values)} |")
    rates = [each["steps_per_second"] for each in rounds]
    print(f"\nenvironment steps a second of processor time: {median(rates):,.0f}")
    stepping = median(shares["environments"])
    print(f"stepping takes {stepping:.1%} of the training; target: at most {TARGET:.1%}")
    if given.json:
        write_json(given.json, {"machine": machine(config.ppo.torch_threads), "shares": shares, "rounds": rounds})


if __name__ == "__main__":
    main()
