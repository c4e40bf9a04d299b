"""Facts about this machine and this code that W&B's side channels send, gathered here so that each can go alone."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aigp_lightning.loggers.private_names import BYTES_USER_IN_ADDRESS, MASK, TOKEN

_PATH = r"[A-Za-z0-9._~-]+(?:/+[A-Za-z0-9._~-]+)*/?"
ADDRESS = re.compile(
    r"(?P<scheme>(?:https?|ssh|git)://)(?:[^/\s]*@)?"
    rf"(?P<host>(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d+)?)(?P<path>/?|/{_PATH})"
)
SHORT_ADDRESS = re.compile(rf"(?P<scheme>)(?:[^/\s]*@)?(?P<host>[A-Za-z0-9.-]{{2,}})(?P<path>:/?{_PATH})")
"""The remotes that are sent: of any other form nobody knows what it holds."""
PACKAGE = Path(__file__).parent.parent


def machine() -> dict[str, Any]:
    """Return operating system, Python, processors and GPUs; no name of a person, a machine or a folder."""
    found: dict[str, Any] = {
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
    }
    query = ("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")  # torch would open CUDA in this process
    if shutil.which(query[0]):
        found["gpus"] = _output(query).decode(errors="replace").splitlines()
    return found


def git_state(folder: Path) -> tuple[str, str]:
    """Return the remote without user, password and query, and the commit; empty where there is none."""
    git = ("git", "-C", str(folder))
    remote = _output((*git, "config", "--get", "remote.origin.url")).decode(errors="replace").strip()
    commit = _output((*git, "rev-parse", "--verify", "HEAD")).decode(errors="replace").strip()
    return without_user(remote), commit


def git_patch(folder: Path) -> bytes:
    """Return the difference from the commit in the files that git tracks."""
    return _output(("git", "-C", str(folder), "diff", "HEAD", "--no-ext-diff", "--no-color"))


def without_user(address: str) -> str:
    """Return a remote's address without user, password and query; nothing of one on this disk, or of an unusual one.

    Example:
        >>> without_user("https://me:secret@host/a?token=x"), without_user("me@host:a"), without_user("/home/me/a")
        ('https://host/a', 'host:a', '')
        >>> without_user("https://host/a;token=x"), without_user("https://host/ghp_abc/a.git")
        ('', '')
    """
    bare = re.split(r"[?#]", address, maxsplit=1)[0]
    found = ADDRESS.fullmatch(bare) or SHORT_ADDRESS.fullmatch(bare)
    plain = "" if found is None else f"{found['scheme'] or ''}{found['host']}{found['path']}"
    return "" if TOKEN.search(plain) else plain


def without_credentials(data: bytes) -> bytes:
    """Replace users and passwords in addresses.

    Example:
        >>> without_credentials(b"fetch('https://me:secret@host/a')")
        b"fetch('https://***@host/a')"
    """
    return BYTES_USER_IN_ADDRESS.sub(MASK.encode() + b"@", data)


def code_files() -> dict[str, Path]:
    """Find this package's Python files and those loaded from below the current folder, by their relative names."""
    here = Path.cwd()
    found = {path.relative_to(PACKAGE.parent).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
    for module in list(sys.modules.values()):
        path = Path(getattr(module, "__file__", None) or "")
        if path.suffix == ".py" and path.is_relative_to(here) and "site-packages" not in path.parts:
            found.setdefault(path.relative_to(here).as_posix(), path)
    return found


def _output(command: Sequence[str]) -> bytes:
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return b""
