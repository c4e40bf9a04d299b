"""MLflow's part of a configuration of loggers: what its options leave open is filled in, before it is built."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.logfiles.folders import logger_folders
from aigp_lightning.loggers.private_names import masked
from aigp_lightning.media.local_paths import file_of_database, folder_of_address
from aigp_lightning.terminal.output import print_line

ENV_TRACKING = "MLFLOW_TRACKING_URI"
"""MLflow's own variable: the server, where the logger's options name none."""
TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"
LIMITS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's own 7, with their pauses, are four minutes a request
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",  # of 120 s; to connect, and for each answer
}
"""How long a server that is gone may hold up a training: variables of MLflow's, which has no other way."""
QUIET = {
    "MLFLOW_ALLOW_FILE_STORE": "true",  # from 3.9 on it else refuses to keep runs in a folder
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
NO_PACKAGE = "mlflow is not installed"
HOW_TO_INSTALL = "not installed (`pip install 'aigp_lightning[mlflow]'`)"


def print_mlflow(text: str) -> None:
    """Print one line about MLflow for the person at the terminal."""
    print_line(f"MLflow: {text}", err=True)


def prepare_environment() -> None:
    """Set what MLflow reads of the environment when it is imported or asks a server; a user's own value wins."""
    for name, value in {**LIMITS, **QUIET, TELEMETRY: "true"}.items():
        os.environ.setdefault(name, value)


def is_installed() -> bool:
    """True if mlflow is there; it is not imported."""
    try:
        found = find_spec("mlflow")
    except (ImportError, ValueError):
        return False
    return found is not None and found.origin is not None  # a folder of that name has none


def resolve_mlflow(
    arguments: MutableMapping[str, Any], folder: Path, number: int = 0, resumed: bool = False, first: bool = True
) -> None:
    """Fill in the arguments of an MLflow logger: the address, and the run that is resumed.

    Args:
        arguments: of the logger; changed in place.
        folder: the run folder.
        number: of the logger among the run's MLflow loggers, from 0.
        resumed: whether the run is resumed in its folder; then so is its MLflow run.
        first: whether this is the first process, the one that prints.

    Raises:
        ConfigError: the address asks for a package that is not there.
    """
    prepare_environment()
    named, there = os.environ.get(ENV_TRACKING), arguments.get("tracking_uri")
    if first and named and named != there:
        place = there or arguments.get("save_dir")
        print_mlflow(f"{ENV_TRACKING} has no effect, the configuration says {masked(str(place))}.")
    arguments["tracking_uri"] = address = there or folder_address(arguments.get("save_dir") or "./mlruns")
    if file_of_database(address) is not None and find_spec("sqlalchemy") is None:
        raise ConfigError(
            f"trainer.logger: tracking_uri {address} needs the package sqlalchemy (`pip install mlflow`); without "
            "tracking_uri, MLflow keeps its runs in the folder save_dir, and needs nothing more."
        )
    if resumed and not arguments.get("run_id"):
        name = "mlflow" if not number else f"mlflow:{number + 1}"
        known = [each for each in logger_folders(folder, "mlflow") if each.destination == name and each.run_id]
        ids = [each.run_id for each in known if each.server == server_name(address, folder)]
        arguments["run_id"] = ids[-1] if ids else None


def folder_address(path: str | os.PathLike[str]) -> str:
    """Return the address of a folder, with the signs in its name that mean something else in an address escaped.

    Example:
        >>> folder_address("/runs/50% off").rpartition("/")[2]
        '50%25%20off'
    """
    return Path(os.path.abspath(path)).as_uri()


def server_name(address: str, run: Path) -> str:
    """Return the address of a logger's runs as it is noted: without a password, and so that the run folder may move.

    Args:
        address: of the runs.
        run: the run folder.

    Example:
        >>> server_name("file:///runs/gates/mlflow", Path("/runs/gates"))
        'mlflow'
        >>> server_name("https://me:secret@host/mlflow", Path("/runs/gates"))
        'https://host/***'
    """
    place = folder_of_address(address) or file_of_database(address)
    if place is None:
        return masked(address)
    for plain, outer in ((place, Path(os.path.abspath(run))), (place.resolve(), run.resolve())):
        if plain.is_relative_to(outer):
            return plain.relative_to(outer).as_posix()
    return str(place)
