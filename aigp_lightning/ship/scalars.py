"""The losses and metrics of a run's epochs, from its `results.csv`, without those that a logger has already."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aigp_lightning.callbacks.results import epoch_of_row, read_rows
from aigp_lightning.errors import DataError, first_line
from aigp_lightning.files import is_plain_name
from aigp_lightning.logfiles.event_file import read_event_file
from aigp_lightning.logfiles.folders import find_event_files, followed_wandb_folders, logger_folders
from aigp_lightning.logfiles.mlflow_store import read_stored_run
from aigp_lightning.logfiles.wandb_run import read_wandb_run
from aigp_lightning.loggers.mlflow import NOT_ALLOWED
from aigp_lightning.media.routing import CLOSING, PER_EPOCH

if TYPE_CHECKING:
    from aigp_lightning.media.ledger.ledger import Line
    from aigp_lightning.ship.destinations import Destination


@dataclass(frozen=True)
class ScalarRow:
    """The scalars of one epoch.

    Attributes:
        epoch: from 0.
        step: batches so far, as Lightning's loggers count them.
        values: by name.
    """

    epoch: int
    step: int
    values: Mapping[str, float]


def read_scalars(run: Path, config: Mapping[str, object], lines: Iterable[Line]) -> tuple[list[ScalarRow], str]:
    """Read the scalars of every epoch; rows of none that a run can have had are set aside.

    Args:
        run: the run folder.
        config: of the run; it may name another file than `results.csv`.
        lines: of the ledger, which know the steps.

    Returns:
        The rows, and how many were set aside; empty if none were.

    Raises:
        DataError: the file cannot be read.
    """
    group = config.get("results")
    name = str((group.get("filename") if isinstance(group, Mapping) else None) or "results.csv")
    path = run / (name if is_plain_name(name) else "results.csv")
    if not path.is_file():
        return [], ""
    try:
        read = read_rows(path)
        rows = [
            (epoch - 1, {key: float(value) for key, value in row.items() if value and "/" in key})
            for row in read
            if (epoch := epoch_of_row(row)) is not None
        ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({first_line(error)}); --no-scalars does without it.") from error
    steps = _steps([epoch for epoch, _ in rows], lines)
    aside = len(read) - len(rows)
    note = f"{path.name}: {aside} row{'s' * (aside != 1)} without a possible epoch set aside." if aside else ""
    return [ScalarRow(epoch, step, values) for (epoch, values), step in zip(rows, steps, strict=True) if values], note


def _steps(epochs: Sequence[int], lines: Iterable[Line]) -> list[int]:
    """Return the step at the end of each epoch: the one of its validation pictures, between those in proportion."""
    known = {-1: -1}
    for line in lines:
        if line.kind in CLOSING:
            known.setdefault(line.epoch, line.step - 1)  # drawn once training is over, a step later
    known.update((line.epoch, line.step) for line in lines if line.kind in PER_EPOCH)
    if len(known) == 1:
        return list(epochs)
    places = sorted(known)
    return [round(float(np.interp(epoch, places, [known[place] for place in places]))) for epoch in epochs]


def missing_scalars(rows: Sequence[ScalarRow], destination: Destination) -> tuple[list[ScalarRow], str]:
    """Leave out what a logger's files on this machine show that it has.

    Args:
        rows: of the run.
        destination: the logger.

    Returns:
        The rows with what is missing, and why none are handed over; empty if they are.
    """
    if destination.name == "wandb" and destination.wandb_id:
        folders = followed_wandb_folders(destination.run, destination.wandb_id)
        if not folders:
            return [], "which scalars the W&B run has is not known, as its folder is not here; none are handed over."
        return _without(rows, _wandb_names(folders)), ""
    if destination.name == "tensorboard":
        return _without_points(rows, destination), ""
    return _without_stored(rows, destination), ""


def _wandb_names(folders: Iterable[Path]) -> dict[int, set[str]]:
    names: defaultdict[int, set[str]] = defaultdict(set)
    for place in folders:
        for row in read_wandb_run(place).history:
            if isinstance(epoch := row.get("epoch"), int | float):
                names[int(epoch)].update(row)
    return names


def _without(rows: Iterable[ScalarRow], known: Mapping[int, set[str]]) -> list[ScalarRow]:
    left = [
        ScalarRow(row.epoch, row.step, {k: v for k, v in row.values.items() if k not in known.get(row.epoch, ())})
        for row in rows
    ]
    return [row for row in left if row.values]


def _without_points(rows: Sequence[ScalarRow], destination: Destination) -> list[ScalarRow]:
    """Leave out what event files have at a row's step; a name that they have in every epoch is left out whole."""
    files = [read_event_file(path) for name, path in find_event_files(destination.run) if name == "tensorboard"]
    points = {point for file in files for point in file.points}
    counts = Counter(name for row in rows for name in row.values)
    whole = {name for name, count in counts.items() if sum(name == tag for tag, _ in points) >= count}
    known = {
        row.epoch: whole | {name for name in row.values if (name, row.step) in points}
        for row in rows
    }  # fmt: skip
    return _without(rows, known)


def _without_stored(rows: Sequence[ScalarRow], destination: Destination) -> list[ScalarRow]:
    """Leave out what MLflow's folders on this disk have of every epoch; what they lack, the logger itself finds out."""
    folders = [each.folder for each in logger_folders(destination.run, "mlflow") if each.destination == "mlflow"]
    stored = [read_stored_run(folder).values for folder in folders if folder is not None]
    counts = Counter(name for row in rows for name in row.values)
    whole = {
        name
        for name, count in counts.items()
        if any(values.get(NOT_ALLOWED.sub("", name), 0) >= count for values in stored)
    }
    return _without(rows, {row.epoch: whole for row in rows})
