"""The pictures of a run, sorted: mosaics by epoch, training pictures, closing pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aigp_lightning.logfiles.stored_pictures import StoredPicture
from aigp_lightning.media.renderer import MASKED
from aigp_lightning.report.folder import RunFacts
from aigp_lightning.report.picture_sources import FROM, MOSAIC, find_pictures
from aigp_lightning.report.privacy import WITHOUT_IMAGES, Privacy

TRAINING = re.compile(r"train_batch\d+")
LABELS = ("labels", "labels_correlogram")
"""Pictures of the data set, shown with the training mosaics."""
NUMBERS = re.compile(r"(\d+)")


@dataclass
class Mosaic:
    """The pictures of one validation batch; those of a mosaic of errors are in `pred`.

    Attributes:
        labels: by epoch, from 1; an epoch whose picture is that of the one before has none.
        pred: by epoch.
    """

    labels: dict[int, StoredPicture] = field(default_factory=dict)
    pred: dict[int, StoredPicture] = field(default_factory=dict)

    @property
    def epochs(self) -> list[int]:
        """Epochs that have a picture."""
        return sorted({*self.labels, *self.pred})


@dataclass
class RunPictures:
    """The pictures of a run that a report may show.

    Attributes:
        mosaics: by key.
        training: by key.
        closing: by key.
        masked: number of pictures in which private images are masked.
        left_out: number of pictures that would show private images.
        notes: where they come from.
    """

    mosaics: dict[str, Mosaic] = field(default_factory=dict)
    training: dict[str, StoredPicture] = field(default_factory=dict)
    closing: dict[str, StoredPicture] = field(default_factory=dict)
    masked: int = 0
    left_out: int = 0
    notes: list[str] = field(default_factory=list)

    def single(self) -> list[StoredPicture]:
        """Return the pictures that are not drawn every epoch."""
        return [*self.training.values(), *self.closing.values()]

    def of_epochs(self, epochs: set[int] | None = None) -> list[StoredPicture]:
        """Return the mosaics of some epochs, or of all."""
        return [
            picture
            for mosaic in self.mosaics.values()
            for pictures in (mosaic.labels, mosaic.pred)
            for epoch, picture in shown_epochs(pictures, epochs).items()
        ]


def collect_pictures(facts: RunFacts, privacy: Privacy) -> RunPictures:
    """Find and sort the pictures of a run.

    Args:
        facts: of the run.
        privacy: tells what may be shown.
    """
    found, used, refused = find_pictures(facts, privacy.may_show)
    result = RunPictures(left_out=sum(is_known(key) for key, _ in refused))
    for (key, epoch), picture in sorted(found.items(), key=lambda item: (natural(item[0][0]), item[0][1])):
        if mosaic := MOSAIC.fullmatch(key):
            place = result.mosaics.setdefault(mosaic[1] or mosaic[3], Mosaic())
            (place.labels if mosaic[2] == "labels" else place.pred)[epoch] = picture
        elif TRAINING.fullmatch(key) or key in LABELS:
            result.training.setdefault(key, picture)
        elif WITHOUT_IMAGES.fullmatch(key):
            result.closing[key] = picture  # the latest
    for each in result.mosaics.values():
        each.labels = without_repeats(each.labels)
    hidden = {line.sha256 for line in facts.lines or () if line.file.startswith(f"{MASKED}/")}
    result.masked = sum(picture.sha256 in hidden for (key, _), picture in found.items() if is_known(key))
    result.notes = list(_notes(facts, used, result))
    return result


def is_known(key: str) -> bool:
    """True if a key is that of a picture which runs draw."""
    return any(pattern.fullmatch(key) for pattern in (MOSAIC, TRAINING, WITHOUT_IMAGES))


def natural(key: str) -> list[Any]:
    """Return what keys are sorted by, numbers as numbers.

    Example:
        >>> sorted(["val_batch10", "val_batch9"], key=natural)
        ['val_batch9', 'val_batch10']
    """
    return [int(part) if part.isdigit() else part for part in NUMBERS.split(key)]


def without_repeats(pictures: dict[int, StoredPicture]) -> dict[int, StoredPicture]:
    """Leave out each picture that is the same as the one of the epoch before.

    Args:
        pictures: by epoch, rising.
    """
    kept: dict[int, StoredPicture] = {}
    last = ""
    for epoch, picture in pictures.items():
        if picture.sha256 != last:
            kept[epoch] = picture
        last = picture.sha256
    return kept


def shown_epochs(pictures: dict[int, StoredPicture], epochs: set[int] | None) -> dict[int, StoredPicture]:
    """Return the pictures of some epochs.

    Args:
        pictures: by epoch, rising; one counts until the next.
        epochs: which; None is all.
    """
    if epochs is None:
        return pictures
    kept: dict[int, StoredPicture] = {}
    for epoch in sorted(epochs):
        earlier = [one for one in pictures if one <= epoch]
        if earlier:
            kept[epoch] = pictures[earlier[-1]]
    return without_repeats(kept)


def every_so_many(epochs: Sequence[int], step: int, kept: Iterable[int | None]) -> set[int]:
    """Choose epochs evenly, and always the first, the last, and those to be kept.

    Args:
        epochs: rising.
        step: from one to the next.
        kept: such as the best one.

    Example:
        >>> sorted(every_so_many([1, 2, 3, 4, 5, 6, 7], 3, [5, None]))
        [1, 4, 5, 7]
    """
    known = {*kept}
    return {*epochs[::step], *epochs[-1:], *(epoch for epoch in epochs if epoch in known)}


def _notes(facts: RunFacts, used: list[str], pictures: RunPictures) -> Iterator[str]:
    mosaics = [epoch for mosaic in pictures.mosaics.values() for epoch in mosaic.epochs]
    if not mosaics:
        yield f"{facts.name}: no validation mosaics can be shown."
        return
    where = " and ".join(FROM[name] for name in used)
    yield f"{facts.name}: pictures of epochs {min(mosaics)} to {max(mosaics)} come from {where}."
