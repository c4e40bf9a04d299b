"""The start of a run: its folder is chosen once, on the first process, for all of them, and locked by it."""

from __future__ import annotations

import os
from pathlib import Path

from aigp_lightning.checkpoints.paths import LAST, run_folder_of
from aigp_lightning.errors import ConfigError
from aigp_lightning.run.context import RunContext
from aigp_lightning.run.folder import (
    ENV_FIRST,
    ENV_FOLDER,
    RUN_FILE,
    RunConfig,
    check_name,
    claim_folder,
    find_last_checkpoint,
    find_run,
    is_run_folder,
    job_of_cluster,
    mark_run_folder,
    refuse_foreign_files,
    remove_unused_run_folder,
    restarted,
)
from aigp_lightning.run.lock import GRACE, RESTART_WAIT, choice_of_folder, lock_run_folder
from aigp_lightning.run.signals import SignalHandler


def start_run(
    config: RunConfig, task: str, checkpoint: str | None, first: bool, signals: SignalHandler | None = None,
    verb: str = "fit",
) -> RunContext:  # fmt: skip
    """Choose the run's folder, lock it, and choose the checkpoint that it resumes from.

    Args:
        config: what the user asked for.
        task: `detect` or `pose`; runs are kept apart by it.
        checkpoint: `--ckpt_path`: a file, a run folder, `last`, or None. A run is resumed in the folder that its
            checkpoint lies in.
        first: whether this is the process that chooses. The others are told: by the environment when the first one
            started them, or by `SyncRunFolder` when they were started beside it.
        signals: the run's handler of signals.
        verb: which of Lightning's; `fit` alone makes a folder that a later start finds.

    Raises:
        ConfigError: `last`, and there is no run of this name; or another process writes to the folder.
    """
    parent, signals = Path(config.root) / task, signals or SignalHandler()
    named = None if checkpoint in (None, "last") or Path(str(checkpoint)).is_dir() else checkpoint
    if not first:
        folder = find_folder(config, parent, checkpoint, os.environ.get(ENV_FOLDER))
        place = Path(os.environ.get(ENV_FOLDER, folder or parent / config.name))
        return RunContext(place, named or _last(folder), folder is not None, signals)
    check_name(config.name)
    folder, context = find_folder(config, parent, checkpoint), None
    if folder is None:
        with choice_of_folder(parent, config.name):
            folder = find_folder(config, parent, checkpoint)  # one may have begun in between
            context = _begin(config, parent, named, signals, verb) if folder is None else None
    if folder is not None:
        lock = lock_run_folder(folder.resolve(), verb, RESTART_WAIT if restarted() else GRACE)
        context = RunContext(folder.resolve(), named or _last(folder), True, signals, lock=lock)
    assert context is not None
    os.environ[ENV_FOLDER], os.environ[ENV_FIRST] = str(context.folder), str(os.getpid())
    return context


def _last(folder: Path | None) -> str | None:
    """Return a run's newest checkpoint; None where it has none yet, and begins again."""
    return str(folder / LAST) if folder is not None and (folder / LAST).is_file() else None


def find_folder(config: RunConfig, parent: Path, checkpoint: str | None, told: str | None = None) -> Path | None:
    """Find the folder of the run that is to be resumed; None where one is to begin.

    Args:
        config: what the user asked for.
        parent: folder of all runs of the task.
        checkpoint: `--ckpt_path`.
        told: the folder that the first process has chosen.

    Raises:
        ConfigError: `last`, and there is no run of this name; or a folder that is no run's.
    """
    if checkpoint not in (None, "last"):
        given = Path(str(checkpoint))
        folder = given if given.is_dir() else run_folder_of(given)
        if folder is not None and is_run_folder(folder):
            return folder
        if folder is given:
            raise ConfigError(f"--ckpt_path {given} is a folder, and no run's: it has no {RUN_FILE}. Name a file.")
        return None
    if checkpoint is None and config.resume != "always" and not (config.resume == "auto" and restarted()):
        return None
    folder = Path(told) if told else find_run(parent, config.name, job_of_cluster() if restarted() else None)
    if folder is None and checkpoint == "last" and config.resume != "always" and not restarted():
        find_last_checkpoint(parent, config.name)  # raises, and says what is missing
    return folder


def _begin(config: RunConfig, parent: Path, checkpoint: str | None, signals: SignalHandler, verb: str) -> RunContext:
    """Claim and lock a folder, and mark it as a run's; what was made goes again when that fails.

    A folder of the user's is marked when the training begins (`SaveConfig`); until then its lock tells other starts.
    """
    folder, made = claim_folder(parent, config.name, config.exist_ok)
    if not made:
        refuse_foreign_files(folder)
    folder = folder.resolve()
    lock = lock_run_folder(folder, verb)
    taken = None
    try:
        if verb == "fit" and (made or is_run_folder(folder)):
            mark_run_folder(folder)
        elif verb == "fit":
            refuse_foreign_files(folder)  # once more, now that nobody else writes there
            taken = frozenset(path.name for path in folder.iterdir())
    except BaseException:
        if made:
            remove_unused_run_folder(folder)
        lock.release()
        raise
    return RunContext(folder, checkpoint, False, signals, made=made, taken=taken, lock=lock)
