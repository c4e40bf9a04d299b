"""Words at the ticks of a chart: short, and as many digits as tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

FEWEST_DIGITS, MOST_DIGITS = 4, 10
"""Fewest and most significant digits of a tick's label."""


def tick_words() -> Any:
    """Return a formatter of Matplotlib's that gives ticks as many digits as their distance needs."""
    from matplotlib.ticker import Formatter

    class Words(Formatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return number(x)

        def format_ticks(self, values: Sequence[float]) -> list[str]:
            return [number(value, values) for value in values]

    return Words()


def number(value: float, ticks: Sequence[float] = ()) -> str:
    """Return a tick's value in few letters.

    Args:
        value: of the tick.
        ticks: all of its axis, which differ in what is written; none: four digits.

    Example:
        >>> number(12000), number(0.25), number(1e-5)
        ('12,000', '0.25', '1e-05')
        >>> [number(tick, (6.8765, 6.877, 6.8775)) for tick in (6.8765, 6.877)]
        ['6.8765', '6.877']
    """
    if abs(value) >= 1000 and value == round(value):  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.{_digits(ticks)}g}"


def _digits(ticks: Sequence[float]) -> int:
    """Return how many digits tell ticks apart, with one more for steps such as 0.25."""
    steps, largest = np.diff(np.sort(np.asarray(ticks, np.float64))), float(np.abs(ticks).max(initial=0.0))
    step = float(steps[steps > 0].min(initial=np.inf))
    if not (largest and np.isfinite(step)):
        return FEWEST_DIGITS
    return int(np.clip(np.floor(np.log10(largest)) - np.floor(np.log10(step)) + 2, FEWEST_DIGITS, MOST_DIGITS))
