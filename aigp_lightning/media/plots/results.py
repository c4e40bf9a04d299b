"""How a run went: a small plot for every column of `results.csv`. Rows in, picture out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.figure import NORMAL, SMALL, Frame, Page, notice, shown, steps, told_apart
from aigp_lightning.media.plots.palette import STYLES, line_colour

NOT_PLOTTED = ("epoch", "time")
RATES = "lr/"
ERRORS = ("corners/", "gate/")
"""What only gate keypoints have: errors in pixels, metres and degrees."""
MOST_COLUMNS = 6
WIDTH, HEIGHT = 200, 200
GAP = (100, 85)
TITLE_ROOM = WIDTH + GAP[0] - 55
"""Most pixels of a title: what the last plot of a line has to the page's edge."""
SIGMA = 3.0
"""Of the smoothing, epochs, as in Ultralytics' plot."""
MARKED = 40
"""With more epochs than this, points have no dots."""


def draw_results(rows: Sequence[Mapping[str, str | float]]) -> NDArray[np.uint8]:
    """Training above, validation below: losses, metrics, and the learning rates in one plot; see `arrange`.

    Args:
        rows: one an epoch, as `csv.DictReader` reads them; a value may be missing or empty.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    table = {key: _column(rows, key) for key in dict.fromkeys(key for row in rows for key in row if key)}
    table = {key: values for key, values in table.items() if np.isfinite(values).any()}
    parts = arrange([key for key in table if key not in NOT_PLOTTED])
    if not parts:
        return notice("no results yet")
    epochs = table.get("epoch", np.arange(1.0, len(rows) + 1))
    wide = max(-(-len(part) // -(-len(part) // MOST_COLUMNS)) for part in parts)
    lines = [part[start : start + wide] for part in parts for start in range(0, len(part), wide)]
    page = Page(wide * (WIDTH + GAP[0]) + 30, len(lines) * (HEIGHT + GAP[1]) + 30)
    for down, line in enumerate(lines):
        for across, keys in enumerate(line):
            corner = (GAP[0] - 20 + across * (WIDTH + GAP[0]), 45 + down * (HEIGHT + GAP[1]))
            _plot(page, corner, epochs, {key: table[key] for key in keys})
    page.text(page.width - 15, page.height - 8, "x: epoch, dotted: smoothed", SMALL, ("high", "high"))
    return page.pixels()


def arrange(keys: Sequence[str]) -> list[list[tuple[str, ...]]]:
    """Which columns are plotted, plot by plot, in the parts of the page that begin a line of their own.

    A detector has two: training, and validation with half of the metrics each. Where there are more metrics (boxes and
    keypoints) or errors of gates, each set has a line of its own, so that what belongs together is side by side.

    Args:
        keys: columns.
    """
    train: list[tuple[str, ...]] = [(key,) for key in keys if key.startswith("train/")]
    val: list[tuple[str, ...]] = [(key,) for key in keys if key.startswith("val/")]
    rates = tuple(key for key in keys if key.startswith(RATES))
    train_rates = [rates] if rates else []
    errors: list[tuple[str, ...]] = [(key,) for key in keys if key.startswith(ERRORS)]
    rest = [key for key in keys if not key.startswith(("train/", "val/", RATES, *ERRORS))]
    sets: dict[str, list[tuple[str, ...]]] = {}
    for key in rest:
        sets.setdefault(key[key.rfind("(") :] if key.endswith(")") else "", []).append((key,))
    if len(sets) > 1 or errors:
        parts = [[*train, *train_rates], val, *sets.values(), errors]
    else:
        half = (len(rest) + 1) // 2
        singles: list[tuple[str, ...]] = [(key,) for key in rest]
        parts = [[*train, *singles[:half], *train_rates], [*val, *singles[half:]]]
    return [part for part in parts if part]


def _column(rows: Sequence[Mapping[str, str | float]], key: str) -> NDArray[np.float64]:
    """A column's numbers; NaN where there is none."""
    return np.array([_value(row.get(key)) for row in rows], np.float64)


def _value(text: str | float | None) -> float:
    try:
        value = float(text) if text is not None else float("nan")
    except (TypeError, ValueError):
        return float("nan")
    return value if np.isfinite(value) else float("nan")


def _plot(page: Page, corner: tuple[int, int], epochs: NDArray[Any], series: Mapping[str, NDArray[Any]]) -> None:
    shown_values = np.concatenate([values[np.isfinite(values)] for values in series.values()])
    frame = Frame(*corner, WIDTH, HEIGHT, _range(epochs[np.isfinite(epochs)], 0.03), _range(shown_values, 0.05))
    ticks = [value for value in steps(*frame.x, 4) if value == round(value)]
    title = next(iter(series)) if len(series) == 1 else "learning rates"
    page.axes(frame, told_apart([title], NORMAL, TITLE_ROOM)[0], ("", ""), (ticks, steps(*frame.y, 4)))
    for row, (key, values) in enumerate(series.items()):
        if len(series) > 1 and row < len(STYLES):
            place = (frame.left + frame.width - 5, frame.top + 12 + 20 * row)
            page.text(*place, shown(key.removeprefix(RATES), 12), SMALL, ("high", "middle"), line_colour(row))
        known = np.isfinite(values) & np.isfinite(epochs)
        x, y = epochs[known], values[known]
        colour = line_colour(4 if len(series) == 1 else row)
        dots = {"marker": "o", "markersize": 2.5} if len(x) <= MARKED else {}
        page.line(frame, x, y, colour, 2, linestyle=STYLES[row % 4] if len(series) > 1 else "-", **dots)
        if len(series) == 1 and len(x) > 2:  # noqa: PLR2004
            page.line(frame, x, gaussian(y), line_colour(5), 3.5, linestyle=STYLES[3])


def _range(values: NDArray[Any], margin: float) -> tuple[float, float]:
    """From the least to the greatest, and a margin."""
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    room = (high - low) * margin or max(abs(low) * 0.1, 0.5 if low == round(low) else 1e-9)
    return low - room, high + room


def gaussian(values: NDArray[Any], sigma: float = SIGMA) -> NDArray[np.float64]:
    """Mean weighted by the normal distribution of the distance; at the ends over what there is.

    Args:
        values: (n,) finite.
        sigma: standard deviation, in values.
    """
    reach = min(round(4 * sigma), len(values) - 1)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.pad(np.asarray(values, np.float64), reach), np.pad(np.ones(len(values)), reach)
    total, weight = (np.convolve(part, weights, mode="valid") for part in padded)
    smoothed: NDArray[np.float64] = total / weight
    return smoothed
