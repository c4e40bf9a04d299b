"""From a Gymnasium id to what stable-baselines3 steps; one that does not fit is refused, with the reason."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import Error as GymnasiumError
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecMonitor

from aigp_lightning.errors import ConfigError
from aigp_lightning.policy.config import EnvConfig, EvalConfig
from aigp_lightning.policy.env_checks import check_single, check_spaces, check_step, first_line
from aigp_lightning.policy.vec_adapter import VectorEnvAdapter

NEAR = 3
WRONG_WORDS = ("unexpected keyword argument", "required positional argument", "required keyword-only argument")


def make_env(config: EnvConfig, check: bool = True) -> VecMonitor:
    """Make the environments, and see whether they fit.

    Args:
        config: which, how many, how.
        check: also step once, and have SB3's checker look at one of single environments.

    Returns:
        SB3's view of them, which notes each episode's return and length.

    Raises:
        ConfigError: the module cannot be imported, there is no such id, its options are others, or SB3 cannot use it.
    """
    spec = find_spec(config)
    make: dict[str, Callable[[EnvConfig, EnvSpec, bool], VecEnv]] = {
        "native": _native,
        "dummy": _single,
        "subproc": _single,
    }
    env = make[config.backend](config, spec, check)
    try:
        check_spaces(env.observation_space, env.action_space, config.id)
        if check and config.backend == "native":
            check_step(env, config.id)
    except ConfigError:
        env.close()
        raise
    return VecMonitor(env)


def for_evaluation(env: EnvConfig, evaluation: EvalConfig) -> EnvConfig:
    """The environment a policy is judged on: as in training, but for what `eval_env` says."""
    count = min(evaluation.n_envs or env.n_envs, evaluation.n_episodes)
    return replace(env, kwargs={**env.kwargs, **evaluation.kwargs}, n_envs=count)


def find_spec(config: EnvConfig) -> EnvSpec:
    """Import the module, and look the id up.

    Raises:
        ConfigError: one of the two is not there.
    """
    if config.module:
        try:
            import_module(config.module)
        except ImportError as error:
            raise ConfigError(
                f"--env.module {config.module} cannot be imported: {error}. It must be installed, or lie in the folder "
                "that the command is run in."
            ) from error
    try:
        return gymnasium.spec(config.id)
    except GymnasiumError as error:
        near = get_close_matches(config.id, gymnasium.registry, n=NEAR, cutoff=0.5)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ConfigError(
            f"--env.id {config.id}: no such environment is registered.{meant} --env.module names the module that "
            "registers yours."
        ) from error


def _native(config: EnvConfig, spec: EnvSpec, check: bool) -> VecEnv:
    if spec.vector_entry_point is None:
        raise ConfigError(
            f"--env.id {config.id} has no vector version of its own. Use --env.backend dummy (one after the other in "
            "this process) or subproc (a process each), and fewer --env.n_envs."
        )
    env = _called(
        config,
        lambda: gymnasium.make_vec(
            config.id, num_envs=config.n_envs, vectorization_mode="vector_entry_point", **config.kwargs
        ),
    )
    return VectorEnvAdapter(env)


def _single(config: EnvConfig, spec: EnvSpec, check: bool) -> VecEnv:
    if spec.entry_point is None:
        raise ConfigError(f"--env.id {config.id} exists as a vector environment only: use --env.backend native.")
    if check:
        check_single(_Maker(config)(), config.id)
    make = _Maker(config)
    return DummyVecEnv([make] * config.n_envs) if config.backend == "dummy" else SubprocVecEnv([make] * config.n_envs)


class _Maker:
    """Makes one environment, in a process of its own too."""

    def __init__(self, config: EnvConfig) -> None:
        self.config, self.process = config, os.getpid()

    def __call__(self) -> gymnasium.Env[Any, Any]:
        if os.getpid() != self.process:  # Ctrl-C goes to all processes of a terminal; only the first decides
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            find_spec(self.config)  # this process has imported nothing yet
        env: gymnasium.Env[Any, Any] = _called(
            self.config, lambda: gymnasium.make(self.config.id, **self.config.kwargs)
        )
        return env


def _called(config: EnvConfig, make: Callable[[], Any]) -> Any:
    """Call what makes an environment; options it does not have, and packages it misses, are the user's to see to."""
    try:
        return make()
    except GymnasiumError as error:
        raise ConfigError(f"--env.id {config.id} cannot be made: {first_line(error)}") from error
    except TypeError as error:
        if not any(words in str(error) for words in WRONG_WORDS):
            raise
        raise ConfigError(f"--env.kwargs do not fit {config.id}: {first_line(error)}") from error
