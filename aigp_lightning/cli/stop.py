"""The end of a run that a signal stopped: how to resume it."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from aigp_lightning.checkpoints.paths import LAST, resume_option
from aigp_lightning.files import typed_command
from aigp_lightning.run.folder import is_run_folder
from aigp_lightning.run.processes import first_process
from aigp_lightning.run.signals import requeue
from aigp_lightning.terminal.output import print_line

CKPT_PATH = "--ckpt_path"
LAUNCHED = ("TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
"""Variables of launchers, whose own command line a process does not know."""
KEPT = (
    *("AIGP_WANDB", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_ENTITY", "WANDB_PROJECT", "WANDB_LOG_MODEL"),
    *("WANDB_NAME", "WANDB_NOTES", "WANDB_TAGS", "WANDB_RUN_GROUP", "WANDB_JOB_TYPE"),
    "MLFLOW_TRACKING_URI",
)
"""Variables that say what is sent, where to and under which name: a command that is repeated must not send more."""


def repeated_command(verb: str, arguments: Sequence[str], resume: Path | None) -> str | None:
    """Return a command line that goes on with a run, from whatever folder it is typed in.

    Args:
        verb: of this start.
        arguments: its options.
        resume: a checkpoint or a run folder to resume from; None to start as before.

    Returns:
        None where a launcher started this process: it knows its own command.
    """
    if any(name in os.environ for name in LAUNCHED):
        return None
    words = list(arguments) if resume is None else [*_without(arguments), CKPT_PATH, str(resume.absolute())]
    kept = {name: os.environ[name] for name in KEPT if name in os.environ and "@" not in os.environ[name]}
    return typed_command(verb, *words, variables=kept)


def _without(arguments: Sequence[str]) -> list[str]:
    """Return the options without the checkpoint."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == CKPT_PATH:
            next(words, None)
        elif not word.startswith(f"{CKPT_PATH}="):
            kept.append(word)
    return kept


def report_stop(
    number: int, folder: Path | None, verb: str = "fit", arguments: Sequence[str] = (), by_lightning: bool = False
) -> int:
    """Print on the first process how to resume a run that a signal stopped; SLURM's signal queues its job again.

    Args:
        number: of the signal.
        folder: the run folder; None where none was chosen yet.
        verb: of this start.
        arguments: its options.
        by_lightning: whether Lightning has started this process beside the first one, which it kills, though that may
            draw still, if another one fails.

    Returns:
        The exit status that the signal has by custom, 128 and its number; 0 in a process that Lightning has started.
    """
    name, resume = signal.Signals(number), _place(folder)
    if first_process():
        if resume is None:
            how = "Nothing was trained yet, and nothing is left; the same command begins again"
        elif resume == folder:
            how = f"No epoch was complete yet. To go on: the same command with {resume_option(resume)}"
        else:
            how = f"To go on: the same command with {resume_option(resume)}"
        command = repeated_command(verb, arguments, resume)
        print_line("", f"stopped by {name.name}. {how}", *([f"  {command}"] if command else []), err=True)
        if name is getattr(signal, "SIGUSR1", None):
            requeue()
    return 0 if by_lightning else 128 + number


def _place(folder: Path | None) -> Path | None:
    """Return what a run can be resumed from: its checkpoint, or its folder; None where it has left none."""
    if folder is None or not is_run_folder(folder):
        return None
    return folder / LAST if (folder / LAST).is_file() else folder
