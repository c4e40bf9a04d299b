"""Finds the pictures of all epochs: in the run's history, in event files, in W&B's mirror, else the last ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from aigp_lightning.errors import first_line
from aigp_lightning.files import read_regular
from aigp_lightning.logfiles.event_pictures import find_event_pictures
from aigp_lightning.logfiles.folders import find_event_files, find_wandb_folders
from aigp_lightning.logfiles.paths import is_dir, is_file, listing, resolved
from aigp_lightning.logfiles.wandb_run import WandbRun, read_wandb_run
from aigp_lightning.media.delivery import HISTORY
from aigp_lightning.media.renderer import MASKED
from aigp_lightning.report.folder import RunFacts
from aigp_lightning.run.folder import PICTURES

HISTORY_FOLDER = re.compile(r"epoch(\d{4,})")
MOSAIC = re.compile(r"(val_batch\d+)_(labels|pred)")
"""Keys of the pictures that are drawn after every validation."""
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
"""First bytes of the pictures that runs draw."""
FROM = {
    "history": "the run folder's history",
    "tensorboard": "TensorBoard's event files",
    "wandb": "W&B's files on this disk",
    "folder": "the run folder, which keeps the last of each",
}


@dataclass(frozen=True)
class StoredPicture:
    """A picture that can be read from somewhere.

    Attributes:
        key: the name that loggers know it by.
        epoch: from 1.
        sha256: of its bytes, hexadecimal.
        size: bytes.
        read: returns its bytes; it raises an `OSError` if they are gone.
    """

    key: str
    epoch: int
    sha256: str
    size: int
    read: Callable[[], bytes] = field(repr=False, compare=False)


def find_pictures(
    facts: RunFacts, may_show: Callable[[str, str], bool]
) -> tuple[dict[tuple[str, int], StoredPicture], list[str], set[tuple[str, int]]]:
    """Find a picture for every key and epoch, of those that may be shown.

    Sources are read in turn until the ledger's pictures are complete; without a ledger, until one has some.

    Args:
        facts: of the run; gets warnings of what is damaged.
        may_show: tells by hash and key whether a picture may be shown.

    Returns:
        The pictures by key and epoch; names of the sources they come from; keys and epochs of pictures that are there
        and may not be shown.
    """
    wanted = {(line.key, line.epoch + 1) for line in facts.lines or () if _is_drawn(line.destination, line.outcome)}
    wanted_mosaics = {place for place in wanted if MOSAIC.fullmatch(place[0])}
    found: dict[tuple[str, int], StoredPicture] = {}
    seen: set[tuple[str, int]] = set()
    used: list[str] = []
    for name, source in SOURCES.items():
        before = len(found)
        for picture in source(facts):
            place = picture.key, picture.epoch
            seen.add(place)
            if place not in found and may_show(picture.sha256, picture.key):
                found[place] = picture
        if len(found) > before:
            used.append(name)
        mosaics = {place for place in found if MOSAIC.fullmatch(place[0])}
        if name != "folder" and mosaics and mosaics >= wanted_mosaics:
            for picture in folder_pictures(facts):  # charts and training pictures may be only there
                seen.add((picture.key, picture.epoch))
                if may_show(picture.sha256, picture.key):
                    found.setdefault((picture.key, picture.epoch), picture)
            break
    return found, used, seen - set(found)


def _is_drawn(destination: str, outcome: str) -> bool:
    return destination == "file" and outcome == "written"


def history_pictures(facts: RunFacts) -> Iterator[StoredPicture]:
    """Yield the pictures that the run kept of every epoch.

    Args:
        facts: of the run.
    """
    for folder in listing(facts.path / HISTORY, "epoch*"):
        number = HISTORY_FOLDER.fullmatch(folder.name)
        for path in listing(folder, "*") if number is not None and is_dir(folder) else ():
            picture = _of_file(path, int(number[1]) + 1, facts) if number is not None else None
            if picture is not None:
                yield picture


def tensorboard_pictures(facts: RunFacts) -> Iterator[StoredPicture]:
    """Yield the pictures in the run's event files.

    Args:
        facts: of the run.
    """
    for _, path in find_event_files(facts.path):
        damage: list[str] = []
        try:
            for each in find_event_pictures(path, damage):
                yield StoredPicture(each.tag, each.step + 1, each.sha256, each.size, each.read)
        except OSError as error:
            damage.append(f"it cannot be read ({error.strerror}).")
        facts.warnings += [f"Event file {path.name}: {text}" for text in damage]


def wandb_pictures(facts: RunFacts) -> Iterator[StoredPicture]:
    """Yield the pictures that rows of W&B's name, where their files are still here.

    Args:
        facts: of the run.
    """
    for _, folder in find_wandb_folders(facts.path):
        try:
            run = read_wandb_run(folder)
        except (OSError, ValueError) as error:
            facts.warnings.append(f"W&B's folder {folder.name} cannot be read ({first_line(error)}).")
            continue
        facts.warnings += [f"W&B's folder {folder.name}: {text}" for text in run.damage]
        yield from pictures_of_rows(run, facts)


def pictures_of_rows(run: WandbRun, facts: RunFacts) -> Iterator[StoredPicture]:
    """Yield the pictures that the rows of one of W&B's folders name, as far as they are in it.

    Args:
        run: that was read.
        facts: of the run.
    """
    inside = resolved(run.mirror)
    for each in run.media:
        path = resolved(run.mirror / each.path)
        if each.epoch is None or not path.is_relative_to(inside):
            continue
        picture = _of_file(path, each.epoch + 1, facts, each.key)
        if picture is not None:
            yield picture


def folder_pictures(facts: RunFacts) -> Iterator[StoredPicture]:
    """Yield the pictures in the run folder itself, for each epoch in which the ledger says that they were the same.

    Args:
        facts: of the run.
    """
    epochs: dict[tuple[str, str], set[int]] = {}
    for line in facts.lines or ():
        epochs.setdefault((line.key, line.sha256), set()).add(line.epoch + 1)
    last = max((line.epoch + 1 for line in facts.lines or ()), default=facts.best_epoch or 1)
    for place in (facts.path, facts.path / MASKED):
        for path in (path for pattern in PICTURES for path in listing(place, pattern)):
            picture = _of_file(path, last, facts)
            if picture is not None:
                for epoch in sorted(epochs.get((picture.key, picture.sha256), {last})):
                    yield StoredPicture(picture.key, epoch, picture.sha256, picture.size, picture.read)


SOURCES: dict[str, Callable[[RunFacts], Iterator[StoredPicture]]] = {
    "history": history_pictures,
    "tensorboard": tensorboard_pictures,
    "wandb": wandb_pictures,
    "folder": folder_pictures,
}
"""In the order in which they are asked."""


def _of_file(path: Path, epoch: int, facts: RunFacts, key: str = "") -> StoredPicture | None:
    """Describe a file; None if it is no picture such as runs draw."""
    if not is_file(path):
        return None
    try:
        data = read_regular(path)
    except OSError as error:
        facts.warnings.append(f"{path.name} cannot be read ({error.strerror}).")
        return None
    if not data.startswith(STARTS):
        return None
    return StoredPicture(key or path.stem, epoch, sha256(data).hexdigest(), len(data), lambda: read_regular(path))
