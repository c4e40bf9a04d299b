"""The anchor of a ledger: what has to be kept elsewhere so that a rewritten or shortened ledger shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aigp_lightning.media.ledger.chain import Lines, parse_lines
from aigp_lightning.media.ledger.lines import Entry

Totals = dict[str, dict[str, dict[str, int]]]
"""Pictures and bytes, by destination and outcome."""
HEAD, LINES = "ledger/head", "ledger/lines"
"""Names in a logger's summary."""
LARGEST = (1 << 63) - 1
"""Bytes that a sum stops at: no ledger that somebody wrote makes a checkpoint whose numbers cannot be read."""
PICTURES, BYTES = "pictures", "bytes"
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Anchor:
    """Head, length and totals of a ledger at one moment; each further line makes another.

    Attributes:
        head: SHA-256 of the last line, which the next one carries as `prev`; 64 zeros for an empty ledger.
        lines: their number.
        totals: pictures and bytes by destination and outcome; None where they were not kept along.

    Example:
        >>> print(Anchor("0" * 64, 0, {}))
        ledger: 0 lines, head 0000000000000000000000000000000000000000000000000000000000000000
    """

    head: str
    lines: int
    totals: Totals | None = None

    def __str__(self) -> str:
        """Say it in a line that can be copied."""
        return f"ledger: {self.lines} {'line' if self.lines == 1 else 'lines'}, head {self.head}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for checkpoints and JSON."""
        return {"head": self.head, "lines": self.lines, "totals": self.totals}


def lacks(data: bytes, anchor: Anchor) -> str:
    """Say what a ledger lacks of what it was when its anchor was kept; empty if it goes on from there.

    Args:
        data: the ledger's bytes. A last line that lacks its end counts: it gets one when the ledger is opened.
        anchor: that was kept.

    Example:
        >>> lacks(b"", Anchor("ab" * 32, 3)), lacks(b"", Anchor("0" * 64, 0))
        ('it had 3 lines, and has 0', '')
    """
    heads = parse_lines(data if data.endswith(b"\n") or not data else data + b"\n").heads
    if len(heads) <= anchor.lines:
        return f"it had {anchor.lines} lines, and has {len(heads) - 1}"
    return "" if heads[anchor.lines] == anchor.head else f"line {anchor.lines} of it, or one before, was changed"


def anchor_of(lines: Lines, upto: int | None = None) -> Anchor:
    """Return the anchor of a ledger that was read, now or as it was earlier.

    Args:
        lines: of the ledger.
        upto: only its first so many lines; None: all.

    Example:
        >>> from aigp_lightning.media.ledger.chain import parse_lines
        >>> from aigp_lightning.media.ledger.lines import START, encode_line
        >>> entry = Entry("results", "results", "results.png", "0" * 64, 9, 0, 0, [], "file", "written")
        >>> anchor = anchor_of(parse_lines(encode_line(entry, 0, "2025-01-01T00:00:00Z", START) + bytes([10])))
        >>> anchor.lines, anchor.head[:12], anchor.totals
        (1, '17c5df52cdbd', {'file': {'written': {'pictures': 1, 'bytes': 9}}})
    """
    count = len(lines.heads) - 1 if upto is None else upto
    return Anchor(lines.heads[count], count, totals_of(line for line in lines if line.number <= count))


def totals_of(entries: Iterable[Entry]) -> Totals:
    """Sum pictures and bytes of entries, by destination and outcome.

    Example:
        >>> entry = Entry("results", "results", "results.png", "0" * 64, 9, 0, 0, [], "file", "written")
        >>> totals_of([entry, entry])
        {'file': {'written': {'pictures': 2, 'bytes': 18}}}
    """
    totals: Totals = {}
    for entry in entries:
        add_to(totals, entry)
    return totals


def add_to(totals: Totals, entry: Entry) -> None:
    """Add an entry to totals.

    Example:
        >>> totals = {}
        >>> add_to(totals, Entry("results", "results", "results.png", "0" * 64, 9, 0, 0, [], "file", "written"))
        >>> totals
        {'file': {'written': {'pictures': 1, 'bytes': 9}}}
    """
    sums = totals.setdefault(entry.destination, {}).setdefault(entry.outcome, {PICTURES: 0, BYTES: 0})
    sums[PICTURES] += 1
    sums[BYTES] = min(max(sums[BYTES] + entry.bytes, 0), LARGEST)


def parse_anchor(content: object) -> Anchor | None:
    """Read an anchor from plain values, which may come from anywhere; None if they are none.

    Args:
        content: what `Anchor.as_dict` returned; the totals may be missing.

    Example:
        >>> parse_anchor({"head": "ab" * 32, "lines": 3}).lines, parse_anchor({"head": "ab", "lines": 3})
        (3, None)
    """
    if not isinstance(content, Mapping):
        return None
    head, lines, totals = content.get("head"), content.get("lines"), content.get("totals")
    if not isinstance(head, str) or not HASH.fullmatch(head) or type(lines) is not int or lines < 0:
        return None
    if totals is not None and not _are_totals(totals):
        return None
    return Anchor(head, lines, totals)


def differing_totals(found: Totals, expected: Totals) -> list[str]:
    """List where two totals differ, a sentence each.

    Args:
        found: those of the ledger.
        expected: those that were kept.

    Example:
        >>> differing_totals({"file": {"written": {"pictures": 2, "bytes": 18}}}, {})
        ['file, written: 2 pictures with 18 bytes, not 0 with 0']
    """
    keys = {(name, outcome) for totals in (found, expected) for name in totals for outcome in totals[name]}
    nothing = {PICTURES: 0, BYTES: 0}
    sentences = []
    for destination, outcome in sorted(keys):
        now, then = (totals.get(destination, {}).get(outcome, nothing) for totals in (found, expected))
        if now != then:
            sentences.append(
                f"{destination}, {outcome}: {now[PICTURES]} pictures with {now[BYTES]} bytes, "
                f"not {then[PICTURES]} with {then[BYTES]}"
            )
    return sentences


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _are_totals(totals: object) -> bool:
    return isinstance(totals, dict) and all(
        isinstance(destination, str) and isinstance(outcomes, dict) and all(map(_are_sums, outcomes, outcomes.values()))
        for destination, outcomes in totals.items()
    )


def _are_sums(outcome: object, sums: object) -> bool:
    if not isinstance(outcome, str) or not isinstance(sums, dict) or set(sums) != {PICTURES, BYTES}:
        return False
    return all(map(_is_count, sums.values()))
