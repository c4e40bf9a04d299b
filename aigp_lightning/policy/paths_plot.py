"""Paths as pictures: from above, and in three dimensions. Neither pyplot nor any setting of Matplotlib's is touched."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aigp_lightning.files import write_atomic
from aigp_lightning.policy.trajectories import Floats, Path3D

if TYPE_CHECKING:
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

PANELS = 9
"""Tracks that are drawn at most, where every path has its own."""
WIDTH, HEIGHT = 6.5, 5.5
"""Inches of a panel."""
DPI = 110
COLOURS = "viridis"
FRAME = "#d2491a"
LOST = "#c01818"
MARKS = ("x", "o", "^", "s", "D", "v", "+", "p")
"""Of the places where drones were lost, one a cause."""
LEGEND_COLUMNS = 3
NO_GLYPH = "\u25a1"
"""A box instead of a letter that Matplotlib's font lacks."""


def draw_above(file: Path, paths: Sequence[Path3D], title: str) -> None:
    """Draw from above, as a map: north up, east to the right.

    Args:
        file: PNG.
        paths: of any number of tracks; one panel a track.
        title: over it.

    Raises:
        OSError: the file cannot be written.
    """
    _write(file, above_figure(paths, title))


def above_figure(paths: Sequence[Path3D], title: str) -> Figure:
    """Build the figure of `draw_above`: axes a track, in each a line collection a path, a line a gate, marks."""
    from matplotlib.collections import LineCollection

    figure, panels, speeds = _panels(paths, title, "compressed", {})
    for axes, group in panels:
        for place, corners in enumerate(group[0].gates):
            axes.plot(corners[:2, 1], corners[:2, 0], color=FRAME, linewidth=3, solid_capstyle="butt")
            axes.annotate(str(place), _on_map(corners.mean(0)), color=FRAME, xytext=(4, 4), textcoords="offset points")
        for path in group:
            points, colours = _line(_on_map(path.table[:, :3]), path)
            axes.add_collection(LineCollection(list(points), array=colours, cmap=COLOURS, norm=speeds, linewidth=1.2))
        axes.set(xlabel="east, m", ylabel="north, m", aspect="equal")
        axes.autoscale_view()
        axes.grid(alpha=0.3)
    _mark_lost(figure, panels)
    _speed_scale(figure, [axes for axes, _ in panels], speeds)
    return figure


def _mark_lost(figure: Figure, panels: list[tuple[Any, list[Path3D]]]) -> None:
    """Mark where drones were lost; one legend says each mark's cause and number, the most frequent first."""
    causes = Counter(path.cause for _, group in panels for path in group if path.success is False).most_common()
    marks = []
    for row, (cause, times) in enumerate(causes):
        looks: dict[str, Any] = {"marker": MARKS[row % len(MARKS)], "linestyle": "none", "color": LOST}
        for axes, group in panels:
            ends = [_on_map(path.table[-1, :3]) for path in group if path.success is False and path.cause == cause]
            if ends:
                marked = axes.plot(*np.array(ends).T, fillstyle="none", markersize=7, zorder=4, **looks)
        marks.append((marked[0], f"{_readable(cause) or 'no cause given'}: {times}"))
    if not marks:
        return
    legend = figure.legend(
        [mark for mark, _ in marks], [str(row) for row in range(len(marks))], loc="outside lower center",
        ncols=LEGEND_COLUMNS, frameon=False, handletextpad=0.2,
    )  # fmt: skip
    for text, (_, words) in zip(legend.get_texts(), marks, strict=True):
        text.set(text=words, parse_math=False, color=LOST)  # later, as Matplotlib leaves out names that begin with "_"


def draw_3d(file: Path, paths: Sequence[Path3D], title: str) -> None:
    """Draw in three dimensions, height upwards.

    Args:
        file: PNG.
        paths: of any number of tracks; one panel a track.
        title: over it.

    Raises:
        OSError: the file cannot be written.
    """
    _write(file, space_figure(paths, title))


