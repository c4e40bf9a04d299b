"""The note in `run.json` of where the loggers of a run keep their files, and of what W&B may see."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import DummyLogger

from aigp_lightning.logfiles.event_file import EVENT_FILES
from aigp_lightning.logfiles.folders import LOGGERS, REMOTE
from aigp_lightning.loggers.config import arguments_of
from aigp_lightning.loggers.mlflow import artifact_place
from aigp_lightning.loggers.mlflow_config import server_name
from aigp_lightning.loggers.wandb_options import WandbOptions, side_channels
from aigp_lightning.media.sinks import sink_of
from aigp_lightning.run.folder import read_run_file, write_run_file

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

NOTES = ("run_notes", "run_tags", "run_group", "run_job_type")
"""Settings of wandb's by which a user adds to the run's record."""


def record_loggers(folder: Path, loggers: Sequence[Logger], configured: Any, options: WandbOptions) -> None:
    """Note where the loggers keep their files, so that they are found when the run is resumed or audited.

    The environment may ask for weights too, and is gone by then: what was decided is noted for each start.

    Args:
        folder: the run folder.
        loggers: of the trainer; W&B's runs are open.
        configured: `trainer.logger` of the configuration, as `resolve_loggers` left it.
        options: the group `wandb`.
    """
    known = read_run_file(folder).get(LOGGERS)
    rows = [row for row in known if isinstance(row, dict)] if isinstance(known, list) else []
    places = {(row.get("destination"), row.get("folder")) for row in rows}
    for row in _rows(folder, loggers, configured, options):
        if (row["destination"], row["folder"]) not in places:
            rows.append(row)
    write_run_file(folder, **{LOGGERS: rows})


def scalars_only(loggers: Iterable[Logger]) -> list[str]:
    """Name the loggers that take no pictures, and of which nobody here knows where they keep scalars.

    Args:
        loggers: a run's.

    Example:
        >>> scalars_only([CSVLogger("logs"), TensorBoardLogger("logs")])  # both keep them on this disk
        []
    """
    known = CSVLogger, DummyLogger
    return [type(one).__name__ for one in loggers if not isinstance(one, known) and sink_of(one) is None]


def _rows(folder: Path, loggers: Iterable[Logger], configured: Any, options: WandbOptions) -> Iterator[dict[str, Any]]:
    entries = configured if isinstance(configured, list) else [configured]
    seen: Counter[str] = Counter()
    for logger in loggers:
        sink = sink_of(logger)
        name = "csv" if isinstance(logger, CSVLogger) else None if sink is None else sink.name
        if name is None:
            continue
        seen[name] += 1
        row = {"destination": name if seen[name] == 1 else f"{name}:{seen[name]}"}
        if isinstance(logger, WandbLogger):
            run = logger.experiment
            if getattr(run, "disabled", True):
                continue
            arguments = next((x for x in map(arguments_of, entries) if x.get("id") in (None, run.id)), {})
            on = _channels(run, arguments, options)
            yield {**row, "folder": place_of(Path(run.dir).parent, folder), "id": run.id, "channels": on}
        elif isinstance(logger, MLFlowLogger):
            server = server_name(str(logger._tracking_uri), folder)
            yield {**row, "folder": place_of(artifact_place(logger), folder), "id": logger.run_id, "server": server}
        elif isinstance(logger, TensorBoardLogger | CSVLogger):
            yield {**row, "folder": (place := place_of(logger.log_dir, folder)), **_others(place)}


def _channels(run: Any, arguments: dict[str, Any], options: WandbOptions) -> list[str]:
    weights = False if run.offline else arguments.get("log_model") or False  # offline, Lightning uploads none
    on = [channel.name for channel in side_channels(options, weights) if channel.on]
    return [*on, *(["notes"] if any(getattr(run.settings, name, None) for name in NOTES) else [])]


def _others(place: str) -> dict[str, list[str]]:
    """Return the event files of other runs, in a folder outside of the run's that is about to be shared."""
    names = sorted(path.name for path in Path(place).glob(EVENT_FILES)) if os.path.isabs(place) else []
    return {"others": names} if names else {}


def place_of(path: Path | str, folder: Path) -> str:
    """Return a logger's folder as it is noted: relative to the run folder where it is inside, so that it may move.

    Args:
        path: of the logger's folder, or the address of a bucket.
        folder: the run folder.

    Example:
        >>> place_of("/runs/gates/tensorboard", Path("/runs/gates")), place_of("s3://bucket/x", Path("/runs/gates"))
        ('tensorboard', 's3://bucket/x')
    """
    if REMOTE in str(path):
        return str(path)
    for plain in (Path(os.path.abspath(path)), Path(path).resolve()):
        for outer in (Path(os.path.abspath(folder)), folder.resolve()):
            if plain.is_relative_to(outer):
                return plain.relative_to(outer).as_posix()
    return os.path.abspath(path)
