"""A model on disk: a folder with SB3's zip, the statistics its observations were normalised with, and what it is."""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from aigp_lightning.errors import ConfigError, WeightsError
from aigp_lightning.policy.env_checks import first_line

MODEL_FILE = "model.zip"
STATISTICS_FILE = "vecnormalize.pkl"
ABOUT_FILE = "about.json"
CONFIG_FILE = "config.yaml"
LAST, BEST, CHECKPOINTS = "last", "best", "checkpoints"
BROKEN = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, pickle.UnpicklingError)
"""What SB3 and pickle raise for files that are cut off or not theirs."""


class Policy:
    """A trained policy that takes observations as the environment gives them.

    Args:
        model: SB3's.
        statistics: what its observations are normalised with.
    """

    def __init__(self, model: PPO, statistics: VecNormalize) -> None:
        self.model, self.statistics = model, statistics

    def __call__(self, observations: Any) -> np.ndarray:
        """The likeliest actions, (num_envs, …), within the bounds."""
        normal: Any = self.statistics.normalize_obs(observations)
        return self.model.predict(normal, deterministic=True)[0]


def save_model(model: PPO, folder: Path, about: Mapping[str, Any]) -> None:
    """Save a model and its statistics, whole or not at all: the one before stays until the new one is complete.

    Args:
        model: its environment is a `VecNormalize`.
        folder: of this one model.
        about: plain values that say what it is; `steps` is added.
    """
    passing, before = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    for leftover in (passing, before):
        shutil.rmtree(leftover, ignore_errors=True)
    passing.mkdir(parents=True)
    model.save(passing / MODEL_FILE)
    cast("VecNormalize", model.get_vec_normalize_env()).save(str(passing / STATISTICS_FILE))
    content = json.dumps({"steps": model.num_timesteps, **about}, indent=2)
    (passing / ABOUT_FILE).write_text(content, encoding="utf-8")
    if folder.exists():
        folder.rename(before)
    passing.rename(folder)
    shutil.rmtree(before, ignore_errors=True)


def find_model(path: str, option: str) -> Path:
    """The folder of a model.

    Args:
        path: that folder, the `model.zip` in it, or a run's folder, of which the last model is taken.
        option: named in the error.

    Raises:
        ConfigError: there is none.
    """
    given = Path(path)
    for folder in (given, given / LAST, given.parent if given.name == MODEL_FILE else given):
        if (folder / MODEL_FILE).is_file() and (folder / STATISTICS_FILE).is_file():
            return folder
    raise ConfigError(
        f"{option} {path}: no model there. It is a folder with {MODEL_FILE} and {STATISTICS_FILE}, such as "
        f"output/apex_policy/{BEST}, or the run's own folder."
    )


def run_of(folder: Path) -> Path | None:
    """The run that a model's folder belongs to; None when it lies elsewhere."""
    parents = (folder.parent, folder.parent.parent)
    return next((parent for parent in parents if (parent / CONFIG_FILE).is_file()), None)


def about(folder: Path) -> dict[str, Any]:
    """What was noted with a model; nothing when there is none."""
    file = folder / ABOUT_FILE
    return cast("dict[str, Any]", json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def load_policy(folder: Path, device: str = "cpu") -> Policy:
    """Read a model for use, not for further training. Its files are pickles: load only those of people you trust.

    Raises:
        WeightsError: a file is cut off, or not SB3's.
    """
    return Policy(load_model(folder, None, device), load_statistics(folder, None))


def load_model(folder: Path, env: VecEnv | None, device: str, **changed: Any) -> PPO:
    """Read SB3's zip.

    Args:
        folder: of the model.
        env: to train on; None for use alone.
        device: where to.
        **changed: hyperparameters that take the place of those saved.

    Raises:
        WeightsError: the file is cut off, not SB3's, or of other spaces or layers.
    """
    try:
        return PPO.load(folder / MODEL_FILE, env=env, device=device, **changed)
    except BROKEN as error:
        if "policy kwargs" in str(error):
            raise WeightsError(
                f"{folder / MODEL_FILE} has other layers than --ppo.net_arch, activation, log_std_init and ortho_init "
                "say; leave these as they were."
            ) from error
        raise WeightsError(f"{folder / MODEL_FILE} cannot be used: {first_line(error)}") from error


def load_statistics(folder: Path, env: VecEnv | None) -> VecNormalize:
    """Read the statistics, and wrap the environments if given.

    Raises:
        WeightsError: the file is cut off, or of other observations.
    """
    file = folder / STATISTICS_FILE
    try:
        statistics = cast("VecNormalize", pickle.loads(file.read_bytes()))
        if env is not None:
            statistics.set_venv(env)
    except (*BROKEN, AssertionError, AttributeError, ImportError) as error:
        raise WeightsError(f"{file} cannot be used: {first_line(error)}") from error
    return statistics
