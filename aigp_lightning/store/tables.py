"""Tables of a store for a terminal: gates, and versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aigp_lightning.ranges import is_finite_number
from aigp_lightning.store.gates import DEFAULT_GATE

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = ("metrics/mAP50-95(B)", "metrics/mAP50-95(P)", "metrics/mAP50-95(M)", "success_rate")
"""Metrics of the table of versions, by their names in a receipt."""
ID_SHOWN = 8
"""Characters of a version's id in a table; `rollback --to` takes as many."""


def gate_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Make the table of the gates.

    Args:
        rows: of `judge`.
    """
    by_default = all(row["gate"] == DEFAULT_GATE for row in rows)
    table = _table(f"gate: {DEFAULT_GATE}" if by_default else "gates")
    table.add_column("metric" if by_default else "gate", overflow="fold")
    for title in ("candidate", "latest", "difference", "95 % interval", ""):
        table.add_column(title, no_wrap=True)
    for row in rows:
        low, high = row["interval"] or (None, None)
        interval = "–" if low is None or high is None else f"{low:+.4f} to {high:+.4f}"
        numbers = (_number(row["candidate"]), _number(row["latest"]), _number(row["difference"], "+.4f"))
        first = row["metric"].removeprefix("metrics/") if by_default else row["gate"]
        table.add_row(first or "–", *numbers, interval, "passed" if row["passed"] else "refused")
    return table


def version_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Make the table of the versions.

    Args:
        rows: of `versions_of`.
    """
    table = _table(None)
    for title in ("name", "version", "", "promoted, UTC", "metrics", "MB", "run"):
        folded = title in ("name", "metrics", "run")
        table.add_column(title, no_wrap=not folded, overflow="fold")
    for row in rows:
        metrics = row["metrics"] or {}
        size = "?" if row["bytes"] is None else f"{row['bytes'] / 1e6:.1f}"
        when = (row["promoted"] or "?")[:16].replace("T", " ")
        known = [name for name in SHOWN if name in metrics]
        values = "\n".join(f"{name.removeprefix('metrics/')} {_number(metrics[name])}" for name in known) or "–"
        state = row["state"] + ("\n(forced)" if row["forced"] else "")
        table.add_row(
            row["name"], row["version"][:ID_SHOWN], state, when.replace(" ", "\n"), values, size, row["run"] or "?"
        )
    return table


def _table(title: str | None) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _number(value: object, form: str = ".4f") -> str:
    return f"{value:{form}}" if is_finite_number(value) else "–"
