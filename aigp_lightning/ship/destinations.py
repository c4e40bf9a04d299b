"""The logger that pictures are handed over to: the run's own where it had one, else a new one.

Longer than 250 lines: each of three loggers is followed to where the run has it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import MLFlowLogger, WandbLogger

from aigp_lightning.errors import ConfigError, RunError, first_line
from aigp_lightning.logfiles.folders import LoggerFolder, logger_folders, wandb_ids
from aigp_lightning.loggers.config import arguments_of, resolve_loggers
from aigp_lightning.loggers.environment import said_of_wandb, wandb_switched_off
from aigp_lightning.loggers.mlflow import ResilientMLFlowLogger, explained
from aigp_lightning.loggers.mlflow_config import ENV_TRACKING, folder_address, server_name
from aigp_lightning.loggers.mlflow_opening import open_mlflow
from aigp_lightning.loggers.mlflow_options import MLFlowOptions
from aigp_lightning.loggers.private_names import MASK
from aigp_lightning.loggers.record import record_loggers
from aigp_lightning.loggers.tensorboard import ResilientTensorBoardLogger
from aigp_lightning.loggers.wandb import DISABLED, open_run
from aigp_lightning.loggers.wandb_closing import finish_wandb
from aigp_lightning.loggers.wandb_options import SENDS, WandbOptions
from aigp_lightning.media.local_paths import file_of_database
from aigp_lightning.media.sinks import WandbSink, sink_of
from aigp_lightning.types import Flushes

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from aigp_lightning.media.hand_over import Sink
    from aigp_lightning.ship.rules import RunRules

CLASSES = {"wandb": "WandbLogger", "tensorboard": "TensorBoardLogger", "mlflow": "MLFlowLogger"}
"""Destinations, and the ends of the names of their loggers' classes."""
NEW: dict[str, dict[str, Any]] = {
    "wandb": {"project": "{wandb_project}", "name": "{run_name}", "save_dir": "{run_folder}"},
    "tensorboard": {"save_dir": "{run_folder}", "name": "tensorboard", "version": ""},
    "mlflow": {"experiment_name": "{wandb_project}", "run_name": "{run_name}", "save_dir": "{run_folder}/mlflow"},
}
"""Arguments of a logger that the run did not have; those of `configs/logger/`."""


@dataclass
class Destination:
    """A logger, and how pictures go to it.

    Attributes:
        name: as it is asked for.
        run: the run folder.
        rules: of the run.
        logger: built, and open after `begin`.
        entry: the logger as `trainer.logger` would have it.
        known: whether the run had this logger before, or it was shipped to.
    """

    name: str
    run: Path
    rules: RunRules
    logger: Logger
    entry: dict[str, Any]
    known: bool

    @property
    def sink(self) -> Sink:
        """The logger as a destination of pictures."""
        sink = sink_of(self.logger)
        if sink is None:
            raise ConfigError(f"--to {self.name}: {type(self.logger).__name__} takes no pictures.")
        return sink

    @property
    def wandb_id(self) -> str:
        """Id of the W&B run that is gone on with; empty for a new one, and for other loggers."""
        return str(arguments_of(self.entry).get("id") or "") if self.name == "wandb" and self.known else ""

    @property
    def address(self) -> str:
        """Folder, or address without a password, of MLflow's runs; empty for other loggers."""
        if not isinstance(self.logger, ResilientMLFlowLogger):
            return ""
        return self.logger.save_dir or str(file_of_database(self.logger._tracking_uri) or self.logger.server)

    def begin(self) -> None:
        """Open the logger, and note in the run folder where it keeps its files, before it gets anything.

        Raises:
            RunError: it cannot be opened, or keeps pictures elsewhere than was announced.
        """
        announced = self.sink.remote
        options = narrowed(self.rules.wandb)
        if isinstance(self.logger, WandbLogger):
            board = open_run(self.logger, arguments_of(self.entry), self.run, options, self.rules.config)
            if board is None:
                raise RunError("W&B can be reached neither online nor offline; nothing was handed over.")
            self.logger = board
        elif isinstance(self.logger, MLFlowLogger):
            self._open_mlflow(options)
        else:
            try:
                _ = getattr(self.logger, "experiment", None)
            except Exception as error:  # whatever it writes to: a disk, a bucket
                raise RunError(f"--to {self.name} cannot be opened: {first_line(error)}") from error
        if self.sink.remote and not announced:  # what was decided would be wrong: private images, the limit
            raise RunError(f"--to {self.name} keeps pictures in another place than was announced; nothing was sent.")
        record_loggers(self.run, [self.logger], self.entry, options)

    def _open_mlflow(self, options: WandbOptions) -> None:
        """Open the run; its id is noted as soon as there is one, so that the next call goes on with it after a kill."""
        try:
            _ = getattr(self.logger, "experiment", None)
            record_loggers(self.run, [self.logger], self.entry, options)
        except Exception as error:  # also requests' and the operating system's
            raise RunError(
                f"--to mlflow cannot be opened: {explained(error, self.address)}; nothing was handed over."
            ) from error
        group = self.rules.config.get("mlflow")
        config = bool(group.get("config", True)) if isinstance(group, Mapping) else True
        carrier: Any = SimpleNamespace(loggers=[self.logger], default_root_dir=str(self.run))
        if left_out := open_mlflow(carrier, MLFlowOptions(config=config), self.rules.config):
            raise RunError(f"--to mlflow cannot be opened: {left_out[0]}; nothing was handed over.")

    def close(self, complete: bool) -> None:
        """Close the logger; what is still on its way gets its time.

        Args:
            complete: whether nothing interrupted it.
        """
        if isinstance(self.logger, WandbLogger):
            if isinstance(self.logger, Flushes):
                self.logger.flushed()  # the last row may wait for more of its epoch
            finish_wandb()
        else:
            self.logger.finalize("success" if complete else "failed")


