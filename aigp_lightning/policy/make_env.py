"""Makes the environments that stable-baselines3 steps from a Gymnasium id."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import Error as GymnasiumError
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecMonitor

from aigp_lightning.errors import ConfigError, UserError, first_line
from aigp_lightning.policy.config import EnvConfig, EvalConfig
from aigp_lightning.policy.env_checks import (
    OLD_API,
    check_single,
    check_spaces,
    check_step,
    has_old_api,
    noted_warnings,
)
from aigp_lightning.policy.env_guard import (
    LOST_PROCESS,
    EnvironmentFailed,
    GuardedEnv,
    GuardedVecEnv,
    NoteFolder,
    failure_of,
    leave_note,
)
from aigp_lightning.policy.vec_adapter import VectorEnvAdapter
from aigp_lightning.terminal.streams import PATIENCE, protect_streams

SUGGESTIONS = 3
WRONG_ARGUMENTS = ("unexpected keyword argument", "required positional argument", "required keyword-only argument")


def make_env(config: EnvConfig, check: bool = True) -> VecMonitor:
    """Make the environments, and check that they fit stable-baselines3.

    Args:
        config: id, number, backend and options.
        check: also step once, and run SB3's checker on one of single environments.

    Returns:
        The environments as SB3 steps them, with return and length of each episode.

    Raises:
        ConfigError: the module cannot be imported, there is no such id, its options are others, or SB3 cannot use it.
    """
    spec = find_spec(config)
    makers: dict[str, Callable[[EnvConfig, EnvSpec, bool], VecEnv]] = {
        "native": _make_vector,
        "dummy": _make_singles,
        "subproc": _make_singles,
    }
    env = makers[config.backend](config, spec, check)
    try:
        check_spaces(env.observation_space, env.action_space, config.id)
        if check and config.backend == "native":
            check_step(env, config.id)
    except UserError:
        env.close()
        raise
    return VecMonitor(env)


def evaluation_env_config(env: EnvConfig, evaluation: EvalConfig) -> EnvConfig:
    """Return the configuration of the evaluation environments: that of training, with the changes of `eval_env`."""
    count = min(evaluation.n_envs or env.n_envs, evaluation.n_episodes)
    return replace(env, kwargs={**env.kwargs, **evaluation.kwargs}, n_envs=count)


def find_spec(config: EnvConfig) -> EnvSpec:
    """Import the module that registers an environment, and return the environment's specification.

    Raises:
        ConfigError: the module or the id does not exist.
    """
    if config.module:
        try:
            import_module(config.module)
        except ImportError as error:
            raise ConfigError(
                f"--env.module {config.module} cannot be imported: {error}. It must be installed, or lie in the folder "
                "that the command is run in."
            ) from error
        except Exception as error:  # the module's own code runs here: anything may come of it
            raise failure_of(error, f"--env.module {config.module}", "its import") from error
    try:
        return gymnasium.spec(config.id)
    except GymnasiumError as error:
        near = get_close_matches(config.id, gymnasium.registry, n=SUGGESTIONS, cutoff=0.5)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ConfigError(
            f"--env.id {config.id}: no such environment is registered.{meant} --env.module names the module that "
            "registers yours."
        ) from error


def _make_vector(config: EnvConfig, spec: EnvSpec, check: bool) -> VecEnv:
    if spec.vector_entry_point is None:
        raise ConfigError(
            f"--env.id {config.id} has no vector version of its own. Use --env.backend dummy (one after the other in "
            "this process) or subproc (a process each), and fewer --env.n_envs."
        )
    env = _call_factory(
        config,
        lambda: gymnasium.make_vec(
            config.id, num_envs=config.n_envs, vectorization_mode="vector_entry_point", **config.kwargs
        ),
    )
    return GuardedVecEnv(VectorEnvAdapter(env), config.id)


def _make_singles(config: EnvConfig, spec: EnvSpec, check: bool) -> VecEnv:
    if spec.entry_point is None:
        raise ConfigError(f"--env.id {config.id} exists as a vector environment only: use --env.backend native.")
    if check:
        with noted_warnings(config.id):
            single = _EnvFactory(config)()
        check_single(single, config.id)
    if config.backend == "dummy":
        return GuardedVecEnv(DummyVecEnv([_EnvFactory(config)] * config.n_envs), config.id)
    notes = NoteFolder()
    try:
        return GuardedVecEnv(SubprocVecEnv([_EnvFactory(config, notes.path)] * config.n_envs), config.id, notes)
    except LOST_PROCESS as error:
        failure = notes.failure(config.id, error)
        notes.remove()
        raise failure from error


class _EnvFactory:
    """A factory of one environment, callable in another process."""

    def __init__(self, config: EnvConfig, notes: Path | None = None) -> None:
        self.config, self.notes, self.process = config, notes, os.getpid()

    def __call__(self) -> gymnasium.Env[Any, Any]:
        if self.notes is None or os.getpid() == self.process:
            return self._make()
        note = self.notes / f"{os.getpid()}.txt"
        try:
            return GuardedEnv(self._make(), note, self.config.id)
        except UserError as error:  # the training's process says it
            details = error.details if isinstance(error, EnvironmentFailed) else ""
            leave_note(note, EnvironmentFailed(str(error), details))

    def _make(self) -> gymnasium.Env[Any, Any]:
        if os.getpid() != self.process:  # Ctrl-C and SIGHUP go to all processes of a terminal; only the first decides
            for number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
                signal.signal(number, signal.SIG_IGN)
            protect_streams(PATIENCE)  # what the environment prints must not hold it up
            find_spec(self.config)  # this process has imported nothing yet
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module="gymnasium")  # the check has said them
            env: gymnasium.Env[Any, Any] = _call_factory(
                self.config, lambda: gymnasium.make(self.config.id, **self.config.kwargs)
            )
        return env


def _call_factory(config: EnvConfig, make: Callable[[], Any]) -> Any:
    """Call an environment's factory; report unknown options, missing packages and its own errors."""
    try:
        return make()
    except UserError:
        raise
    except GymnasiumError as error:
        raise ConfigError(f"--env.id {config.id} cannot be made: {first_line(error)}") from error
    except Exception as error:  # the environment's own code runs here: anything may come of it
        if isinstance(error, TypeError) and any(words in str(error) for words in WRONG_ARGUMENTS):
            raise ConfigError(f"--env.kwargs do not fit {config.id}: {first_line(error)}") from error
        if has_old_api(error):
            raise ConfigError(f"{config.id}: {OLD_API}") from error
        raise failure_of(error, config.id, "its constructor") from error
