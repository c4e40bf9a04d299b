"""W&B's run: opened before training, closed after it. No failure of W&B's ends a training run."""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import WandbLogger

from aigp_lightning.logfiles.logged import logged_rows, row_names
from aigp_lightning.logfiles.wandb_run import last_row
from aigp_lightning.loggers.config import arguments_of
from aigp_lightning.loggers.wandb_config import print_wandb
from aigp_lightning.loggers.wandb_options import WandbOptions, public_values
from aigp_lightning.loggers.wandb_sources import code_files, git_patch, machine
from aigp_lightning.run.processes import first_process

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from lightning.pytorch.callbacks import ModelCheckpoint


class ResilientWandbLogger(WandbLogger):
    """Lightning's W&B logger with a fence: no failure ends a training run, and the run's options are not sent.

    Metrics are handed to a process beside this one and weights to the server itself; either may be gone. The first
    failure is reported, the rest are the same.

    Args:
        *args: Lightning's.
        skip_logged: do not send rows that W&B's folders of this run hold already.
        **kwargs: Lightning's.
    """

    failed = False

    def __init__(self, *args: Any, skip_logged: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._logged: Counter[tuple[frozenset[str], int]] = Counter()
        if skip_logged and self.save_dir is not None:
            self._logged = logged_rows(Path(self.save_dir), self.version)
        if self._wandb_init.get("anonymous", True) is None:
            del self._wandb_init["anonymous"]  # Lightning's default, of which wandb warns in every run

    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Send nothing: Lightning would send all of a module's options. `send_extras` sends the public ones."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send a row, unless an earlier start of the run has sent it."""
        row = row_names(metrics), -1 if step is None else step
        if self._logged[row] > 0:
            self._logged[row] -= 1
            return
        with self._fence("metrics are no longer recorded there"):
            super().log_metrics(metrics, step)

    def flushed(self) -> bool:
        """True if every row so far is on disk, safe from a kill; W&B's own process writes it, a moment later."""
        run = self._experiment
        if self.failed or run is None or getattr(run, "disabled", True):
            return True
        try:
            step, began = int(run.step), int(run.starting_step)
        except Exception:  # W&B's process is gone, or several share the run: nobody can tell
            return True
        return step <= began or last_row(Path(run.dir).parent) >= step - 1

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Upload the weights, if every checkpoint was asked for."""
        with self._fence("weights could not be uploaded"):
            super().after_save_checkpoint(checkpoint_callback)

    def finalize(self, status: str) -> None:
        """Upload the weights, if the best were asked for."""
        with self._fence("weights could not be uploaded"):
            super().finalize(status)

    @contextmanager
    def _fence(self, consequence: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not self.failed:
                print_wandb(f"{_text(error)}; {consequence}. Training goes on, and the run folder is complete.")
            self.failed = True


def open_wandb(trainer: pl.Trainer, configured: Any, options: WandbOptions, config: Mapping[str, Any]) -> None:
    """Open the W&B run, so that what goes wrong is reported before training and the run is recorded offline instead.

    Args:
        trainer: its W&B loggers are opened; one that fails is replaced by an offline one, or left out.
        configured: `trainer.logger` of the configuration, as `resolve_loggers` left it.
        options: the group `wandb`.
        config: the whole configuration; its public part is sent when `options.config` says so.
    """
    if not first_process() or "wandb" not in sys.modules:
        return
    entries = configured if isinstance(configured, list) else [configured]
    loggers: list[Any] = []
    for number, logger in enumerate(trainer.loggers):
        if isinstance(logger, WandbLogger):
            opened = _opened(logger, arguments_of(entries[number]), Path(trainer.default_root_dir))
            if opened is None:
                continue
            send_extras(opened.experiment, options, config)
            loggers.append(opened)
        else:
            loggers.append(logger)
    trainer.loggers = loggers


def finish_wandb() -> None:
    """Close the open W&B run, if there is one; what the server doesn't take in time stays on disk."""
    run = getattr(sys.modules.get("wandb"), "run", None)
    if run is None:
        return
    folder, offline, limit = Path(run.dir).parent, run.offline, run.settings.finish_timeout
    try:
        run.finish(exit_code=int(sys.exc_info()[0] is not None))
    except TimeoutError:
        print_wandb(
            f"the server took not everything within {limit:g} s. Nothing is lost; send the rest later: "
            f"wandb sync --include-online {_quoted(folder)}"
        )
        return
    except Exception as error:  # training is over and its files are complete; W&B's troubles are its own
        print_wandb(
            f"{_text(error)}; its record may lack the end of the run. Send what there is: "
            f"wandb sync --include-online {_quoted(folder)}"
        )
        return
    if offline:
        sys.modules["wandb"].teardown()  # its process still writes for a moment; now the record is complete
        several = f"offline-run-*-{run.id}"  # a resumed run has more than one
        what = _quoted(folder) if len(list(folder.parent.glob(several))) == 1 else f"{_quoted(folder.parent)}/{several}"
        print_wandb(f"recorded offline. To send it: wandb sync {what}")


# ---- opening ---------------------------------------------------------------------------------------------------------


def _opened(logger: WandbLogger, arguments: dict[str, Any], folder: Path) -> WandbLogger | None:
    kept = set(folder.glob("wandb/*run-*"))
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
            f"{why}. Recording offline fails too ({_text(error)}), so W&B is left out; everything is in {folder}."
        )
        return None
    mine = Path(offline.experiment.dir).parent
    for attempt in set(folder.glob("wandb/*run-*")) - kept - {mine}:
        shutil.rmtree(attempt, ignore_errors=True)  # nothing in it but a log; syncing it would fail again
    weights = " Weights are not uploaded." if arguments.get("log_model") else ""
    print_wandb(f"{why}. The run is recorded offline, in {mine}.{weights}")
    return offline


