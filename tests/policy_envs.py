"""Environments for tests of the policy phase; importing this registers them with Gymnasium, as a team's module does."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from aigp_lightning.policy.config import EnvConfig, EvalConfig, PolicyConfig
from aigp_lightning.policy.ppo_config import PPOConfig

# A short training by the command line, in `Reach` and in the race.
REACH = ("--env.module", "policy_envs", "--env.id", "test/Reach-v0", "--env.backend", "dummy", "--env.n_envs", 4,
         "--eval_env.n_episodes", 10, "--ppo.n_steps", 64, "--ppo.batch_size", 64, "--ppo.net_arch", "[16]",
         "--ppo.learning_rate", "{start: 0.01, end: 0.001}", "--ppo.n_epochs", 10, "--ppo.log_std_init", 0,
         "--eval_freq", 512, "--save_freq", 1024)  # fmt: skip
RACE = ("--env.n_envs", 8, "--env.kwargs.max_seconds", 2, "--eval_env.n_episodes", 8, "--ppo.n_steps", 32,
        "--ppo.batch_size", 64, "--ppo.n_epochs", 1, "--ppo.net_arch", "[8]", "--eval_freq", 0,
        "--save_freq", 0, "--total_timesteps", 512)  # fmt: skip
UNIT = spaces.Box(-1.0, 1.0, (1,), np.float32)


def small_config(output: Path, **changed: Any) -> PolicyConfig:
    """The options of `REACH`, from Python."""
    config = PolicyConfig(
        env=EnvConfig("policy_envs", "test/Reach-v0", "dummy", 4), eval_env=EvalConfig(n_episodes=10),
        ppo=PPOConfig(n_steps=64, batch_size=64, net_arch=[16], learning_rate=0.01, n_epochs=10, log_std_init=0.0),
        eval_freq=512, save_freq=0, output=str(output), total_timesteps=100_000,
    )  # fmt: skip
    return replace(config, **changed)


class Reach(gymnasium.Env[Any, Any]):
    """Push a point to the right of a line: the faster, the sooner it succeeds; an episode ends after 20 steps.

    Args:
        observation: of the point's place; another space for an environment that does not fit.
        action: the push.
        lie: what is added to observations, so that they leave their space.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": [], "render_fps": 10}

    def __init__(self, observation: Any = UNIT, action: Any = UNIT, lie: float = 0.0) -> None:
        self.observation_space, self.action_space, self.lie = observation, action, lie
        self.place, self.steps = 0.0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.steps = float(self.np_random.uniform(-0.5, 0.0)), 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        push = float(np.clip(action, -1, 1).sum())
        self.place, self.steps = min(1.0, max(-1.0, self.place + 0.2 * push)), self.steps + 1
        reached, late = self.place >= 1.0, self.steps >= 20
        info = {"is_success": reached, "race_seconds": self.steps / 10} if reached or late else {}
        return self._seen(), 0.2 * push, reached, late and not reached, info

    def _seen(self) -> np.ndarray:
        return np.array([self.place + self.lie], np.float32)


class Broken(Reach):
    """`Reach` that breaks after some steps of all its episodes together.

    Args:
        how: step, reset or constructor raises; nan: an observation is none; reward: a reward is none; endless: episodes
            never end; killed: its process is.
        after: steps.
    """

    def __init__(self, how: str, after: int = 60) -> None:
        super().__init__()
        self.how, self.after, self.total = how, after, 0
        if how == "constructor":
            raise OSError("port 9000 is in use")

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        if self.how == "reset" and self.total > self.after:
            raise KeyError("map")
        return super().reset(seed=seed)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.total += 1
        seen, reward, reached, late, info = super().step(action)
        if self.total <= self.after:
            return seen, reward, reached, late, info
        if self.how == "step":
            raise ConnectionRefusedError(111, "the simulator is gone")
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "endless":
            reached, late, info = False, False, {}
        return (
            seen * (np.nan if self.how == "nan" else 1),
            np.nan if self.how == "reward" else reward,
            reached,
            late,
            info,
        )


class OldReset(Reach):
    """The old gym's reset."""

    def reset(self) -> Any:  # type: ignore[override]
        return np.zeros(1, np.float32)


class OldStep(Reach):
    """The old gym's step."""

    def step(self, action: Any) -> Any:
        return self._seen(), 0.0, True, {}


class OldGym:
    """An environment of the old gym, which Gymnasium's is no base of."""

    observation_space, action_space = UNIT, spaces.Discrete(2)


class Still(VectorEnv[Any, Any, Any]):
    """A vector environment in which nothing happens, as its options say.

    Args:
        mode: of autoreset.
        value: of all observations.
        size: numbers an observation has; its space says 1.
    """

    def __init__(self, num_envs: int, mode: Any = AutoresetMode.SAME_STEP, value: float = 0.0, size: int = 1) -> None:
        self.num_envs, self.value, self.size = num_envs, value, size
        self.metadata = {} if mode is None else {"autoreset_mode": mode}
        self.single_observation_space = self.single_action_space = UNIT
        self.observation_space = self.action_space = batch_space(UNIT, num_envs)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return np.full((self.num_envs, self.size), self.value, np.float32), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        never = np.zeros(self.num_envs, bool)
        return self.reset()[0], np.zeros(self.num_envs), never, never.copy(), {}


class Picture(Reach):
    """`Reach` seen as a picture with its channels last, as cameras give them."""

    def __init__(self) -> None:
        super().__init__(spaces.Box(0, 255, (40, 36, 3), np.uint8))

    def _seen(self) -> np.ndarray:
        return np.full((40, 36, 3), int(127 * (self.place + 1)), np.uint8)


def needs_a_package() -> None:
    """Stands for an environment whose package is not there."""
    raise gymnasium.error.DependencyNotInstalled("no Box2D; pip install it")


gymnasium.register("test/Reach-v0", entry_point=Reach)
gymnasium.register("test/Broken-v0", entry_point=Broken)
gymnasium.register("test/OldReset-v0", entry_point=OldReset)
gymnasium.register("test/OldStep-v0", entry_point=OldStep)
gymnasium.register("test/OldStepLimited-v0", entry_point=OldStep, max_episode_steps=50)
gymnasium.register("test/OldGym-v0", entry_point=OldGym)
gymnasium.register("test/Picture-v0", entry_point=Picture)
gymnasium.register("test/Needy-v0", entry_point=needs_a_package)
gymnasium.register("test/Still-v0", vector_entry_point=Still)
