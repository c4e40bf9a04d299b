"""Rows of metrics, one an epoch: Lightning logs what was validated and what was trained one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock

from aigp_lightning.logfiles.event_file import EPOCH
from aigp_lightning.logfiles.logged import row_names


@dataclass
class Row:
    """Metrics of one moment, in the parts in which they were logged.

    Args:
        step: Lightning's step; None where there is none.
        parts: metrics by name; no name is in two of them but the epoch.
    """

    step: int | None
    parts: list[dict[str, float]] = field(default_factory=list)

    def takes(self, metrics: Mapping[str, float], step: int | None) -> bool:
        """True if metrics are of the same step and epoch, and none of them is in the row already."""
        known = {name for part in self.parts for name in part if name != EPOCH}
        same = step == self.step and EPOCH in metrics and metrics[EPOCH] == self.parts[0].get(EPOCH)
        return same and known.isdisjoint(metrics)

    def without(self, logged: Counter[tuple[frozenset[str], int]]) -> dict[str, float]:
        """Return the metrics that are not logged yet; earlier versions logged the parts as rows of their own.

        Args:
            logged: rows of earlier starts, by names and step; those that are found are taken off.
        """
        step = -1 if self.step is None else self.step
        whole = {name: value for part in self.parts for name, value in part.items()}
        if _take(logged, (row_names(whole), step)):
            return {}
        left = [part for part in self.parts if not _take(logged, (row_names(part), step))]
        return {name: value for part in left for name, value in part.items()}


class RowsByEpoch:
    """Holds a row back until one of another moment begins, or somebody asks for it.

    Example:
        >>> rows = RowsByEpoch()
        >>> rows.add({"val/loss": 0.5, "epoch": 0}, 3), rows.add({"train/loss": 0.7, "epoch": 0}, 3)
        ([], [])
        >>> [row.parts for row in rows.add({"val/loss": 0.4, "epoch": 1}, 7)]
        [[{'val/loss': 0.5, 'epoch': 0}, {'train/loss': 0.7, 'epoch': 0}]]
    """

    def __init__(self) -> None:
        self._row: Row | None = None
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[RowsByEpoch], tuple[()]]:
        """Begin empty in a copy: a process that is spawned logs no rows of this one's."""
        return RowsByEpoch, ()

    def add(self, metrics: Mapping[str, float], step: int | None) -> list[Row]:
        """Add metrics; returns the rows that are complete now. Metrics without an epoch do not wait for others.

        Args:
            metrics: by name.
            step: Lightning's.
        """
        with self._lock:
            if self._row is not None and self._row.takes(metrics, step):
                self._row.parts.append(dict(metrics))
                return []
            before, row = self._row, Row(step, [dict(metrics)])
            self._row = row if EPOCH in metrics else None
            return [each for each in (before, row) if each is not None and each is not self._row]

    def pop(self) -> Row | None:
        """Return the row that waits, if there is one; it waits no longer."""
        with self._lock:
            row, self._row = self._row, None
            return row


def _take(logged: Counter[tuple[frozenset[str], int]], row: tuple[frozenset[str], int]) -> bool:
    """Take a row off those that are logged; True if it was there."""
    if logged[row] < 1:
        return False
    logged[row] -= 1
    return True
