"""Paths of the policy as pictures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from chart_texts import NO_WARNINGS
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from aigp_lightning.policy.paths_plot import FRAME, LOST, PANELS, above_figure, draw_3d, draw_above, space_figure
from aigp_lightning.policy.trajectories import Path3D

GATE = np.array([[10, -1, -3], [10, 1, -3], [10, 1, -1], [10, -1, -1.0]])


def path(env: int = 0, gates: int = 2, speed: float = 4.0, success: bool | None = None, cause: str = "") -> Path3D:
    """Straight north at 2 m height, 1 m a step, through gates that are 10 m apart."""
    frames = np.array([GATE + np.array([10 * number, env, 0]) for number in range(gates)]).reshape(-1, 4, 3)
    rows = [np.array([north, env, -2, speed, 0, 0, 0.0]) for north in range(20)]
    return Path3D(env, frames, rows, cause, success)


def test_from_above_north_is_up_and_east_to_the_right() -> None:
    """A coloured line a path, a bar and a number a gate."""
    figure = above_figure([path(3)], "best")
    axes, scale = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_aspect()) == ("east, m", "north, m", 1)
    (line,) = axes.collections
    np.testing.assert_array_equal(line.get_segments()[4], [[3, 4], [3, 5]])
    assert len(line.get_segments()) == 19
    assert [bar.get_xydata().tolist() for bar in axes.lines] == [[[2, 10], [4, 10]], [[2, 20], [4, 20]]]
    assert {to_rgb(bar.get_color()) for bar in axes.lines} == {to_rgb(FRAME)}
    assert [(text.get_text(), text.xy) for text in axes.texts] == [
        ("0", pytest.approx((3, 10))),
        ("1", pytest.approx((3, 20))),
    ]
    assert scale.get_ylabel() == "speed, m/s"


def test_colours_are_the_speeds_of_all_paths_on_one_scale() -> None:
    slow, fast = path(0, speed=2.0), path(1, speed=8.0)
    figure = above_figure([slow, fast], "best")
    lines = [axes.collections[0] for axes in figure.axes[:2]]
    assert [set(line.get_array().tolist()) for line in lines] == [{2.0}, {8.0}]
    assert all((line.norm.vmin, line.norm.vmax) == (0, 8) for line in lines)


def causes(figure: Figure) -> list[str]:
    """Words of the legend, none without one."""
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_a_lost_drone_has_a_mark_where_it_ended_and_its_cause_in_the_legend() -> None:
    """None for one that finished, and none where the environment does not say."""
    figure = above_figure(
        [path(0, 0, success=False, cause="hit $a$ gate"), path(0, 0, success=True), path(0, 0)], "best"
    )
    axes = figure.axes[0]
    (cross,) = axes.lines
    assert cross.get_xydata().tolist() == [[0, 19]]
    assert (cross.get_marker(), to_rgb(cross.get_color())) == ("x", to_rgb(LOST))
    assert causes(figure) == ["hit $a$ gate: 1"]
    assert len(axes.collections) == 3
    assert causes(above_figure([path(0, 0, success=True), path(0, 0)], "best")) == []


def test_each_cause_has_its_own_mark_on_all_tracks() -> None:
    """The most frequent first; no words lie on the paths or on each other."""
    ends = [(0, "bounds"), (0, "_hit"), (0, "bounds"), (1, ""), (1, "bounds"), (1, "_hit")]
    figure = above_figure([path(env, env, success=False, cause=cause) for env, cause in ends], "best")
    assert causes(figure) == ["bounds: 3", "_hit: 2", "no cause given: 1"]
    first, second = ([line for line in axes.lines if to_rgb(line.get_color()) == to_rgb(LOST)]
                     for axes in figure.axes[:2])  # fmt: skip
    assert [(line.get_marker(), len(line.get_xdata())) for line in first] == [("x", 2), ("o", 1)]
    assert [(line.get_marker(), len(line.get_xdata())) for line in second] == [("x", 1), ("o", 1), ("^", 1)]
    assert [line.get_marker() for line in figure.legends[0].get_lines()] == ["x", "o", "^"]
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert box.y0 >= 0
    assert all(box.y1 < axes.xaxis.label.get_window_extent().y0 for axes in figure.axes[:2])


def test_paths_of_one_track_share_a_panel() -> None:
    shared = above_figure([path(0), path(0), path(1)], "best")
    assert [len(axes.collections) for axes in shared.axes[:-1]] == [2, 1]
    many = above_figure([path(env) for env in range(12)], "best")
    assert len(many.axes) == PANELS + 1


def test_in_three_dimensions_height_is_up() -> None:
    figure = space_figure([path(0, 1)], "best")
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_zlabel()) == ("north, m", "east, m", "height, m")  # type: ignore[attr-defined]
    gates, line = axes.collections
    assert axes.get_zlim()[0] <= 0 and axes.get_zlim()[1] >= 3  # type: ignore[attr-defined]
    assert np.asarray(line._segments3d)[0].tolist() == [[0, 0, 2], [1, 0, 2]]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "east to the right, seen from the south"
    assert tuple(gates.get_edgecolor()[0][:3]) == to_rgb(FRAME)


@NO_WARNINGS
def test_any_title_is_drawn_without_a_warning(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    title = "output/大门/$x_1$"
    assert above_figure([path()], title).get_suptitle() == "output/□□/$x_1$"
    draw_above(tmp_path / "above.png", [path()], title)
    draw_3d(tmp_path / "space.png", [path()], title)
    for name in ("above.png", "space.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 400
    assert capfd.readouterr() == ("", "")


def test_the_same_paths_are_the_same_file_in_any_thread(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda file: draw_above(file, [path(), path(1)], "best"), files))
    alone = tmp_path / "alone.png"
    draw_above(alone, [path(), path(1)], "best")
    assert {file.read_bytes() for file in files} == {alone.read_bytes()}
