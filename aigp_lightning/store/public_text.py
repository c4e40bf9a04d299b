"""Plain values without paths and addresses: what may stand in a receipt or a journal that others read."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PLACE = re.compile(
    r"(?<![\w)/\\~])(?:(?:[A-Za-z][\w+.-]*:|~[\w.-]*|\.{1,2})[/\\]+|[/\\]+(?!\s|\Z))"
    r"|[^\s:;,'\"<>|()/\\]+\\+"
)
"""Begins a path in a text: of the root, a home folder, a drive, a server, an address, or a folder before a `\\`."""
END = re.compile(r'[;"<>|`\n\r\0]|:(?=\s)')
"""Ends a path whatever comes after; a blank, a comma or a bracket may be part of a folder's name."""
HOMES = ("home", "users")
"""Folders of which each folder is a user's."""
NAME_END = re.compile(r"[\s:;,'\"<>|()`]")


def public_values(value: Any) -> Any:
    """Return plain values without paths of this machine, and None for what is no number.

    Args:
        value: mappings, lists, texts, paths and numbers, NumPy's too.
    """
    if isinstance(value, Mapping):
        return {public_text(str(key)): public_values(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [public_values(each) for each in value]
    if isinstance(value, Path):
        return value.name
    if isinstance(value, str):
        return public_text(value)
    if hasattr(value, "item"):  # NumPy's scalars
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def public_text(text: str) -> str:
    """Replace paths and addresses in a text by the names of what they lead to.

    Folders may have blanks in their names, and nothing tells where such a path ends: all up to the last slash before
    a quotation mark, a semicolon, a colon with a blank, or the next path is taken for folders, so that words between
    two slashes may be lost, and none of a folder's name stays.

    Args:
        text: such as the reason of `--force`.
    """
    parts, done = [], 0
    while (found := PLACE.search(text, done)) is not None:
        ended = END.search(text, found.end())
        stop = len(text) if ended is None else ended.start()
        following = next((each for each in PLACE.finditer(text, found.end(), stop) if _begins_word(text, each)), None)
        stop = stop if following is None else following.start()
        name, end = _last_name(text, found, stop)
        parts += [text[done : found.start()], name]
        done = end
    return "".join([*parts, text[done:]])


def _begins_word(text: str, found: re.Match[str]) -> bool:
    """True if what begins a path stands behind a blank or the like, and is no folder of the path before."""
    of_its_own = found[0][0] in "/\\~." or ":" in found[0]
    return of_its_own and text[found.start() - 1] in " \t'(,[="


def _last_name(text: str, found: re.Match[str], stop: int) -> tuple[str, int]:
    """Return the name that a path leads to, and where the path ends in its text."""
    slash = max(text.rfind("/", found.start(), stop), text.rfind("\\", found.start(), stop))
    ended = NAME_END.search(text, slash + 1, stop)
    end = stop if ended is None else ended.start()
    names = [name for name in re.split(r"[/\\]", text[found.start() : end]) if name]
    if not names:  # a slash between two words
        return text[found.start() : end], end
    if names[-1] in (".", "..") or (len(names) > 1 and names[-2].lower() in HOMES):
        return "~", end  # a folder that is named by its user
    return names[-1], end
