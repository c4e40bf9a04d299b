"""The uncertainty of metrics over the choice of images: intervals by a bootstrap, paired where two models are compared.

Each draw takes as many images as there are, with repetition. Of two models the same images are drawn for both, so that
what makes images hard for both does not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import ConfigError, DataError
from aigp_lightning.evaluation.weighted_metrics import WeightedMetrics
from aigp_lightning.modules.metrics.image_results import SHAPES, ImageResults

EDGES = (2.5, 97.5)
"""Percentiles between which 95 % lie."""
AT_ONCE = 64
"""Draws whose images are chosen at once."""


@dataclass(frozen=True)
class Difference:
    """A figure of two models, and how sure the difference is.

    Attributes:
        candidate: the figure of the one.
        other: the figure of the other.
        value: candidate less other.
        low: lower end of the 95 % interval of the difference.
        high: its upper end.

    Example:
        >>> Difference(0.8, 0.7, 0.1, low=-0.02, high=0.22).is_noise
        True
    """

    candidate: float
    other: float
    value: float
    low: float
    high: float

    @property
    def is_noise(self) -> bool:
        """True if no difference at all is within the interval."""
        return self.low <= 0.0 <= self.high


@dataclass(frozen=True)
class Interval:
    """A figure of one model, and how sure it is.

    Attributes:
        value: the figure.
        low: lower end of its 95 % interval.
        high: its upper end.

    Example:
        >>> Interval(0.8, 0.7, 0.9).high
        0.9
    """

    value: float
    low: float
    high: float


def difference(
    candidate: ImageResults,
    other: ImageResults,
    metrics: Sequence[str] | None = None,
    draws: int = 1000,
    seed: int = 0,
    classes: Sequence[int] | None = None,
) -> dict[str, Difference]:
    """Compare two models on the same images.

    Args:
        candidate: results of the one.
        other: results of the other, on the same images; their order does not matter, and the candidate's class ids
            count for both.
        metrics: names of figures, see `metrics_of`; None: all that both have.
        draws: how often images are drawn.
        seed: of the draws; the same gives the same intervals.
        classes: ids of the classes that count; None: all.

    Raises:
        ConfigError: a figure is not known, or there are too few draws.
        DataError: the images, their labels or the classes are not the same.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> results = empty_results(["a.jpg", "b.jpg"], {"task": "detect", "names": {"0": "gate"}})
        >>> difference(results, results, ["metrics/mAP50(B)"], draws=10)["metrics/mAP50(B)"].value
        0.0
    """
    aligned = with_images_of(candidate, with_classes_of(candidate, other))
    pair = WeightedMetrics(candidate, classes), WeightedMetrics(aligned, classes)
    whole = [each.compute() for each in pair]
    names = _asked(metrics, [name for name in whole[0] if name in whole[1]])
    found = np.full((2, draws, len(names)), np.nan)
    for number, weights in enumerate(_draws(len(candidate.files), draws, seed)):
        for side, each in enumerate(pair):
            drawn = each.compute(weights)
            found[side, number] = [drawn.get(name, np.nan) for name in names]
    low, high = _edges(found[0] - found[1])
    return {
        name: Difference(one[name], two[name], one[name] - two[name], float(low[place]), float(high[place]))
        for place, name in enumerate(names)
        for one, two in [whole]
    }


def interval(results: ImageResults, metric: str, draws: int = 1000, seed: int = 0) -> Interval:
    """Return a figure of one model with its interval.

    Args:
        results: of the model.
        metric: name of the figure, see `metrics_of`.
        draws: how often images are drawn.
        seed: of the draws.

    Raises:
        ConfigError: the figure is not known, or there are too few draws.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> interval(empty_results(["a.jpg"], {"task": "detect"}), "metrics/mAP50(B)", draws=10)
        Interval(value=0.0, low=0.0, high=0.0)
    """
    prepared = WeightedMetrics(results)
    whole = prepared.compute()
    _asked([metric], list(whole))
    drawn = [prepared.compute(weights).get(metric, np.nan) for weights in _draws(len(results.files), draws, seed)]
    low, high = _edges(np.array(drawn)[:, None])
    return Interval(whole[metric], float(low[0]), float(high[0]))


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


def _asked(metrics: Sequence[str] | None, known: list[str]) -> list[str]:
    unknown = [name for name in metrics or () if name not in known]
    if unknown:
        raise ConfigError(f"there is no figure {unknown[0]!r} here; known are {', '.join(known)}.")
    return known if metrics is None else list(metrics)


def _draws(images: int, draws: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each image was drawn, draw by draw."""
    if draws < 1:
        raise ConfigError(f"{draws} draws are too few: at least 1.")
    random = np.random.default_rng(seed)
    for start in range(0, draws, AT_ONCE):
        part = min(AT_ONCE, draws - start)
        drawn = random.integers(max(images, 1), size=(part, images)) + np.arange(part)[:, None] * images
        yield from np.bincount(drawn.ravel(), minlength=part * images).reshape(part, images).astype(np.float64)


def _edges(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ends of the interval of each column; NaN where nothing is known in any draw."""
    known = ~np.isnan(drawn).all(0)
    found = np.full((2, drawn.shape[1]), np.nan)
    if known.any():
        found[:, known] = np.nanpercentile(drawn[:, known], EDGES, axis=0)
    return found
