"""A run's losses and metrics as a picture: a small plot for every column of `results.csv`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.charts import (
    FAINT,
    INK,
    NORMAL,
    SMALL,
    add_axes,
    new_figure,
    notice,
    pixels,
    shown,
    text_width,
    told_apart,
    unit,
    widest,
)
from aigp_lightning.media.plots.palette import STYLES, line_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOT_PLOTTED = ("epoch", "time")
RATES = "lr/"
ALARMS = "metrics/false_alarms_per_empty"
ERRORS = ("corners/", "gate/")
"""Of gate keypoints only: errors in pixels, metres and degrees."""
SHARES = ("metrics/", "corners/visible_accuracy")
"""From 0 to 1."""
MOST_COLUMNS = 6
WIDTH, HEIGHT = 200, 200
GAP = (100, 85)
TITLE_ROOM = WIDTH + GAP[0] - 55
"""Most pixels of a title: what the last plot of a line has to the page's edge."""
SIGMA = 3.0
"""Of the smoothing, epochs, as in Ultralytics' plot."""
MARKED = 40
"""With more epochs than this, points have no dots."""
BEST = "D"
"""Matplotlib's marker of the best epoch."""
NAME_HEIGHT, NAME_GAP = 0.1, 10.0
"""Room of a line's name: share of the plot's height, and pixels beside it."""
WIDER = 1.5
"""What a line has more than the one that is drawn over it, points."""


def draw_results(rows: Sequence[Mapping[str, str | float]], best: float | None = None) -> NDArray[np.uint8]:
    """Draw training above, validation below: losses, metrics, and the learning rates in one plot; see `arrange`.

    Args:
        rows: one an epoch, as `csv.DictReader` reads them; a value may be missing or empty.
        best: the epoch that is marked; None for none.

    Returns:
        (H, W, 3) uint8 RGB.

    Example:
        >>> draw_results([{"epoch": "1", "train/loss": "2"}, {"epoch": "2", "train/loss": "1"}]).shape
        (315, 330, 3)
    """
    return pixels(results_figure(rows, best))


