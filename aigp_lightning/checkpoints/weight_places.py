"""Places in which a file of trained weights is looked for, by the name that an option gives it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from aigp_lightning.errors import WeightsError, printable
from aigp_lightning.files import is_plain_name, shell_quoted
from aigp_lightning.paths import expand_home

HERE = Path("weights")
"""In the folder that a command is typed in; `fetch` puts files there."""
PUBLISHED = (".pt", ".pth")
"""Endings of the weights files that `fetch` can get."""
PUBLISHED_NAME = re.compile(r"(yolo(v?\d|_nas_|e-)|rf-detr-|rtdetr-|(mobile_)?sam\d?[._]|FastSAM-)[\w.-]*")
"""Form of the names that makers give to published weights; `fetch` knows which of these there are."""


def user_folder(platform: str = sys.platform, environment: Mapping[str, str] | None = None) -> Path:
    """Return the folder of this user's data in which weights are looked for, for all projects.

    Args:
        platform: as `sys.platform`.
        environment: variables; None takes those of the process.

    Example:
        >>> user_folder("linux", {"XDG_DATA_HOME": "/data"}).as_posix()
        '/data/aigp_lightning/weights'
    """
    variables = os.environ if environment is None else environment
    home = Path(os.path.expanduser("~"))
    if platform == "win32":
        base = Path(variables.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        given = variables.get("XDG_DATA_HOME", "")
        base = Path(given) if os.path.isabs(given) else home / ".local" / "share"  # relative ones do not count
    return base / "aigp_lightning" / "weights"


def located(name: str | Path) -> Path | None:
    """Return the weights file that a name means; None where there is none.

    Args:
        name: a path, which is taken as it is typed; or a bare name, which is then looked for in `weights/` and in the
            user's folder.

    Example:
        >>> HERE.mkdir()
        >>> (HERE / "yolo11n.pt").touch()
        >>> located("yolo11n.pt").as_posix(), located("other/yolo11n.pt")
        ('weights/yolo11n.pt', None)
    """
    typed = Path(expand_home(name))
    places = [typed]
    if is_plain_name(str(name)):
        places += [HERE / name, user_folder() / name]
    return next((place for place in places if place.is_file()), None)


def is_published_name(name: str) -> bool:
    """True if a name is such as `fetch` takes: bare, and like those of published weights files.

    Args:
        name: as it was typed.

    Example:
        >>> is_published_name("yolo11n.pt"), is_published_name("runs/yolo11n.pt"), is_published_name("best.pt")
        (True, False, False)
    """
    return is_plain_name(name) and Path(name).suffix in PUBLISHED and PUBLISHED_NAME.fullmatch(name) is not None


def find_weights(name: str | Path, option: str = "", kind: str = "a weights file", instead: str = "") -> Path:
    """Return the weights file that a name means.

    Args:
        name: see `located`.
        option: that gave it, for the error.
        kind: of file that would do, for the error.
        instead: another way out, for the error.

    Raises:
        WeightsError: there is none; it says where it was looked for and, of a bare name, how to get it.

    Example:
        >>> find_weights("runs/best.pt", instead="name another")
        Traceback (most recent call last):
        aigp_lightning.errors.WeightsError: no weights file at runs/best.pt. Give the path of a weights file on this \
disk, or name another.
    """
    if (found := located(name)) is not None:
        return found
    said, before, after = printable(name), f"{option}: " if option else "", f", or {instead}." if instead else "."
    places, advice = f"{before}no weights file at {said}", f"Give the path of {kind} on this disk"
    if is_plain_name(str(name)):
        places += f", nor in {HERE} of this folder ({Path.cwd()}), nor in {user_folder()}"
        if is_published_name(str(name)):
            advice = f"Get it with `python -m aigp_lightning fetch {shell_quoted(name)}`"
    raise WeightsError(f"{printable(places)}. {advice}{after}")
