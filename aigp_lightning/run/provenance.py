"""The versions, git commits, seeds and hardware with which a run was started, for its receipt.

It stays in the run folder: no logger is given it. It names no machine, no user, no folder, no branch and no address of
a repository.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from aigp_lightning import __version__
from aigp_lightning.errors import first_line, warn_user
from aigp_lightning.run.cores import cores
from aigp_lightning.run.marker import read_run_file, write_run_file

STARTS = "starts"
"""Key in `run.json`: what `provenance` returned at each start of `fit`, oldest first."""
MOST_STARTS = 20
"""Starts that are kept: the first, and the last ones."""
PACKAGES = (
    *("torch", "torchvision", "torchmetrics", "lightning", "numpy", "albumentations", "opencv-python"),
    *("opencv-python-headless", "pillow", "ultralytics", "rfdetr", "scipy", "jsonargparse", "wandb", "tensorboard"),
    *("mlflow-skinny", "onnx", "onnxruntime", "stable-baselines3", "gymnasium"),
)
"""Packages on which results or what is sent depend; those that are installed are recorded."""
GIT_SECONDS = 2.0
"""Time that git gets: what it has not said by then, as on a slow disk, is not recorded, and why is."""
LATE = "late"
"""Stands for an answer that did not come in time."""
GIT = ("git", "-c", "core.fsmonitor=false", "-c", "protocol.allow=never")
"""Asks nobody else: no program that watches files, and no other repository for what a partial clone lacks."""
STATUS = ("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=untracked")
LONGEST_NAME = 120
CPU_FILE = Path("/proc/cpuinfo")


def record_start(folder: Path, seeds: Mapping[str, Any], gpus: Sequence[str] = (), processes: int = 1) -> None:
    """Add the provenance of a start to `run.json`. What goes wrong is told, and ends no run.

    Args:
        folder: the run folder.
        seeds: by the options' names.
        gpus: names of the devices that the run trains on.
        processes: that train together.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     record_start(Path(folder), {"seed_everything": 0})
        ...     recorded_starts(Path(folder))[0]["seeds"]
        {'seed_everything': 0}
    """
    try:
        known = recorded_starts(folder)
        if len(known) >= MOST_STARTS:
            known = [known[0], *known[2 - MOST_STARTS :]]
        write_run_file(folder, **{STARTS: [*known, provenance(seeds, gpus, processes)]})
    except Exception as error:  # whatever a system's files or packages hold, the training goes on
        warn_user(f"versions, commit and hardware of this start are not recorded: {first_line(error)}")


def recorded_starts(folder: Path) -> list[dict[str, Any]]:
    """Return the provenance of each start of a run, oldest first; none for runs of earlier versions.

    Args:
        folder: the run folder.

    Example:
        >>> recorded_starts(Path("no such run"))
        []
    """
    known = read_run_file(folder).get(STARTS)
    return [one for one in known if isinstance(one, dict)] if isinstance(known, list) else []


def provenance(seeds: Mapping[str, Any], gpus: Sequence[str] = (), processes: int = 1) -> dict[str, Any]:
    """Return versions, git commits, seeds, hardware and the time, as plain values; takes some hundredths of a second.

    Args:
        seeds: by the options' names.
        gpus: names of the devices in use.
        processes: that train together.

    Returns:
        `time`, `versions`, `git` (see `git_state`), `seeds`, `hardware` (of this machine).

    Example:
        >>> sorted(provenance({"seed": 1}))
        ['git', 'hardware', 'seeds', 'time', 'versions']
    """
    asked = _Asked()
    return {
        "time": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "versions": package_versions(),
        "seeds": dict(seeds),
        "hardware": {**hardware(), "gpus": list(gpus), "processes": processes},
        "git": asked.answers(),  # last: git has worked meanwhile
    }


def package_versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of those in `PACKAGES` that are installed; imports none.

    Example:
        >>> package_versions()["python"] == platform.python_version()
        True
    """
    found = {"python": platform.python_version(), "aigp_lightning": __version__}
    for name in PACKAGES:
        with suppress(PackageNotFoundError, OSError, ValueError):
            found[name] = version(name)
    return found


def hardware() -> dict[str, Any]:
    """Return the kind of operating system and processor, the cores in use and the memory; no name of the machine.

    Example:
        >>> hardware()["cores"] == cores()
        True
    """
    import psutil  # type: ignore[import-untyped]

    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "cores": cores(),
        "memory_bytes": int(psutil.virtual_memory().total),
    }


def gpu_names(indices: Sequence[int] | None = None) -> list[str]:
    """Return the names of CUDA devices that are in use; none where CUDA is not.

    Args:
        indices: numbers of the devices; None: the current one.

    Example:
        >>> gpu_names([])
        []
    """
    import torch

    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return []
    return [torch.cuda.get_device_name(index) for index in ([None] if indices is None else indices)]


def git_state() -> dict[str, Any]:
    """Return the commits of the working folder's repository and of the one that has this package's code.

    Returns:
        Under `working_folder` and `code`: `commit`, and `changes`: whether files that git follows differ from it; None
        where that could not be told. None in place of both: no repository, or no git; code in a repository's ignored
        files, such as a virtual environment, is not of that repository. If git did not answer in time for one of them,
        that is None too, and `why` says so.

    Example:
        >>> sorted(git_state())
        ['code', 'working_folder']
    """
    return _Asked().answers()


class _Asked:
    """Asks git at once, so that it works while others do."""

    def __init__(self) -> None:
        code, here = Path(__file__).parent.parent, Path()
        self._followed = _git(code, "ls-files", "--error-unmatch", "__init__.py")
        self._places = {name: (_git(at, "rev-parse", "--verify", "HEAD"), _git(at, *STATUS))
                        for name, at in (("working_folder", here), ("code", code))}  # fmt: skip

    def answers(self) -> dict[str, Any]:
        end = time.monotonic() + GIT_SECONDS
        followed = _answer(self._followed, end)
        found: dict[str, Any] = {}
        late = []
        for name, (head, status) in self._places.items():
            commit, changes = _answer(head, end), _answer(status, end)
            needed = [commit, followed] if name == "code" else [commit]
            found[name] = None
            if LATE in needed and None not in needed:
                late.append(name.replace("_", " "))
            elif commit and None not in needed:
                found[name] = {"commit": commit, "changes": None if changes in (None, LATE) else bool(changes)}
        if late:
            found["why"] = f"git did not answer within {GIT_SECONDS:g} s for the {' and the '.join(late)}"
        return found


def _git(folder: Path, *words: str) -> subprocess.Popen[bytes] | None:
    """Start git in a folder; None where there is none."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # those of a git hook
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    try:
        return subprocess.Popen([*GIT, *words], cwd=folder, env={**mine, "GIT_OPTIONAL_LOCKS": "0"}, **quiet)
    except OSError:
        return None


def _answer(process: subprocess.Popen[bytes] | None, end: float) -> str | None:
    """Return what git has said until a time; None where it could not, `LATE` where it took longer."""
    if process is None:
        return None
    try:
        said, _ = process.communicate(timeout=max(end - time.monotonic(), 0.01))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return LATE
    return said.decode("ascii", "replace").strip() if process.returncode == 0 else None


def _cpu_model() -> str:
    with suppress(OSError):
        for line in CPU_FILE.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model"):
                return value.strip()[:LONGEST_NAME]
    return platform.processor()[:LONGEST_NAME]
