"""Reads what a run noted about itself, `config.yaml` and `run.json`, as data and within limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aigp_lightning.logfiles.safe_yaml import load

CONFIG_FILE = "config.yaml"
RUN_FILE = "run.json"
LARGEST = 1 << 20
"""Bytes; a configuration has a few thousand."""


def read_config(run: Path) -> tuple[dict[str, Any] | None, str]:
    """Read a run's resolved configuration.

    Args:
        run: the run folder.

    Returns:
        The configuration, or None and why it cannot be read.
    """
    content, problem = read_yaml(run / CONFIG_FILE)
    if not problem and not isinstance(content, dict):
        problem = "is no configuration"
    return (None, problem) if problem else (content, "")


def read_yaml(path: Path) -> tuple[Any, str]:
    """Read a YAML file without running anything in it.

    Returns:
        Its content and an empty text, or None and what is wrong with it.
    """
    import yaml

    data, problem = read_small(path)
    if problem:
        return None, problem
    try:
        return load(data.decode("utf-8"), quick=True), ""
    except (yaml.YAMLError, ValueError):
        return None, "is not valid YAML"


def read_run_json(run: Path) -> dict[str, Any]:
    """Read `run.json`; an empty dict where there is none, or none that can be read."""
    content, _ = read_json(run / RUN_FILE)
    return content if isinstance(content, dict) else {}


def read_json(path: Path) -> tuple[Any, str]:
    """Read a JSON file; returns as `read_yaml` does."""
    data, problem = read_small(path)
    if problem:
        return None, problem
    try:
        return json.loads(data.decode("utf-8")), ""
    except (ValueError, RecursionError):
        return None, "is not valid JSON"


def read_small(path: Path) -> tuple[bytes, str]:
    """Read a file of at most `LARGEST` bytes.

    Returns:
        Its bytes and an empty text, or none and what is wrong with it.
    """
    try:
        if not path.is_file():
            return b"", "is no regular file" if path.exists() else "is missing"
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        return b"", f"cannot be read ({error.strerror})"
    return (b"", f"has more than {LARGEST} bytes") if len(data) > LARGEST else (data, "")
