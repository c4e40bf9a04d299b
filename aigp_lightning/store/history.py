"""The state that the lines of a store's journal come to: versions of each name, which is latest, which are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aigp_lightning.store.journal import Line


@dataclass
class History:
    """Versions of one name.

    Attributes:
        latest: the version that is; None before the first.
        line: versions from the first to the latest, each the one before its successor; a rollback shortens it.
        kept: versions that are latest or a backup, and the number of the line that last made them latest.
        receipts: SHA-256 of the receipt with which each was promoted last.
        since: when each was promoted last.
    """

    latest: str | None = None
    line: list[str] = field(default_factory=list)
    kept: dict[str, int] = field(default_factory=dict)
    receipts: dict[str, str] = field(default_factory=dict)
    since: dict[str, str] = field(default_factory=dict)

    def backups(self) -> list[str]:
        """List the versions that are kept beside the latest, the one that was latest last first."""
        others = (version for version in self.kept if version != self.latest)
        return sorted(others, key=lambda version: -self.kept[version])

    def before(self) -> str | None:
        """Return the version before the latest, to which a rollback goes; None if there is none."""
        return self.line[-2] if len(self.line) > 1 else None

    def add(self, line: Line) -> None:
        """Follow what happened."""
        version = line.version
        if line.event == "refused":
            return
        if line.event == "removed":
            self.kept.pop(version, None)
            self.line = [each for each in self.line if each != version]
            return
        if line.event == "rolled back" and version in self.line:
            self.line = self.line[: self.line.index(version) + 1]
        else:
            self.line = [*(each for each in self.line if each != version), version]
        self.latest, self.kept[version] = version, line.n
        if line.event == "promoted":
            self.receipts[version], self.since[version] = line.receipt, line.time


@dataclass
class StoreState:
    """What the journal's lines come to.

    Attributes:
        names: history of each name.
        receipts: SHA-256 of each version's receipt: that of its last promotion, under whichever name.
    """

    names: dict[str, History] = field(default_factory=dict)
    receipts: dict[str, str] = field(default_factory=dict)

    def history(self, name: str) -> History:
        """Return the history of a name; an empty one where there is none."""
        return self.names.get(name, History())

    def is_kept(self, version: str, but: str = "") -> bool:
        """True if a version is some name's latest or backup.

        Args:
            version: its id.
            but: a name that does not count.
        """
        return any(version in history.kept for name, history in self.names.items() if name != but)

    @property
    def removed(self) -> list[str]:
        """Versions that were promoted once, and that no name keeps any more."""
        return [version for version in self.receipts if not self.is_kept(version)]


def replay(lines: Sequence[Line]) -> StoreState:
    """Follow the lines of a journal from its beginning.

    Args:
        lines: in their order.
    """
    state = StoreState()
    for line in lines:
        if line.event != "refused":
            state.names.setdefault(line.name, History()).add(line)
        if line.event == "promoted":
            state.receipts[line.version] = line.receipt
    return state