def build_destination(name: str, run: Path, rules: RunRules, write: bool = False) -> Destination:
    """Build the logger of a destination; it is not opened.

    Args:
        name: of the destination.
        run: the run folder.
        rules: of the run.
        write: note what is chosen for it in the run folder: W&B's run id.

    Raises:
        ConfigError: W&B is switched off, or a setting of wandb's is refused.
    """
    entry, noted = rules.logger_entry(CLASSES[name]), _noted(run, name)
    known, configured = noted is not None, entry is not None
    if entry is None:
        path = f"lightning.pytorch.loggers.{CLASSES[name]}"
        entry = {"class_path": path, "init_args": dict(NEW[name])}
    arguments = {
        key: value for key, value in arguments_of(entry).items() if value not in (None, "") or key == "version"
    }
    entry = {"class_path": entry["class_path"], "init_args": arguments}
    if name == "tensorboard" and noted is not None and noted.folder is not None:
        arguments.update(save_dir=str(noted.folder.parent), name=noted.folder.name, version="")
    if name == "mlflow":
        known = _follow_mlflow(arguments, run, configured)
    if name == "wandb":
        arguments.pop("version", None)
        known = _follow_wandb(arguments, run, noted)
        _check_wandb_is_on()
    resolved = resolve_loggers(entry, run, narrowed(rules.wandb), resumed=True, first=write, skip_logged=write)
    if not resolved:
        raise RunError(f"--to {name}: {name} is not installed. `pip install {name}`.")
    if name == "wandb":
        resolved["init_args"]["log_model"] = False  # whatever WANDB_LOG_MODEL says: weights are not handed over
    destination = Destination(name, run, rules, _built(resolved), resolved, known)
    if isinstance(sink := destination.sink, WandbSink) and sink.is_off():
        raise ConfigError(f"--to wandb: {DISABLED}, so it would get nothing. Unset WANDB_MODE.")
    return destination


def narrowed(options: WandbOptions) -> WandbOptions:
    """Return a run's options without the channels that tell of the process that ships, or of more than the run.

    Args:
        options: of the run.

    Example:
        >>> narrowed(WandbOptions(console=True, weights=True)) == WandbOptions()
        True
    """
    closed: dict[str, Any] = dict.fromkeys(set(SENDS) - {"config"}, False)
    return replace(options, **closed)


def _noted(run: Path, name: str) -> LoggerFolder | None:
    """Return the place of the run's first logger of a kind, as the run noted it, if it can be gone on with."""
    for each in logger_folders(run, name):
        usable = each.folder is None or each.is_there or each.folder.is_relative_to(run)
        if each.destination == name and each.noted and usable:
            return each
    return None


def _follow_wandb(arguments: dict[str, Any], run: Path, noted: LoggerFolder | None) -> bool:
    """Go on with the W&B run that belongs to the run, if there is one, beside its files; returns whether there is."""
    ids = [run_id for run_id, destination in wandb_ids(run).items() if destination == "wandb"]
    if ids:
        arguments["id"] = ids[-1]
    if noted is not None and noted.folder is not None:
        arguments["save_dir"] = str(noted.folder.parent.parent)
    elif "{" not in str(arguments.get("save_dir") or "{"):
        arguments["save_dir"] = str(run)  # relative to where the run was started, which need not be here
    arguments["log_model"] = False
    return bool(ids)


def _follow_mlflow(arguments: dict[str, Any], run: Path, configured: bool) -> bool:
    """Go on with the run's MLflow run where it is noted; returns whether there is one.

    The ledger does not say which server got a picture, so there is one for a run: the noted place, else the configured
    one, else that of the variable, else the run folder.
    """
    named = os.environ.get(ENV_TRACKING)
    rows = [each for each in logger_folders(run, "mlflow") if each.destination == "mlflow" and each.server]
    if not rows:
        if not configured and named:
            arguments["tracking_uri"] = named
        return False
    noted = rows[-1]
    addresses = (arguments.get("tracking_uri"), named)  # with the password that the note lacks
    same = (each for each in addresses if each and server_name(str(each), run) == noted.server)
    arguments["tracking_uri"] = next(same, None) or _address_of(noted.server, run)
    return True


def _address_of(server: str, run: Path) -> str:
    """Return the address of a place as `server_name` notes it."""
    if "://" in server:
        if MASK in server:
            raise ConfigError(f"--to mlflow: this run's MLflow run is on {server}; set {ENV_TRACKING} to its address.")
        return server
    place = run / server
    if not place.exists():
        raise ConfigError(f"--to mlflow: this run's MLflow run is in {place}, and nothing is there any more.")
    return folder_address(place) if place.is_dir() else f"sqlite:///{os.path.abspath(place)}"


def _check_wandb_is_on() -> None:
    if wandb_switched_off():
        raise ConfigError(f"--to wandb: {said_of_wandb()}, so W&B gets nothing. Unset it.")


def _built(entry: Mapping[str, Any]) -> Logger:
    """Build a logger, with the arguments that are given."""
    module, _, name = str(entry["class_path"]).rpartition(".")
    arguments = {key: value for key, value in arguments_of(entry).items() if value is not None}
    if name == ResilientTensorBoardLogger.__name__:
        arguments.setdefault("version", "")
    try:
        logger: Logger = getattr(import_module(module), name)(**arguments)
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(f"{entry['class_path']} cannot be built: {first_line(error)}") from error
    return logger
