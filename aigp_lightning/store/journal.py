"""The journal of a store: what happened to it, a line of JSON each, with the hash of the line before and its own.

A line counts when its line end is there. What a kill has left of one is trimmed by the next writer, who knows of the
kill by the mark `.unfinished`; without that mark it is damage, as is everything else, and stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from aigp_lightning.files import read_regular
from aigp_lightning.media.ledger.lines import START
from aigp_lightning.store.public_text import public_values

Event = Literal["promoted", "refused", "rolled back", "removed"]
EVENTS: tuple[Event, ...] = ("promoted", "refused", "rolled back", "removed")
OWN_HASH = re.compile(rb', "sha256": "([0-9a-f]{64})"}\Z')


@dataclass(frozen=True)
class Entry:
    """Something that happened to a name.

    Attributes:
        event: one of `EVENTS`.
        name: of the model.
        version: that was promoted, refused, made the latest again, or is no longer kept for the name.
        receipt: SHA-256 of the version's receipt; empty where it has none.
        gates: what was asked for and measured, a row each.
        reason: of a promotion that was forced, or of a refusal.
    """

    event: Event
    name: str
    version: str
    receipt: str = ""
    gates: Sequence[Mapping[str, Any]] = ()
    reason: str = ""


@dataclass(frozen=True)
class Line(Entry):
    """An entry as it stands in the file.

    Attributes:
        n: number of the line, from 0.
        time: when it was written, UTC.
        prev: SHA-256 of the line before.
    """

    n: int = 0
    time: str = ""
    prev: str = START


@dataclass(frozen=True)
class Journal:
    """The contents of the file.

    Attributes:
        lines: those that can be read.
        problems: number of a line in the file, from 1, and what is wrong with it.
        end: bytes up to the end of the last whole line.
        tail: bytes of a last line without its end.
        head: SHA-256 of the last whole line.
        next: number of the next line.
    """

    lines: tuple[Line, ...] = ()
    problems: tuple[tuple[int, str], ...] = ()
    end: int = 0
    tail: bytes = b""
    head: str = START
    next: int = 0

    @property
    def is_whole(self) -> bool:
        """True if all of it can be relied upon, but for a last line that may have been cut off."""
        return not self.problems


def read_journal(path: Path) -> Journal:
    """Read the file, each line checked by its own hash and by that of the line before.

    Args:
        path: of the file; one that is missing is empty.

    Raises:
        OSError: it is there, and cannot be read.
    """
    try:
        data = read_regular(path)
    except FileNotFoundError:
        return Journal()
    *whole, tail = data.split(b"\n")
    lines: list[Line] = []
    problems: list[tuple[int, str]] = []
    head, n = START, 0
    for number, raw in enumerate(whole, 1):
        line = _parse(raw)
        if line is None:
            problems.append((number, "it is not what was written: its own hash does not fit"))
        else:
            if line.prev != head:
                problems.append((number, "the line before it is another one than when it was written"))
            elif line.n != n:
                problems.append((number, f"it is number {line.n}, and {n} was to come"))
            lines.append(line)
        head, n = _sha256(raw), (n if line is None else line.n) + 1
    return Journal(tuple(lines), tuple(problems), len(data) - len(tail), tail, head, n)


def append_entries(path: Path, entries: Sequence[Entry], trim: bool) -> None:
    """Add lines at the end, in one write; they are on the disk when this returns. The store is locked.

    Args:
        path: of the file; it is made if it isn't there.
        entries: what happened.
        trim: remove what a kill has left of a last line; else it is ended, and stays as a line that cannot be read.

    Raises:
        OSError: they could not be written, as on a full disk. The file is as before.
    """
    journal = read_journal(path)
    cut = bool(journal.tail) and not trim
    head, n = (_sha256(journal.tail), journal.next + 1) if cut else (journal.head, journal.next)
    text = b"\n" if cut else b""
    for number, entry in enumerate(entries, n):
        raw = _encode(entry, number, head)
        head = _sha256(raw)
        text += raw + b"\n"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    before = os.fstat(handle).st_size
    try:
        if journal.tail and trim:
            os.ftruncate(handle, journal.end)
            before = journal.end
        os.lseek(handle, before, os.SEEK_SET)
        done = 0
        while done < len(text):  # one call, unless the disk is nearly full
            done += os.write(handle, text[done:])
        os.fsync(handle)
    except BaseException as error:
        os.ftruncate(handle, before)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise
    finally:
        os.close(handle)


def _encode(entry: Entry, n: int, prev: str) -> bytes:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    said = {"gates": public_values(entry.gates), "reason": public_values(entry.reason)}  # typed by somebody
    content = {"n": n, "time": now, **asdict(entry), **said, "prev": prev}
    raw = json.dumps(content, allow_nan=False).encode("ascii")
    return raw[:-1] + f', "sha256": "{_sha256(raw)}"}}'.encode("ascii")


def _parse(raw: bytes) -> Line | None:
    """Read a line; None if it is not as it was written."""
    found = OWN_HASH.search(raw)
    if found is None or _sha256(body := raw[: found.start()] + b"}") != found[1].decode("ascii"):
        return None
    try:
        line = Line(**json.loads(body))
    except (ValueError, TypeError, RecursionError):
        return None
    right = all(isinstance(getattr(line, name), kind) for name, kind in _KINDS.items())
    return line if right and line.event in EVENTS else None


_KINDS = {each.name: {"n": int, "gates": list}.get(each.name, str) for each in fields(Line)}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
