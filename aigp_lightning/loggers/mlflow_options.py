"""Options for what MLflow gets besides scalars and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigp_lightning.loggers.wandb_options import public_values
from aigp_lightning.loggers.wandb_sources import git_state

LONGEST = 250
"""Characters of a parameter's value that every MLflow takes."""


@dataclass
class MLFlowOptions:
    """The data that MLflow gets besides scalars and pictures, wherever it keeps them.

    Args:
        config: the run's options that are numbers, yes or no, or short plain words, as parameters of the MLflow run;
            never a path, a file's name, this user's or this machine's name, or what is called password, token and the
            like.
        git: of the repository the run is started in: the remote's address without user, password and query, and the
            commit, as tags.
    """

    config: bool = True
    git: bool = False


def parameters(options: MLFlowOptions, config: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of an MLflow run: the public part of a configuration, by full names.

    Args:
        options: the group `mlflow`.
        config: the whole configuration.

    Example:
        >>> parameters(MLFlowOptions(), {"data": {"imgsz": 640, "data_yaml": "/data/a.yaml"}, "run": {"name": "me"}})
        {'data.imgsz': '640'}
    """
    return dict(_flat(public_values(config), "")) if options.config else {}


def _flat(values: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", str(value)[:LONGEST]


def git_tags(options: MLFlowOptions) -> dict[str, str]:
    """Return MLflow's own tags for the state of the repository that a run is started in; none unless asked for.

    Args:
        options: the group `mlflow`.

    Example:
        >>> git_tags(MLFlowOptions())
        {}
    """
    remote, commit = git_state(Path.cwd()) if options.git else ("", "")
    tags = {"mlflow.source.git.commit": commit, "mlflow.source.git.repoURL": remote}
    return {name: value for name, value in tags.items() if value}
