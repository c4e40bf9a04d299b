"""Comparison of the pictures that a logger has with those that the ledger says it got."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from aigp_lightning.audit.findings import Finding, LoggedPicture
from aigp_lightning.media.ledger.ledger import Line

Key = TypeVar("Key", bound=Hashable)


UNKNOWN = "unknown"
"""Outcome of a picture of which nobody can tell whether the logger took it: found or not, both are right."""


def compare(
    destinations: Sequence[str], lines: Sequence[Line], pictures: Sequence[LoggedPicture]
) -> tuple[list[Finding], list[Line]]:
    """Pair the pictures that a logger has with the ledger's lines, each once.

    Args:
        destinations: names of the logger, or of several that keep their files in one folder.
        lines: of the whole ledger.
        pictures: of the logger.

    Returns:
        Differences, and the lines whose picture was not found: the caller reports those.
    """
    destination = destinations[0]
    mine = [line for line in lines if line.destination in destinations]
    sent = [line for line in mine if line.outcome == "sent"]
    sent, pictures, _ = _pair(sent, pictures, _line_identity, _picture_identity)
    unknown = [line for line in mine if line.outcome == UNKNOWN]
    _, pictures, _ = _pair(unknown, pictures, _line_identity, _picture_identity)
    sent, pictures, moved = _pair(sent, pictures, lambda x: (x.key, x.sha256), lambda x: (x.key, x.sha256))
    sent, pictures, changed = _pair(sent, pictures, lambda x: (x.key, x.epoch), lambda x: (x.key, x.epoch))
    denied = [line for line in mine if line.outcome in ("withheld", "failed")]
    _, pictures, contrary = _pair(denied, pictures, _line_identity, _picture_identity)
    known = {_line_identity(line) for line in mine}
    findings = [_misfiled(destination, line, picture) for line, picture in moved]
    findings += [_changed(destination, line, picture) for line, picture in changed]
    findings += [_contrary(destination, line, picture) for line, picture in contrary]
    findings += [_unlisted(destination, picture, _picture_identity(picture) in known) for picture in pictures]
    return findings, sent


def _line_identity(line: Line) -> tuple[str, int | None, str]:
    return line.key, line.epoch, line.sha256


def _picture_identity(picture: LoggedPicture) -> tuple[str, int | None, str]:
    return picture.key, picture.epoch, picture.sha256


def _pair(
    lines: Iterable[Line],
    pictures: Iterable[LoggedPicture],
    of_line: Callable[[Line], Key],
    of_picture: Callable[[LoggedPicture], Key],
) -> tuple[list[Line], list[LoggedPicture], list[tuple[Line, LoggedPicture]]]:
    """Pair lines and pictures by a key; return the lines left, the pictures left, and the pairs."""
    waiting: defaultdict[Key, list[LoggedPicture]] = defaultdict(list)
    for picture in pictures:
        waiting[of_picture(picture)].append(picture)
    left, pairs = [], []
    for line in lines:
        candidates = waiting.get(of_line(line))
        if candidates:
            pairs.append((line, candidates.pop(0)))
        else:
            left.append(line)
    return left, [picture for rest in waiting.values() for picture in rest], pairs


def _misfiled(destination: str, line: Line, picture: LoggedPicture) -> Finding:
    filed = "under no epoch" if picture.epoch is None else f"under epoch {picture.epoch}"
    message = f"{line.file} of epoch {line.epoch} is filed {filed} ({picture.place}; line {line.number})."
    return Finding("misfiled", destination, picture.file, message, line.epoch, line.number)


def _changed(destination: str, line: Line, picture: LoggedPicture) -> Finding:
    message = (
        f"{line.file} of epoch {line.epoch} is not what was sent: SHA-256 {picture.sha256[:12]}… there "
        f"({picture.place}), {line.sha256[:12]}… in line {line.number} of the ledger."
    )
    return Finding("changed", destination, picture.file, message, line.epoch, line.number)


def _contrary(destination: str, line: Line, picture: LoggedPicture) -> Finding:
    reason = f" ({line.reason})" if line.reason else ""
    message = (
        f"{line.file} of epoch {line.epoch} is there ({picture.place}); line {line.number} says {line.outcome}{reason}."
    )
    return Finding("contrary", destination, picture.file, message, line.epoch, line.number)


def _unlisted(destination: str, picture: LoggedPicture, repeated: bool) -> Finding:
    when = "" if picture.epoch is None else f" of epoch {picture.epoch}"
    why = "is there more often than in the ledger" if repeated else "is not in the ledger"
    message = f"{picture.key}{when} ({picture.place}, {picture.size / 1e6:.2f} MB) {why}."
    return Finding("unlisted", destination, picture.file, message, picture.epoch)
