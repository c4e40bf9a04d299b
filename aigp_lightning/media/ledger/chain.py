"""Reads a ledger's file, and checks that each line carries the hash of the line before it."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from aigp_lightning.files import read_regular
from aigp_lightning.media.ledger.lines import START, Line, parse_line


class Lines(list[Line]):
    """The lines of a ledger that can be read, in order.

    Attributes:
        problems: what is wrong with the file, a sentence each, by line number.
        due: number that the next line gets.
        heads: SHA-256 of each line of the file, at its number from 1; before the first, what it carries as `prev`.

    Example:
        >>> lines = parse_lines(b"no ledger")
        >>> len(lines), lines.problems
        (0, ['line 1 is cut off: the run was killed while writing it, or still runs.'])
    """

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.due = 0
        self.heads = [START]


def parse_lines(data: bytes) -> Lines:
    """Read a ledger's bytes and check the chain of hashes.

    Args:
        data: the whole file.

    Example:
        >>> from aigp_lightning.media.ledger.lines import Entry, encode_line
        >>> entry = Entry("results", "results", "results.png", "0" * 64, 9, 0, 0, [], "file", "written")
        >>> first = encode_line(entry, 0, "2025-01-01T00:00:00Z", START)
        >>> second = encode_line(entry, 1, "2025-01-01T00:00:09Z", sha256(first).hexdigest())
        >>> end = bytes([10])
        >>> parse_lines(first + end + second + end).problems
        []
        >>> len(parse_lines(second + end).problems)  # the first line was removed: the number and the hash are wrong
        2
    """
    lines, prev = Lines(), START
    rows = data.split(b"\n")
    for number, raw in enumerate(rows[:-1], 1):
        line = parse_line(raw, number)
        if line is None:
            lines.problems.append(f"line {number} is not a line of a ledger.")
        else:
            lines.problems += _breaks(line, prev, lines.due)
            lines.append(line)
            lines.due = line.n
        prev, lines.due = sha256(raw).hexdigest(), lines.due + 1
        lines.heads.append(prev)
    if rows[-1].strip(b" "):  # blanks: a replacement was about to be cut to its length
        lines.problems.append(f"line {len(rows)} is cut off: the run was killed while writing it, or still runs.")
    return lines


def read_ledger(path: Path) -> Lines:
    """Read a ledger and check its chain.

    Args:
        path: the file.

    Returns:
        Its lines, with what is wrong with the file in `problems`.

    Raises:
        OSError: it cannot be read, or is no regular file.

    Example:
        >>> import tempfile
        >>> from aigp_lightning.media.ledger.ledger import LEDGER_FILE, Entry, Ledger
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ledger = Ledger(Path(folder) / LEDGER_FILE)
        ...     ledger.add(Entry("results", "results", "results.png", "0" * 64, 9, 0, 0, [], "file", "written"))
        ...     ledger.close()
        ...     lines = read_ledger(Path(folder) / LEDGER_FILE)
        >>> lines[0].file, lines[0].outcome, lines.problems
        ('results.png', 'written', [])
    """
    return parse_lines(read_regular(path))


def _breaks(line: Line, prev: str, due: int) -> Iterator[str]:
    """Say where a line does not follow the one before it."""
    where = f"line {line.number} ({line.file}, epoch {line.epoch}, {line.destination})"
    if line.n != due:
        yield f"{where} was written as number {line.n}, here number {due} is due: lines were removed or put elsewhere."
    if line.prev != prev:
        before = "the first line" if line.number == 1 else f"line {line.number - 1}"
        yield f"{where} carries another hash than that of what is before it: {before} was changed, removed or added."
