"""W&B's run: opened before training, closed after it. No failure of W&B's ends a training run."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import WandbLogger

from aigp_lightning.errors import ConfigError
from aigp_lightning.logfiles.logged import SkipsLogged, logged_rows
from aigp_lightning.logfiles.wandb_run import TAIL, last_row, read_wandb_run
from aigp_lightning.loggers.config import arguments_of
from aigp_lightning.loggers.environment import said_of_wandb, wandb_switched_off
from aigp_lightning.loggers.epoch_rows import Row, RowsByEpoch
from aigp_lightning.loggers.wandb_checks import check_plain, without_load
from aigp_lightning.loggers.wandb_config import print_wandb
from aigp_lightning.loggers.wandb_extras import draw_by_epoch, send_extras
from aigp_lightning.loggers.wandb_gate import check_logger, check_session
from aigp_lightning.loggers.wandb_opening import error_text, opened
from aigp_lightning.loggers.wandb_options import WandbOptions, wandb_settings
from aigp_lightning.run.processes import first_process

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from lightning.pytorch.callbacks import ModelCheckpoint

DISABLED = "W&B's mode is disabled"


class ResilientWandbLogger(SkipsLogged, WandbLogger):
    """Lightning's W&B logger with a fence: no failure ends a training run, and the run's options are not sent.

    Metrics are handed to a process beside this one and weights to the server itself; either may be gone. The first
    failure is reported, the rest are the same.

    Args:
        *args: Lightning's.
        skip_logged: do not send rows that W&B's folders of this run hold already.
        **kwargs: Lightning's.
    """

    failed = False
    told_of_load = False

    def __init__(self, *args: Any, skip_logged: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rows = RowsByEpoch()
        self._logged: Counter[tuple[frozenset[str], int]] = Counter()
        if skip_logged and self.save_dir is not None:
            self._logged = logged_rows(Path(self.save_dir), self.version)
        if self._wandb_init.get("anonymous", True) is None:
            del self._wandb_init["anonymous"]  # Lightning's default, of which wandb warns in every run

    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Send nothing: Lightning would send all of a module's options. `send_extras` sends the public ones."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add to the epoch's row, which goes when it is complete; what is about the machine has its switch."""
        if _closed(self) and (fewer := without_load(metrics)) != dict(metrics):
            if not self.told_of_load:
                print_wandb("figures about this machine are left out; --wandb.system_metrics true sends them.")
            self.told_of_load = True
            if not fewer:
                return
            metrics = fewer
        for row in self._rows.add(metrics, step):
            self._send(row)

    def _send(self, row: Row | None) -> None:
        """Send a row, less what an earlier start of the run has sent."""
        if row is not None and (metrics := row.without(self._logged)):
            with self._fence("metrics are no longer recorded there"):
                super().log_metrics(metrics, row.step)

    def flushed(self) -> bool:
        """True if every row so far is on disk, safe from a kill; one that waits for more of its epoch goes now."""
        self._send(self._rows.pop())
        return self.written()

    def written(self) -> bool:
        """True if every row that was sent is on disk; W&B's own process writes it, a moment later."""
        run = self._experiment
        if self.failed or run is None or getattr(run, "disabled", True):
            return True
        try:
            step, began = int(run.step), int(run.starting_step)
        except Exception:  # W&B's process is gone, or several share the run: nobody can tell
            return True
        return step <= began or last_row(Path(run.dir).parent) >= step - 1

    def logged_pictures(self, epoch: int) -> set[tuple[str, str]]:
        """Return key and SHA-256 of an epoch's pictures that the last rows of the run file name."""
        media = read_wandb_run(Path(self.experiment.dir).parent, TAIL).media
        return {(picture.key, picture.sha256) for picture in media if picture.epoch == epoch}

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Upload the weights, if every checkpoint was asked for."""
        with self._fence("weights could not be uploaded"):
            super().after_save_checkpoint(checkpoint_callback)

    def summarize(self, values: Mapping[str, float | int | str]) -> None:
        """Set values of the run's summary; no row is sent."""
        with self._fence("its summary lacks the latest figures"):
            self.experiment.summary.update(dict(values))

    def finalize(self, status: str) -> None:
        """Send what waits, and upload the weights, if the best were asked for."""
        self._send(self._rows.pop())
        with self._fence("weights could not be uploaded"):
            super().finalize(status)

    @contextmanager
    def _fence(self, consequence: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not self.failed:
                print_wandb(f"{error_text(error)}; {consequence}. Training goes on, and the run folder is complete.")
            self.failed = True


def _closed(logger: WandbLogger) -> bool:
    """True if the machine's load is not to be sent."""
    settings = logger._wandb_init.get("settings")
    return bool((settings if isinstance(settings, Mapping) else {}).get("x_disable_stats", True))


@cache
def fenced(board: type[WandbLogger]) -> type[WandbLogger]:
    """Return a user's own subclass of Lightning's logger with our fence below it: its `super()` is ours.

    Args:
        board: the user's class; one that has the fence is returned as it is.
    """
    if issubclass(board, ResilientWandbLogger):
        return board

    def reduce(self: Any, _: Any) -> Any:  # for processes that are spawned: they cannot import a class made here
        return _unpickled, (board, self.__getstate__())

    made = {"__module__": board.__module__, "__doc__": board.__doc__, "__reduce_ex__": reduce}
    return type(board.__name__, (board, ResilientWandbLogger), made)


def _unpickled(board: type[WandbLogger], state: Mapping[str, Any]) -> WandbLogger:
    return _with_fence(object.__new__(board), state)


def _with_fence(logger: WandbLogger, state: Mapping[str, Any]) -> WandbLogger:
    logger.__dict__.update({"_logged": Counter(), "_rows": RowsByEpoch(), **state})
    logger.__class__ = fenced(type(logger))
    return logger


def name_of(logger: WandbLogger) -> str:
    """Return the name of a logger's class as the configuration has it: ours stands in for Lightning's."""
    return (WandbLogger if type(logger) is ResilientWandbLogger else type(logger)).__name__


def leave_out_wandb(trainer: pl.Trainer) -> list[str]:
    """Take from a trainer those W&B loggers that nobody could see in the configuration, if W&B is switched off.

    Args:
        trainer: its loggers are built and not opened.

    Returns:
        The loggers that are left out, each with the reason.
    """
    boards = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger)]
    if not boards or not wandb_switched_off():
        return []
    trainer.loggers = [logger for logger in trainer.loggers if logger not in boards]
    for board in boards:
        print_wandb(f"{name_of(board)} is left out, as {said_of_wandb()}.")
    return [f"{name_of(board)} ({said_of_wandb()})" for board in boards]


