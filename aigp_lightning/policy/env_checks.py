"""Checks that an environment works with stable-baselines3's PPO; one that does not is refused with the reason."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.vec_env import VecEnv

from aigp_lightning.errors import ConfigError, first_line
from aigp_lightning.terminal.output import print_line

ACTIONS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def check_spaces(observation: spaces.Space[Any], action: spaces.Space[Any], name: str) -> None:
    """Check that SB3's PPO has a network for the spaces.

    Args:
        observation: space of the observations.
        action: space of the actions.
        name: of the environment, for the messages.

    Raises:
        ConfigError: a space is not supported; the message names those that are.
    """
    parts = observation.spaces.values() if isinstance(observation, spaces.Dict) else [observation]
    if not all(_fits(part) for part in parts):
        raise ConfigError(
            f"{name}: stable-baselines3 cannot learn from the observation space {observation}. It takes Box, Discrete, "
            "MultiDiscrete, MultiBinary (one axis, starting at 0), or a Dict of these that is not nested."
        )
    if not _fits(action):
        raise ConfigError(
            f"{name}: PPO cannot choose from the action space {action}. It takes Box, Discrete, MultiDiscrete or "
            "MultiBinary (one axis, starting at 0)."
        )
    if isinstance(action, spaces.Box) and not (np.isfinite(action.low).all() and np.isfinite(action.high).all()):
        raise ConfigError(f"{name}: the action space {action} has no finite bounds; PPO clips actions to them.")


def _fits(space: spaces.Space[Any]) -> bool:
    if not isinstance(space, ACTIONS):
        return False
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim > 1:
        return False
    return not np.any(getattr(space, "start", 0))


def check_single(env: gymnasium.Env[Any, Any], name: str) -> None:
    """Run SB3's own checker on a single environment, and close it.

    Raises:
        ConfigError: the checker found a mistake.
    """
    try:
        check_spaces(env.observation_space, env.action_space, name)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check_env(env, warn=True, skip_render_check=True)
    except (AssertionError, ValueError) as error:
        raise ConfigError(f"{name} does not fit stable-baselines3: {first_line(error)}") from error
    finally:
        env.close()
    for each in dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, UserWarning)):
        print_line(f"note on {name}: {first_line(each)}", err=True)


def check_step(env: VecEnv, name: str) -> None:
    """Step a vector environment once, and check what it returns against its declared spaces.

    Raises:
        ConfigError: a shape, a type or a value does not agree.
    """
    observations = env.reset()
    actions = np.stack([env.action_space.sample() for _ in range(env.num_envs)])
    stepped, rewards, done, _ = env.step(actions)
    for what, given in (("reset", observations), ("step", stepped)):
        _check_observations(given, env, f"{name}: the observations of {what}()")
    for what, values in (("rewards", rewards), ("ends of episodes", done)):
        if values.shape != (env.num_envs,):
            raise ConfigError(f"{name}: the {what} have the shape {values.shape}, not {(env.num_envs,)}.")
    if not np.isfinite(rewards).all():
        raise ConfigError(f"{name}: a reward of the first step is not finite.")


def _check_observations(given: Any, env: VecEnv, what: str) -> None:
    space = env.observation_space
    parts = space.spaces if isinstance(space, spaces.Dict) else {"": space}
    for key, part in parts.items():
        values = np.asarray(given[key] if key else given)
        wanted = (env.num_envs, *(part.shape or ()))
        if values.shape != wanted:
            raise ConfigError(f"{what} {key} have the shape {values.shape}, not {wanted}.")
        if not np.can_cast(values.dtype, part.dtype or values.dtype, "same_kind"):
            raise ConfigError(f"{what} {key} are {values.dtype}, not {part.dtype}.")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ConfigError(f"{what} {key} are not all finite.")
