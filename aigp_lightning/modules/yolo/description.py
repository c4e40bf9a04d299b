"""What of a network's description and settings is kept: what builds it. Files come from strangers and go to others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

CLASS_WIDTH = "class_width"
"""Our key in a model's `yaml`: the class branch's channels, where they came with weights of other classes."""
BUILDS = frozenset(
    {
        *("nc", "scale", "scales", "depth_multiple", "width_multiple", "max_channels", "activation", "channels", "ch"),
        *("reg_max", "end2end", "inplace", "kpt_shape", "backbone", "head", "yaml_file", CLASS_WIDTH),
    }
)
"""Keys of a model's `yaml` that Ultralytics' networks are built from, and the name of the file it was."""
WORD = re.compile(r"[^/\\~@:\n]{0,100}")
"""A name of a layer, an activation or a mode; whatever else a text may be, it is no path and no address."""
FILE = re.compile(r"(?:.*[/\\])?([^/\\~@:\n]+\.(?:yaml|yml|pt))", re.DOTALL)
"""A path of a file that a setting names; the folders before it name the machine and its user."""
NO_SETTINGS = frozenset({"project", "name", "source", "save_dir"})
"""Ultralytics' settings that say where things lie, or whose they are."""
DEEPEST = 8
"""Levels of nesting of any description."""
MOST_VALUES = 100_000
"""Values in one part of a description, those in lists that stand in several places counted there again."""


def public_description(described: Mapping[str, Any]) -> dict[str, Any]:
    """Reduce a model's `yaml` to what the network is built from.

    Args:
        described: its content, of a file of Ultralytics', a user's or a stranger's.

    Returns:
        The keys that count, with numbers and plain words; of `yaml_file` the name without folders.

    Example:
        >>> row = [-1, 1, "nn.Identity", ["/home/me"]]
        >>> public_description({"nc": 2, "yaml_file": "/home/me/a.yaml", "mine": ["/home/me"], "head": [row]})
        {'nc': 2, 'yaml_file': 'a.yaml', 'head': [[-1, 1, 'nn.Identity', ['']]]}
    """
    found = {key: _plain(value) for key, value in described.items() if key in BUILDS}
    if "yaml_file" in found:
        found["yaml_file"] = _file_name(described["yaml_file"]) or "model.yaml"
    return found


def public_settings(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Reduce settings to those that Ultralytics knows, as numbers, plain words and names of files.

    Args:
        settings: by Ultralytics' names.
        defaults: what takes the place of a setting that is missing, a folder, or names somebody.

    Example:
        >>> defaults = {"data": None, "imgsz": 640, "project": None}
        >>> public_settings({"data": "/home/me/gates.yaml", "imgsz": 64, "project": "me", "mine": 1}, defaults)
        {'data': 'gates.yaml', 'imgsz': 64, 'project': None}
    """
    found = dict(defaults)
    for key, value in settings.items():
        if key not in defaults or key in NO_SETTINGS:
            continue
        text = isinstance(value, str) or hasattr(value, "__fspath__")
        plain = (_word(str(value)) or _file_name(str(value))) if text else _plain(value)
        if plain is not None:
            found[key] = plain
    return found


def keypoint_names(value: Any) -> dict[int, list[str]] | None:
    """Return names of keypoints by class, if a file's are such; nothing else is passed on under their name.

    Example:
        >>> keypoint_names({0: ["top", "bottom"]}), keypoint_names({0: {"top": "/home/me"}})
        ({0: ['top', 'bottom']}, None)
    """
    fine = isinstance(value, dict) and all(
        type(key) is int and isinstance(names, list) and all(type(name) is str for name in names)
        for key, names in value.items()
    )
    return value if fine else None


def keypoint_sigmas(value: Any) -> list[float] | None:
    """Return the sigmas of keypoints, if a file's are numbers."""
    return value if isinstance(value, list) and all(type(each) in (int, float) for each in value) else None


def _plain(value: Any, depth: int = 0, counted: Iterator[int] | None = None) -> Any:
    """Return a value made of numbers and plain words alone; '' and None take the place of others, so none moves.

    Raises:
        ValueError: it holds more values than any description, as lists do that hold one another many times.
    """
    counted = count() if counted is None else counted
    if next(counted) > MOST_VALUES:
        raise ValueError(f"a value that stands for more than {MOST_VALUES:,}")
    if value is None or type(value) in (bool, int, float):
        return value
    if isinstance(value, str):
        return _word(value) or ""
    if isinstance(value, (list, tuple)) and depth < DEEPEST:
        return type(value)(_plain(each, depth + 1, counted) for each in value) if type(value) in (list, tuple) else None
    if isinstance(value, Mapping) and depth < DEEPEST:
        return {key: _plain(each, depth + 1, counted) for key, each in value.items() if _is_key(key)}
    return None


def _is_key(key: Any) -> bool:
    return type(key) is int or (isinstance(key, str) and re.fullmatch(r"\w{0,20}", key) is not None)


def _word(text: str) -> str | None:
    return text if WORD.fullmatch(text) else None


def _file_name(value: Any) -> str | None:
    found = FILE.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found else None
