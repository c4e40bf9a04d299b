"""Ranges of numbers that options may have: one way to refuse a value, which names that option and no other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from aigp_lightning.errors import ConfigError

REPLACE_ME = "REPLACE_ME"
"""Stands in a configuration for what the user has to fill in; `fit` refuses it by its option."""


@dataclass(frozen=True)
class Range:
    """The numbers from a lowest to a highest one; never nan.

    Args:
        low: the lowest.
        high: the highest; without it any finite number is small enough.
        above: the lowest itself is too low.
        below: the highest itself is too high.

    Example:
        >>> print(Range(0, 1), "|", Range(0, above=True), "|", Range(1), "|", Range(0, 1, below=True))
        from 0 to 1 | above 0 | 1 or more | from 0 to below 1
        >>> 0.5 in Range(0, 1), math.inf in Range(0), math.nan in Range(0)
        (True, False, False)
    """

    low: float
    high: float = math.inf
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        fits_low = value > self.low if self.above else value >= self.low
        return fits_low and (value < self.high if self.below or self.high == math.inf else value <= self.high)

    def __str__(self) -> str:
        if self.low == -math.inf:
            return "that is finite" if self.high == math.inf else f"at most {self.high:.12g}"
        if self.high == math.inf:
            return f"above {self.low:.12g}" if self.above else f"{self.low:.12g} or more"
        start = f"above {self.low:.12g}" if self.above else f"from {self.low:.12g}"
        return f"{start} to {'below ' if self.below else ''}{self.high:.12g}"


SHARE = Range(0, 1)
COUNT = Range(1, 2**31 - 1)
COUNT_OR_NONE = Range(0, 2**31 - 1)
POSITIVE = Range(0, above=True)
NOT_NEGATIVE = Range(0)
FINITE = Range(-math.inf, above=True)
SEED = Range(0, 2**32 - 1)
"""What NumPy takes as a seed."""


def is_finite_number(value: object) -> TypeGuard[int | float]:
    """True if a value of a file is a number and no truth value, neither NaN nor infinite, and fits a float.

    JSON has integers of any length, which no float holds: arithmetic with them and a float ends in OverflowError.

    Args:
        value: of any kind.

    Example:
        >>> [is_finite_number(value) for value in (1, 0.5, True, "1", None, math.inf, 10**400)]
        [True, True, False, False, False, False, False]
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def check_range(option: str, value: float | None, allowed: Range, advice: str = "") -> None:
    """Refuse a value outside of its range.

    Args:
        option: its name, with the dashes where it is one of the command line.
        value: given; None is the default of an option that may have none.
        allowed: its range.
        advice: a further sentence.

    Raises:
        ConfigError: it lies outside, or is nan.

    Example:
        >>> check_range("--media.conf", 1.25, SHARE)
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --media.conf 1.25: a number from 0 to 1.
    """
    try:
        fits = value is None or value in allowed
    except (TypeError, ValueError):  # a script gave a text, or an array
        fits = False
    if not fits:
        given = f"{value:.12g}" if isinstance(value, float) else value
        raise ConfigError(f"{option} {given}: a number {allowed}.{' ' if advice else ''}{advice}")


def check_ranges(group: str, values: Any, ranges: Mapping[str, Range]) -> None:
    """Refuse the first of several options whose value is outside of its range.

    Args:
        group: name of their group, such as `--model.optim`.
        values: has them as attributes, or by name.
        ranges: of each.

    Raises:
        ConfigError: see `check_range`.

    Example:
        >>> check_ranges("--ema", {"decay": 0.5, "tau": -1.0}, {"decay": SHARE, "tau": POSITIVE})
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --ema.tau -1: a number above 0.
    """
    for name, allowed in ranges.items():
        value = values[name] if isinstance(values, Mapping) else getattr(values, name)
        check_range(f"{group}.{name}", value, allowed)


def check_filled_in(group: str, values: Mapping[str, object]) -> None:
    """Refuse words of a configuration that the user has yet to replace.

    Args:
        group: how the options begin.
        values: by their names.

    Raises:
        ConfigError: one is, or has, `REPLACE_ME`.

    Example:
        >>> check_filled_in("--model", {"variant": "yolo11n", "weights": None})
        >>> check_filled_in("--model", {"variant": "REPLACE_ME"})
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --model.variant is REPLACE_ME, which stands for what the configuration does \
not know: replace it there.
    """
    for name, value in values.items():
        if isinstance(value, str) and REPLACE_ME in value:
            raise ConfigError(
                f"{group}.{name} is {value}, which stands for what the configuration does not know: replace it there."
            )
