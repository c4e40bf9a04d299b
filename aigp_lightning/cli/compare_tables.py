"""Tables of `compare`, one for each part, and a sentence that sums them up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from aigp_lightning.errors import printable
from aigp_lightning.evaluation.changed_pictures import ChangedPicture
from aigp_lightning.evaluation.comparison_row import NOTHING, TOO_FEW, UNKNOWN, Row
from aigp_lightning.evaluation.latency import Latency
from aigp_lightning.terminal.output import print_line, print_tables

NO_FIGURE = "–"
TITLES = {
    "overall": "all pictures",
    "classes": "by class",
    "sizes": "by size of the object (small < 32², medium < 96² pixels of the original)",
    "distances": "by distance of the object",
    "keypoints": "keypoints of the objects that both found",
}
GROUPS = {"classes": "class", "sizes": "size", "distances": "distance"}
"""Parts whose rows are of several groups of objects, and what these are."""
SHORT = {NOTHING: "no difference", UNKNOWN: NO_FIGURE, TOO_FEW: TOO_FEW}
SAID = 2
"""Rows of a group before which something is said of it."""


def print_parts(parts: Mapping[str, Sequence[Row]]) -> None:
    """Print a table for each part that has rows.

    Args:
        parts: rows by a key of `TITLES`.
    """
    from rich.table import Table

    for part, rows in parts.items():
        if not rows:
            continue
        grouped = part in GROUPS
        table = Table(title=TITLES[part], title_justify="left", padding=(0, 0))
        if grouped:
            table.add_column(GROUPS[part])
        table.add_column("metric", min_width=len("mAP50-95(B)"))
        for heading in ("A", "B", "B − A", "95 % interval"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("B is", no_wrap=True)
        for row, group in zip(rows, _group_cells(rows), strict=True):
            table.add_row(*([group] if grouped else []), _name(row), *_figures(row), _verdict(row))
        print_tables(table)


def _group_cells(rows: Sequence[Row]) -> list[str]:
    """Return what stands before each row: in a group's first its name, in the second the number of its objects."""
    cells: list[str] = []
    for number, row in enumerate(rows):
        place = sum(before.group == row.group for before in rows[:number])
        cells.append((printable(row.group), f"{row.objects} objects")[place] if place < SAID else "")
    return cells


def print_latency(latency: Mapping[str, Latency]) -> None:
    """Print the time that each model takes for one picture.

    Args:
        latency: by `A` and `B`.
    """
    from rich.table import Table

    table = Table(title="milliseconds for one picture, in turns", title_justify="left", padding=(0, 0))
    for heading in ("", "median", "p95", "resizing", "network, NMS", "imgsz"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    table.add_column("on")
    for name, each in latency.items():
        times = (each.median, each.p95, each.resizing, each.model)
        table.add_row(name, *(f"{value:.2f}" for value in times), str(each.imgsz), each.device)
    print_tables(table)


def print_changes(pictures: Sequence[ChangedPicture]) -> None:
    """Print the pictures that changed most.

    Args:
        pictures: the most changed first.
    """
    from rich.table import Table

    table = Table(title="pictures whose result changed most", title_justify="left", padding=(0, 0))
    for heading in ("picture", "A", "B"):
        table.add_column(heading, overflow="fold")
    for picture in pictures:  # the whole path stands in comparison.json
        table.add_row(printable("/".join(Path(picture.file).parts[-2:])), str(picture.a), str(picture.b))
    print_tables(table)


def print_conclusion(rows: Sequence[Row], margin: float) -> None:
    """Print what the figures that decide say of B, a line each.

    Args:
        rows: mAP50-95 of boxes, and of keypoints or masks where there are any.
        margin: a loss up to this is put up with.
    """
    beyond = f" by more than {margin:g}" if margin else ""
    for row in rows:
        verdict = row.verdict(margin)
        said = {UNKNOWN: UNKNOWN, TOO_FEW: f"not told: {TOO_FEW}", NOTHING: f"{NOTHING}{beyond}"}.get(
            verdict, f"B is {verdict} than A{beyond}"
        )
        _, _, difference, interval = _figures(row)
        print_line(
            f"{_name(row)}: {said}" + ("" if verdict == UNKNOWN else f" ({difference}, 95 % interval {interval})")
        )


def _name(row: Row) -> str:
    return row.metric.removeprefix("metrics/") + (f", {row.unit}" if row.unit else "")


def _figures(row: Row) -> tuple[str, str, str, str]:
    low, high = (_number(value, row.digits, signed=True) for value in (row.span.low, row.span.high))
    interval = NO_FIGURE if row.span.low is None else f"{low}…{high}"
    a, b = (_number(value, row.digits) for value in (row.span.a, row.span.b))
    return a, b, _number(row.difference, row.digits, signed=True), interval


def _number(value: float | None, digits: int, signed: bool = False) -> str:
    if value is None:
        return NO_FIGURE
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    return text.lstrip("+-") if signed and not float(text) else text


def _verdict(row: Row) -> str:
    verdict = row.verdict()
    return SHORT.get(verdict, verdict)
