"""What the lines of a ledger come to: bytes by destination and outcome, and which pictures need not be delivered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from aigp_lightning.media.ledger_lines import FOUND, Entry, Outcome


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
        if entry.outcome != "failed":
            self._had[entry.destination, entry.key, entry.epoch] = entry

    def forget(self) -> None:
        """Let `has` know nothing of the entries so far: they are another run's."""
        self._had.clear()

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

    def doubts(self, destination: str, key: str, epoch: int) -> bool:
        """True if nobody can tell whether a destination has a picture."""
        known = self._had.get((destination, key, epoch))
        return known is not None and known.outcome == "unknown"
