"""A W&B run is opened, or recorded offline where that fails; and the command that sends what is on disk later."""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger

from aigp_lightning.files import shell_quoted
from aigp_lightning.loggers.wandb_config import print_wandb

QUIET = (
    "WANDB_USERNAME= WANDB_EMAIL= WANDB_USER_EMAIL= WANDB_X_EXTRA_HTTP_HEADERS={} WANDB_PROGRAM=train "
    "WANDB_ERROR_REPORTING=false"
)
"""Variables in front of `wandb sync`; they win over those of the shell and over wandb's settings files."""
LOG = Path("logs", "debug.log")
"""In a run's folder, wandb's own log, each line with the number of the process that wrote it."""


def sync_command(what: str, online: bool = False) -> str:
    """Return the command that sends what is on disk, and nothing besides.

    `wandb sync` alone tells the server the path of the program `wandb`, asks where its reports may go, and sends the
    names and headers that variables or settings files hold.

    Args:
        what: folders, quoted for a shell.
        online: whether they are of a run that was online.
    """
    words = f"sync --include-online {what}" if online else f"sync {what}"
    if os.name == "posix":
        return f"{QUIET} wandb {words}"
    return f"python -m wandb {words}"  # shells differ in how a variable is set; the module's name is no path


def all_records(folder: Path, run_id: str) -> str:
    """Name all offline folders of a run for a shell; a resumed run has more than one.

    Args:
        folder: the last one.
        run_id: the run's; wandb permits signs in it that a shell would read.
    """
    several = sorted(path.parent for path in folder.parent.glob(f"offline-run-*/run-{glob.escape(run_id)}.wandb"))
    if len(several) <= 1:
        return shell_quoted(folder)
    if os.name == "posix" and all(path.name.endswith(f"-{run_id}") for path in several):  # not of one second
        return f"{shell_quoted(folder.parent)}/offline-run-*-{shell_quoted(run_id)}"
    return shell_quoted(*several)


def opened(logger: WandbLogger, arguments: dict[str, Any], folder: Path) -> WandbLogger | None:
    """Open a logger's W&B run.

    Args:
        logger: not opened yet.
        arguments: with which it was built.
        folder: the run folder, for the line.

    Returns:
        The logger, or one that records offline instead; None if that fails too. A line says so.
    """
    place = Path(logger.save_dir or folder) / "wandb"
    before = set(place.glob("*run-*"))
    try:
        with _no_questions():
            _ = logger.experiment
        return logger
    except Exception as error:  # also pydantic's and the operating system's: whatever it is, training goes on
        why = _explained(error)
    try:
        offline = _offline(logger, arguments)
    except Exception as error:
        print_wandb(
            f"{why}. Recording offline fails too ({error_text(error)}), so W&B is left out; everything is in {folder}."
        )
        return None
    mine = Path(offline.experiment.dir).parent
    for attempt in set(place.glob("*run-*")) - before - {mine}:
        if _is_ours(attempt, str(offline.version)):
            shutil.rmtree(attempt, ignore_errors=True)  # nothing in it but a log; syncing it would fail again
    weights = " Weights are not uploaded." if arguments.get("log_model") else ""
    print_wandb(f"{why}. The run is recorded offline, in {mine}.{weights}")
    return offline


def _is_ours(folder: Path, run_id: str) -> bool:
    """True if this process made a folder of wandb's for this run; another's may have come up meanwhile."""
    if folder.is_symlink() or not re.fullmatch(rf"run-\d{{8}}_\d{{6}}-{re.escape(run_id)}(-\d+)?", folder.name):
        return False
    try:
        log = (folder / LOG).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    writers = set(re.findall(r"^\S+ \S+ \w+ +\S+?:(\d+) ", log, re.MULTILINE))
    return writers == {str(os.getpid())}


def _offline(logger: WandbLogger, arguments: dict[str, Any]) -> WandbLogger:
    import wandb

    wandb.teardown()  # its process would hold that the run's id is in use, and remember the mode it met first
    offline = type(logger)(**{**arguments, "log_model": False, "mode": "offline"})
    checked = logger._wandb_init["settings"]
    offline._wandb_init["settings"] = {"silent": True, **checked, "mode": "offline"}
    _ = offline.experiment
    return offline


@contextmanager
def _no_questions() -> Iterator[None]:
    """Keep wandb from asking for a key at a terminal, where it waits for ever; a dumb terminal is never asked."""
    before = os.environ.get("TERM")
    os.environ["TERM"] = "dumb"
    try:
        yield
    finally:
        del os.environ["TERM"]
        if before is not None:
            os.environ["TERM"] = before


def _explained(error: Exception) -> str:
    text = error_text(error)
    server = os.environ.get("WANDB_BASE_URL", "the W&B server")
    if "No API key" in text:
        return "not logged in (`wandb login`, once)"
    if type(error).__name__ == "AuthenticationError" or any(word in text for word in ("401", "403", "ermission")):
        return f"{server} refuses the key ({text}); `wandb login --relogin` sets another"
    if "deadline exceeded" in text:
        return f"{server} does not answer in time"
    return f"{server} does not do what it should ({text})"


def error_text(error: Exception) -> str:
    """Return the first line of what an exception of wandb's says."""
    lines = str(error).strip().splitlines()
    return lines[0].partition(": {")[0].rstrip(".") if lines else type(error).__name__  # no JSON of the server's
