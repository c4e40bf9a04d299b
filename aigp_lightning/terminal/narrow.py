"""Tables on terminals that are too narrow for them: each row as a list of its cells, so that no column is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

BROKEN = 8
"""A column whose words may be broken anywhere needs no more than so many letters."""


def fits(table: Table, screen: Console) -> bool:
    """True if a terminal is wide enough for every column; margins of cells are given up for that, if need be.

    Args:
        table: its padding may be removed.
        screen: the terminal.
    """
    if _width(table, screen) > screen.width:
        table.padding = (0, 0, 0, 0)
    return _width(table, screen) <= screen.width


def as_lines(table: Table) -> Iterator[str]:
    r"""Yield a table's rows as lists: the first cell, then one line for each other that says something.

    Args:
        table: any.

    Example:
        >>> from rich.table import Table
        >>> table = Table("kind", "run folder\npictures", title="Pictures")
        >>> table.add_row("labels", "1 / 0.3")
        >>> list(as_lines(table))
        ['Pictures', 'kind: labels', '  run folder pictures: 1 / 0.3']
    """
    if table.title:
        yield _plain(table.title)
    headings = [_plain(column.header) for column in table.columns]
    for row in zip(*(column.cells for column in table.columns), strict=True):
        texts = [_plain(cell) for cell in row]
        for place, (heading, text) in enumerate(zip(headings, texts, strict=True)):
            if text:
                said = f"{heading}: {text}" if heading else text
                yield f"  {said}" if place else said


def _plain(cell: Any) -> str:
    return " ".join(str(cell).split())


def _width(table: Table, screen: Console) -> int:
    """Return the least width at which no cell loses letters and no word is broken that must not be."""
    from rich.measure import Measurement

    options = screen.options.update(max_width=10_000)
    widths = []
    for column in table.columns:
        cells = [column.header, *column.cells] if table.show_header else list(column.cells)
        measured = [Measurement.get(screen, options, cell) for cell in cells]
        needed = max((each.maximum if column.no_wrap else each.minimum for each in measured), default=0)
        folded = column.overflow == "fold" or any(getattr(cell, "overflow", None) == "fold" for cell in column.cells)
        needed = min(needed, BROKEN) if folded and not column.no_wrap else needed
        widths.append(max(needed, column.min_width or 0))
    borders = len(widths) + 1 if table.box is not None else 0
    return sum(widths) + borders + len(widths) * (table.padding[1] + table.padding[3])
