"""The configuration of a task, complete and with comments, into which the values of a recipe are written."""

from __future__ import annotations

from pathlib import Path

import aigp_lightning
from aigp_lightning.errors import ConfigError

FILES = {"detect": "detector.yaml", "pose": "pose.yaml", "segment": "segment.yaml"}
"""Configurations that are shipped, by task."""


def base_text(task: str) -> str:
    """Return the text of a task's configuration.

    Args:
        task: detect, pose or segment.

    Raises:
        ConfigError: it is not there: the installation is damaged.
    """
    package = Path(aigp_lightning.__file__).parent
    beside = [package.parent / "configs"] if (package.parent / "pyproject.toml").is_file() else []  # in a checkout
    for folder in (package / "configs", *beside):
        if (file := folder / FILES[task]).is_file():
            return file.read_text(encoding="utf-8")
    raise ConfigError(f"configs/{FILES[task]} is not in this installation; install the package anew.")
