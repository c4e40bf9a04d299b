"""The combination of thresholds that a rule chooses from a table of figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.evaluation.calibration.rule import Rule, Values

EQUAL = 1e-9
"""Figures that differ by no more are the same."""
Place = tuple[int, ...]


@dataclass(frozen=True)
class Choice:
    """The outcome of a rule.

    Attributes:
        place: of the combination in the grid; None where none meets the targets, or none is any good.
        meeting: combinations that meet them.
        plateau: combinations that are as good as the chosen one.
        nearest: place of the one that comes nearest to the targets, where none meets them.
    """

    place: Place | None
    meeting: int
    plateau: int
    nearest: Place | None = None


def choose(figures: Mapping[str, Values], rule: Rule) -> Choice:
    """Choose a combination.

    Of those that meet all targets the best by the rule's figure is taken. Where several are equally good, each
    threshold in turn (confidence, keypoint confidence, IoU, reprojection error) takes the middle of the longest run of
    values that are left; of two middles, and of two runs, the more careful one.

    None is chosen where the best of them has nothing of the figure.

    Args:
        figures: by name, each an array with an axis for each threshold, its values from the least careful on; NaN
            where a figure cannot be had.
        rule: what is wanted.

    Example:
        >>> from aigp_lightning.evaluation.calibration.rule import Rule
        >>> usable = np.array([0.2, 0.9, 0.9, 0.9, 0.1]).reshape(5, 1, 1, 1)
        >>> choose({"usable": usable}, Rule((), "usable")).place
        (2, 0, 0, 0)
    """
    value = np.asarray(figures[rule.figure], np.float64) * (1 if rule.maximize else -1)
    met = np.isfinite(value)
    for target in rule.targets:
        met &= target.met(figures[target.figure])
    if not met.any():
        return Choice(None, 0, 0, _nearest(figures, rule, value))
    best = value[met].max()
    if rule.maximize and best <= 0:  # a model that finds nothing meets every limit on what is wrong
        return Choice(None, int(met.sum()), 0)
    equal = met & (value >= best - EQUAL)
    return Choice(_middle(equal), int(met.sum()), int(equal.sum()))


def _nearest(figures: Mapping[str, Values], rule: Rule, value: Values) -> Place | None:
    """Return the place whose worst miss of a target is least, the better by the figure first; None without any."""
    misses = [target.miss(figures[target.figure]) for target in rule.targets]
    worst = np.max([*misses, np.where(np.isfinite(value), 0, np.inf)], axis=0)
    if not np.isfinite(worst).any():
        return None
    equal = worst <= worst.min() + EQUAL
    best = value[equal].max()
    return _middle(equal & (value >= best - EQUAL))


def _middle(equal: NDArray[np.bool_]) -> Place:
    """Return the middle of what is left, one axis after the other."""
    left, place = equal, []
    while left.ndim:
        there = np.flatnonzero(left.reshape(len(left), -1).any(1))
        runs = np.split(there, np.flatnonzero(np.diff(there) > 1) + 1)
        longest = max(reversed(runs), key=len)  # of equally long ones the last, which is the most careful
        chosen = int(longest[len(longest) // 2])
        place.append(chosen)
        left = left[chosen]
    return tuple(place)