def space_figure(paths: Sequence[Path3D], title: str) -> Figure:
    """Build the figure of `draw_3d`: axes a track, in each the gates as polygons and a line collection a path."""
    from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

    figure, panels, speeds = _panels(paths, title, "constrained", {"projection": "3d"})
    for axes, group in panels:
        frames = [_upwards(corners) for corners in group[0].gates]
        axes.add_collection3d(Poly3DCollection(frames, facecolors="none", edgecolors=FRAME, linewidths=2))
        for path in group:
            points, colours = _line(_upwards(path.table[:, :3]), path)
            axes.add_collection3d(
                Line3DCollection(list(points), array=colours, cmap=COLOURS, norm=speeds, linewidth=1.2)
            )
        everything = np.concatenate([_upwards(path.table[:, :3]) for path in group] + frames)
        low, high = everything.min(0), everything.max(0)
        axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), zlim=(min(0, low[2]), high[2]))
        axes.set(xlabel="north, m", ylabel="east, m", zlabel="height, m")
        axes.locator_params(axis="z", nbins=3)
        axes.set_box_aspect(np.maximum([*(high - low)[:2], high[2] - min(0, low[2])], 1.0))
    _speed_scale(figure, [axes for axes, _ in panels], speeds)
    return figure


def _panels(
    paths: Sequence[Path3D], title: str, layout: Any, options: dict[str, Any]
) -> tuple[Figure, list[tuple[Any, list[Path3D]]], Normalize]:
    """Make a page with a panel a track, and the scale of speeds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    groups = _by_track(paths)[:PANELS]
    columns = math.ceil(math.sqrt(len(groups)))
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(WIDTH * columns + 1, HEIGHT * rows), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    figure.suptitle(_readable(title), parse_math=False)
    axes = [figure.add_subplot(rows, columns, place + 1, **options) for place in range(len(groups))]
    fastest = max(float(np.linalg.norm(path.table[:, 3:6], axis=1).max(initial=1.0)) for path in paths)
    return figure, list(zip(axes, groups, strict=True)), Normalize(0, fastest)


def _speed_scale(figure: Figure, panels: list[Any], speeds: Normalize) -> None:
    from matplotlib.cm import ScalarMappable

    figure.colorbar(ScalarMappable(speeds, COLOURS), ax=panels, label="speed, m/s", shrink=0.6, pad=0.08)


def _write(file: Path, figure: Figure) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomic(file, buffer.getbuffer(), sync=False)


def _readable(text: str) -> str:
    """Return a text with a box for each letter that Matplotlib's own font lacks, which would be a warning."""
    import matplotlib
    from matplotlib.font_manager import get_font

    font = get_font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"))
    return "".join(letter if font.get_char_index(ord(letter)) else NO_GLYPH for letter in " ".join(text.split()))


def _by_track(paths: Sequence[Path3D]) -> list[list[Path3D]]:
    """Group paths by their gates, in the order in which these come."""
    groups: list[list[Path3D]] = []
    for path in paths:
        same = next((group for group in groups if np.array_equal(group[0].gates, path.gates)), None)
        if same is None:
            groups.append([path])
        else:
            same.append(path)
    return groups


def _line(points: Floats, path: Path3D) -> tuple[Floats, Floats]:
    """Return the pieces of a line, (steps - 1, 2, axes), and the speeds on them, m/s."""
    speeds: Floats = np.linalg.norm(path.table[1:, 3:6], axis=1)
    return np.stack([points[:-1], points[1:]], axis=1), speeds


def _on_map(points: Floats) -> Floats:
    """Return east and north, (…, 2)."""
    return points[..., [1, 0]]


def _upwards(points: Floats) -> Floats:
    """Return points with their height instead of z, which points down."""
    return points * [1.0, 1.0, -1.0]
