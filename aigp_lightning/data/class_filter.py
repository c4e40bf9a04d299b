"""Some of the classes alone: `--data.classes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from unicodedata import normalize

import numpy as np

from aigp_lightning.data.class_names import plain_name
from aigp_lightning.data.records import ImageRecord, ScanResult
from aigp_lightning.errors import ConfigError, DataError, printable, tell_user

Classes = list[int | str] | int | str | None
"""Ids or names of classes, or one; None: all."""
OPTION = "--data.classes"
SHOWN = 20
"""Classes that an error lists."""


def listed_classes(asked: Classes) -> list[int | str] | None:
    """Return the classes that are asked for as a list; None for all.

    Args:
        asked: the option's value.

    Raises:
        ConfigError: the list is empty, so nothing would be left.

    Example:
        >>> listed_classes("gate"), listed_classes([0, 2]), listed_classes(None)
        (['gate'], [0, 2], None)
    """
    if asked is None:
        return None
    found = list(asked) if isinstance(asked, list) else [asked]
    if not found:
        raise ConfigError(f"{OPTION} []: no class is left. Name those to keep, or null for all.")
    return found


def class_ids(asked: Sequence[int | str], names: Mapping[int, str], source: str) -> tuple[int, ...]:
    """Return the ids of classes that are given by id or by name.

    Args:
        asked: ids and names.
        names: of all classes, by id.
        source: what has these classes, for errors.

    Returns:
        Ids, rising.

    Raises:
        ConfigError: there is no such class; it says which there are.

    Example:
        >>> class_ids(["disc", 0], {0: "square", 1: "disc", 2: "gate"}, "data.yaml")
        (0, 1)
        >>> class_ids(["dics"], {0: "square", 1: "disc"}, "data.yaml")
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --data.classes dics: data.yaml has no such class; did you mean disc? It has \
0 square, 1 disc.
    """
    exact = {normalize("NFC", name): number for number, name in names.items()}
    folded = {plain_name(name): number for number, name in names.items()}
    found, unknown = set(), []
    for each in asked:
        number = each if isinstance(each, int) else exact.get(normalize("NFC", each), folded.get(plain_name(each)))
        if number is None or number not in names:
            unknown.append(each)
        else:
            found.add(number)
    if unknown:
        text = ", ".join(printable(each) for each in unknown)
        near = [match for each in unknown for match in get_close_matches(str(each), [*names.values()], 1)]
        meant = f"; did you mean {printable(', '.join(near))}?" if near else "."
        there = ", ".join(f"{number} {printable(name)}" for number, name in list(names.items())[:SHOWN])
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        such = "no such class" if len(unknown) == 1 else "no such classes"
        raise ConfigError(f"{OPTION} {text}: {source} has {such}{meant} It has {there}{more}.")
    return tuple(sorted(found))


def only_classes(scan: ScanResult, ids: Sequence[int], names: Mapping[int, str], single: bool = False) -> ScanResult:
    """Drop the labels of all other classes; ids stay, and images without a label become backgrounds.

    Args:
        scan: a scanned split.
        ids: of the classes that are kept.
        names: of all classes, by id.
        single: make one class, 0, of those that are kept.

    Returns:
        A split that shares its images with the first.

    Raises:
        DataError: the split has labels, and none of these classes.

    Example:
        >>> import lightning.pytorch  # sets the rank, by which one process alone prints
        >>> record = ImageRecord("0.jpg", (9, 9), np.array([0, 1, 1]), np.zeros((3, 4), np.float32), None)
        >>> only_classes(ScanResult("val", [record], [], 1), [1], {0: "square", 1: "disc"}).records[0].cls.tolist()
        [1, 1]
    """
    kept = np.zeros(max(names) + 1, np.bool_)
    kept[list(ids)] = True
    records = [_chosen(record, kept[record.cls], single) for record in scan.records]
    found = replace(scan, records=records)
    wanted = ", ".join(printable(names[number]) for number in ids)
    if scan.instances and not found.instances:
        raise DataError(
            f"{OPTION} {wanted}: of the {scan.instances} labels of '{scan.split}' none is of these classes. Choose "
            "others, or leave the option out."
        )
    tell_user(f"{scan.split}: {found.instances} of {scan.instances} labels are of the chosen classes, {wanted}")
    return found


def _chosen(record: ImageRecord, kept: np.ndarray, single: bool) -> ImageRecord:
    """Return an image with some of its labels."""
    if kept.all() and not single:
        return record
    cls, points = record.cls[kept], record.keypoints
    return replace(
        record,
        cls=np.zeros_like(cls) if single else cls,
        bboxes=record.bboxes[kept],
        keypoints=None if points is None else points[kept],
        polygons=None if record.polygons is None else record.polygons.select(kept),
    )
