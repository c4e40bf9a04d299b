"""Results of two models on the same images, brought into one order of images and of classes."""

from __future__ import annotations

from dataclasses import replace
from unicodedata import normalize

import numpy as np

from aigp_lightning.errors import DataError, WeightsError, printable
from aigp_lightning.evaluation.alignment import with_classes_of, with_images_of
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
    tasks = [str(each.about["task"]) for each in (reference, candidate)]
    check_comparable((tasks[0], reference.names), (tasks[1], candidate.names))
    written = {_composed(name): name for name in candidate.names.values()}
    names = {str(number): written[_composed(name)] for number, name in reference.names.items()}
    renamed = replace(reference, about={**reference.about, "names": names})
    aligned = with_images_of(candidate, with_classes_of(candidate, renamed))
    away = np.abs(aligned.true_box - candidate.true_box).max(1, initial=0) > NEAR
    other = (aligned.true_label != candidate.true_label) | away
    if other.any():
        file = candidate.files[candidate.true_image[int(np.argmax(other))]]
        raise DataError(
            f"{printable(file)} has other labels for A than for B: their runs had other options of the labels "
            "(outside, single_cls), or one was measured before labels changed; --fresh measures both."
        )
    return aligned


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


def _composed(name: str) -> str:
    return normalize("NFC", name)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(printable(name) for name in names[:MOST_NAMES]) + more
