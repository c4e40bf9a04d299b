"""Results of an audit, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from aigp_lightning.media.ledger.anchor import anchor_of
from aigp_lightning.media.ledger.ledger import Line, Lines

FindingKind = Literal[
    "chain",
    "changed",
    "missing",
    "unlisted",
    "contrary",
    "misfiled",
    "damaged",
    "switched off",
    "unasked",
    "stranger",
    "anchor",
    "signature",
]
MEANING: dict[FindingKind, str] = {
    "contrary": "handed over although the ledger says it was not, or switches that contradict each other",
    "unlisted": "there, or handed over, but not in the ledger",
    "switched off": "handed to W&B beside scalars and pictures, with its switch off",
    "unasked": "handed to W&B beside scalars and pictures, and no switch is for it",
    "stranger": "a record of another run",
    "changed": "other bytes than the ledger says",
    "missing": "in the ledger, but not there",
    "misfiled": "there, but not under its epoch",
    "chain": "the ledger was changed after it was written",
    "anchor": "another ledger than the one that was noted elsewhere",
    "signature": "not what was signed, or not signed",
    "damaged": "cannot be read in full",
}


LARGEST = 1 << 62
"""Bytes of a picture that are counted, whatever its line says."""


@dataclass(frozen=True)
class Finding:
    """One difference between the ledger and what is there.

    Attributes:
        what: one of `MEANING`.
        destination: `ledger`, `file`, or a logger's name in the ledger.
        file: concerned, relative to the run folder.
        message: a sentence.
        epoch: concerned, from 0; None for no particular one.
        line: of the ledger, from 1; None for no particular one.
    """

    what: FindingKind
    destination: str
    file: str
    message: str
    epoch: int | None = None
    line: int | None = None


@dataclass(frozen=True)
class LoggedPicture:
    """A picture as it was found with a logger.

    Attributes:
        key: the logger's name for it.
        epoch: that it is filed under; None where it says none.
        sha256: of its bytes.
        size: bytes.
        file: where it is, relative to the run folder.
        place: which part of that file: `event`, or a row.
    """

    key: str
    epoch: int | None
    sha256: str
    size: int
    file: str
    place: str


@dataclass
class Tally:
    """Numbers of one destination.

    Attributes:
        destination: its name.
        handed: pictures that the ledger says were written or sent.
        withheld: pictures it did not get, for privacy or budget.
        failed: pictures that could not be drawn or handed over.
        unknown: pictures handed over of which nobody can tell whether they were taken; they count as left.
        bytes: of those written, sent or unknown.
        found: pictures that were found there; None where it cannot be read back here.
        scalars: contents beside pictures, in words.
    """

    destination: str
    handed: int = 0
    withheld: int = 0
    failed: int = 0
    unknown: int = 0
    bytes: int = 0
    found: int | None = None
    scalars: str = ""


@dataclass(frozen=True)
class SideChannel:
    """A kind of data beside scalars and pictures that a logger may send.

    Attributes:
        name: of the kind.
        handed: True if such data were handed to the logger.
        detail: names or amounts.
        bytes: of its files.
        on: whether it was switched on; None if there is no switch for it, or if it is not known.
    """

    name: str
    handed: bool
    detail: str = ""
    bytes: int = 0
    on: bool | None = None


@dataclass
class Audit:
    """The result of an audit.

    Attributes:
        run: the run folder.
        ledger: the ledger's lines; None if the run has none.
        tallies: by destination.
        findings: every difference.
        notes: remarks that are no differences.
        side_channels: of W&B; empty if the run has no W&B folder.
        anchors: places that know the ledger as it is, and up to which line.
        settled: numbers of the lines of unknown outcome of which a later line says that the picture was sent.
        waiting: numbers of the lines whose picture a logger has on this disk, to be synced later.
        beside_left: what left this machine beside pictures, in words.
        beside_waiting: the same of what waits to be synced.
    """

    run: Path
    ledger: Sequence[Line] | None
    tallies: dict[str, Tally] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    side_channels: list[SideChannel] = field(default_factory=list)
    anchors: dict[str, int] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)
    beside_left: list[str] = field(default_factory=list)
    beside_waiting: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """True if everything matches."""
        return not self.findings

    def tally(self, destination: str) -> Tally:
        """Return the numbers of a destination, which are created on the first call."""
        return self.tallies.setdefault(destination, Tally(destination))

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the ledger's lines, for JSON."""
        return {
            "run": str(self.run),
            "anchor": anchor_of(self.ledger).as_dict() if isinstance(self.ledger, Lines) else None,
            "anchors": self.anchors,
            "ledger_lines": None if self.ledger is None else len(self.ledger),
            "clean": self.clean,
            "destinations": [asdict(tally) for tally in self.tallies.values()],
            "findings": [asdict(finding) for finding in self.findings],
            "notes": self.notes,
            "side_channels": [asdict(channel) for channel in self.side_channels],
        }
