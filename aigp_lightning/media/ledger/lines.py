"""The format of the ledger: its entries as lines of JSON, each with the hash of the line before it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

START = "0" * 64
"""Stands in the first line in place of a hash."""
Outcome = Literal["written", "sent", "unknown", "withheld", "failed"]
LEFT: tuple[Outcome, ...] = ("sent", "unknown")
"""Outcomes of what a logger has, or may have: both count against the budget, and neither is delivered again."""
IN_FLIGHT = "the run ended while it was handed over"
"""Reason of a line that stands for a picture from before it is handed over until its outcome is known."""
FOUND = "found with the logger when the run went on"
"""Reason of a `sent` line that a resumed run adds; it settles an `unknown` one. Earlier versions have it too."""
REMOTE = ("wandb", "other")
"""Destinations that are remote unless their line says something else."""
UNCHANGED = "unchanged since epoch"
"""Begins the reason of what was withheld from a logger that has the same bytes, with the epoch, from 0."""
BOXES_FILE = ".boxes2D.json"
"""End of the names of files of boxes that go with a picture; W&B's own, which takes boxes from no other file."""
PRIVATE_IMAGE = "private image"
"""Reason of what was withheld, or begins that of it: it shows an image that is private."""


@dataclass(frozen=True)
class Entry:
    """A picture and what became of it at one destination.

    Attributes:
        kind: of picture, one of the routes' kinds.
        key: the name that loggers know it by.
        file: relative to the run folder, with forward slashes.
        sha256: of the file's bytes, hexadecimal.
        bytes: size of the file.
        step: that scalars were logged at.
        epoch: from 0.
        sources: images that the picture shows, by the paths the data set found them at; without those that are masked.
        destination: `file`, `tensorboard`, `wandb` or `other:<class of the logger>`; a second logger of one kind has a
            number, as `tensorboard:2`.
        outcome: `written` for a file; for a logger `sent`, `withheld`, `failed`, or `unknown` where nobody can tell
            whether it arrived.
        reason: why it was withheld, failed or is unknown.

    Example:
        >>> entry = Entry(
        ...     kind="curves", key="PR_curve", file="PR_curve.png", sha256="0" * 64, bytes=9, step=40, epoch=3,
        ...     sources=[], destination="wandb", outcome="withheld", reason="media.max_mb",
        ... )
        >>> entry.destination, entry.outcome
        ('wandb', 'withheld')
    """

    kind: str
    key: str
    file: str
    sha256: str
    bytes: int
    step: int
    epoch: int
    sources: Sequence[str]
    destination: str
    outcome: Outcome
    reason: str = ""

    @property
    def identity(self) -> tuple[str, str, int, str]:
        """Destination, key, epoch and hash: the same picture at the same place."""
        return self.destination, self.key, self.epoch, self.sha256

    @property
    def is_picture(self) -> bool:
        """True if it is of a picture, and not of the boxes that go with one."""
        return not self.file.endswith(BOXES_FILE)

    @property
    def is_remote(self) -> bool:
        """True if what the destination takes leaves this machine, now or when it is synced."""
        said: bool | None = getattr(self, "remote", None)
        return self.destination.partition(":")[0] in REMOTE if said is None else said

    @property
    def left(self) -> bool:
        """True if the picture has left this machine, or may have."""
        return self.is_remote and self.outcome in LEFT


@dataclass(frozen=True, kw_only=True)
class RemoteEntry(Entry):
    """An entry of a destination whose name does not say that it is remote, or not: TensorBoard in a bucket.

    Attributes:
        remote: whether what it takes leaves this machine.

    Example:
        >>> bucket = Entry("results", "results", "results.png", "0" * 64, 9, 0, 0, [], "tensorboard", "sent")
        >>> bucket.left, RemoteEntry(**asdict(bucket), remote=True).left
        (False, True)
    """

    remote: bool


@dataclass(frozen=True, kw_only=True)
class Line(Entry):
    """An entry as it stands in the file.

    Attributes:
        remote: see `RemoteEntry`; None where the destination's name says it, and the line does not.
        n: number of the line as written, from 0.
        time: when it was written, UTC.
        prev: SHA-256 of the line before.
        number: of the line in the file as it is now, from 1.

    Example:
        >>> entry = Entry("results", "results", "results.png", "0" * 64, 9, 0, 0, [], "file", "written")
        >>> line = Line(**asdict(entry), n=0, time="2025-01-01T00:00:00Z", prev=START)
        >>> line.n, line.key
        (0, 'results')
    """

    n: int
    time: str
    prev: str
    remote: bool | None = None
    number: int = 0

    @property
    def entry(self) -> Entry:
        """What it says, without its place."""
        content = {field.name: getattr(self, field.name) for field in fields(Entry)}
        return Entry(**content) if self.remote is None else RemoteEntry(**content, remote=self.remote)


def encode_line(entry: Entry, n: int, time: str, prev: str) -> bytes:
    """Encode an entry as a line of JSON, without its line end.

    Args:
        entry: what happened.
        n: number of the line, from 0.
        time: when, UTC.
        prev: SHA-256 of the line before.

    Example:
        >>> entry = Entry("results", "results", "results.png", "0" * 64, 9, 0, 0, [], "file", "written")
        >>> encode_line(entry, n=0, time="2025-01-01T00:00:00Z", prev=START)[:60]
        b'{"n": 0, "time": "2025-01-01T00:00:00Z", "kind": "results", '
    """
    content = {"n": n, "time": time, **asdict(entry), "prev": prev}
    try:
        return json.dumps(content, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:  # a path that is not valid Unicode: escapes keep it
        return json.dumps(content).encode("ascii")


def parse_line(raw: bytes, number: int = 0) -> Line | None:
    """Read a line; None if it is none of a ledger.

    Args:
        raw: its bytes, without the line end.
        number: of the line in the file, from 1.

    Example:
        >>> entry = Entry("results", "results", "results.png", "0" * 64, 9, 0, 0, [], "file", "written")
        >>> parse_line(encode_line(entry, 0, "2025-01-01T00:00:00Z", START)).key, parse_line(b"{}")
        ('results', None)
    """
    try:
        content = json.loads(raw)
        line = Line(**content, number=number)
    except (ValueError, TypeError, RecursionError):  # the last for brackets in brackets
        return None
    right = all(isinstance(getattr(line, name), kinds) for name, kinds in _KINDS.items())
    return line if right and all(isinstance(source, str) for source in line.sources) else None


_NUMBERS = ("n", "bytes", "step", "epoch")
_OTHERS: dict[str, Any] = {"sources": list, "remote": bool | None}
_KINDS: dict[str, Any] = {
    field.name: int if field.name in _NUMBERS else _OTHERS.get(field.name, str)
    for field in fields(Line)
    if field.name != "number"
}
