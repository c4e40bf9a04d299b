"""Bootstrap over pictures of differences between two models: of shares, of means and of medians.

Each draw takes as many pictures as there are, with repetition, and the same ones for both models. So what is hard about
a picture is in both figures, and only what the models make of it in their difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.evaluation.comparison_row import Span

AT_ONCE = 1 << 22
"""Numbers that are looked at at a time, to bound memory."""
INTERVAL = (2.5, 97.5)
"""Percentiles between which 95 of 100 draws are."""
LEAST_DRAWS = 0.5
"""With a figure in fewer of the draws than this share, there is no interval."""

Floats = NDArray[np.float64]
Fraction = tuple[NDArray[Any], NDArray[Any]]
"""Numerator and denominator, (n,) each."""


@dataclass(frozen=True)
class PairedDraws:
    """Draws of pictures; the same seed gives the same ones.

    Attributes:
        images: how many pictures there are.
        draws: how often as many are drawn.
        seed: of the drawing.

    Example:
        >>> ones, right = np.ones(40), np.arange(40) < 30
        >>> span = PairedDraws(40, draws=200, seed=0).ratio((ones, ones), (right, ones))
        >>> span.a, span.b, round(span.low, 2), round(span.high, 2)
        (1.0, 0.75, -0.38, -0.12)
    """

    images: int
    draws: int = 1000
    seed: int = 0

    def weights(self) -> Iterator[NDArray[np.float32]]:
        """Yield how often each picture is drawn, (some draws, n) at a time."""
        random = np.random.default_rng(self.seed)
        step = max(AT_ONCE // max(self.images, 1), 1)
        for start in range(0, self.draws, step):
            count = min(step, self.draws - start)
            drawn = random.integers(self.images, size=(count, self.images))
            drawn += np.arange(count)[:, None] * self.images
            counts = np.bincount(drawn.ravel(), minlength=count * self.images)
            yield counts.reshape(count, self.images).astype(np.float32)

    def ratio(self, a: Fraction, b: Fraction) -> Span:
        """Return a share or a mean of both models, and the interval of its difference B − A.

        Args:
            a: what each picture adds to the numerator and to the denominator, of A.
            b: the same of B.
        """
        table = np.stack([np.asarray(each, np.float64) for each in (*a, *b)], 1)

        def figures(sums: Floats) -> Floats:
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.asarray(sums[..., 0::2] / sums[..., 1::2])

        known = figures(np.array([math.fsum(column) for column in table.T]))
        if np.array_equal(table[:, :2], table[:, 2:]):
            return _alike(known)
        return self._span(known, lambda weights: figures(weights.astype(np.float64) @ table))

    def mean(self, values: Floats, image: NDArray[np.int32]) -> Span:
        """Return the mean of both models' values, and the interval of its difference.

        Args:
            values: (m, 2) of A and of B.
            image: (m,) which picture each is of.
        """
        count, a, b = (
            np.bincount(image, weights=each, minlength=self.images) for each in (np.ones(len(values)), *values.T)
        )
        return self.ratio((a, count), (b, count))

    def median(self, values: Floats, image: NDArray[np.int32]) -> Span:
        """Return the median of both models' values, and the interval of its difference.

        Args:
            values: (m, 2) of A and of B.
            image: (m,) which picture each is of.
        """
        if not len(values):
            return Span(None, None, None, None)
        known = np.median(values, axis=0)
        if np.array_equal(*values.T):
            return _alike(known)
        orders = [np.argsort(column, kind="stable") for column in values.T]
        sides = [(column[order], image[order]) for column, order in zip(values.T, orders, strict=True)]

        def figures(weights: NDArray[np.float32]) -> Floats:
            step = max(AT_ONCE // len(values), 1)
            parts = [weights[start : start + step] for start in range(0, len(weights), step)]
            return np.concatenate([np.stack([_medians(*side, part) for side in sides], 1) for part in parts])

        return self._span(known, figures)

    def _span(self, known: Floats, figures: Callable[[NDArray[np.float32]], Floats]) -> Span:
        """Return the figures of both, and the interval of the draws' differences."""
        a, b = (float(value) if math.isfinite(value) else None for value in known)
        if a is None or b is None:
            return Span(a, b, None, None)
        drawn = np.concatenate([np.diff(figures(weights), axis=1)[:, 0] for weights in self.weights()])
        drawn = drawn[np.isfinite(drawn)]
        if len(drawn) < LEAST_DRAWS * self.draws:
            return Span(a, b, None, None)
        low, high = np.percentile(drawn, INTERVAL)
        return Span(a, b, float(low), float(high))


def _alike(known: Floats) -> Span:
    """Return the span of two models that have the same in every picture: rounding is no difference."""
    figure = float(known[0]) if math.isfinite(known[0]) else None
    return Span(figure, figure, *((None, None) if figure is None else (0.0, 0.0)))


def _medians(values: Floats, image: NDArray[np.int32], weights: NDArray[np.float32]) -> Floats:
    """Return the median of rising values in each draw, (draws,); NaN where none is drawn."""
    reached = np.cumsum(weights[:, image], 1)
    total = reached[:, -1]
    place = partial(_first_over, reached)
    middle = (values[place((total - 1) // 2)] + values[place(total // 2)]) / 2
    return np.where(total > 0, middle, np.nan)


def _first_over(reached: NDArray[np.float32], limit: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.asarray(np.argmax(reached > limit[:, None], axis=1), np.int64)
