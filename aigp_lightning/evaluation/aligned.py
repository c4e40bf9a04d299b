"""Results of two models on the same images, brought into one order of images and of classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import DataError, WeightsError, printable
from aigp_lightning.modules.metrics.image_results import ImageResults

NEAR = 1.0
"""Labelled boxes that differ by no more than so many pixels are the same: resizing and back rounds them."""
MOST_NAMES = 5
"""So many names are listed in an error."""


def align(reference: ImageResults, candidate: ImageResults) -> ImageResults:
    """Return the reference's results in the candidate's order of images and with its class ids.

    Classes are matched by name, so that models that number them differently can be compared.

    Args:
        reference: results of A.
        candidate: results of B, on the same images.

    Returns:
        Results of A; its labelled objects are row by row those of B.

    Raises:
        WeightsError: the tasks or the classes are others.
        DataError: the images or their labels are others.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> about = {"task": "detect", "names": {"0": "gate"}}
        >>> align(empty_results(["b.jpg", "a.jpg"], about), empty_results(["a.jpg", "b.jpg"], about)).files
        ('a.jpg', 'b.jpg')
    """
    ids = _class_ids(reference, candidate)
    place = _places(reference, candidate)
    found, true = (np.argsort(place[rows], kind="stable") for rows in (reference.found_image, reference.true_image))
    row = np.empty(len(true) + 1, np.int32)
    row[true], row[-1] = np.arange(len(true)), -1  # of no object stays of no object
    arrays: dict[str, Any] = {
        name: getattr(reference, name)[found if name in OF_DETECTIONS else true]
        for name in (*OF_DETECTIONS, *OF_OBJECTS)
    }
    aligned = replace(reference, files=candidate.files, shapes=reference.shapes[np.argsort(place)], **arrays)
    aligned = replace(
        aligned,
        found_image=place[aligned.found_image],
        true_image=place[aligned.true_image],
        found_label=ids[aligned.found_label],
        true_label=ids[aligned.true_label],
        match=row[aligned.match],
        about={**reference.about, "names": candidate.about["names"]},
    )
    _check_labels(aligned, candidate)
    return aligned


OF_DETECTIONS = (
    "found_image", "found_label", "found_score", "found_box", "found_points", "correct", "correct_pose", "match",
)  # fmt: skip
"""Arrays with a row for each detection."""
OF_OBJECTS = ("true_image", "true_label", "true_box", "true_points", "corner_rows")
"""Arrays with a row for each labelled object."""


def check_comparable(reference: tuple[str, dict[int, str]], candidate: tuple[str, dict[int, str]]) -> None:
    """Refuse two models of other tasks or other classes.

    Args:
        reference: task and class names by id of A.
        candidate: the same of B.

    Raises:
        WeightsError: they are others, in one line.

    Example:
        >>> check_comparable(("detect", {0: "gate", 1: "tree"}), ("detect", {0: "tree", 1: "gate"}))
    """
    if reference[0] != candidate[0]:
        raise WeightsError(
            f"A is of task {reference[0]} and B of task {candidate[0]}: models of one task are compared."
        )
    ours, theirs = (list(map(_composed, names.values())) for names in (reference[1], candidate[1]))
    if sorted(ours) == sorted(theirs):
        return
    only = [
        f"{whose} alone knows {_listed([name for name in names if name not in other])}"
        for whose, names, other in (("A", ours, theirs), ("B", theirs, ours))
        if set(names) - set(other)
    ] or [f"A has {len(ours)} and B {len(theirs)}, some of them of one name"]
    raise WeightsError(f"A and B have other classes: {'; '.join(only)}. Compare models of the same classes.")


def _class_ids(reference: ImageResults, candidate: ImageResults) -> NDArray[np.int32]:
    """Return the candidate's id of each of the reference's classes, (C,)."""
    tasks = [str(each.about["task"]) for each in (reference, candidate)]
    check_comparable((tasks[0], reference.names), (tasks[1], candidate.names))
    ours, theirs = ([_composed(name) for name in each.names.values()] for each in (reference, candidate))
    if ours == theirs:
        wanted = list(candidate.names)
    else:
        known = dict(zip(theirs, candidate.names, strict=True))
        wanted = [known[name] for name in ours]
    ids = np.zeros(max(reference.names, default=0) + 1, np.int32)
    ids[list(reference.names)] = wanted
    return ids


def _places(reference: ImageResults, candidate: ImageResults) -> NDArray[np.int32]:
    """Return the place among the candidate's images of each of the reference's, (n,)."""
    known = {file: number for number, file in enumerate(candidate.files)}
    missing = [file for file in reference.files if file not in known]
    if missing or len(reference.files) != len(candidate.files):
        example = f" ({printable(missing[0])} is among A's alone)" if missing else ""
        raise DataError(
            f"A was evaluated on {len(reference.files)} images and B on {len(candidate.files)}, which are not the "
            f"same{example}."
        )
    return np.array([known[file] for file in reference.files], np.int32)


def _check_labels(reference: ImageResults, candidate: ImageResults) -> None:
    """Refuse results that were held against other labels."""
    ours, theirs = (np.bincount(each.true_image, minlength=len(each.files)) for each in (reference, candidate))
    if (ours != theirs).any():
        image = int(np.argmax(ours != theirs))
        raise DataError(
            f"{printable(candidate.files[image])} has {ours[image]} labelled objects for A and {theirs[image]} for B: "
            "they were trained with other options of the labels (outside, single_cls)."
        )
    away = np.abs(reference.true_box - candidate.true_box).max(1, initial=0) > NEAR
    other = (reference.true_label != candidate.true_label) | away
    if other.any():
        file = candidate.files[candidate.true_image[int(np.argmax(other))]]
        raise DataError(f"{printable(file)} has other labels for A than for B; evaluate both anew with --fresh.")


def _composed(name: str) -> str:
    return normalize("NFC", name)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(printable(name) for name in names[:MOST_NAMES]) + more
