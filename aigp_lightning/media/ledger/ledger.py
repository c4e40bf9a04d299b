"""Record of what was drawn and delivered: `media.jsonl`, a line for each picture and destination.

Each line carries the SHA-256 of the line before it, so a line that is changed, removed or put elsewhere later on shows.
The chain has no key: who rewrites every line from one on is found out by the files, not by the chain.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

from aigp_lightning.media.ledger.anchor import Anchor, add_to, totals_of
from aigp_lightning.media.ledger.chain import Lines, parse_lines, read_ledger
from aigp_lightning.media.ledger.counts import LedgerCounts, last_hand_over, settled
from aigp_lightning.media.ledger.file import LedgerFile
from aigp_lightning.media.ledger.lines import (
    BOXES_FILE,
    FOUND,
    IN_FLIGHT,
    LEFT,
    START,
    UNCHANGED,
    Entry,
    Line,
    Outcome,
    encode_line,
)

__all__ = [
    "BOXES_FILE",
    "FOUND",
    "LEDGER_FILE",
    "LEFT",
    "START",
    "UNCHANGED",
    "Entry",
    "Ledger",
    "Line",
    "Lines",
    "Outcome",
    "read_ledger",
    "settled",
]

LEDGER_FILE = "media.jsonl"
NO_REASON = "its reason found no room on the disk"
"""Stands in for a reason that is longer than what was kept free for it."""


class Ledger(LedgerCounts):
    """Adds lines to a ledger; a resumed run adds to the lines that are there.

    A last line that was cut off, because the run was killed while it was written, is removed. Nothing else that is
    wrong with the file stops a run: it is in `problems`, and the audit reports it.

    What a logger is about to get stands in the file before it gets it (`hand_over`), so that nothing can leave which
    the ledger has no room for, or does not know after a kill.

    Args:
        path: the file; it is made if it isn't there.
        resuming: what it holds is of the same run; else `has` knows nothing of it.
        required: raise if the file cannot be opened; else `failure` says why, and every line is refused.
        reopen: take up what the last run was handing over when it ended, for `in_flight` and `settle`.

    Attributes:
        problems: what is wrong with the file, a sentence each.
        failure: why it could not be opened; None if it is open.
        in_flight: entries that stand in the file as `unknown` until `settle` says what became of them.

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

    def __init__(self, path: Path, resuming: bool = True, *, required: bool = True, reopen: bool = False) -> None:
        super().__init__()
        self._lock, self._turn = threading.Lock(), threading.RLock()
        self.failure: OSError | None = None
        self.in_flight: list[Entry] = []
        self._flight_at, self._flight_lines = 0, list[bytes]()
        self._file = self._open(path, required)
        data = self._file.found if self._file is not None else b""
        lines = parse_lines(data)
        self.problems = lines.problems
        if reopen and (flight := last_hand_over(lines, data)):
            self.in_flight = [line.entry for line in flight]
            self._flight_lines = data.split(b"\n")[-len(flight) - 1 : -1]
            self._flight_at = len(data) - len(_joined(self._flight_lines))
        self._number = len(lines.heads) - 1 - len(self.in_flight)
        self._prev, self._next = lines.heads[self._number], lines.due - len(self.in_flight)
        committed = lines[: len(lines) - len(self.in_flight)]
        self._totals = totals_of(committed)
        for line in committed:
            self.count(line)
        if not resuming:
            self.forget()

    def _open(self, path: Path, required: bool) -> LedgerFile | None:
        try:
            return LedgerFile(path)
        except OSError as error:
            if required:
                raise
            self.failure = error
            return None

    # ---- lines ------------------------------------------------------------------------------------------------------

    def add(self, entry: Entry) -> None:
        """Add a line; it is with the operating system when this returns. Threads may share a ledger.

        Raises:
            OSError: it could not be written, as on a full disk. The file is then as before.
        """
        with self._turn:
            if self.in_flight:
                raise RuntimeError("pictures are in flight: `settle` says first what became of them")
            lines = self._encoded([entry])
            self._opened.append(_joined(lines))
            self._commit(lines, [entry])

    @contextlib.contextmanager
    def hand_over(self, entries: Sequence[Entry]) -> Iterator[list[Entry]]:
        """Note pictures before a logger gets them; what became of them replaces that when the block ends, however.

        Until then, and for good if the run is killed, they stand in the file as `unknown`. The room that this takes is
        enough for the outcomes: a disk that fills up meanwhile loses none of them.

        Args:
            entries: of one hand-over.

        Yields:
            A list to be filled with the same number of entries, with their outcomes.

        Raises:
            OSError: they could not be noted; nothing may be handed over then.

        Example:
            >>> import tempfile
            >>> from dataclasses import replace
            >>> entry = Entry("results", "results", "results.png", "0" * 64, 9, 0, 0, [], "wandb", "sent")
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     ledger = Ledger(Path(folder) / LEDGER_FILE)
            ...     with ledger.hand_over([entry]) as outcomes:
            ...         meanwhile = read_ledger(Path(folder) / LEDGER_FILE)[0].outcome
            ...         outcomes.append(replace(entry, outcome="failed", reason="nobody there"))
            ...     ledger.close()
            ...     meanwhile, read_ledger(Path(folder) / LEDGER_FILE)[0].outcome
            ('unknown', 'failed')
        """
        with self._turn:
            flight, outcomes = [replace(entry, outcome="unknown", reason=IN_FLIGHT) for entry in entries], list[Entry]()
            lines = self._encoded(flight)
            self._flight_at = self._opened.append(_joined(lines))
            self.in_flight, self._flight_lines = flight, lines
            try:
                yield outcomes
            finally:
                self.settle(outcomes if len(outcomes) == len(flight) else flight)

    def settle(self, outcomes: Sequence[Entry]) -> None:
        """Replace the lines in flight by what became of the pictures; they stay if that cannot be written.

        Args:
            outcomes: entries to stand there instead. One that is left out was not handed over.
        """
        lines, entries = self._flight_lines, self.in_flight
        attempts = [list(outcomes), [replace(entry, reason=entry.reason and NO_REASON) for entry in outcomes]]
        for attempt in attempts if attempts[0] != entries else []:  # else they stand there as they are to
            with contextlib.suppress(OSError, MemoryError):
                encoded = self._encoded(attempt)
                self._opened.replace(self._flight_at, _joined(encoded))
                lines, entries = encoded, attempt
                break
        self.in_flight, self._flight_lines = [], []
        self._commit(lines, entries)

    def anchor(self) -> Anchor:
        """Return head, length and totals as they are now, without pictures in flight; threads may add lines."""
        with self._lock:
            return Anchor(self._prev, self._number, deepcopy(self._totals))

    def sync(self) -> None:
        """Wait until the disk has all lines so far, so that no power cut takes what an anchor elsewhere counts."""
        if self._file is not None:
            self._file.sync()

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        with self._turn:
            if self._file is not None:
                self._file.close()

    # ---- inside -----------------------------------------------------------------------------------------------------

    @property
    def _opened(self) -> LedgerFile:
        if self._file is None:
            raise self.failure or OSError(errno.EBADF, "it is closed")
        return self._file

    def _encoded(self, entries: Sequence[Entry]) -> list[bytes]:
        """Encode entries as the next lines."""
        moment = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines, prev = list[bytes](), self._prev
        for n, entry in enumerate(entries, self._next):
            lines.append(encode_line(entry, n, moment, prev))
            prev = sha256(lines[-1]).hexdigest()
        return lines

    def _commit(self, lines: Sequence[bytes], entries: Sequence[Entry]) -> None:
        """Take over that lines are in the file."""
        with self._lock:
            for line, entry in zip(lines, entries, strict=True):
                self._prev, self._next, self._number = sha256(line).hexdigest(), self._next + 1, self._number + 1
                add_to(self._totals, entry)
                self.count(entry)


def _joined(lines: Sequence[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)
