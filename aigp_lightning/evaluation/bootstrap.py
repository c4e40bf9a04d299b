"""The uncertainty of metrics over the choice of images: intervals by a bootstrap, paired where two models are compared.

Each draw takes as many images as there are, with repetition. Of two models the same images are drawn for both, so that
what makes images hard for both does not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import ConfigError
from aigp_lightning.evaluation.alignment import with_classes_of, with_images_of
from aigp_lightning.evaluation.weighted_metrics import WeightedMetrics, is_of_curves
from aigp_lightning.modules.metrics.image_results import ImageResults

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
class Differences:
    """Figures of two models, of all classes and of each.

    Attributes:
        overall: by name.
        classes: by the id of a class that has labels, and by name; of the figures that were asked for those that
            `WeightedMetrics` computes class by class.

    Example:
        >>> Differences({}, {0: {}}).classes
        {0: {}}
    """

    overall: dict[str, Difference]
    classes: dict[int, dict[str, Difference]]


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
    return differences(candidate, other, metrics, draws, seed, classes).overall


def differences(
    candidate: ImageResults,
    other: ImageResults,
    metrics: Sequence[str] | None = None,
    draws: int = 1000,
    seed: int = 0,
    classes: Sequence[int] | None = None,
) -> Differences:
    """Compare two models on the same images, as `difference` does, and class by class with the same draws.

    Args:
        candidate: see `difference`.
        other: see `difference`.
        metrics: see `difference`.
        draws: see `difference`.
        seed: see `difference`.
        classes: see `difference`.

    Raises:
        ConfigError: a figure is not known, or there are too few draws.
        DataError: the images, their labels or the classes are not the same.
    """
    aligned = with_images_of(candidate, with_classes_of(candidate, other))
    pair = WeightedMetrics(candidate, classes), WeightedMetrics(aligned, classes)
    whole = [each.compute_with_classes() for each in pair]
    names = _asked(metrics, [name for name in whole[0][0] if name in whole[1][0]])
    of_classes, curves = [name for name in names if name in whole[0][1]], any(map(is_of_curves, names))

    def flat(found: tuple[Mapping[str, float], Mapping[str, NDArray[np.float64]]]) -> NDArray[np.float64]:
        total = [found[0].get(name, np.nan) for name in names]
        return np.concatenate((total, *(found[1][name] for name in of_classes)))

    def drawn(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        one, two = (flat(each.compute_with_classes(weights, curves)) for each in pair)
        return one - two

    low, high = _edges(np.stack(list(map(drawn, _draws(len(candidate.files), draws, seed)))))
    ends = zip(*map(flat, whole), low, high, strict=True)
    found = [Difference(*map(float, (one, two, one - two, least, most))) for one, two, least, most in ends]
    ids, count = pair[0].classes, len(names)
    by_class = {
        label: {name: found[count + number * len(ids) + place] for number, name in enumerate(of_classes)}
        for place, label in enumerate(ids)
    }
    return Differences(dict(zip(names, found[:count], strict=True)), by_class)


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
    curves, weights = is_of_curves(metric), _draws(len(results.files), draws, seed)
    drawn = [prepared.compute_with_classes(each, curves)[0].get(metric, np.nan) for each in weights]
    low, high = _edges(np.array(drawn)[:, None])
    return Interval(whole[metric], float(low[0]), float(high[0]))


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
