"""Run folders: claimed, found again, marked as a run's, removed when nothing came of them."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aigp_lightning.checkpoints.paths import LAST
from aigp_lightning.errors import ConfigError
from aigp_lightning.files import is_plain_name
from aigp_lightning.logfiles.event_file import written_here
from aigp_lightning.paths import is_text
from aigp_lightning.run.lock import LOCK_FILE
from aigp_lightning.run.marker import (
    CONFIG_FILE,
    JOB,
    RUN_FILE,
    is_run_folder,
    job_of_cluster,
    mark_run_folder,
    read_run_file,
    write_run_file,
)

__all__ = [
    "CONFIG_FILE",
    "EARLIER_CONFIG",
    "ENV_FIRST",
    "ENV_FOLDER",
    "IMAGE_RESULTS",
    "JOB",
    "PICTURES",
    "RESULTS",
    "RUN_FILE",
    "TEXTS",
    "RunConfig",
    "check_name",
    "claim_folder",
    "find_last_checkpoint",
    "find_run",
    "is_run_folder",
    "job_of_cluster",
    "mark_run_folder",
    "read_run_file",
    "refuse_foreign_files",
    "remove_unused_marks",
    "remove_unused_run_folder",
    "restarted",
    "write_run_file",
]

ENV_FOLDER = "AIGP_RUN_FOLDER"
"""Variable by which the first process tells the ones it starts which folder it chose."""
ENV_FIRST = "AIGP_FIRST_PROCESS"
"""Variable with the first process's own number, so that the ones it starts see when it is gone."""
RESTARTS = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
"""Set by torchrun and SLURM: how often they have started this run anew."""
PICTURES = (
    *("train_batch*.jpg", "labels.jpg", "labels_correlogram.jpg", "val_batch*_labels.jpg", "val_batch*_pred.jpg"),
    *("*PR_curve.png", "*F1_curve.png", "*P_curve.png", "*R_curve.png", "confusion_matrix.png"),
    *("confusion_matrix_normalized.png", "corner_error.png", "results.png", "val_errors*.jpg", "val_table*.*"),
)
IMAGE_RESULTS = "image_results.npz"
"""See `modules/metrics/image_results.py`."""
EARLIER_CONFIG = "config-before-epoch*.yaml"
"""Configurations that were in effect until an epoch, from which on a resumed run had another one."""
TEXTS = (CONFIG_FILE, EARLIER_CONFIG, RUN_FILE, "results.csv", "lost_files.txt", "data_problems_*.txt")
RESULTS = (*TEXTS, *PICTURES, IMAGE_RESULTS, "media.jsonl", "weights/*", "masked/*", "history/*", "nonfinite/*")
"""Patterns of the files that a run writes."""


@dataclass
class RunConfig:
    """Where the run keeps its files.

    Args:
        name: folder of the run, `<root>/<task>/<name>`; a number is added when it exists.
        root: folder of all runs.
        exist_ok: write into the folder if it exists, instead of adding a number.
        resume: whether to go on with the newest run of this name instead of starting one. auto does so when torchrun
            or SLURM has started the program anew; always also when you have; never leaves it to --ckpt_path.
        json: write the final metrics, `imgsz`, the number of images and the speed in milliseconds to this JSON file.
        hours: train for so many hours, all starts together, instead of `--trainer.max_epochs`: after every epoch the
            schedule is laid out over as many as fit.
        plots: of `validate` and `test`: draw curves, confusion matrix and mosaics, as files in `<root>/<task>/val` or
            `test`; `--media.val_batches` and the like say which. `fit` has its own options, --media.
    """

    name: str = "gates"
    root: str = "runs"
    exist_ok: bool = False
    resume: Literal["auto", "always", "never"] = "auto"
    json: str | None = None
    hours: float | None = None
    plots: bool = False


