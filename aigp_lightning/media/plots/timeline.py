"""A flight over time as a picture: corners seen and lost, usable poses, distance. Arrays in, picture out."""

from __future__ import annotations

from dataclasses import dataclass
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
    told_apart,
    unit,
    widest,
)
from aigp_lightning.media.plots.palette import line_colour
from aigp_lightning.media.plots.text import Colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AWAY, SEEN, LOST = 0, 1, 2
"""States of a corner: not in view, seen, in view but lost."""
WIDTH, TOP, ROW, BAR, CHART, GAP = 1100, 70, 15, 15, 180, 26
"""Width of the data's area, room above it, height of a row, of the usable bar and of the chart, and room between."""
WORDS = 170
"""Most pixels of a row's name."""
COLOURS: tuple[Colour, ...] = ((236, 236, 236), (0, 158, 115), (213, 94, 0))
"""Of the states, in their order."""
USABLE: tuple[Colour, ...] = ((236, 236, 236), (0, 114, 178))


@dataclass(frozen=True)
class Timeline:
    """What is drawn.

    Attributes:
        name: of the flight.
        time: (F,) seconds.
        rows: (r, F) states of corners, `AWAY`, `SEEN` or `LOST`.
        labels: (r,) names of the rows.
        usable: (F,) frames with a pose that may be used; None without poses.
        distance: (F,) estimated metres, NaN where there is none; None without poses.
        true_distance: (F,) metres; None where nobody said.
    """

    name: str
    time: NDArray[np.float64]
    rows: NDArray[np.uint8]
    labels: tuple[str, ...]
    usable: NDArray[np.bool_] | None
    distance: NDArray[np.float64] | None
    true_distance: NDArray[np.float64] | None


def draw_timeline(timeline: Timeline) -> NDArray[np.uint8]:
    """Draw a flight over time.

    Where there are more frames than pixels, one that is lost shows among others.

    Args:
        timeline: of one flight.

    Returns:
        (H, W, 3) uint8 RGB.

    Example:
        >>> rows = np.array([[1, 1, 2, 2, 1, 0]], np.uint8)
        >>> picture = draw_timeline(Timeline("a", np.arange(6) / 30, rows, ("corner",), None, None, None))
        >>> bool((picture == COLOURS[LOST]).all(2).any()), bool((picture == COLOURS[SEEN]).all(2).any())
        (True, True)
    """
    return pixels(timeline_figure(timeline))


def timeline_figure(timeline: Timeline) -> Figure:
    """Build the figure of `draw_timeline`: axes with the rows, then a bar of usable frames, then the distance.

    Example:
        >>> rows = np.ones((1, 6), np.uint8)
        >>> usable, far = np.ones(6, bool), np.arange(6.0)
        >>> len(timeline_figure(Timeline("a", np.arange(6) / 30, rows, ("corner",), usable, far, None)).axes)
        3
    """
    if not len(timeline.time):
        return notice("no frames: there is no timeline")
    labels = told_apart(timeline.labels, SMALL, WORDS)
    left = int(max(widest([*labels, "usable pose"], SMALL), 60)) + 40
    height = ROW * len(labels)
    bar = GAP + BAR if timeline.usable is not None else 0
    chart = GAP + CHART if _has_distance(timeline) else 0
    figure = new_figure(left + WIDTH + 40, TOP + height + bar + chart + 60)
    axes = [_strip(figure, (left, TOP, WIDTH, height), timeline, timeline.rows, COLOURS, labels)]
    if timeline.usable is not None:
        box = (left, TOP + height + GAP, WIDTH, BAR)
        axes.append(_strip(figure, box, timeline, timeline.usable[None].astype(np.uint8), USABLE, ["usable pose"]))
    if chart:
        axes.append(_chart(figure, (left, TOP + height + bar + GAP, WIDTH, CHART), timeline))
    for each in axes[:-1]:
        each.tick_params(labelbottom=False)
    axes[-1].set_xlabel("seconds", fontsize=NORMAL, color=INK)
    _title(figure, left, timeline)
    return figure


def _has_distance(timeline: Timeline) -> bool:
    """True if any distance is known."""
    return any(each is not None and np.isfinite(each).any() for each in (timeline.distance, timeline.true_distance))


def _strip(
    figure: Figure, box: tuple[int, int, int, int], timeline: Timeline, rows: NDArray[np.uint8], colours: Any,
    labels: list[str],
) -> Axes:  # fmt: skip
    """Draw rows of states, a thin white line between them."""
    axes = add_axes(figure, box)
    picture = np.array(colours, np.uint8)[_thinned(rows)]
    start, end = _span(timeline)
    axes.imshow(picture, aspect="auto", interpolation="nearest", extent=(start, end, len(labels) - 0.5, -0.5))
    axes.hlines(np.arange(1, len(labels)) - 0.5, start, end, colors="white", linewidth=1)
    axes.set(xlim=(start, end), ylim=(len(labels) - 0.5, -0.5))
    axes.set_yticks(np.arange(len(labels)), labels, parse_math=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return axes


def _thinned(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return at most as many columns as there are pixels, each with the largest of its states."""
    step = -(-rows.shape[1] // WIDTH)
    short = -rows.shape[1] % step
    padded = np.pad(rows, ((0, 0), (0, short)))
    thinned: NDArray[np.uint8] = padded.reshape(len(rows), -1, step).max(2)
    return thinned


def _span(timeline: Timeline) -> tuple[float, float]:
    """Return where the time axis starts and ends: half a frame beyond both."""
    half = float(np.median(np.diff(timeline.time))) / 2 if len(timeline.time) > 1 else 0.5
    return float(timeline.time[0]) - half, float(timeline.time[-1]) + half


def _chart(figure: Figure, box: tuple[int, int, int, int], timeline: Timeline) -> Axes:
    axes = add_axes(figure, box, "", ("", "distance, m"))
    if timeline.true_distance is not None:
        axes.plot(timeline.time, timeline.true_distance, color="#8c8c8c", linewidth=1.5, label="true")
    if timeline.distance is not None:
        blue = unit(line_colour(4))
        axes.plot(timeline.time, timeline.distance, ".", color=blue, markersize=3, label="of the usable pose")
    axes.set(xlim=_span(timeline))
    axes.set_ylim(bottom=0)
    axes.grid(color=FAINT)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=SMALL, frameon=False, borderaxespad=0)
    return axes


def _title(figure: Figure, left: int, timeline: Timeline) -> None:
    """Write the flight's name, and the legend of the states."""
    width, height = figure.bbox.width, figure.bbox.height
    known = timeline.rows[timeline.rows != AWAY]
    share = f"; of the corners drawn here {(known == LOST).mean():.1%} lost" if len(known) else ""
    figure.text(left / width, 1 - 22 / height, f"{shown(timeline.name)}: {len(timeline.time):,} frames{share}",
                fontsize=NORMAL, color=INK, va="center", parse_math=False)  # fmt: skip
    for place, (words, colour) in enumerate(zip(("out of view", "seen", "lost"), COLOURS, strict=True)):
        x = left + 120 * place
        figure.text(x / width, 1 - 48 / height, "\u25a0", fontsize=NORMAL, color=unit(colour), va="center")
        figure.text((x + 20) / width, 1 - 48 / height, words, fontsize=SMALL, color=INK, va="center")
