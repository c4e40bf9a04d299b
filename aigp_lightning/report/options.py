"""The configuration of a run as a report shows it: without secrets, private names and places on this machine."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from aigp_lightning.loggers.private_names import MASK, is_secret_name, masked_command, masked_text

WHOLE_PATH = re.compile(r"(/|~|[A-Za-z]:[/\\]|\\\\|file:|\.\.[/\\])")
"""Beginning of a text that is a place on a machine."""
PATH_WITHIN = re.compile(r"(?<![\w./\\-])(?:~[\w.-]*|[A-Za-z]:)?(?:[/\\][^\s/\\'\"<>|*?,;()]+){2,}")
"""A place on a machine within a text."""
PRIVATE, HARMLESS = "media.private", ("media.private_action",)
IMAGES = ("media.val_files", "data.source")
"""Options that may name images."""
DEEPEST = 30


def shown_config(config: dict[str, Any], is_private: Callable[[str], bool], include: bool) -> dict[str, Any]:
    """Return a configuration that may be handed to others.

    Args:
        config: as the run resolved it.
        is_private: tells whether an image is private.
        include: whether names of private images are shown.
    """
    return {key: _shown(value, name, is_private, include) for key, name, value in _keyed(config)}


def flat(config: dict[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the options by their dotted names; entries of a list of groups by their number.

    Args:
        config: nested.
        start: of the names.
    """
    for key, value in config.items():
        name = f"{start}{key}"
        if isinstance(value, dict) and value:
            yield from flat(value, f"{name}.")
        elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
            yield from flat({str(number): one for number, one in enumerate(value)}, f"{name}.")
        else:
            yield name, value


def without_places(text: str) -> str:
    r"""Shorten the absolute paths in a text to their last part.

    Args:
        text: such as an option's value, or the message of an error.

    Example:
        >>> without_places("/home/me/my data/gates.yaml"), without_places("cannot read '/home/me/a.csv': gone")
        ('gates.yaml', "cannot read 'a.csv': gone")
        >>> without_places("images/val/*.jpg"), without_places(r"C:\data\gates"), without_places("https://host/a/b")
        ('images/val/*.jpg', 'gates', 'https://host/a/b')
    """
    if WHOLE_PATH.match(text) and "\n" not in text:
        return _last(text)
    return PATH_WITHIN.sub(lambda found: _last(found[0]), text)


def _last(path: str) -> str:
    kind = PureWindowsPath if "\\" in path or re.match("[A-Za-z]:", path) else PurePosixPath
    return kind(path).name.strip("~") or MASK


def _shown(value: Any, name: str, is_private: Callable[[str], bool], include: bool, deep: int = 0) -> Any:
    if name == PRIVATE and value and not include:
        count = len(value) if isinstance(value, list) else 1
        return f"({count} entr{'ies' if count > 1 else 'y'}, not shown)"
    if isinstance(value, bool) or value is None:
        return value
    if deep > DEEPEST or (name not in (PRIVATE, *HARMLESS) and is_secret_name(name.rpartition(".")[2])):
        return MASK
    if isinstance(value, dict):
        return {key: _shown(one, f"{name}.{of}", is_private, include, deep + 1) for key, of, one in _keyed(value)}
    if isinstance(value, list):
        if value and all(isinstance(one, str) for one in value):
            value = masked_command(value)  # words of a command, maybe
        return [_shown(one, name, is_private, include, deep + 1) for one in value]
    hidden = isinstance(value, str) and name in IMAGES and not include and is_private(value)
    return "(a private image)" if hidden else _plain(value)


def _keyed(group: dict[Any, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield the entries of a group: the key as it is shown, as it is, and the value; no two are shown alike."""
    seen: Counter[str] = Counter()
    for key, value in group.items():
        shown = str(_plain(str(key)))
        seen[shown] += 1
        yield shown if seen[shown] == 1 else f"{shown} ({seen[shown]})", str(key), value


def _plain(value: Any) -> Any:
    """Return a number as it is, a text without places and secrets; what YAML has besides, such as a date, as a text."""
    return value if isinstance(value, int | float) else without_places(masked_text(str(value)))
