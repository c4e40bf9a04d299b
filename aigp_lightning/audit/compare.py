"""What a logger has, held against what the ledger says it got."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from aigp_lightning.audit.findings import Finding, Handed
from aigp_lightning.media.ledger import Line

Key = TypeVar("Key", bound=Hashable)


def compare(destination: str, lines: Sequence[Line], handed: Sequence[Handed]) -> tuple[list[Finding], list[Line]]:
    """Pair the pictures a logger has with the ledger's lines, each once.

    Args:
        destination: the logger's.
        lines: of the whole ledger.
        handed: what it has.

    Returns:
        Differences, and the lines whose picture is nowhere: the caller says where it looked.
    """
    mine = [line for line in lines if line.destination == destination]
    sent = [line for line in mine if line.outcome == "sent"]
    sent, handed, _ = _pair(sent, handed, _of_line, _of_handed)
    sent, handed, moved = _pair(sent, handed, lambda x: (x.key, x.sha256), lambda x: (x.key, x.sha256))
    sent, handed, changed = _pair(sent, handed, lambda x: (x.key, x.epoch), lambda x: (x.key, x.epoch))
    denied = [line for line in mine if line.outcome in ("withheld", "failed")]
    _, handed, contrary = _pair(denied, handed, _of_line, _of_handed)
    known = {_of_line(line) for line in mine}
    findings = [_misfiled(destination, line, there) for line, there in moved]
    findings += [_changed(destination, line, there) for line, there in changed]
    findings += [_contrary(destination, line, there) for line, there in contrary]
    findings += [_unlisted(destination, there, _of_handed(there) in known) for there in handed]
    return findings, sent


def _of_line(line: Line) -> tuple[str, int | None, str]:
    return line.key, line.epoch, line.sha256


def _of_handed(there: Handed) -> tuple[str, int | None, str]:
    return there.key, there.epoch, there.sha256


def _pair(
    lines: Iterable[Line],
    handed: Iterable[Handed],
    of_line: Callable[[Line], Key],
    of_handed: Callable[[Handed], Key],
) -> tuple[list[Line], list[Handed], list[tuple[Line, Handed]]]:
    """Pair by a key: lines left, pictures left, and the pairs."""
    waiting: defaultdict[Key, list[Handed]] = defaultdict(list)
    for there in handed:
        waiting[of_handed(there)].append(there)
    left, pairs = [], []
    for line in lines:
        candidates = waiting.get(of_line(line))
        if candidates:
            pairs.append((line, candidates.pop(0)))
        else:
            left.append(line)
    return left, [there for rest in waiting.values() for there in rest], pairs


def _misfiled(destination: str, line: Line, there: Handed) -> Finding:
    filed = "under no epoch" if there.epoch is None else f"under epoch {there.epoch}"
    message = f"{line.file} of epoch {line.epoch} is filed {filed} ({there.place}; line {line.number})."
    return Finding("misfiled", destination, there.file, message, line.epoch, line.number)


def _changed(destination: str, line: Line, there: Handed) -> Finding:
    message = (
        f"{line.file} of epoch {line.epoch} is not what was sent: SHA-256 {there.sha256[:12]}… there ({there.place}), "
        f"{line.sha256[:12]}… in line {line.number} of the ledger."
    )
    return Finding("changed", destination, there.file, message, line.epoch, line.number)


def _contrary(destination: str, line: Line, there: Handed) -> Finding:
    reason = f" ({line.reason})" if line.reason else ""
    message = (
        f"{line.file} of epoch {line.epoch} is there ({there.place}); line {line.number} says {line.outcome}{reason}."
    )
    return Finding("contrary", destination, there.file, message, line.epoch, line.number)


def _unlisted(destination: str, there: Handed, repeated: bool) -> Finding:
    when = "" if there.epoch is None else f" of epoch {there.epoch}"
    why = "is there more often than in the ledger" if repeated else "is not in the ledger"
    message = f"{there.key}{when} ({there.place}, {there.size / 1e6:.2f} MB) {why}."
    return Finding("unlisted", destination, there.file, message, there.epoch)
