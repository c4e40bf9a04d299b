"""The evaluation of a policy, as `ppo evaluate` wrote it or as the training noted it with the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from aigp_lightning.files import read_regular
from aigp_lightning.logfiles.run_config import read_config, read_json
from aigp_lightning.ranges import is_finite_number

MODELS = ("best", "last")
"""Folders of a run's models, the one to deploy first."""
MODEL_FILE, ABOUT_FILE, VERSIONS_FILE, EVALUATION_FILE = "model.zip", "about.json", "versions.json", "evaluation.json"
EVALUATED, BY_TRAINING = "ppo evaluate", "training"
RENAMED = {"success": "success_rate"}
METRICS = (
    *("success", "pass_rate", "reward", "reward_std", "length", "race_seconds", "race_steps", "best_lap", "mean_lap"),
    *("gates", "episodes"),
)
"""Numbers of an evaluation that gates may ask for; `success` is `success_rate` there."""


def is_policy_run(run: Path) -> bool:
    """True if a folder is the run of a policy, and not of a detector.

    Args:
        run: the folder.
    """
    return any((run / model / MODEL_FILE).is_file() for model in MODELS)


def policy_model(run: Path, sha256_of_model: str | None = None) -> Path:
    """Return the folder of a run's model.

    Args:
        run: the run folder.
        sha256_of_model: of its `model.zip`; None, or one that is not there: the best, or the last where there is none.
    """
    there = [run / model for model in MODELS if (run / model / MODEL_FILE).is_file()] or [run / MODELS[0]]
    if sha256_of_model is not None:
        for folder in there:
            if (folder / MODEL_FILE).is_file() and _sha256(folder / MODEL_FILE) == sha256_of_model:
                return folder
    return there[0]


def policy_evaluation(run: Path, sha256_of_model: str | None = None) -> dict[str, Any] | None:
    """Return the evaluation of a run's model; None where there is none.

    That of `ppo evaluate` counts if it is of the same training step as the model; else the one by which the training
    chose its best model, on the same starts each time.

    Args:
        run: the run folder.
        sha256_of_model: of its `model.zip`, see `policy_model`.

    Returns:
        `metrics`, `interval` (of the success rate, 95 %), `settings` (environment, starts), `steps`, `by` and, for
        `ppo evaluate`, the `sha256` of its file.
    """
    model = policy_model(run, sha256_of_model)
    about, _ = read_json(model / ABOUT_FILE)
    about = about if isinstance(about, dict) else {}
    found = evaluated(run, model, about.get("steps"))
    return noted(run, about) if found is None else found


def evaluated(run: Path, model: Path, steps: object) -> dict[str, Any] | None:
    """Return the evaluation that `ppo evaluate` wrote; None where there is none of a model of so many steps.

    Args:
        run: the run folder.
        model: folder of the model in it.
        steps: after which the model was saved.
    """
    path = run / "evaluation" / model.name / EVALUATION_FILE
    content, problem = read_json(path)
    if problem or not isinstance(content, dict) or content.get("steps") != steps:
        return None
    settings = {"env": content.get("env"), "kwargs": content.get("kwargs"), "starts": content.get("starts")}
    return {**_summary(content, settings, EVALUATED), "steps": content.get("steps"), "sha256": _sha256(path)}


def noted(run: Path, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the evaluation by which a training chose its best model; None where there is none.

    Args:
        run: the run folder.
        about: content of the model's `about.json`.
    """
    found = about.get("evaluation")
    if not isinstance(found, dict):
        return None
    return {**_summary(found, _settings_of_training(run), BY_TRAINING), "steps": about.get("steps")}


def _summary(content: Mapping[str, Any], settings: Mapping[str, Any], by: str) -> dict[str, Any]:
    metrics = {RENAMED.get(name, name): content.get(name) for name in METRICS}
    numbers = {name: value for name, value in metrics.items() if isinstance(value, float) or is_finite_number(value)}
    return {
        "metrics": numbers,
        "interval": content.get("interval"),
        "settings": {key: _without_folders(value) if key == "kwargs" else value for key, value in settings.items()},
        "by": by,
    }


def _settings_of_training(run: Path) -> dict[str, Any]:
    config, _ = read_config(run)
    env, tested = ((config or {}).get(group) for group in ("env", "eval_env"))
    env, tested = (group if isinstance(group, dict) else {} for group in (env, tested))
    return {"env": env.get("id"), "kwargs": env.get("kwargs"), "starts": tested.get("seed")}


def _without_folders(value: Any) -> Any:
    """Return an environment's arguments with files by their names alone: a track's may lie anywhere."""
    if isinstance(value, Mapping):
        return {str(key): _without_folders(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(each) for each in value]
    return re.split(r"[/\\]", value)[-1] if isinstance(value, str) else value


def _sha256(path: Path) -> str | None:
    try:
        return sha256(read_regular(path)).hexdigest()
    except OSError:
        return None
