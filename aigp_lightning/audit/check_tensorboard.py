"""Comparison of TensorBoard's event files with the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from aigp_lightning.audit.compare import compare
from aigp_lightning.audit.findings import Audit, Finding, LoggedPicture
from aigp_lightning.audit.places import Place, group_places, note_missing, relative
from aigp_lightning.logfiles.event_file import EventFile, read_event_file
from aigp_lightning.logfiles.folders import find_event_files, logger_folders
from aigp_lightning.logfiles.paths import reason_of
from aigp_lightning.media.ledger.ledger import Line

NAME = "tensorboard"
SHOWN = 12
"""Names of what is no scalar and no picture that a note has at most."""


def check_tensorboard(result: Audit, lines: Sequence[Line]) -> None:
    """Add the numbers and differences of the event files to an audit.

    Args:
        result: the audit.
        lines: of the ledger.
    """
    folders = logger_folders(result.run, NAME)
    places = [Place(destination, path) for destination, path in find_event_files(result.run)]
    note_missing(result, NAME)
    buckets = {each.destination: each.place for each in folders if each.folder is None}
    result.beside_left += [f"scalars, with {destination} in {place}" for destination, place in buckets.items()]
    for destinations, paths in group_places(NAME, places, folders, lines):
        if paths or not buckets.keys() >= set(destinations):
            _check(result, lines, destinations, paths)


def _read(path: Path) -> EventFile:
    try:
        return read_event_file(path)
    except OSError as error:
        return EventFile(path, damage=[f"it cannot be read ({reason_of(error)})."])


def _check(result: Audit, lines: Sequence[Line], destinations: Sequence[str], paths: Sequence[Path]) -> None:
    pictures: list[LoggedPicture] = []
    scalars: Counter[str] = Counter()
    other: Counter[str] = Counter()
    name = destinations[0]
    for path in paths:
        file = relative(result.run, path)
        content = _read(path)
        result.findings += [Finding("damaged", name, file, text) for text in content.damage]
        pictures += [
            LoggedPicture(image.tag, image.step, image.sha256, image.size, file, "event") for image in content.images
        ]
        scalars, other = scalars + content.scalars, other + content.other
    tally = result.tally(name)
    tally.found = len(pictures)
    tally.scalars = f"{sum(scalars.values())} values of {len(scalars)} scalars"
    if other:
        listed = [f"{count} {what}" for what, count in sorted(other.items())]
        more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
        result.notes.append(f"{name}: event files also have {', '.join(listed[:SHOWN])}{more}.")
    findings, lost = compare(destinations, lines, pictures)
    where = "none of the event files has it" if paths else "this folder has no event files"
    for line in lost:
        message = f"epoch {line.epoch} was sent (line {line.number}), but {where}."
        findings.append(Finding("missing", name, line.file, message, line.epoch, line.number))
    result.findings += findings
