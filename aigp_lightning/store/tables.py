"""Tables of a store for a terminal: gates, and versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aigp_lightning.store.listing import SHOWN

if TYPE_CHECKING:
    from rich.table import Table

FORCED = "forced"


def gate_table(rows: Sequence[Mapping[str, Any]], candidate: str, latest: str | None) -> Table:
    """Make the table of the gates.

    Args:
        rows: of `judge`.
        candidate: the run's name.
        latest: the version compared with; None if there was none.
    """
    from rich.table import Table

    table = Table("gate", "metric", candidate, f"latest {latest or ''}".strip(), "difference", "95 % interval", "")
    for row in rows:
        low, high = row["interval"] or (None, None)
        interval = "–" if low is None or high is None else f"{low:+.4f} to {high:+.4f}"
        told = "passed" if row["passed"] else "refused"
        told += f": {row['message']}" if row["message"] else ""
        numbers = (_number(row[key]) for key in ("candidate", "latest"))
        table.add_row(row["gate"], row["metric"], *numbers, _number(row["difference"], "+.4f"), interval, told)
    return table


def version_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Make the table of the versions.

    Args:
        rows: of `versions_of`.
    """
    from rich.table import Table

    shown = [name for name in SHOWN if any(name in (row["metrics"] or {}) for row in rows)]
    short = [name.removeprefix("metrics/") for name in shown]
    table = Table("name", "version", "", "promoted (UTC)", *short, "MB", "run")
    for row in rows:
        metrics = row["metrics"] or {}
        size = "?" if row["bytes"] is None else f"{row['bytes'] / 1e6:.1f}"
        state = row["state"] + (f", {FORCED}" if row["forced"] else "")
        when = (row["promoted"] or "?").replace("T", " ").removesuffix("Z")
        values = [_number(metrics.get(name)) for name in shown]
        table.add_row(row["name"], row["version"], state, when, *values, size, row["run"] or "?")
    return table


def _number(value: float | None, form: str = ".4f") -> str:
    return "–" if value is None else f"{value:{form}}"
