"""The result of an audit, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from aigp_lightning.media.ledger import Line

What = Literal["chain", "changed", "missing", "unlisted", "contrary", "misfiled", "damaged"]
MEANING: dict[What, str] = {
    "contrary": "handed over although the ledger says it was not",
    "unlisted": "there, or handed over, but not in the ledger",
    "changed": "other bytes than the ledger says",
    "missing": "in the ledger, but not there",
    "misfiled": "there, but not under its epoch",
    "chain": "the ledger was changed after it was written",
    "damaged": "cannot be read in full",
}


@dataclass(frozen=True)
class Finding:
    """One difference between the ledger and what is there.

    Attributes:
        what: one of `MEANING`.
        destination: where: `ledger`, `file`, `tensorboard`, `wandb`.
        file: what it is about, relative to the run folder.
        message: a sentence.
        epoch: from 0, where it is about one.
        line: of the ledger, from 1, where there is one.
    """

    what: What
    destination: str
    file: str
    message: str
    epoch: int | None = None
    line: int | None = None


@dataclass(frozen=True)
class Handed:
    """A picture as a logger has it.

    Attributes:
        key: its name there.
        epoch: what it is filed under; None where it says none.
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
        bytes: of those written or sent.
        found: pictures that are really there; None where nobody here can look.
        scalars: what is there beside pictures, in words.
    """

    destination: str
    handed: int = 0
    withheld: int = 0
    failed: int = 0
    bytes: int = 0
    found: int | None = None
    scalars: str = ""


@dataclass(frozen=True)
class SideChannel:
    """Something beside scalars and pictures that a logger may hand over.

    Attributes:
        name: what.
        handed: whether it was.
        detail: what exactly, or how much.
        bytes: of files.
    """

    name: str
    handed: bool
    detail: str = ""
    bytes: int = 0


@dataclass
class Audit:
    """What an audit found.

    Attributes:
        run: the run folder.
        ledger: the ledger's lines; None if the run has none.
        tallies: by destination.
        findings: every difference.
        notes: what the reader should know, without being a difference.
        side_channels: of W&B; empty if the run has no W&B folder.
    """

    run: Path
    ledger: Sequence[Line] | None
    tallies: dict[str, Tally] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    side_channels: list[SideChannel] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether everything matches."""
        return not self.findings

    def tally(self, destination: str) -> Tally:
        """The numbers of a destination, made on demand."""
        return self.tallies.setdefault(destination, Tally(destination))

    def as_dict(self) -> dict[str, Any]:
        """Everything but the ledger's lines, for JSON."""
        return {
            "run": str(self.run),
            "ledger_lines": None if self.ledger is None else len(self.ledger),
            "clean": self.clean,
            "destinations": [asdict(tally) for tally in self.tallies.values()],
            "findings": [asdict(finding) for finding in self.findings],
            "notes": self.notes,
            "side_channels": [asdict(channel) for channel in self.side_channels],
        }
