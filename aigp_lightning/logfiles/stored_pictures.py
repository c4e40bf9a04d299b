"""A run's pictures wherever they are kept: in its history, in event files, in W&B's mirror, among MLflow's artifacts.

What one destination got need not be what another one got: a remote one gets private images masked. A picture is known
by the SHA-256 of its bytes, which the ledger has too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from aigp_lightning.errors import first_line
from aigp_lightning.files import read_regular
from aigp_lightning.logfiles.event_pictures import find_event_pictures
from aigp_lightning.logfiles.folders import find_event_files, find_wandb_folders, logger_folders
from aigp_lightning.logfiles.mlflow_store import read_stored_run
from aigp_lightning.logfiles.paths import is_dir, is_file, listing, resolved
from aigp_lightning.logfiles.wandb_run import WandbRun, read_wandb_run
from aigp_lightning.paths import HISTORY

HISTORY_FOLDER = re.compile(r"epoch(\d{4,})")
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
"""First bytes of the pictures that runs draw."""


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


def history_pictures(run: Path, damage: list[str]) -> Iterator[StoredPicture]:
    """Yield the pictures that a run kept of every epoch.

    Args:
        run: the run folder.
        damage: gets what cannot be read, a sentence each.
    """
    for folder in listing(run / HISTORY, "epoch*"):
        number = HISTORY_FOLDER.fullmatch(folder.name)
        for path in listing(folder, "*") if number is not None and is_dir(folder) else ():
            picture = picture_of_file(path, int(number[1]) + 1, damage) if number is not None else None
            if picture is not None:
                yield picture


def tensorboard_pictures(run: Path, damage: list[str]) -> Iterator[StoredPicture]:
    """Yield the pictures in a run's event files.

    Args:
        run: the run folder.
        damage: gets what cannot be read, a sentence each.
    """
    for _, path in find_event_files(run):
        found: list[str] = []
        try:
            for each in find_event_pictures(path, found):
                yield StoredPicture(each.tag, each.step + 1, each.sha256, each.size, each.read)
        except OSError as error:
            found.append(f"it cannot be read ({error.strerror}).")
        damage += [f"Event file {path.name}: {text}" for text in found]


def wandb_pictures(run: Path, damage: list[str]) -> Iterator[StoredPicture]:
    """Yield the pictures that rows of W&B's name, where their files are still here.

    Args:
        run: the run folder.
        damage: gets what cannot be read, a sentence each.
    """
    for _, folder in find_wandb_folders(run):
        try:
            found = read_wandb_run(folder)
        except (OSError, ValueError) as error:
            damage.append(f"W&B's folder {folder.name} cannot be read ({first_line(error)}).")
            continue
        damage += [f"W&B's folder {folder.name}: {text}" for text in found.damage]
        yield from pictures_of_rows(found, damage)


def pictures_of_rows(run: WandbRun, damage: list[str]) -> Iterator[StoredPicture]:
    """Yield the pictures that the rows of one of W&B's folders name, as far as they are in it.

    Args:
        run: that was read.
        damage: gets what cannot be read, a sentence each.
    """
    inside = resolved(run.mirror)
    for each in run.media:
        path = resolved(run.mirror / each.path)
        if each.epoch is None or not path.is_relative_to(inside):
            continue
        picture = picture_of_file(path, each.epoch + 1, damage, each.key)
        if picture is not None:
            yield picture


def mlflow_pictures(run: Path, damage: list[str]) -> Iterator[StoredPicture]:
    """Yield the pictures among the artifacts that MLflow keeps on this disk.

    Args:
        run: the run folder.
        damage: gets what cannot be read, a sentence each.
    """
    for each in logger_folders(run, "mlflow"):
        if each.folder is None or not each.is_there:
            continue
        found = read_stored_run(each.folder)
        damage += [f"MLflow's artifact {name} {why}." for name, why in found.damage]
        for picture in found.pictures:
            if picture.epoch is not None:
                read = _reader(picture.path)
                yield StoredPicture(picture.key, picture.epoch + 1, picture.sha256, picture.size, read)


LOGGERS: dict[str, Callable[[Path, list[str]], Iterator[StoredPicture]]] = {
    "tensorboard": tensorboard_pictures,
    "wandb": wandb_pictures,
    "mlflow": mlflow_pictures,
}
"""Loggers that keep pictures on this disk, in the order in which they are asked."""


def picture_of_file(path: Path, epoch: int, damage: list[str], key: str = "") -> StoredPicture | None:
    """Describe a file; None if it is no picture such as runs draw.

    Args:
        path: of the file.
        epoch: from 1.
        damage: gets a sentence if it cannot be read.
        key: the picture's name; that of the file without one.
    """
    if not is_file(path):
        return None
    try:
        data = read_regular(path)
    except OSError as error:
        damage.append(f"{path.name} cannot be read ({error.strerror}).")
        return None
    if not data.startswith(STARTS):
        return None
    return StoredPicture(key or path.stem, epoch, sha256(data).hexdigest(), len(data), _reader(path))


def _reader(path: Path) -> Callable[[], bytes]:
    return lambda: read_regular(path)
