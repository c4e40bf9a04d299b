"""What marks a folder as a run's: `run.json` with the program's name, or what earlier versions have written."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.files import write_atomic
from aigp_lightning.logfiles.folders import LOGGERS
from aigp_lightning.logfiles.folders import RUN_ID as WANDB_ID
from aigp_lightning.logfiles.run_config import CONFIG_FILE, RUN_FILE, read_config, read_json, read_small
from aigp_lightning.run.lock import PROGRAM

__all__ = ["CONFIG_FILE", "JOB", "RUN_FILE", "is_run_folder", "mark_run_folder", "read_run_file", "write_run_file"]

OWNER = "program"
"""Key in `run.json` for the name of the program that wrote it; earlier versions left it out."""
JOB = "job"
EARLIER_JOB = re.compile(r"(slurm|torchrun)-.+", re.DOTALL)
GROUPS = frozenset({"seed_everything", "trainer", "model", "data", "run", "media", "ckpt_path"})
"""Keys that every `config.yaml` of a run has together; what a user writes by hand lacks some."""
LEDGER_FILE = "media.jsonl"
LEDGER_KEYS = frozenset({"kind", "key", "file", "sha256", "destination", "outcome", "prev"})
LEDGER_START = b'{"kind":'
LONGEST = 1 << 20
"""Bytes of a line that is read."""
MISSING = "is missing"


def is_run_folder(folder: Path) -> bool:
    """True if a run of ours has made a folder, or taken it over: what lies there may be written over.

    A `run.json` with the program's name says so. Without, each of `run.json`, `config.yaml` and `media.jsonl` that is
    there must be what an earlier version wrote: other programs have files of these names, too.

    Args:
        folder: which may be missing.
    """
    run_file, problem = read_json(folder / RUN_FILE)
    if not problem and isinstance(run_file, dict) and OWNER in run_file:
        return bool(run_file[OWNER] == PROGRAM)
    signs = [_is_earlier(run_file) if not problem else None]  # one that is cut off says nothing
    config, problem = read_config(folder)
    if problem != MISSING:
        signs.append(config is not None and set(config) >= GROUPS)
    signs.append(_begins_as_ledger(folder / LEDGER_FILE))
    return True in signs and False not in signs


def _is_earlier(content: Any) -> bool:
    """True if an earlier version may have written this into `run.json`."""
    if not isinstance(content, dict):
        return False
    return all(
        (key == JOB and isinstance(value, str) and EARLIER_JOB.fullmatch(value) is not None)
        or (key == LOGGERS and isinstance(value, list) and all(isinstance(x, dict) for x in value))
        or WANDB_ID.fullmatch(key) is not None
        for key, value in content.items()
    )


def _begins_as_ledger(path: Path) -> bool | None:
    """True if the first line of a file is a ledger's; None where a kill left no whole line, or there is no file."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            first = file.readline(LONGEST)
        if not first.endswith(b"\n") and first[: len(LEDGER_START)] == LEDGER_START[: len(first)]:
            return None
        line = json.loads(first)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(line, dict) and set(line) >= LEDGER_KEYS


def job_of_cluster() -> str | None:
    """Return a name of the cluster's job that stays the same over the restarts of a run; None outside of one."""
    if slurm := os.environ.get("SLURM_JOB_ID"):
        return f"slurm-{slurm}"
    run = os.environ.get("TORCHELASTIC_RUN_ID", "none")  # `none` where torchrun was given no --rdzv_id
    return None if run == "none" else f"torchrun-{run}"


def mark_run_folder(folder: Path) -> None:
    """Note in a run's folder that it is one, and which job's: a restarted job finds it by that.

    Raises:
        ConfigError: there is a `run.json` that no run has written.
    """
    job = job_of_cluster()
    write_run_file(folder, **({JOB: job} if job and JOB not in read_run_file(folder) else {}))


def read_run_file(folder: Path) -> dict[str, Any]:
    """Read `run.json`; an empty dict where there is none, or none that can be read."""
    known, _ = read_json(folder / RUN_FILE)
    return known if isinstance(known, dict) else {}


def write_run_file(folder: Path, **values: Any) -> None:
    """Add to `run.json`, with the program's name; one that says all of it already is left alone.

    Raises:
        ConfigError: the file is none that a run has written.
    """
    path = folder / RUN_FILE
    known, problem = read_json(path)
    ours = isinstance(known, dict) and (known.get(OWNER) == PROGRAM if OWNER in known else _is_earlier(known))
    if problem != MISSING and not ours:
        raise ConfigError(f"{path} {problem or 'is none that a run has written'}; move it away, or delete it.")
    content = (json.dumps({OWNER: PROGRAM, **(known or {}), **values}) + "\n").encode()
    if read_small(path)[0] != content:
        write_atomic(path, content, own=True)
