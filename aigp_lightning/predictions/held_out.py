"""Pictures of validation and test splits among those that are collected: none of them is to be trained on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aigp_lightning.data.data_yaml import DataSpec, read_data_yaml
from aigp_lightning.data.listing import list_images
from aigp_lightning.errors import UserError
from aigp_lightning.files import sha256_of
from aigp_lightning.predictions.collect import HELD_OUT

MEASURING = ("val", "test")
NOT_TOLD = "the model does not say which data set it was trained with"


@dataclass(frozen=True)
class HeldOut:
    """What is known of the pictures that a model is measured by.

    Attributes:
        splits: the split of each of them, by its path.
        data_set: the first data set that could be read, to which a list of pictures is to be added; None: none could.
        unknown: why some or all of them are not known, in words; empty where they are.

    Example:
        >>> HeldOut().splits
        {}
    """

    splits: Mapping[str, str] = field(default_factory=dict)
    data_set: DataSpec | None = None
    unknown: str = ""


def held_out_by(asked: str | None, trained: str | None) -> HeldOut:
    """Find the pictures of validation and test splits: of the data set of a command, and of the model's own run.

    Args:
        asked: the data set that the command names, if any.
        trained: that the model was trained with, as far as it says.

    Example:
        >>> held_out_by(None, "no/such/data.yaml").unknown
        'the data set that the model was trained with cannot be read: no/such/data.yaml'
    """
    splits: dict[str, str] = {}
    read: dict[str, DataSpec] = {}
    for data_yaml in dict.fromkeys(each for each in (asked, trained) if each):
        with suppress(UserError, OSError):
            spec = read_data_yaml(data_yaml)
            splits |= dict.fromkeys(list_images(spec, "val"), "val")
            read[data_yaml] = spec
            splits |= dict.fromkeys(list_images(spec, "test") if "test" in spec.splits else (), "test")
    unknown = ""
    if trained not in read and (trained or not read):
        unknown = f"the data set that the model was trained with cannot be read: {trained}" if trained else NOT_TOLD
    return HeldOut(splits, next(iter(read.values()), None), unknown)


def hold_out(collected: Sequence[dict[str, Any]], files: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what was collected, pictures of a validation or test split and copies of them marked as such.

    Copies are files of the same bytes, wherever they are.

    Args:
        collected: see `judge`.
        files: the split of each picture that measures, by its path.
    """
    splits = {os.path.realpath(path): (split, "") for path, split in files.items()}
    sizes: dict[int, list[str]] = {}
    for path in splits if collected else ():
        with suppress(OSError):
            sizes.setdefault(os.stat(path).st_size, []).append(path)
    found = []
    for each in collected:
        path = os.path.realpath(each["path"])
        split, original = splits.get(path) or _of_copy(path, sizes, splits)
        where = (
            f"a copy of {original}, which is of the {split} split and" if original else f"of the {split} split, which"
        )
        why = f"it is {where} is not to be trained on"
        found.append({**each, "kind": HELD_OUT, "why": why} if split else each)
    return found


def _of_copy(path: str, sizes: Mapping[int, Sequence[str]], splits: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """Return the split that has a file of the same bytes, and that file; empty where none has."""
    with suppress(OSError, UserError):
        if others := sizes.get(os.stat(path).st_size):
            digest = sha256_of(Path(path))
            for other in others:
                if sha256_of(Path(other)) == digest:
                    return splits[other][0], other
    return "", ""
