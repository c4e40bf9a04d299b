"""The uncertainty of metrics over the choice of images: intervals by a bootstrap, paired where two models are compared.

Each draw takes as many images as there are, with repetition. Of two models the same images are drawn for both, so that
what makes images hard for both does not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import ConfigError
from aigp_lightning.evaluation.alignment import with_classes_of, with_images_of
from aigp_lightning.evaluation.weighted_metrics import WeightedMetrics
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
