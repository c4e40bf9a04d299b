"""Looks at paths whose names may come from anywhere: what cannot be looked at is not there, and nothing raises.

A name in a file that somebody else wrote may be too long for the system, have a zero byte in it, or lead through a
folder that may not be read. `pathlib` raises then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

LONGEST = 32767
"""Characters of a path that any system takes."""


def is_file(path: Path) -> bool:
    r"""True if a path leads to a file, and the system can tell.

    Example:
        >>> is_file(Path("a" * 5000)), is_file(Path("a\0b")), is_file(Path("x/" * 5000))
        (False, False, False)
    """
    return os.path.isfile(path)


def is_dir(path: Path) -> bool:
    """True if a path leads to a folder, and the system can tell."""
    return os.path.isdir(path)


def is_link(path: Path) -> bool:
    """True if a path is a symbolic link, and the system can tell."""
    return os.path.islink(path)


def size_of(path: Path) -> int:
    """Return the bytes of a file; 0 if it is not there."""
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def resolved(path: Path) -> Path:
    """Follow the links in a path; returns it as it is if the system cannot follow them."""
    if len(str(path)) > LONGEST:
        return path
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError, RecursionError):
        return path


def reason_of(error: OSError | ValueError) -> str:
    """Return why the system refused something, in words."""
    return (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__


def listing(folder: Path, pattern: str) -> list[Path]:
    """List what a folder holds by that pattern, in order; nothing if it cannot be read.

    Args:
        folder: looked into, not below.
        pattern: of the name, with `*`.
    """
    try:
        return sorted(folder / name for name in os.listdir(folder) if fnmatch(name, pattern))
    except (OSError, ValueError):
        return []


def walk(folder: Path, unread: list[tuple[Path, str]] | None = None) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Go through a folder and all below, however deep; links to folders are named and not entered.

    Args:
        folder: where to begin.
        unread: gets the folders that cannot be read, and why.

    Yields:
        Each folder with the names of its folders, which may be changed to leave some out, and of its files.
    """
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                found = sorted((entry.name, _leads_to_folder(entry), entry.is_symlink()) for entry in entries)
        except (OSError, ValueError) as error:
            if unread is not None:
                unread.append((place, reason_of(error)))
            continue
        folders = [name for name, is_folder, _ in found if is_folder]
        links = {name for name, _, is_a_link in found if is_a_link}
        yield place, folders, [name for name, is_folder, _ in found if not is_folder]
        waiting += [place / name for name in reversed(folders) if name not in links]


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