def _offline(logger: WandbLogger, arguments: dict[str, Any]) -> WandbLogger:
    import wandb

    wandb.teardown()  # its process would hold that the run's id is in use, and remember the mode it met first
    offline = type(logger)(**{**arguments, "log_model": False, "mode": "offline"})
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
    text = _text(error)
    server = os.environ.get("WANDB_BASE_URL", "the W&B server")
    if "No API key" in text:
        return "not logged in (`wandb login`, once)"
    if type(error).__name__ == "AuthenticationError" or any(word in text for word in ("401", "403", "ermission")):
        return f"{server} refuses the key ({text}); `wandb login --relogin` sets another"
    if "deadline exceeded" in text:
        return f"{server} does not answer in time"
    return f"{server} does not do what it should ({text})"


def _text(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].partition(": {")[0].rstrip(".") if lines else type(error).__name__  # no JSON of the server's


def _quoted(path: Path) -> str:
    return shlex.quote(str(path)) if os.name == "posix" else f'"{path}"'


# ---- side channels that wandb can only send in one bundle, one by one ------------------------------------------------


def send_extras(run: Any, options: WandbOptions, config: Mapping[str, Any]) -> None:
    """Send what the options ask for and wandb's own settings cannot send alone.

    Args:
        run: an open W&B run.
        options: the group `wandb`.
        config: the whole configuration.
    """
    values: dict[str, Any] = public_values(config) if options.config else {}
    if options.command:
        values["command"] = shlex.join(sys.orig_argv)
    if options.machine:
        values["machine"] = machine()
    folder = Path(run.dir)
    if options.git and not run.disabled:
        patch = git_patch(Path.cwd())
        _save(run, folder, {"diff.patch": patch} if patch else {})
    if options.code and not run.disabled:
        _save(run, folder, {f"code/{name}": path.read_bytes() for name, path in code_files().items()})
    if values:
        run.config.update(values, allow_val_change=True)


def _save(run: Any, folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        run.save(glob.escape(str(path)), base_path=str(folder), policy="now")
