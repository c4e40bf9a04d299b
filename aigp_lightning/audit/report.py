"""The printed report of an audit."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from aigp_lightning.audit.conclusion import conclusion_of, conclusion_of_image
from aigp_lightning.audit.findings import MEANING, Audit, Finding
from aigp_lightning.errors import printable
from aigp_lightning.files import shell_quoted
from aigp_lightning.media.ledger.anchor import anchor_of
from aigp_lightning.media.ledger.ledger import LEFT, Line, Lines
from aigp_lightning.terminal.output import print_line, print_tables

if TYPE_CHECKING:
    from rich.text import Text

    from aigp_lightning.audit.images import Appearances

LISTED = 12
"""Parts of a side channel that the table names at most."""
SHOWN = 25
"""Findings of one kind that are printed at most; JSON has all."""


def print_audit(audit: Audit) -> None:
    """Print the numbers, side channels and differences of an audit."""
    print_line(f"audit of {audit.run}")
    _print_tallies(audit)
    if audit.side_channels:
        _print_side_channels(audit)
    for note in audit.notes:
        print_line(f"note: {note}")
    _print_findings(audit)
    print_line(*conclusion_of(audit))
    if isinstance(audit.ledger, Lines):
        print_line(str(anchor_of(audit.ledger)))
    if audit.anchors:
        known = ", ".join(f"{place} (line {line})" for place, line in audit.anchors.items())
        print_line(f"confirmed by: {known}")


def print_appearances(found: Appearances, audit: Audit) -> None:
    """Print the pictures that show an image.

    Args:
        found: those pictures.
        audit: of the same run.
    """
    from rich.table import Table

    print_line(f"{found.image}: {found.source}, found {found.matched}")
    if found.lines:
        table = Table("epoch", "picture", "destination", "outcome")
        for line in found.lines:
            table.add_row(*map(_cell, (str(line.epoch), line.file, line.destination, _outcome(audit, line))))
        print_tables(table)
    print_line(*conclusion_of_image(audit, found))
    if audit.clean:
        print_line("The ledger matches files and loggers.")
    else:
        print_line(f"See the audit itself: python -m aigp_lightning audit {shell_quoted(audit.run)}")


def _outcome(audit: Audit, line: Line) -> str:
    """Return what became of a picture, and where that is not plain, how far it went."""
    outcome: str = line.outcome
    if outcome in LEFT and line.is_remote:
        outcome += ", waits to be synced" if line.number in audit.waiting else ", left" * (outcome == "sent")
    elif outcome == "sent":
        outcome += ", stays here"
    return f"{outcome}: {line.reason}" if line.reason else outcome


def _print_tallies(audit: Audit) -> None:
    from rich.table import Table

    unknown = any(tally.unknown for tally in audit.tallies.values())
    headings = ("drawn,\ngiven", "withheld", "failed", *(["unknown"] if unknown else []), "MB", "there\nnow")
    table = Table("destination", *headings, "beside pictures")
    for column in table.columns[:-1]:
        column.no_wrap = True  # the last one has what they leave: names of files fit into it in 80 columns
    for column in table.columns[1:-1]:
        column.justify = "right"
    for tally in audit.tallies.values():
        counts = (tally.handed, tally.withheld, tally.failed, *([tally.unknown] if unknown else []))
        there = "?" if tally.found is None else str(tally.found)
        numbers = (*map(str, counts), f"{tally.bytes / 1e6:.2f}", there)
        table.add_row(*map(_cell, (tally.destination, *numbers, tally.scalars)))
    print_tables(table)


def _print_side_channels(audit: Audit) -> None:
    from rich.table import Table

    table = Table("beside pictures and scalars", "switch", "to W&B", "what", "MB")
    for channel in audit.side_channels:
        size = f"{channel.bytes / 1e6:.2f}" if channel.bytes else ""
        switch = {None: "", True: "on", False: "off"}[channel.on]
        handed = "yes" if channel.handed else "no"
        table.add_row(*map(_cell, (channel.name, switch, handed, _short(channel.detail), size)))
    print_tables(table)


def _short(detail: str) -> str:
    """Shorten a long list to its beginning; the JSON has all of it."""
    parts = detail.split(", ")
    return detail if len(parts) <= LISTED else f"{', '.join(parts[:LISTED])} and {len(parts) - LISTED} more"


def _print_findings(audit: Audit) -> None:
    if audit.clean:
        if audit.ledger is None:
            print_line("no differences, and no ledger to compare anything with.")
        else:
            print_line(f"everything matches: {len(audit.ledger)} lines of the ledger.")
        return
    number = len(audit.findings)
    print_line(f"{number} differences:" if number > 1 else "1 difference:")
    count: Counter[str] = Counter()
    order = list(MEANING)
    for finding in sorted(audit.findings, key=lambda finding: order.index(finding.what)):
        if not count[finding.what]:
            print_line(f"{finding.what}: {MEANING[finding.what]}")
        count[finding.what] += 1
        if count[finding.what] <= SHOWN:
            print_line(_sentence(finding))
    for what, all_of_it in count.items():
        if all_of_it > SHOWN:
            print_line(f"… and {all_of_it - SHOWN} more of {what!r}: --json lists all.")


def _sentence(finding: Finding) -> str:
    return f"  {finding.destination:<11} {finding.file}: {finding.message}"


def _cell(text: str) -> Text:
    """Return a table cell whose text is not read as markup, as brackets in a file's name would be."""
    from rich.text import Text

    return Text(printable(text), overflow="fold")
