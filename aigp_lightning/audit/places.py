"""Which logger of the ledger keeps its files where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from aigp_lightning.audit.findings import Audit
from aigp_lightning.logfiles.folders import LoggerFolder, logger_folders
from aigp_lightning.media.ledger.ledger import Line

MASKED = "masked/"
"""Folder in the run folder for pictures with masked cells, as remote destinations got them."""


class Place(NamedTuple):
    """A file or folder, and the logger that it belongs to.

    Attributes:
        destination: the logger's name in the ledger.
        path: of the file or folder.
    """

    destination: str
    path: Path


def group_places(
    kind: str, places: Sequence[Place], folders: Sequence[LoggerFolder], lines: Sequence[Line]
) -> list[tuple[list[str], list[Path]]]:
    """Put files together that can only be compared together with the ledger.

    Loggers that share a folder cannot be told apart in it, and those of which nobody noted a folder not either.

    Args:
        kind: of logger, as in `LoggerFolder.kind`.
        places: files or folders that were found.
        folders: of the run's loggers.
        lines: of the ledger.

    Returns:
        For each group the loggers' names, the first one first, and the files; none where there is neither.
    """
    names = sorted({x.destination for x in lines if _kind(x.destination) == kind} | {x.destination for x in places})
    groups = {name: {name} for name in names}

    def join(one: str, other: str) -> None:
        if one in groups and other in groups:
            together = groups[one] | groups[other]
            groups.update(dict.fromkeys(together, together))

    owner: dict[str, str] = {}
    for folder in folders:
        join(owner.setdefault(folder.place, folder.destination), folder.destination)
    noted = {folder.destination for folder in folders}
    for name in names:
        if name not in noted:
            join(kind if kind in groups else names[0], name)
    unique = {min(group, key=_order): group for group in groups.values()}
    return [
        (sorted(group, key=_order), [place.path for place in places if place.destination in group])
        for _, group in sorted(unique.items(), key=lambda item: _order(item[0]))
    ]


def note_missing(result: Audit, kind: str) -> None:
    """Add a note for each folder of a logger's that cannot be read here."""
    for each in logger_folders(result.run, kind):
        if each.folder is None:
            result.notes.append(f"{each.destination} keeps its files in {each.place}, which can't be read back here.")
        elif not each.is_there and (each.noted or not each.folder.is_relative_to(result.run)):
            result.notes.append(
                f"{each.destination} had its files in {each.place}, which is not there; they were not compared."
            )


def relative(run: Path, path: Path) -> str:
    """Return a path as findings name it: relative to the run folder where it is inside."""
    return path.relative_to(run).as_posix() if path.is_relative_to(run) else path.as_posix()


def _kind(destination: str) -> str:
    return destination.partition(":")[0]


def _order(name: str) -> tuple[int, str]:
    return len(name), name
