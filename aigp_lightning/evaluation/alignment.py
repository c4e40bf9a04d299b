"""Results of two models brought into one order of images and one numbering of classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import DataError
from aigp_lightning.modules.metrics.image_results import SHAPES, ImageResults


def with_classes_of(wanted: ImageResults, results: ImageResults) -> ImageResults:
    """Return results with the class ids of others, by the classes' names.

    Args:
        wanted: whose ids count.
        results: those that are to have them.

    Raises:
        DataError: their classes have other names.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> one, two = (empty_results([], {"names": names}) for names in ({"0": "a", "1": "b"}, {"0": "b", "1": "a"}))
        >>> with_classes_of(one, two).names
        {0: 'a', 1: 'b'}
    """
    ours, theirs = (each.names if "names" in each.about else {} for each in (wanted, results))
    if ours == theirs:
        return results
    ids = {name: number for number, name in ours.items()}
    if set(ids) != set(theirs.values()) or len(ids) != len(theirs) or len(ids) != len(ours):
        raise DataError(f"the two models have other classes: {', '.join(ours.values())}; {', '.join(theirs.values())}.")
    table = np.zeros(max(theirs) + 1, np.int32)
    table[list(theirs)] = [ids[name] for name in theirs.values()]
    return replace(
        results,
        found_label=table[results.found_label],
        true_label=table[results.true_label],
        about={**results.about, "names": {str(number): name for number, name in ours.items()}},
    )


def with_images_of(wanted: ImageResults, results: ImageResults) -> ImageResults:
    """Return results with their images in the order of others.

    Images are the same if their paths are, or, where a data set lies elsewhere by now, their paths below the folder
    that all of them share.

    Args:
        wanted: whose order counts.
        results: those that are to have it.

    Raises:
        DataError: they are of other images, or their labels differ.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> one, two = empty_results(["x/a.jpg", "x/b.jpg"], {}), empty_results(["y/b.jpg", "y/a.jpg"], {})
        >>> with_images_of(one, two).files
        ('y/a.jpg', 'y/b.jpg')
    """
    ours, theirs = list(wanted.files), list(results.files)
    if set(ours) != set(theirs):
        ours, theirs = _below(ours), _below(theirs)
    for here, there, which in ((ours, theirs, "the first"), (theirs, ours, "the second")):
        if only := sorted(set(here) - set(there)):
            raise DataError(
                f"the two were not measured on the same images: {len(only)} are of {which} alone, as {only[0]}. "
                "Measure both on one data set."
            )
    if len(ours) != len(set(ours)) or len(theirs) != len(set(theirs)):
        if ours != theirs:
            raise DataError("the two were measured on images that are listed several times, in another order.")
        order = np.arange(len(ours))
    else:
        number = {file: place for place, file in enumerate(theirs)}
        order = np.array([number[file] for file in ours], np.int64)
    found = reordered(results, order)
    counts = [np.bincount(each.true_image, minlength=len(ours)) for each in (wanted, found)]
    if len(other := np.flatnonzero(counts[0] != counts[1])):
        raise DataError(
            f"the labels of {ours[other[0]]} are not the same for both: {counts[0][other[0]]} objects, and "
            f"{counts[1][other[0]]}. Measure both on one data set."
        )
    return found


def reordered(results: ImageResults, order: NDArray[np.int64]) -> ImageResults:
    """Return results of chosen images, in a given order.

    Args:
        results: of all images.
        order: (m,) numbers of the images, none twice.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> reordered(empty_results(["a.jpg", "b.jpg"], {}), np.array([1])).files
        ('b.jpg',)
    """
    if len(order) == len(results.files) and (order == np.arange(len(order))).all():
        return results
    rank = np.full(len(results.files), -1)
    rank[order] = np.arange(len(order))
    rows: dict[str, NDArray[np.int64]] = {"n": order}
    for axis, column in (("d", rank[results.found_image]), ("t", rank[results.true_image])):
        kept = np.flatnonzero(column >= 0)
        rows[axis] = kept[np.argsort(column[kept], kind="stable")]
    arrays: dict[str, Any] = {name: getattr(results, name)[rows[axis]] for name, (_, axis, _) in SHAPES.items()}
    true = np.full(len(results.true_label) + 1, -1, np.int32)
    true[rows["t"]] = np.arange(len(rows["t"]))
    arrays["match"] = true[arrays["match"]]
    for name in ("found_image", "true_image"):
        arrays[name] = rank[arrays[name]].astype(np.int32)
    return ImageResults(tuple(results.files[place] for place in order), about=results.about, **arrays)


def _below(files: list[str]) -> list[str]:
    """Return paths below the folder that they all share, with slashes."""
    parts = [PurePath(file.replace("\\", "/")).parts for file in files]
    shared = 0
    while parts and all(len(each) > shared + 1 and each[shared] == parts[0][shared] for each in parts):
        shared += 1
    return ["/".join(each[shared:]) for each in parts]
