"""The scalars of a run, from its `results.csv`."""

from __future__ import annotations

import csv
import math
from typing import Any

from aigp_lightning.callbacks.results import epoch_of_row
from aigp_lightning.errors import first_line
from aigp_lightning.files import read_regular
from aigp_lightning.report.folder import RunFacts

METRICS = "metrics/"


def read_scalars(facts: RunFacts) -> dict[str, Any]:
    """Read the scalars of every epoch.

    Args:
        facts: of the run; gets a warning where they cannot be read.

    Returns:
        `epochs`, from 1, and `series`: a list by name, with None for what is no number.
    """
    named = ((facts.config or {}).get("results") or {}).get("filename")
    path = facts.path / (named if isinstance(named, str) else "results.csv")
    rows: list[dict[str, Any]] = []
    try:
        lines = read_regular(path).decode("utf-8").splitlines(keepends=True)
        rows = list(csv.DictReader(line for line in lines if line.endswith("\n")))  # a kill may cut off the last one
    except FileNotFoundError:
        facts.warnings.append(f"There is no {path.name}: the run has no scalars on this disk.")
    except (OSError, ValueError, csv.Error) as error:
        told = error.strerror if isinstance(error, OSError) else first_line(error)
        facts.warnings.append(f"{path.name} cannot be read ({told}).")
    return _by_name(rows, facts, path.name)


def _by_name(rows: list[dict[str, Any]], facts: RunFacts, file: str) -> dict[str, Any]:
    tidy = [{key.strip(): value for key, value in row.items() if isinstance(key, str)} for row in rows]
    latest = {epoch: row for row in tidy if (epoch := epoch_of_row(row)) is not None}
    if dropped := len([row for row in tidy if epoch_of_row(row) is None]):
        facts.warnings.append(f"{file}: {dropped} line{'s' * (dropped != 1)} without a possible epoch left out.")
    epochs = sorted(latest)
    names = dict.fromkeys(name for row in latest.values() for name in row if name not in ("", "epoch", "time"))
    return {
        "epochs": epochs,
        "series": {name: [_number(latest[epoch].get(name)) for epoch in epochs] for name in names},
    }


def metrics_at(scalars: dict[str, Any], epoch: int | None) -> dict[str, float]:
    """Return the metrics of an epoch by their names; empty where there are none.

    Args:
        scalars: see `read_scalars`.
        epoch: from 1; None is the last one.
    """
    epochs = scalars["epochs"]
    place = epochs.index(epoch) if epoch in epochs else len(epochs) - 1 if epoch is None and epochs else None
    if place is None:
        return {}
    found = {name: values[place] for name, values in scalars["series"].items() if name.startswith(METRICS)}
    return {name: value for name, value in found.items() if value is not None}


def _number(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
