"""What the lines of a ledger come to: bytes by destination and outcome, and which pictures need not be delivered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import takewhile

from aigp_lightning.media.ledger.chain import Lines
from aigp_lightning.media.ledger.lines import FOUND, IN_FLIGHT, Entry, Line, Outcome


class LedgerCounts:
    """Counts entries as they come.

    Example:
        >>> counts = LedgerCounts()
        >>> counts.count(Entry("results", "results", "results.png", "0" * 64, 9, 0, 0, [], "wandb", "unknown"))
        >>> counts.left, counts.has("wandb", "results", 0), counts.has("tensorboard", "results", 0)
        (9, True, False)
    """

    def __init__(self) -> None:
        self._bytes: Counter[tuple[str, Outcome]] = Counter()
        self._doubts: Counter[tuple[str, str, int, str]] = Counter()
        self._had: dict[tuple[str, str, int], Entry] = {}
        self._sent: dict[tuple[str, str], Entry] = {}
        self._left = 0

    def count(self, entry: Entry) -> None:
        """Count an entry. One that says `sent` after `unknown`, by a resumed run, is the same picture."""
        if entry.outcome == "sent" and entry.reason == FOUND and self._doubts[entry.identity] > 0:
            self._doubts[entry.identity] -= 1
            self._bytes[entry.destination, "unknown"] -= entry.bytes
            self._left -= entry.bytes * replace(entry, outcome="unknown").left
        self._doubts[entry.identity] += entry.outcome == "unknown"
        self._bytes[entry.destination, entry.outcome] += entry.bytes
        self._left += entry.bytes * entry.left
        if entry.outcome == "sent":
            self._sent[entry.destination, entry.key] = entry
        if entry.outcome != "failed":
            self._had[entry.destination, entry.key, entry.epoch] = entry

    def forget(self) -> None:
        """Let `has` know nothing of the entries so far: they are another run's."""
        self._had.clear()
        self._sent.clear()

    @property
    def left(self) -> int:
        """Bytes that have left this machine, or may have, to whatever remote destination; resumed runs included."""
        return self._left

    def total(self, outcome: Outcome = "sent", destinations: Collection[str] | None = None) -> int:
        """Sum the bytes of all pictures with an outcome, resumed runs included.

        Args:
            outcome: which; `unknown` counts those of which nobody has learned since that they were sent.
            destinations: names to count; `other` counts any other logger. None: all.
        """
        return sum(
            size
            for (name, what), size in self._bytes.items()
            if what == outcome
            and (
                destinations is None or name in destinations or (name.startswith("other:") and "other" in destinations)
            )
        )

    def has(self, destination: str, key: str, epoch: int, sha256: str | None = None) -> bool:
        """True if a destination has a picture, may have it, or was denied it: it is not delivered a second time.

        Args:
            destination: as in an entry.
            key: of the picture.
            epoch: of the picture.
            sha256: only if the latest of its lines has these bytes.
        """
        known = self._had.get((destination, key, epoch))
        return known is not None and sha256 in (None, known.sha256)

    def unchanged_since(self, destination: str, key: str, sha256: str) -> int | None:
        """Return the epoch, from 0, whose picture a logger got last, if it has these bytes; None if it has others.

        Args:
            destination: as in an entry.
            key: of the picture.
            sha256: of its bytes.
        """
        known = self._sent.get((destination, key))
        return known.epoch if known is not None and known.sha256 == sha256 else None

    def doubts(self, destination: str, key: str, epoch: int) -> bool:
        """True if nobody can tell whether a destination has a picture."""
        known = self._had.get((destination, key, epoch))
        return known is not None and known.outcome == "unknown"


def settled(lines: Iterable[Line]) -> list[Line]:
    """Leave out the `unknown` lines of pictures that a resumed run found with their logger: a later line says `sent`.

    Args:
        lines: of a ledger, in order.

    Example:
        >>> from aigp_lightning.media.ledger.lines import START, encode_line, parse_line
        >>> entry = Entry("results", "results", "results.png", "0" * 64, 9, 0, 0, [], "wandb", "unknown", "timed out")
        >>> first = parse_line(encode_line(entry, 0, "2025-01-01T00:00:00Z", START))
        >>> found = parse_line(encode_line(replace(entry, outcome="sent", reason=FOUND), 1, first.time, START))
        >>> [line.outcome for line in settled([first, found])]
        ['sent']
    """
    kept, found = [], Counter[tuple[str, str, int, str]]()
    for line in reversed(list(lines)):
        if line.outcome == "unknown" and found[line.identity] > 0:
            found[line.identity] -= 1
            continue
        found[line.identity] += line.outcome == "sent" and line.reason == FOUND
        kept.append(line)
    return kept[::-1]


def last_hand_over(lines: Lines, data: bytes) -> list[Line]:
    """Return the lines at the end that stand for pictures in flight; none if the end of the file is no line.

    Args:
        lines: of a ledger.
        data: the file's bytes.

    Example:
        >>> last_hand_over(Lines(), b"")
        []
    """
    last = list(takewhile(lambda line: (line.outcome, line.reason) == ("unknown", IN_FLIGHT), reversed(lines)))[::-1]
    rows = data.count(b"\n")
    return last if last and [line.number for line in last] == list(range(rows - len(last) + 1, rows + 1)) else []
