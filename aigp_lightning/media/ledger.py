"""What was drawn and handed over: `media.jsonl`, a line for each picture and destination.

Each line carries the SHA-256 of the line before it, so a line that is changed, removed or put elsewhere later on shows.
The chain has no key: who rewrites every line from one on is found out by the files, not by the chain.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

LEDGER_FILE = "media.jsonl"
START = "0" * 64
"""What the first line carries in place of a hash."""
Outcome = Literal["written", "sent", "withheld", "failed"]


@dataclass(frozen=True)
class Entry:
    """A picture and what became of it at one destination.

    Attributes:
        kind: of picture, one of the routes' kinds.
        key: what loggers call it.
        file: relative to the run folder, with forward slashes.
        sha256: of the file's bytes, hexadecimal.
        bytes: size of the file.
        step: optimizer steps so far.
        epoch: from 0.
        sources: images that the picture shows, by the paths the data set found them at; without those that are masked.
        destination: `file`, `tensorboard`, `wandb` or `other:<class of the logger>`.
        outcome: `written` for a file; `sent`, `withheld` or `failed` for a logger.
        reason: why it was withheld or failed.
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


@dataclass(frozen=True, kw_only=True)
class Line(Entry):
    """An entry as it stands in the file.

    Attributes:
        n: number of the line as written, from 0.
        time: when it was written, UTC.
        prev: SHA-256 of the line before.
        number: which line of the file it is now, from 1.
    """

    n: int
    time: str
    prev: str
    number: int = 0


class Lines(list[Line]):
    """The lines of a ledger that can be read, in order.

    Attributes:
        problems: what is wrong with the file, a sentence each, by line number.
        due: number that the next line gets.
    """

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.due = 0


class Ledger:
    """Adds lines to a ledger; a run that goes on adds to the lines that are there.

    A last line that was cut off, because the run was killed while it was written, is removed. Nothing else that is
    wrong with the file stops a run: it is in `problems`, and the audit reports it.

    Args:
        path: the file; it is made if it isn't there.
        resuming: whether what it holds is of the same run, which goes on; else `has` knows nothing of it.

    Raises:
        OSError: the file cannot be read or written.
    """

    def __init__(self, path: Path, resuming: bool = True) -> None:
        self._lock = threading.Lock()
        self._bytes: Counter[tuple[str, str]] = Counter()
        self._had: dict[tuple[str, str, int], str] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        data = _trim(path)
        lines = _parse(data)
        self.problems = lines.problems
        self._prev = sha256(data[:-1].rpartition(b"\n")[2]).hexdigest() if data else START
        self._next = lines.due
        for line in lines:
            self._count(line)
        if not resuming:
            self._had.clear()
        self._file = path.open("ab", buffering=0)

    def add(self, entry: Entry) -> None:
        """Add a line; it is with the operating system when this returns. Threads may share a ledger.

        Raises:
            OSError: it could not be written, as on a full disk. The file is then as before.
        """
        with self._lock:
            moment = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            line = _encode({"n": self._next, "time": moment, **asdict(entry), "prev": self._prev})
            self._write(line + b"\n")
            self._prev, self._next = sha256(line).hexdigest(), self._next + 1
            self._count(entry)

    def total(self, outcome: Outcome = "sent", destinations: Collection[str] | None = None) -> int:
        """Bytes of all pictures with an outcome, resumed runs included.

        Args:
            outcome: which.
            destinations: names to count; `other` counts any other logger. None: all.
        """
        return sum(
            size
            for (destination, what), size in self._bytes.items()
            if what == outcome
            and (destinations is None or destination in destinations or destination.split(":")[0] in destinations)
        )

    def has(self, destination: str, key: str, epoch: int, sha256: str | None = None) -> bool:
        """Whether it is flushed what a destination has of a picture: a run that goes on need not see to it again.

        Args:
            destination: as in an entry.
            key: of the picture.
            epoch: of the picture.
            sha256: only if the latest of its lines has these bytes.
        """
        known = self._had.get((destination, key, epoch))
        return known is not None and sha256 in (None, known)

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        with self._lock:
            self._file.close()

    def _write(self, line: bytes) -> None:
        size, done = self._file.seek(0, 2), 0
        try:
            while done < len(line):  # one call, unless the disk is nearly full
                done += self._file.write(line[done:])
        except OSError:
            self._file.truncate(size)
            raise

    def _count(self, entry: Entry) -> None:
        self._bytes[entry.destination, entry.outcome] += entry.bytes
        if entry.outcome != "failed":
            self._had[entry.destination, entry.key, entry.epoch] = entry.sha256


def read_ledger(path: Path) -> Lines:
    """Read a ledger and check its chain.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be read.
    """
    return _parse(path.read_bytes())


def _trim(path: Path) -> bytes:
    """Remove a cut-off last line; give a whole one that lacks only its line end that one."""
    data = path.read_bytes() if path.exists() else b""
    tail = data.rpartition(b"\n")[2]
    if not tail:
        return data
    whole = _line(tail, 0) is not None
    with path.open("r+b") as file:
        file.truncate(len(data) - len(tail))
        if whole:
            file.seek(0, 2)
            file.write(tail + b"\n")
    return data + b"\n" if whole else data[: len(data) - len(tail)]


def _encode(content: dict[str, Any]) -> bytes:
    try:
        return json.dumps(content, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:  # a path that is not valid Unicode: escapes keep it
        return json.dumps(content).encode("ascii")


def _parse(data: bytes) -> Lines:
    lines, prev = Lines(), START
    for number, raw in _numbered(data, lines):
        line = _line(raw, number)
        if line is None:
            lines.problems.append(f"line {number} is not a line of a ledger.")
        else:
            lines.problems += _breaks(line, prev, lines.due)
            lines.append(line)
            lines.due = line.n
        prev, lines.due = sha256(raw).hexdigest(), lines.due + 1
    return lines


def _numbered(data: bytes, lines: Lines) -> Iterator[tuple[int, bytes]]:
    rows = data.split(b"\n")
    yield from enumerate(rows[:-1], 1)
    if rows[-1]:
        lines.problems.append(f"line {len(rows)} is cut off: the run was killed while writing it, or still runs.")


def _breaks(line: Line, prev: str, due: int) -> Iterator[str]:
    where = f"line {line.number} ({line.file}, epoch {line.epoch}, {line.destination})"
    if line.n != due:
        yield f"{where} was written as number {line.n}, here number {due} is due: lines were removed or put elsewhere."
    if line.prev != prev:
        before = "the first line" if line.number == 1 else f"line {line.number - 1}"
        yield f"{where} carries another hash than that of what is before it: {before} was changed, removed or added."


def _line(raw: bytes, number: int) -> Line | None:
    try:
        content = json.loads(raw)
        line = Line(**content, number=number)
    except (ValueError, TypeError, RecursionError):  # the last for brackets in brackets
        return None
    right = all(isinstance(getattr(line, name), kinds) for name, kinds in _KINDS.items())
    return line if right and all(isinstance(source, str) for source in line.sources) else None


_NUMBERS = ("n", "bytes", "step", "epoch")
_KINDS: dict[str, type] = {
    field.name: int if field.name in _NUMBERS else list if field.name == "sources" else str
    for field in fields(Line)
    if field.name != "number"
}
