"""The printed report of an audit."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from aigp_lightning.audit.findings import MEANING, Audit, Finding
from aigp_lightning.media.anchor import anchor_of
from aigp_lightning.media.ledger import Lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from aigp_lightning.audit.images import Appearances

LISTED = 12
"""Parts of a side channel that the table names at most."""
SHOWN = 25
"""Findings of one kind that are printed at most; JSON has all."""


def print_audit(audit: Audit) -> None:
    """Print the numbers, side channels and differences of an audit."""
    from rich.console import Console

    console = Console()
    _print_line(console, f"audit of {audit.run}")
    _print_tallies(console, audit)
    if audit.side_channels:
        _print_side_channels(console, audit)
    for note in audit.notes:
        _print_line(console, f"note: {note}")
    _print_findings(console, audit)
    if isinstance(audit.ledger, Lines):
        _print_line(console, str(anchor_of(audit.ledger)))
    if audit.anchors:
        known = ", ".join(f"{place} (line {line})" for place, line in audit.anchors.items())
        _print_line(console, f"it is as these know it, up to the line that they know: {known}")


def print_appearances(found: Appearances, audit: Audit) -> None:
    """Print the pictures that show an image.

    Args:
        found: those pictures.
        audit: of the same run.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not found.lines:
        _print_line(console, f"{found.image}: nowhere. No picture in this run's ledger shows it.")
    else:
        _print_line(console, f"{found.image}: {found.source}, found {found.matched}")
        table = Table("epoch", "picture", "destination", "outcome")
        for line in found.lines:
            table.add_row(
                *map(_cell, (str(line.epoch), line.file, line.destination, _outcome(line.outcome, line.reason)))
            )
        console.print(table)
        _print_line(
            console, "Loggers got pictures with it." if found.was_sent else "It is only in files: no logger got it."
        )
    if audit.clean:
        _print_line(console, "The ledger matches files and loggers.")
    else:
        _print_line(console, f"But the ledger and what is there differ ({len(audit.findings)}): see the audit itself.")


def _outcome(outcome: str, reason: str) -> str:
    return f"{outcome}: {reason}" if reason else outcome


def _print_tallies(console: Console, audit: Audit) -> None:
    from rich.table import Table

    unknown = any(tally.unknown for tally in audit.tallies.values())
    headings = ("drawn, sent", "withheld", "failed", *(["unknown"] if unknown else []), "MB", "there now")
    table = Table("destination", *headings, "beside pictures")
    table.columns[0].no_wrap = True
    for column in table.columns[1:-1]:
        column.justify = "right"
    for tally in audit.tallies.values():
        counts = (tally.handed, tally.withheld, tally.failed, *([tally.unknown] if unknown else []))
        there = "?" if tally.found is None else str(tally.found)
        numbers = (*map(str, counts), f"{tally.bytes / 1e6:.2f}", there)
        table.add_row(*map(_cell, (tally.destination, *numbers, tally.scalars)))
    console.print(table)


def _print_side_channels(console: Console, audit: Audit) -> None:
    from rich.table import Table

    table = Table("beside pictures and scalars", "switch", "to W&B", "what", "MB")
    for channel in audit.side_channels:
        size = f"{channel.bytes / 1e6:.2f}" if channel.bytes else ""
        switch = {None: "", True: "on", False: "off"}[channel.on]
        handed = "yes" if channel.handed else "no"
        table.add_row(*map(_cell, (channel.name, switch, handed, _short(channel.detail), size)))
    console.print(table)


def _short(detail: str) -> str:
    """Shorten a long list to its beginning; the JSON has all of it."""
    parts = detail.split(", ")
    return detail if len(parts) <= LISTED else f"{', '.join(parts[:LISTED])} and {len(parts) - LISTED} more"


def _print_findings(console: Console, audit: Audit) -> None:
    if audit.clean:
        lines = "no ledger, and no pictures" if audit.ledger is None else f"{len(audit.ledger)} lines of the ledger"
        _print_line(console, f"everything matches: {lines}.")
        return
    number = len(audit.findings)
    _print_line(console, f"{number} differences:" if number > 1 else "1 difference:")
    count: Counter[str] = Counter()
    order = list(MEANING)
    for finding in sorted(audit.findings, key=lambda finding: order.index(finding.what)):
        if not count[finding.what]:
            _print_line(console, f"{finding.what}: {MEANING[finding.what]}")
        count[finding.what] += 1
        if count[finding.what] <= SHOWN:
            _print_line(console, _sentence(finding))
    for what, all_of_it in count.items():
        if all_of_it > SHOWN:
            _print_line(console, f"… and {all_of_it - SHOWN} more of {what!r}: --json lists all.")


def _sentence(finding: Finding) -> str:
    return f"  {finding.destination:<11} {finding.file}: {finding.message}"


def _print_line(console: Console, text: str) -> None:
    """Print a text unchanged in one line, however long, so that file names are not broken."""
    console.print(_printable(text), markup=False, highlight=False, soft_wrap=True, emoji=False)


def _cell(text: str) -> Text:
    """Return a table cell whose text is not read as markup, as brackets in a file's name would be."""
    from rich.text import Text

    return Text(_printable(text), overflow="fold")


def _printable(text: str) -> str:
    """Escape what is not valid Unicode or would control the terminal in text from the audited files."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
