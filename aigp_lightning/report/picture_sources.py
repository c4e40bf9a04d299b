"""Finds the pictures of all epochs: in the run's history, in loggers' files, else the last ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from aigp_lightning.logfiles.paths import listing
from aigp_lightning.logfiles.stored_pictures import (
    StoredPicture,
    history_pictures,
    mlflow_pictures,
    picture_of_file,
    tensorboard_pictures,
    wandb_pictures,
)
from aigp_lightning.media.renderer import MASKED
from aigp_lightning.report.folder import RunFacts
from aigp_lightning.run.folder import PICTURES

MOSAIC = re.compile(r"(val_batch\d+)_(labels|pred)|(val_errors\d+)")
"""Keys of the pictures that are drawn after every validation."""
FROM = {
    "history": "the run folder's history",
    "tensorboard": "TensorBoard's event files",
    "wandb": "W&B's files on this disk",
    "mlflow": "MLflow's files on this disk",
    "folder": "the run folder, which keeps the last of each",
}


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
            picture = picture_of_file(path, last, facts.warnings)
            if picture is not None:
                for epoch in sorted(epochs.get((picture.key, picture.sha256), {last})):
                    yield StoredPicture(picture.key, epoch, picture.sha256, picture.size, picture.read)


SOURCES: dict[str, Callable[[RunFacts], Iterator[StoredPicture]]] = {
    "history": lambda facts: history_pictures(facts.path, facts.warnings),
    "tensorboard": lambda facts: tensorboard_pictures(facts.path, facts.warnings),
    "wandb": lambda facts: wandb_pictures(facts.path, facts.warnings),
    "mlflow": lambda facts: mlflow_pictures(facts.path, facts.warnings),
    "folder": folder_pictures,
}
"""In the order in which they are asked."""
