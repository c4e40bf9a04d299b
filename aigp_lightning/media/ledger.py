"""Record of what was drawn and delivered: `media.jsonl`, a line for each picture and destination.

Each line carries the SHA-256 of the line before it, so a line that is changed, removed or put elsewhere later on shows.
The chain has no key: who rewrites every line from one on is found out by the files, not by the chain.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from copy import deepcopy
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

from aigp_lightning.media.anchor import Anchor, add_to, totals_of
from aigp_lightning.media.ledger_lines import (
    START,
    Entry,
    Line,
    Lines,
    Outcome,
    encode_line,
    parse_line,
    parse_lines,
)

__all__ = ["LEDGER_FILE", "START", "Entry", "Ledger", "Line", "Lines", "Outcome", "read_ledger"]

LEDGER_FILE = "media.jsonl"


class Ledger:
    """Adds lines to a ledger; a resumed run adds to the lines that are there.

    A last line that was cut off, because the run was killed while it was written, is removed. Nothing else that is
    wrong with the file stops a run: it is in `problems`, and the audit reports it.

    Args:
        path: the file; it is made if it isn't there.
        resuming: what it holds is of the same run; else `has` knows nothing of it.

    Raises:
        OSError: the file cannot be read or written.

    Example:
        >>> import tempfile
        >>> entry = Entry("results", "results", "results.png", "0" * 64, 9, 0, 0, [], "file", "written")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ledger = Ledger(Path(folder) / LEDGER_FILE)
        ...     ledger.add(entry)
        ...     ledger.close()
        ...     [line.key for line in read_ledger(Path(folder) / LEDGER_FILE)]
        ['results']
    """

    def __init__(self, path: Path, resuming: bool = True) -> None:
        self._lock = threading.Lock()
        self._bytes: Counter[tuple[str, str]] = Counter()
        self._had: dict[tuple[str, str, int], str] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        data = _trim(path)
        lines = parse_lines(data)
        self.problems = lines.problems
        self._prev, self._number = lines.heads[-1], len(lines.heads) - 1
        self._next = lines.due
        self._totals = totals_of(lines)
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
            line = encode_line(entry, self._next, moment, self._prev)
            self._write(line + b"\n")
            self._prev, self._next, self._number = sha256(line).hexdigest(), self._next + 1, self._number + 1
            self._count(entry)
            add_to(self._totals, entry)

    def anchor(self) -> Anchor:
        """Return head, length and totals as they are now; threads may add lines meanwhile."""
        with self._lock:
            return Anchor(self._prev, self._number, deepcopy(self._totals))

    def sync(self) -> None:
        """Wait until the disk has all lines so far, so that no power cut takes what an anchor elsewhere counts."""
        with self._lock, suppress(OSError):  # some file systems have no such call
            if not self._file.closed:
                os.fsync(self._file.fileno())

    def total(self, outcome: Outcome = "sent", destinations: Collection[str] | None = None) -> int:
        """Sum the bytes of all pictures with an outcome, resumed runs included.

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
        """True if a destination has a picture, or was denied it: a resumed run need not deliver it a second time.

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

    Returns:
        Its lines, with what is wrong with the file in `problems`.

    Raises:
        OSError: it cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ledger = Ledger(Path(folder) / LEDGER_FILE)
        ...     ledger.add(Entry("results", "results", "results.png", "0" * 64, 9, 0, 0, [], "file", "written"))
        ...     ledger.close()
        ...     lines = read_ledger(Path(folder) / LEDGER_FILE)
        >>> lines[0].file, lines[0].outcome, lines.problems
        ('results.png', 'written', [])
    """
    return parse_lines(path.read_bytes())


def _trim(path: Path) -> bytes:
    """Remove a cut-off last line, and complete one that lacks only its line end; returns the file's bytes then."""
    data = path.read_bytes() if path.exists() else b""
    tail = data.rpartition(b"\n")[2]
    if not tail:
        return data
    complete = parse_line(tail) is not None
    with path.open("r+b") as file:
        file.truncate(len(data) - len(tail))
        if complete:
            file.seek(0, 2)
            file.write(tail + b"\n")
    return data + b"\n" if complete else data[: len(data) - len(tail)]
