"""Several runs side by side: options that differ, metrics, classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PLACES = ("run.", "ckpt_path", "trainer.default_root_dir", "weights_only")
"""Beginnings of options that only say where a run is."""
FIGURES = ("mAP50", "mAP50-95")


def compare_runs(runs: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Set runs beside each other; None for a single one.

    Args:
        runs: as in the payload.
    """
    if len(runs) < 2:  # noqa: PLR2004
        return None
    return {"options": _options(runs), "metrics": _metrics(runs), "classes": _classes(runs)}


def _options(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for run in runs for name in run["options"] if not name.startswith(PLACES))
    rows = [{"option": name, "values": [run["options"].get(name) for run in runs]} for name in names]
    return [row for row in rows if any(value != row["values"][0] for value in row["values"])]


def _metrics(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for run in runs for name in run["metrics"])
    return [{"metric": name, "values": [run["metrics"].get(name) for run in runs]} for name in names]


def _classes(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    tables = [{str(row.get("class")): row for row in run["classes"]} for run in runs]
    names = dict.fromkeys(name for table in tables for name in table)
    return [{"class": name, "values": [_figures(table.get(name)) for table in tables]} for name in names]


def _figures(row: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if row is None else {name: row.get(name) for name in FIGURES}
