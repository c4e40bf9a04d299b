"""Files that libraries write beside a run: in one private folder for temporary files, not in the home folder.

Matplotlib's list of fonts, Ultralytics' settings and W&B's log of its helper process are written when these libraries
are imported or started. Each reads a variable that says where to; the package sets them before any of the three can be
imported. Whoever has settings of their own in the home folder keeps them, and so does a value that is set already.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path

FOLDER = "aigp_lightning"
_WINDOWS = sys.platform == "win32"


def redirect_caches() -> None:
    """Set the variables by which Ultralytics, Matplotlib and W&B find their folders, where the user has set none."""
    wanted = {}
    if not _is_any(_cache_home() / "wandb"):
        wanted["WANDB_CACHE_DIR"] = "wandb"
    if not _is_any(_config_home() / "Ultralytics" / "settings.json"):
        wanted["YOLO_CONFIG_DIR"] = ""  # Ultralytics adds a folder of its own name
    own = _matplotlib_config()
    if not _is_any(own / "matplotlibrc", own / "stylelib"):
        wanted["MPLCONFIGDIR"] = "matplotlib"
    wanted = {name: part for name, part in wanted.items() if name not in os.environ}
    if wanted and (folder := private_folder()) is not None:
        os.environ.update({name: str(folder / part) for name, part in wanted.items()})


def private_folder(parent: str | Path | None = None) -> Path | None:
    """Create this user's folder for caches, or find it as an earlier run left it.

    Temporary files are everybody's, so a folder of that name may be somebody else's trap: it is used only if it is a
    real folder, belongs to this user and is closed to all others.

    Args:
        parent: where to; the system's folder for temporary files without it.

    Returns:
        The folder, or a new one with a random name where that one cannot be trusted; None where neither can be made.
    """
    try:
        base = Path(parent or tempfile.gettempdir())
        folder = base / (FOLDER if _WINDOWS else f"{FOLDER}-{os.getuid()}")
        try:
            folder.mkdir(mode=0o777 if _WINDOWS else 0o700)  # on Windows the parent is this user's own
        except FileExistsError:
            if not _is_private(folder):
                return Path(tempfile.mkdtemp(prefix=f"{FOLDER}-", dir=base))
    except OSError:
        return None
    return folder


def _is_private(folder: Path) -> bool:
    """True if it is a folder, no link, of this user's, and nobody else may enter it."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return False
    access = found.st_mode & 0o777  # without setgid, which a folder may inherit
    return _WINDOWS or (found.st_uid == os.getuid() and access == stat.S_IRWXU)


def _is_any(*paths: Path) -> bool:
    """True if one of the paths is there."""
    return any(os.path.exists(path) for path in paths)


def _home() -> Path:
    return Path(os.path.expanduser("~"))


def _config_home() -> Path:
    """Return the folder in which Ultralytics keeps its settings by itself."""
    if _WINDOWS:
        return _home() / "AppData" / "Roaming"
    if sys.platform == "darwin":
        return _home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_CONFIG_HOME") or _home() / ".config")


def _cache_home() -> Path:
    """Return the folder in which W&B keeps its cache by itself."""
    if _WINDOWS:
        return _home() / "AppData" / "Local" / "wandb"
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache")


def _matplotlib_config() -> Path:
    """Return the folder in which Matplotlib looks for its user's configuration."""
    return _config_home() / "matplotlib" if sys.platform.startswith(("linux", "freebsd")) else _home() / ".matplotlib"