def claim_folder(
    parent: Path, name: str, exist_ok: bool, options: tuple[str, str] = ("--run.name", "--run.root")
) -> tuple[Path, bool]:
    """Make a folder that no other run has: `name`, else `name-2`, `name-3` and so on.

    Making it is the claim, so two runs started at once get two folders.

    Args:
        parent: of the folder.
        name: of the folder.
        exist_ok: take it if it exists.
        options: that choose the name and the parent, for errors.

    Returns:
        The folder, and whether it was made; one that was there may hold what no run has written.

    Raises:
        ConfigError: the name is no folder name, or nothing can be written there.
    """
    check_name(name, options)
    if not is_text(os.path.abspath(parent / name)):
        raise ConfigError(
            f"the run folder {parent / name} has bytes in its path that are not UTF-8, and TensorBoard cannot write "
            f"there. {options[1]} chooses another."
        )
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder, True
        except FileExistsError:
            if exist_ok and folder.is_dir():
                return folder, False
            if exist_ok:
                raise ConfigError(f"{folder} is a file; a run needs a folder. Choose another {options[0]}.") from None
            number += 1
        except OSError as error:
            raise ConfigError(
                f"cannot make the run folder {folder}: {error.strerror}. {options[1]} chooses."
            ) from error


def check_name(name: str, options: tuple[str, str] = ("--run.name", "--run.root")) -> None:
    """Refuse a run's name that would lead out of the parent folder.

    Args:
        name: of the run.
        options: that choose the name and the parent, for errors.

    Raises:
        ConfigError: it is no plain name.
    """
    if not is_plain_name(name):
        raise ConfigError(f"{options[0]} {name!r} must be a plain folder name; {options[1]} says where.")


def refuse_foreign_files(folder: Path) -> None:
    """Refuse to write over files in an existing folder that is no run's.

    Args:
        folder: that `--run.exist_ok` allows to take.

    Raises:
        ConfigError: it has a file such as a run writes, and no run has made it.
    """
    if not is_run_folder(folder) and (found := _first_result(folder)) is not None:
        raise ConfigError(
            f"--run.exist_ok true: no run has made {folder}, and {found.relative_to(folder)} would be written over. "
            "Move that away, or choose another --run.name."
        )


def _first_result(folder: Path, without: str = "") -> Path | None:
    found = (path for pattern in RESULTS if pattern != without for path in sorted(folder.glob(pattern)))
    return next(found, None)


def find_run(parent: Path, name: str, job: str | None = None) -> Path | None:
    """Find the newest folder among the runs of a name; one with a checkpoint before one without.

    Args:
        parent: folder of all runs of the task.
        name: the run's; `name-2` and so on are later runs of this name.
        job: only runs that this job of the cluster's started.
    """
    form = re.compile(rf"{re.escape(name)}(-\d+)?")
    folders = [path for path in parent.iterdir() if form.fullmatch(path.name)] if parent.is_dir() else []
    runs = [run for run in folders if is_run_folder(run)]
    if job is not None:
        runs = [run for run in runs if read_run_file(run).get(JOB) == job]
    return max(runs, key=_age, default=None)


def _age(run: Path) -> tuple[bool, float]:
    last = run / LAST
    return last.is_file(), (last if last.is_file() else run).stat().st_mtime


def find_last_checkpoint(parent: Path, name: str) -> Path:
    """Find the newest `weights/last.ckpt` among the runs of this name.

    Raises:
        ConfigError: there is none.
    """
    run = find_run(parent, name)
    if run is None or not (run / LAST).is_file():
        raise ConfigError(
            f"--ckpt_path last: no run named {name} in {parent} has a {LAST}. Name the checkpoint itself."
        )
    return run / LAST


def restarted() -> bool:
    """True if torchrun or SLURM has started this run before."""
    return any(os.environ.get(name, "0").strip() not in ("", "0") for name in RESTARTS)


def remove_unused_run_folder(folder: Path) -> None:
    """Remove a run's folder if the run never got as far as a result of its own.

    Args:
        folder: made by this start of the run; no other process writes there.
    """
    empty = {CONFIG_FILE, RUN_FILE, LOCK_FILE, "tensorboard", "wandb", "mlflow", "csv"}
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= empty:
        shutil.rmtree(folder, ignore_errors=True)


def remove_unused_marks(folder: Path, known: frozenset[str]) -> None:
    """Make a folder of the user's what it was, if the run that took it over never got as far as a result of its own.

    `run.json`, and event files of this process in which nothing was recorded, go.

    Args:
        folder: taken over by this start of the run, which has it locked; it had no file such as a run writes.
        known: names of what was in it then.
    """
    if _first_result(folder, without=RUN_FILE) is not None:
        return
    if is_run_folder(folder):
        (folder / RUN_FILE).unlink(missing_ok=True)
    for path in written_here(folder):
        with suppress(OSError):
            path.unlink()
            for parent in path.relative_to(folder).parents[:-1]:
                if parent.parts[0] not in known:
                    (folder / parent).rmdir()  # which is refused where there is more in it
