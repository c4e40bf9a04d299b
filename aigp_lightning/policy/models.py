"""Models on disk: a folder with SB3's zip, the statistics of the normalisation, and a description (`about.json`)."""

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

from aigp_lightning.errors import ConfigError, WeightsError, first_line

MODEL_FILE = "model.zip"
STATISTICS_FILE = "vecnormalize.pkl"
ABOUT_FILE = "about.json"
CONFIG_FILE = "config.yaml"
VERSIONS_FILE = "versions.json"
"""In a run's folder, beside its configuration."""
LAST, BEST, CHECKPOINTS = "last", "best", "checkpoints"
LOAD_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
)
"""Errors that SB3 and pickle raise for files that are cut off or of another format."""


class Policy:
    """A trained policy that takes observations as the environment gives them.

    Args:
        model: of stable-baselines3.
        statistics: running means and variances that its observations are normalised with.
    """

    def __init__(self, model: PPO, statistics: VecNormalize) -> None:
        self.model, self.statistics = model, statistics

    def __call__(self, observations: Any) -> np.ndarray:
        """Return the most probable actions, (num_envs, …), within their bounds."""
        normal: Any = self.statistics.normalize_obs(observations)
        return self.model.predict(normal, deterministic=True)[0]


def save_model(model: PPO, folder: Path, about: Mapping[str, Any]) -> None:
    """Save a model and its statistics atomically: the previous one stays until the new one is complete.

    What else lies in the model's folder, such as an export or notes, stays there.

    Args:
        model: its environment is a `VecNormalize`.
        folder: of this one model.
        about: plain values that describe it; `steps` is added.
    """
    temporary, previous = folder.with_name(f".{folder.name}.new"), _aside(folder)
    _finish_replacing(folder, previous)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    model.save(temporary / MODEL_FILE)
    cast("VecNormalize", model.get_vec_normalize_env()).save(str(temporary / STATISTICS_FILE))
    content = json.dumps({"steps": model.num_timesteps, **about}, indent=2)
    (temporary / ABOUT_FILE).write_text(content, encoding="utf-8")
    if folder.exists():
        folder.rename(previous)
    temporary.rename(folder)
    _finish_replacing(folder, previous)


def _aside(folder: Path) -> Path:
    """Return where a model is while a new one takes its place."""
    return folder.with_name(f".{folder.name}.old")


def _finish_replacing(folder: Path, previous: Path) -> None:
    """Remove a model that was replaced, but what else lay in its folder; put it back if a kill came in between."""
    if not previous.is_dir():
        return
    if not folder.exists():
        previous.rename(folder)
        return
    for path in previous.iterdir():
        if path.name not in (MODEL_FILE, STATISTICS_FILE, ABOUT_FILE) and not (folder / path.name).exists():
            path.rename(folder / path.name)
    shutil.rmtree(previous, ignore_errors=True)


def find_model(path: str, option: str) -> Path:
    """Return the folder of a model.

    Args:
        path: that folder, the `model.zip` in it, or a run's folder for its newest model: the last one, or a checkpoint
            that was saved after it, when a kill ended the training.
        option: that named the path, for the error message.

    Raises:
        ConfigError: there is no model.
    """
    given = Path(path)
    for folder in (given, given.parent if given.name == MODEL_FILE else given):
        if _is_model(folder):
            return folder
    replaced = _aside(given / LAST)  # while a kill came
    last = next((folder for folder in (given / LAST, replaced) if _is_model(folder)), None)
    checkpoints = sorted((given / CHECKPOINTS).glob("*"))
    newest = next((folder for folder in reversed(checkpoints) if _is_checkpoint(folder)), None)
    if newest is not None and (last is None or _is_newer(newest, last)):
        return newest
    if last is not None:
        return last
    raise ConfigError(
        f"{option} {path}: no model there. It is a folder with {MODEL_FILE} and {STATISTICS_FILE}, such as "
        f"output/apex_policy/{BEST}, or the run's own folder."
    )


def _is_model(folder: Path) -> bool:
    return (folder / MODEL_FILE).is_file() and (folder / STATISTICS_FILE).is_file()


def _is_checkpoint(folder: Path) -> bool:
    return folder.name.isdecimal() and _is_model(folder)


def _is_newer(checkpoint: Path, last: Path) -> bool:
    """True if a checkpoint has more steps than the last model, and was saved later: else somebody has gone back."""
    saved = [(folder / MODEL_FILE).stat().st_mtime for folder in (checkpoint, last)]
    return saved[0] > saved[1] and int(checkpoint.name) > read_about(last).get("steps", 0)


def find_run(folder: Path) -> Path | None:
    """Return the folder of the run that a model belongs to, or that is one itself; None when there is none.

    A `config.yaml` alone may be anybody's, and a resumed run writes its own.

    Args:
        folder: of a model or a run, or a model's `model.zip`; what is in it need not be complete.
    """
    start = folder.parent if folder.name == MODEL_FILE else folder
    files = (CONFIG_FILE, VERSIONS_FILE)
    places = (start, *list(start.parents)[:2])
    return next((place for place in places if all((place / file).is_file() for file in files)), None)


def read_about(folder: Path) -> dict[str, Any]:
    """Return the description saved with a model; empty when there is none."""
    file = folder / ABOUT_FILE
    return cast("dict[str, Any]", json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def load_policy(folder: str | Path, device: str = "cpu") -> Policy:
    """Read a model for use, not for further training. Its files are pickles: load only those of people you trust.

    Args:
        folder: of the model, such as `output/apex_policy/best`.
        device: to load it to.

    Raises:
        WeightsError: a file is cut off, or not SB3's.
    """
    return Policy(load_model(folder, None, device), load_statistics(folder, None))


def load_model(folder: str | Path, env: VecEnv | None, device: str, **changed: Any) -> PPO:
    """Read SB3's zip.

    Args:
        folder: of the model.
        env: to train on; None for use alone.
        device: to load it to.
        **changed: hyperparameters in place of the saved ones.

    Raises:
        WeightsError: the file is cut off, not SB3's, or of other spaces or layers.
    """
    file = Path(folder) / MODEL_FILE
    try:
        return PPO.load(file, env=env, device=device, **changed)
    except LOAD_ERRORS as error:
        if "policy kwargs" in str(error):
            raise WeightsError(
                f"{file} has other layers than --ppo.net_arch, activation, log_std_init and ortho_init "
                "say; leave these as they were."
            ) from error
        raise WeightsError(f"{file} cannot be used: {first_line(error)}") from error


def load_statistics(folder: str | Path, env: VecEnv | None) -> VecNormalize:
    """Read the statistics, and wrap the environments if given.

    Args:
        folder: of the model.
        env: environments whose observations are to be normalised; None for use alone.

    Raises:
        WeightsError: the file is cut off, or of other observations.
    """
    file = Path(folder) / STATISTICS_FILE
    try:
        statistics = cast("VecNormalize", pickle.loads(file.read_bytes()))
        if env is not None:
            statistics.set_venv(env)
    except (*LOAD_ERRORS, AssertionError, AttributeError, ImportError) as error:
        raise WeightsError(f"{file} cannot be used: {first_line(error)}") from error
    return statistics
