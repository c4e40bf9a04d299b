"""What charts say and where, for their tests."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

NO_WARNINGS = pytest.mark.filterwarnings(
    "error",
    *("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    "ignore::pytest.PytestUnhandledThreadExceptionWarning",
)
"""Makes a warning an error. The garbage of other tests, which may be collected meanwhile, does not count."""


def labels(axes: Axes, axis: str) -> list[str]:
    """Words at an axis' ticks, those within the view only."""
    low, high = sorted(axes.get_xlim() if axis == "x" else axes.get_ylim())
    ticks = axes.get_xticks() if axis == "x" else axes.get_yticks()
    words = axes.get_xticklabels() if axis == "x" else axes.get_yticklabels()
    margin = 1e-9 * (high - low)
    return [word.get_text() for tick, word in zip(ticks, words, strict=True) if low - margin <= tick <= high + margin]


def legend(figure: Figure) -> list[str]:
    """Words of a figure's only legend."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


def notice_of(figure: Figure) -> str:
    """The words of a page that has nothing else."""
    assert not figure.axes
    return " ".join(text.get_text() for text in figure.texts)


def overlapping(figure: Figure, texts: list[Any]) -> list[tuple[str, str]]:
    """Pairs of words that lie on each other, once drawn."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts if text.get_text()]
    return [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)]


def assert_white_border(picture: np.ndarray, width: int = 3) -> None:
    """Nothing is cut off at the page's edges."""
    for edge in (picture[:width], picture[-width:], picture[:, :width], picture[:, -width:]):
        assert (edge == 255).all()