def open_wandb(trainer: pl.Trainer, configured: Any, options: WandbOptions, config: Mapping[str, Any]) -> list[str]:
    """Open the W&B run, so that what goes wrong is reported before training and the run is recorded offline instead.

    Args:
        trainer: its W&B loggers are opened; one that fails is replaced by an offline one, or left out.
        configured: `trainer.logger` of the configuration, as `resolve_loggers` left it.
        options: the group `wandb`.
        config: the whole configuration; its public part is sent when `options.config` says so.

    Returns:
        The loggers that are left out or drop what they are given, each with the reason.

    Raises:
        ConfigError: a logger of the user's own does not use the settings that it is given.
    """
    if not first_process():
        return []
    left_out = leave_out_wandb(trainer)
    entries = configured if isinstance(configured, list) else [configured]
    loggers: list[Any] = []
    # by what was built, whatever a class path of the configuration seemed to name
    if sum(isinstance(logger, WandbLogger) for logger in trainer.loggers) > 1:
        raise ConfigError("trainer.logger builds two W&B loggers, and a training run is one W&B run; keep one of them.")
    for number, logger in enumerate(trainer.loggers):
        if not isinstance(logger, WandbLogger):
            check_plain(logger)
            loggers.append(logger)
            continue
        arguments = arguments_of(entries[number]) if number < len(entries) else {}
        board = open_run(logger, arguments, Path(trainer.default_root_dir), options, config)
        if board is not None:
            if board.experiment.disabled:
                left_out.append(f"{name_of(logger)} ({DISABLED})")
                print_wandb(f"{name_of(logger)} gets nothing, as {DISABLED}.")
            loggers.append(board)
    trainer.loggers = loggers
    return left_out


def open_run(
    logger: WandbLogger, arguments: dict[str, Any], folder: Path, options: WandbOptions, config: Mapping[str, Any]
) -> WandbLogger | None:
    """Open the W&B run of one logger, with its fence, and send what the options ask for; see `open_wandb`.

    Returns:
        The logger, or one that records offline instead; None if neither can be opened. A line says so.
    """
    check_logger(logger, wandb_settings(options), options)
    check_session()
    board = opened(_with_fence(logger, logger.__dict__), arguments, folder)
    if board is not None:
        draw_by_epoch(board.experiment)
        send_extras(board.experiment, options, config)
    return board
