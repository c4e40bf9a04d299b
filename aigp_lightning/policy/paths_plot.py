"""Paths as pictures: from above, and in three dimensions. Matplotlib's renderer draws; no window, nothing global."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection

from aigp_lightning.policy.trajectories import Floats, Path3D

PANELS = 9
"""Tracks that are drawn at most, where every path has its own."""
WIDTH, HEIGHT = 6.5, 5.5
"""Inches of a panel."""
DPI = 110
COLOURS = "viridis"
FRAME = "#d2491a"
LOST = "#c01818"


def draw_above(file: Path, paths: Sequence[Path3D], title: str) -> None:
    """Draw from above, as a map: north up, east to the right.

    Args:
        file: PNG.
        paths: of any number of tracks; one panel a track.
        title: over it.
    """
    figure, panels, speeds = _figure(paths, title, {})
    for axes, group in panels:
        for place, corners in enumerate(group[0].gates):
            axes.plot(corners[:2, 1], corners[:2, 0], color=FRAME, linewidth=3, solid_capstyle="butt")
            axes.annotate(str(place), _on_map(corners.mean(0)), color=FRAME, xytext=(4, 4), textcoords="offset points")
        for path in group:
            points, colours = _line(_on_map(path.table[:, :3]), path)
            axes.add_collection(LineCollection(list(points), array=colours, cmap=COLOURS, norm=speeds, linewidth=1.2))
            if path.success is False:
                end = _on_map(path.table[-1, :3])
                axes.plot(*end, "x", color=LOST)
                axes.annotate(path.cause, end, color=LOST, xytext=(4, -10), textcoords="offset points")
        axes.set(xlabel="east, m", ylabel="north, m", aspect="equal")
        axes.autoscale_view()
        axes.grid(alpha=0.3)
    _save(figure, file, panels, speeds)


def draw_3d(file: Path, paths: Sequence[Path3D], title: str) -> None:
    """Draw in three dimensions, height upwards.

    Args:
        file: PNG.
        paths: of any number of tracks; one panel a track.
        title: over it.
    """
    figure, panels, speeds = _figure(paths, title, {"projection": "3d"})
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
    _save(figure, file, panels, speeds)


def _figure(
    paths: Sequence[Path3D], title: str, options: dict[str, Any]
) -> tuple[Figure, list[tuple[Any, list[Path3D]]], Normalize]:
    """A page with a panel a track, and the scale of speeds."""
    groups = _by_track(paths)[:PANELS]
    columns = math.ceil(math.sqrt(len(groups)))
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(WIDTH * columns + 1, HEIGHT * rows), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    axes = [figure.add_subplot(rows, columns, place + 1, **options) for place in range(len(groups))]
    fastest = max(float(np.linalg.norm(path.table[:, 3:6], axis=1).max(initial=1.0)) for path in paths)
    return figure, list(zip(axes, groups, strict=True)), Normalize(0, fastest)


def _save(figure: Figure, file: Path, panels: Sequence[tuple[Any, Any]], speeds: Normalize) -> None:
    from matplotlib.cm import ScalarMappable

    scale = ScalarMappable(speeds, COLOURS)
    figure.colorbar(scale, ax=[axes for axes, _ in panels], label="speed, m/s", shrink=0.6, pad=0.08)
    figure.savefig(file)


def _by_track(paths: Sequence[Path3D]) -> list[list[Path3D]]:
    groups: list[list[Path3D]] = []
    for path in paths:
        same = next((group for group in groups if np.array_equal(group[0].gates, path.gates)), None)
        if same is None:
            groups.append([path])
        else:
            same.append(path)
    return groups


def _line(points: Floats, path: Path3D) -> tuple[Floats, Floats]:
    """Pieces of a line, (steps - 1, 2, axes), and the speeds on them, m/s."""
    speeds: Floats = np.linalg.norm(path.table[1:, 3:6], axis=1)
    return np.stack([points[:-1], points[1:]], axis=1), speeds


def _on_map(points: Floats) -> Floats:
    """East and north, (…, 2)."""
    return points[..., [1, 0]]


def _upwards(points: Floats) -> Floats:
    """Height instead of z, which points down."""
    return points * [1.0, 1.0, -1.0]
