"""Checks that an environment works with stable-baselines3's PPO; one that does not is refused with the reason."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.vec_env import VecEnv

from aigp_lightning.errors import ConfigError, UserError, first_line
from aigp_lightning.policy.env_guard import failure_of, raised_by_library
from aigp_lightning.terminal.output import print_line

TERMINAL_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ACTIONS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


OLD_API = (
    "it has the API of the old gym, whose reset() returns no info and takes no seed, and whose step() returns four "
    "values. Derive it from gymnasium.Env: reset(seed, options) returns (observation, info), step(action) returns "
    "(observation, reward, terminated, truncated, info)."
)
SIGNS_OF_OLD_API = (
    "Gym is incompatible with Gymnasium",
    "must inherit from the gymnasium.Env class",
    "was not a tuple of the form `(obs, info)`",
    "must return a tuple (obs, info)",
    "must return five values",
    "not enough values to unpack (expected 5, got 4)",
    "must accept a `seed` parameter",
    "got an unexpected keyword argument 'seed'",
    "got an unexpected keyword argument 'options'",
)
"""Parts of what Gymnasium and stable-baselines3 say of environments of the old gym."""


def has_old_api(error: BaseException) -> bool:
    """True if an error comes of an environment of the old gym.

    Args:
        error: of making, resetting or stepping it.
    """
    return any(sign in str(error) for sign in SIGNS_OF_OLD_API)


@contextmanager
def noted_warnings(name: str) -> Iterator[None]:
    """Print warnings of Gymnasium and stable-baselines3 within a `with` block as notes of a line, each once.

    Args:
        name: of the environment.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for each in dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, UserWarning)):
        text = TERMINAL_COLOUR.sub("", first_line(each)).removeprefix("WARN: ")
        print_line(f"note on {name}: {text}", err=True)


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
        EnvironmentFailed: the environment's own code did.
    """
    try:
        check_spaces(env.observation_space, env.action_space, name)
        with noted_warnings(name):
            check_env(env, warn=True, skip_render_check=True)
    except UserError:
        raise
    except Exception as error:  # the environment's own code runs here: anything may come of it
        if has_old_api(error):
            raise ConfigError(f"{name}: {OLD_API}") from error
        if isinstance(error, AssertionError | ValueError) and raised_by_library(error):
            raise ConfigError(f"{name} does not fit stable-baselines3: {first_line(error)}") from error
        raise failure_of(error, name, "its first steps") from error
    finally:
        with suppress(Exception):
            env.close()


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