def results_figure(rows: Sequence[Mapping[str, str | float]], best: float | None = None) -> Figure:
    """Build the figure of `draw_results`: axes in the order of `arrange`, a column's values and their smoothing.

    Example:
        >>> figure = results_figure([{"epoch": "1", "train/loss": "2"}, {"epoch": "2", "train/loss": "1"}])
        >>> figure.axes[0].get_title(loc="left")
        'train/loss'
    """
    table = {key: _column(rows, key) for key in dict.fromkeys(key for row in rows for key in row if key)}
    table = {key: values for key, values in table.items() if np.isfinite(values).any()}
    parts = arrange([key for key in table if key not in NOT_PLOTTED])
    if not parts:
        return notice("no results yet")
    epochs = table.get("epoch", np.arange(1.0, len(rows) + 1))
    wide = max(-(-len(part) // -(-len(part) // MOST_COLUMNS)) for part in parts)
    lines = [part[start : start + wide] for part in parts for start in range(0, len(part), wide)]
    figure = new_figure(wide * (WIDTH + GAP[0]) + 30, len(lines) * (HEIGHT + GAP[1]) + 30)
    for down, line in enumerate(lines):
        for across, keys in enumerate(line):
            corner = (GAP[0] - 20 + across * (WIDTH + GAP[0]), 45 + down * (HEIGHT + GAP[1]))
            title = told_apart([keys[0] if len(keys) == 1 else "learning rates"], NORMAL, TITLE_ROOM)[0]
            axes = add_axes(figure, (*corner, WIDTH, HEIGHT), title)
            _plot(axes, epochs, {key: table[key] for key in keys})
            if best is not None and len(keys) == 1:
                _mark(axes, epochs, table[keys[0]], best)
    right, bottom = 1 - 15 / figure.bbox.width, 8 / figure.bbox.height
    words = ["x: epoch, dotted: smoothed", *([] if best is None else [f"diamond: best epoch, {best:g}"])]
    said = ", ".join(words)
    said = said if widest([said], SMALL) < figure.bbox.width - 40 else "\n".join(words)
    figure.text(right, bottom, said, fontsize=SMALL, color=INK, ha="right")
    return figure


def arrange(keys: Sequence[str]) -> list[list[tuple[str, ...]]]:
    """Return the columns that are plotted, plot by plot, in the parts of the page that begin a line of their own.

    A detector has two: training, and validation with half of the metrics each. Where there are more metrics (boxes and
    keypoints) or errors of gates, each set has a line of its own, so that what belongs together is side by side.

    Args:
        keys: columns.

    Example:
        >>> arrange(["train/box_loss", "metrics/mAP50(B)", "val/box_loss", "lr/pg0", "lr/pg1"])
        [[('train/box_loss',), ('metrics/mAP50(B)',), ('lr/pg0', 'lr/pg1')], [('val/box_loss',)]]
    """
    train: list[tuple[str, ...]] = [(key,) for key in keys if key.startswith("train/")]
    val: list[tuple[str, ...]] = [(key,) for key in keys if key.startswith("val/")]
    rates = tuple(key for key in keys if key.startswith(RATES))
    train_rates = [rates] if rates else []
    errors: list[tuple[str, ...]] = [(key,) for key in keys if key.startswith(ERRORS)]
    rest = [key for key in keys if not key.startswith(("train/", "val/", RATES, *ERRORS, ALARMS))]
    alarms: list[tuple[str, ...]] = [(key,) for key in keys if key == ALARMS]
    sets: dict[str, list[tuple[str, ...]]] = {}
    for key in rest:
        sets.setdefault(key[key.rfind("(") :] if key.endswith(")") else "", []).append((key,))
    if len(sets) > 1 or errors:
        parts = [[*train, *train_rates], [*val, *alarms], *sets.values(), errors]
    else:
        half = (len(rest) + 1) // 2
        singles: list[tuple[str, ...]] = [(key,) for key in rest]
        parts = [[*train, *singles[:half], *train_rates], [*val, *singles[half:], *alarms]]
    return [part for part in parts if part]


def _column(rows: Sequence[Mapping[str, str | float]], key: str) -> NDArray[np.float64]:
    """Return a column's numbers; NaN where there is none."""
    return np.array([_value(row.get(key)) for row in rows], np.float64)


def _value(text: str | float | None) -> float:
    try:
        value = float(text) if text is not None else float("nan")
    except (TypeError, ValueError):
        return float("nan")
    return value if np.isfinite(value) else float("nan")


def _plot(axes: Axes, epochs: NDArray[Any], series: Mapping[str, NDArray[Any]]) -> None:
    """Plot one column with its smoothing, or several without: the first the widest, so that equal ones show."""
    from matplotlib.ticker import MaxNLocator

    every = np.concatenate([values[np.isfinite(values)] for values in series.values()])
    low, high = _range(every, 0.05)
    if all(key.startswith(SHARES) for key in series):
        low = max(low, 0.0)
    alone = len(series) == 1
    taken = 0.0 if alone else _name_lines(axes, [shown(key.removeprefix(RATES), 12) for key in series][: len(STYLES)])
    axes.set(xlim=_range(epochs[np.isfinite(epochs)], 0.03), ylim=(low, low + (high - low) / (1 - taken)))
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
    axes.grid(color=FAINT)
    for row, values in enumerate(series.values()):
        colour = unit(line_colour(4 if alone else row))
        known = np.isfinite(values) & np.isfinite(epochs)
        x, y = epochs[known], values[known]
        style = "-" if alone else STYLES[row % 4]
        wider = WIDER * min(len(series) - 1 - row, len(STYLES) - 1)
        dotted = len(x) <= (MARKED if alone else 1)  # dots would hide the styles of lines that lie on each other
        dots: dict[str, Any] = {"marker": "o", "markersize": 2.8 + wider} if dotted else {}
        axes.plot(x, y, color=colour, linewidth=1.3 + wider, linestyle=style, clip_on=False, **dots)
        if alone and len(x) > 2:  # noqa: PLR2004
            axes.plot(x, gaussian(y), color=unit(line_colour(5)), linewidth=2, linestyle=STYLES[3])


def _name_lines(axes: Axes, names: Sequence[str]) -> float:
    """Write the lines' names in their colours at the top, side by side; return the share of the height they take."""
    across, down = 0.0, 0
    for row, name in enumerate(names):
        width = text_width(name, SMALL) + NAME_GAP
        if across and across + width > WIDTH:
            across, down = 0.0, down + 1
        axes.text((across + NAME_GAP / 2) / WIDTH, 1 - NAME_HEIGHT * (down + 0.5), name, transform=axes.transAxes,
                  fontsize=SMALL, color=unit(line_colour(row)), ha="left", va="center", parse_math=False)  # fmt: skip
        across += width
    return NAME_HEIGHT * (down + 1)


def _mark(axes: Axes, epochs: NDArray[Any], values: NDArray[Any], best: float) -> None:
    """Mark a column's value at the best epoch, where it has one."""
    at = (epochs == best) & np.isfinite(values)
    if at.any():
        looks: dict[str, Any] = {"markersize": 6.5, "markeredgecolor": "white", "markeredgewidth": 0.8}
        axes.plot(
            epochs[at][-1:], values[at][-1:], color=INK, marker=BEST, linestyle="", zorder=4, clip_on=False, **looks
        )


def _range(values: NDArray[Any], margin: float) -> tuple[float, float]:
    """Return the least and the greatest value with a margin, a share of what is between them."""
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if low == high == 0:
        return 0.0, 1.0
    room = (high - low) * margin or max(abs(low) * 0.1, 0.5 if low == round(low) else 1e-9)
    return low - room, high + room


def gaussian(values: NDArray[Any], sigma: float = SIGMA) -> NDArray[np.float64]:
    """Return the mean weighted by the normal distribution of the distance; at the ends over what there is.

    Args:
        values: (n,) finite.
        sigma: standard deviation, in values.

    Example:
        >>> gaussian(np.array([0.0, 3.0, 0.0]), sigma=1.0).round(2).tolist()
        [1.04, 1.36, 1.04]
    """
    reach = min(round(4 * sigma), len(values) - 1)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.pad(np.asarray(values, np.float64), reach), np.pad(np.ones(len(values)), reach)
    total, weight = (np.convolve(part, weights, mode="valid") for part in padded)
    smoothed: NDArray[np.float64] = total / weight
    return smoothed
