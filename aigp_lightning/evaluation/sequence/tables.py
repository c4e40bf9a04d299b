"""The figures of a sequence as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

Summary = Mapping[str, Any]


def tables_of(content: Mapping[str, Any]) -> list[Table]:
    """Return the tables that are printed: the figures, the corners, and bands of distance and of turning.

    Args:
        content: of a `sequence.json`.
    """
    pooled, flights = content["pooled"], content["flights"]
    columns = [("all" if len(flights) > 1 else flights[0]["flights"][0], pooled)]
    columns += [(each["flights"][0], each) for each in flights] if len(flights) > 1 else []
    found = [_figures(columns)]
    if pooled["corners"]:
        found.append(_corners(pooled))
    if pooled["by_distance"]:
        found.append(_bands("distance", "m", pooled["by_distance"]))
    if pooled["by_turning"]:
        found.append(_bands("turning", "rad/s", pooled["by_turning"]))
    return found


def _table(*columns: str) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right")
    return table


def _figures(columns: Sequence[tuple[str, Summary]]) -> Table:
    """Return a row a figure, a column a flight; rows of which nothing was measured are left out."""
    rows: dict[str, list[str | None]] = {}
    for _, each in columns:
        for name, value in _values(each):
            rows.setdefault(name, []).append(value)
    table = _table("", *(name for name, _ in columns))
    for name, values in rows.items():
        if any(value is not None for value in values):
            table.add_row(name, *(value or "–" for value in values))
    return table


def _values(each: Summary) -> list[tuple[str, str | None]]:
    usable, jitter, error = (each[key] or {} for key in ("usable", "jitter", "pose_error"))
    corners, position, pixels = each["all_corners"] or {}, error.get("position_m") or {}, each["corner_error_px"] or {}
    return [
        ("frames", f"{each['frames']:,}"),
        ("objects found", percent(each["recall"])),
        ("usable frames", percent(usable.get("share"))),
        ("usable stretches", count(usable.get("stretches"))),
        ("longest, frames", count(usable.get("longest"))),
        ("nearest pose ambiguous", percent(usable.get("ambiguous_share"))),
        ("corner flips a frame", percent((each["flips"] or {}).get("share"))),
        ("corners lost", percent(corners.get("rate"), corners.get("rate_interval"))),
        ("lost ones that stay lost", percent(corners.get("stay_lost"), corners.get("stay_lost_interval"))),
        ("corner error, median px", number(pixels.get("median"))),
        ("position error, median m", number(position.get("median"))),
        ("jitter of distance, m", number(jitter.get("distance_m"))),
        ("jitter of bearing, °", number(jitter.get("bearing_deg"))),
        ("duplicates an object", number(each["duplicates_per_object"])),
        ("false alarms, empty frame", number(each["false_alarms_per_empty_frame"])),
        ("false alarms, any frame", number(each["false_alarms_per_frame"])),
    ]


def _corners(each: Summary) -> Table:
    table = _table("corner", "in view", "lost", "95 %", "stays lost", "95 %")
    for corner in each["corners"]:
        table.add_row(
            corner["name"], f"{corner['frames']:,}", percent(corner["rate"]) or "–", span(corner["rate_interval"]),
            percent(corner["stay_lost"]) or "–", span(corner["stay_lost_interval"]),
        )  # fmt: skip
    return table


def _bands(name: str, unit: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a row a band, without those in which there was nothing."""
    parts = [part for part in ("objects", "corners") if part in rows[0]]
    shares = {"objects": ("found", "recall", "recall_interval"), "corners": ("lost", "lost", "lost_interval")}
    table = _table(f"{name}, {unit}", *(word for part in parts for word in (part, shares[part][0], "95 %")))
    for row in rows:
        if not any(row[part] for part in parts):
            continue
        cells = [f"{row['from']:g}–{row['to']:g}" if row["to"] is not None else f"over {row['from']:g}"]
        for part in parts:
            _, share, interval = shares[part]
            cells += [count(row[part]) or "–", percent(row[share]) or "–", span(row[interval])]
        table.add_row(*cells)
    return table


def percent(share: float | None, interval: Sequence[float] | None = None) -> str | None:
    """Return a share in percent, with its interval where there is one; None for none.

    Example:
        >>> percent(0.125), percent(0.125, (0.1, 0.15)), percent(None)
        ('12.5 %', '12.5 % (10.0–15.0)', None)
    """
    if share is None:
        return None
    return f"{share:.1%}".replace("%", " %") + ("" if interval is None else f" ({span(interval)})")


def span(interval: Sequence[float] | None) -> str:
    """Return an interval in percent.

    Example:
        >>> span((0.1, 0.15)), span(None)
        ('10.0–15.0', '–')
    """
    return "–" if interval is None else f"{100 * interval[0]:.1f}–{100 * interval[1]:.1f}"


def number(value: float | None) -> str | None:
    """Return a figure with three digits; None for none.

    Example:
        >>> number(0.01234), number(None)
        ('0.0123', None)
    """
    return None if value is None else f"{value:.3g}"


def count(value: int | None) -> str | None:
    """Return a count; None for none.

    Example:
        >>> count(1345)
        '1,345'
    """
    return None if value is None else f"{value:,}"
