r"""Finds the files that a recipe names, where they are on this machine: paths of Windows, of others, beside the recipe.

A path of another machine is never guessed at: `C:\Users\…` is told by the name of its setting.
"""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath

from aigp_lightning.paths import DRIVE


def is_windows(path: str) -> bool:
    r"""True if a path is one of Windows, seen from another system.

    Args:
        path: as it is written.

    Example:
        >>> is_windows("C:\\Users\\me"), is_windows("runs\\pose"), is_windows("runs/pose")
        (True, True, False)
    """
    return os.sep == "/" and (DRIVE.match(path) is not None or "\\" in path)


def is_elsewhere(path: str) -> bool:
    """True if a path can only be another machine's: absolute, and the folder that it starts in is not here.

    Args:
        path: as it is written.
    """
    if DRIVE.match(path) is not None and (os.sep == "/" or not Path(path[:3]).exists()):
        return True
    return path.startswith("/") and not _exists(path) and not _exists(os.path.dirname(path))


def locate(path: str, folder: Path | None) -> str | None:
    r"""Find a file or folder: as it is written, or beside the recipe; `\` of a relative path may stand for `/`.

    Args:
        path: as it is written.
        folder: of the recipe.

    Returns:
        The path that is there; None where none is.
    """
    written = [path, *([path.replace("\\", "/")] if is_windows(path) and DRIVE.match(path) is None else [])]
    for each in written:
        if _exists(each):
            return each
        if folder is not None and not os.path.isabs(each) and _exists(str(folder / each)):
            return str(folder / each)
    return None


def why_not_here(path: str, source: str) -> str:
    """Say why a path leads nowhere.

    Args:
        path: as it is written.
        source: the recipe, beside which it was looked for.
    """
    if is_windows(path) or is_elsewhere(path):
        return "a path of another machine"
    return "not in this folder, nor beside the recipe" if os.path.exists(source) else "not in this folder"


def last_part(path: str) -> str:
    r"""Return the name of a file, whichever system wrote its path.

    Args:
        path: as it is written.

    Example:
        >>> last_part("C:\\gates\\data.yaml"), last_part("/gates/data.yaml")
        ('data.yaml', 'data.yaml')
    """
    return PureWindowsPath(path).name


def _exists(path: str) -> bool:
    try:
        return os.path.exists(os.path.expanduser(path))
    except ValueError:  # a zero byte
        return False
