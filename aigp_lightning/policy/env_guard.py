"""Guards environments: one that fails, dies or gives no numbers ends a training with one line and its model saved."""

from __future__ import annotations

import os
import shutil
import tempfile
import traceback
from pathlib import Path
from typing import Any, NoReturn

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn, VecEnvWrapper

from aigp_lightning.errors import RunError, UserError, first_line, printable

LOST_PROCESS = (EOFError, ConnectionError)
"""Errors raised when the process of an environment has ended."""
LIBRARIES = (f"{os.sep}gymnasium{os.sep}", f"{os.sep}stable_baselines3{os.sep}")
"""Parts of the paths of code that only passes an environment's errors on."""
HERE = Path(__file__).parent


class EnvironmentFailed(RunError):
    """An environment has failed, died, or given something that is no number.

    Args:
        text: what happened, in a line.
        details: the traceback of the environment's own error; empty where there is none.
    """

    def __init__(self, text: str, details: str = "") -> None:
        super().__init__(text)
        self.details = details


def failure_of(error: BaseException, name: str, call: str) -> EnvironmentFailed:
    """Describe an exception of an environment's in a line, with the file and line of its code.

    Args:
        error: what it raised.
        name: its Gymnasium id.
        call: the method that failed, such as `step()`.
    """
    why = first_line(error)
    reason = why if why == type(error).__name__ else f"{type(error).__name__}: {why}"
    frame = own_frame(error)
    place = f" ({Path(frame.filename).name}, line {frame.lineno})" if frame is not None else ""
    return EnvironmentFailed(
        printable(f"{name} failed in {call}: {reason}{place}."), "".join(traceback.format_exception(error))
    )


def own_frame(error: BaseException) -> traceback.FrameSummary | None:
    """Return the innermost frame that is neither of this package nor of the libraries that call an environment."""
    frames = traceback.extract_tb(error.__traceback__)
    own = (each for each in reversed(frames) if not _is_library(each.filename))
    return next(own, None)


def raised_by_library(error: BaseException) -> bool:
    """True if Gymnasium or stable-baselines3 raised an error, rather than code that they called.

    Args:
        error: any.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and _is_library(frames[-1].filename)


def _is_library(file: str) -> bool:
    return HERE in Path(file).parents or any(part in file for part in LIBRARIES)


class GuardedEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment in a process of its own, which leaves the reason in a file when it fails, and no traceback.

    stable-baselines3's pipe to such a process carries no errors: the training's process only sees that it is gone.

    Args:
        env: the environment.
        note: the file.
        name: its Gymnasium id.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], note: Path, name: str) -> None:
        super().__init__(env)
        self.note, self.name = note, name

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Reset the environment."""
        try:
            return self.env.reset(**options)
        except Exception as error:
            leave_note(self.note, failure_of(error, self.name, "reset()"))

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step the environment."""
        try:
            return self.env.step(action)
        except Exception as error:
            leave_note(self.note, failure_of(error, self.name, "step()"))


def leave_note(note: Path, failure: EnvironmentFailed) -> NoReturn:
    """Write a failure to a file, and end this process.

    Args:
        note: the file.
        failure: what happened.

    Raises:
        SystemExit: always.
    """
    note.write_text(f"{failure}\n{failure.details}", encoding="utf-8", errors="backslashreplace")
    raise SystemExit(1)


class NoteFolder:
    """A temporary folder in which processes of environments leave the reasons of their ends."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="aigp-env-"))

    def failure(self, name: str, error: BaseException) -> EnvironmentFailed:
        """Return why a process is gone; without a note it was killed.

        Args:
            name: of the environment.
            error: by which this process noticed.
        """
        note = next(iter(sorted(self.path.glob("*.txt"))), None)
        if note is not None:
            text, _, details = note.read_text(encoding="utf-8").partition("\n")
            return EnvironmentFailed(text, details)
        return EnvironmentFailed(
            f"a process that runs {name} is gone ({type(error).__name__}), killed most likely, for want of memory or "
            "by a crash of the simulator. Take fewer --env.n_envs, or --env.backend dummy, which shows more."
        )

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


class GuardedVecEnv(VecEnvWrapper):
    """Environments whose errors become `EnvironmentFailed`, and whose observations and rewards are checked.

    Args:
        env: the environments.
        name: their Gymnasium id.
        notes: where their processes leave the reasons of their ends; None where they run in this one.
    """

    def __init__(self, env: VecEnv, name: str, notes: NoteFolder | None = None) -> None:
        super().__init__(env)
        self.name, self.notes = name, notes

    def reset(self) -> Any:
        """Reset the environments.

        Raises:
            EnvironmentFailed: one has failed, died or given something that is no number.
        """
        try:
            observations = self.venv.reset()
        except (Exception, SystemExit) as error:  # a simulator that leaves takes the training with it
            raise self._failure(error, "reset()") from error
        self._check(observations, "reset()")
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        """Pass the actions on.

        Raises:
            EnvironmentFailed: the process of one is gone.
        """
        try:
            self.venv.step_async(actions)
        except Exception as error:
            raise self._failure(error, "step()") from error

    def step_wait(self) -> VecEnvStepReturn:
        """Step the environments.

        Raises:
            EnvironmentFailed: one has failed, died or given something that is no number.
        """
        try:
            observations, rewards, done, infos = self.venv.step_wait()
        except (Exception, SystemExit) as error:
            raise self._failure(error, "step()") from error
        self._check(observations, "step()")
        if not np.isfinite(rewards).all():
            raise self._not_finite("a reward", rewards)
        return observations, rewards, done, infos

    def close(self) -> None:
        """Close the environments; what fails in that no longer matters."""
        try:
            self.venv.close()
        except Exception:  # whatever a simulator's close() does, the models are saved
            pass
        finally:
            if self.notes is not None:
                self.notes.remove()

    def _failure(self, error: BaseException, call: str) -> UserError:
        if isinstance(error, UserError):
            return error
        if isinstance(error, LOST_PROCESS) and self.notes is not None:
            return self.notes.failure(self.name, error)
        return failure_of(error, self.name, call)

    def _check(self, observations: Any, call: str) -> None:
        parts = observations.items() if isinstance(observations, dict) else [("", observations)]
        for key, values in parts:
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise self._not_finite(f"an observation of {call}{f' ({key})' if key else ''}", values)

    def _not_finite(self, what: str, values: np.ndarray) -> EnvironmentFailed:
        place = np.argwhere(~np.isfinite(values))[0]
        which = f"environment {place[0]}" + (f", at index {place[1:].tolist()}" if len(place) > 1 else "")
        return EnvironmentFailed(
            f"{self.name} gave {what} that is {values[tuple(place)]} ({which}). PPO cannot learn from it: mend the "
            "environment, or limit what it returns."
        )
