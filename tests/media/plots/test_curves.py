"""Curves and the confusion matrix as pictures."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from helpers import REPO

from aigp_lightning.media.plots.curves import CURVE_FRAME, draw_confusion, draw_curve, smooth
from aigp_lightning.media.plots.figure import EDGE, INK
from aigp_lightning.media.plots.palette import line_colour
from aigp_lightning.types import Curves

X = np.linspace(0, 1, 1000, dtype=np.float32)
NAMES = {0: "gate", 1: "pole", 2: "net"}


def straight(count: int, names: tuple[str, ...] | None = None) -> Curves:
    """Recall falls, precision rises, F1 is flat: each class on its own level."""
    level = np.linspace(0.9, 0.3, count, dtype=np.float32)[:, None]
    rows = {"recall": level * (1 - X), "precision": 0.1 + level * X / 2, "f1": level + 0 * X, "pr": level * (1 - X**2)}
    names = names or tuple(f"class {row}" for row in range(count))
    return Curves("", names, X, ap50=rows["pr"].mean(1), **rows)


def inside(picture: np.ndarray) -> np.ndarray:
    frame = CURVE_FRAME
    return picture[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]


def rows_of(picture: np.ndarray, colour: Any, column: int) -> np.ndarray:
    """Where in a column a colour is, as values of the y axis."""
    near = np.abs(inside(picture)[:, column].astype(int) - colour).max(-1) <= 12
    return 1 - (np.flatnonzero(near) + 0.5) / CURVE_FRAME.height


@pytest.mark.parametrize(("which", "field"), [("PR", "pr"), ("F1", "f1"), ("P", "precision"), ("R", "recall")])
def test_lines_go_through_their_values(which: Any, field: str) -> None:
    """Each class in its own colour, the mean of all in black and thicker."""
    curves = straight(3)
    drawn, values = draw_curve(curves, which), getattr(curves, field)
    for part in (0.2, 0.5, 0.7):
        column = round(part * CURVE_FRAME.width)
        at = round(column / CURVE_FRAME.width * 999)
        for row in (0, 2):
            found = rows_of(drawn, line_colour(row), column)
            assert found.mean() == pytest.approx(values[row, at], abs=2.5 / CURVE_FRAME.height)
        bold = rows_of(drawn, INK, column)
        assert bold.mean() == pytest.approx(values[:, at].mean(), abs=2.5 / CURVE_FRAME.height)
        assert len(bold) >= 4 > len(rows_of(drawn, line_colour(0), column))


def test_many_classes_are_grey_without_names() -> None:
    few, many = draw_curve(straight(20), "F1"), draw_curve(straight(21), "F1")
    legend = slice(CURVE_FRAME.left + CURVE_FRAME.width + 20, None)
    ink = [int((picture[150:, legend] < 128).all(-1).sum()) for picture in (few, many)]
    assert ink[0] > 1000
    assert ink[1] == 0
    colours = [np.ptp(inside(picture).astype(int), -1).max() for picture in (few, many)]
    assert colours[0] > 60
    assert colours[1] == 0


def test_best_value_in_the_legend_is_ultralytics() -> None:
    from ultralytics.utils.metrics import smooth as theirs

    values = np.random.default_rng(0).random(1000)
    np.testing.assert_allclose(smooth(values), theirs(values, 0.1), atol=1e-12)


def test_legend_says_what_changed() -> None:
    """The numbers in the legend come from the data: another AP50 gives other letters, and nothing else."""
    curves = straight(2)
    one = draw_curve(curves, "PR")
    two = draw_curve(Curves(**{**vars(curves), "ap50": curves.ap50 + np.float32([0, 0.1])}), "PR")
    changed = np.argwhere((one != two).any(-1))
    assert changed[:, 1].min() > CURVE_FRAME.left + CURVE_FRAME.width
    lines = sorted(set(((changed[:, 0] - CURVE_FRAME.top) // 35).tolist()))
    assert lines == [0, 2]  # the mean's and the second class's


def test_no_classes_is_a_picture_that_says_so() -> None:
    empty = np.zeros((0, 1000), np.float32)
    drawn = draw_curve(Curves("", (), X, empty, empty, empty, empty, empty[:, 0]), "PR")
    assert (drawn < 128).all(-1).sum() > 300


def cells(picture: np.ndarray, rows: int) -> np.ndarray:
    """Colour of every cell, near its corner where no number is: (rows, rows, 3)."""
    # The frame is found by its edges: two columns on its left, two rows below it.
    edge = (picture == EDGE).all(-1)
    left = int(edge[60:].sum(0).argmax()) + 2
    bottom = int(edge[:, left : left + 100].sum(1).argmax())
    top = int(np.flatnonzero(edge[:, left - 1])[0])
    side = bottom + 1 - top
    at = ((np.arange(rows) + 0.12) * side / rows).astype(int)
    return picture[top + at[:, None], left + at]


@pytest.mark.parametrize("rows", [4, 31, 81])
@pytest.mark.parametrize("normalize", [False, True])
def test_cells_lie_by_predicted_row_and_true_column(rows: int, normalize: bool) -> None:
    matrix = np.zeros((rows, rows), int)
    matrix[0, 2], matrix[1, 2], matrix[rows - 1, 0], matrix[1, rows - 1] = 60, 20, 5, 40
    light = 765 - cells(draw_confusion(matrix, {}, normalize), rows).astype(int).sum(-1)
    np.testing.assert_array_equal(light > 0, matrix > 0)
    if normalize:  # by column: all of class 0 and all false alarms are one case each
        assert light[rows - 1, 0] == light[1, rows - 1] > light[0, 2] > light[1, 2]
    else:
        assert light[0, 2] > light[1, rows - 1] > light[1, 2] > light[rows - 1, 0]


def test_numbers_in_cells_can_be_read_on_any_colour() -> None:
    """White on dark cells, black on light ones, nothing in empty ones; nothing with more than 30 classes."""
    matrix = np.array([[900, 3], [0, 0]])
    drawn = draw_confusion(matrix, NAMES, False)
    top = cells(drawn, 2)
    dark, light = (np.argwhere((drawn == colour).all(-1)) for colour in top[0])
    for found, ink in ((dark, 255), (light, 0)):
        low, high = found.min(0), found.max(0)
        middle = drawn[low[0] + 20 : high[0] - 20, low[1] + 20 : high[1] - 20]
        assert (middle == ink).all(-1).sum() > 10
    many = np.full((33, 33), 7)
    colours = {tuple(colour) for colour in cells(draw_confusion(many, {}, False), 33).reshape(-1, 3).tolist()}
    assert len(colours) == 1
    picture = draw_confusion(many, {}, False)
    inner = np.argwhere((picture == next(iter(colours))).all(-1))
    low, high = inner.min(0) + 2, inner.min(0) + 33 * (1080 // 33) - 4
    assert (picture[low[0] : high[0], low[1] : high[1]] == next(iter(colours))).all()


def test_more_classes_than_pixels_lose_no_count() -> None:
    matrix = np.zeros((1301, 1301), int)
    matrix[700, 333] = 5
    drawn = draw_confusion(matrix, {}, False)
    dark = np.argwhere((drawn == (8, 48, 107)).all(-1))
    dark = dark[dark[:, 1] < drawn.shape[1] - 150]  # not the scale's
    assert len(dark) >= 1
    assert np.ptp(dark, 0).max() <= 2


def test_names_of_any_length_and_script_stay_on_the_page(capfd: pytest.CaptureFixture[str]) -> None:
    long = {0: "a very long name of a gate that nobody could write in full", 1: "大门" * 30, 2: "$x_1$"}
    drawn = draw_confusion(np.eye(4, dtype=int), long, True)
    for edge in (drawn[:3], drawn[-3:], drawn[:, :3], drawn[:, -3:]):
        assert (edge == 255).all()
    assert max(drawn.shape) < 1400
    draw_curve(straight(3, tuple(long.values())), "PR")
    assert capfd.readouterr() == ("", "")


LONG = {
    "twelve": {place: f"inflatable_start_arch_with_banner_{place:02d}" for place in range(12)},
    "two": {0: "inflatable_start_arch_with_banner", 1: "inflatable_finish_arch_without_banner"},
    "four": {0: "net", 1: "box", 2: "tree", 3: "pillar"},
    "scripts": {0: "aufblasbarer Startbogen mit Bändern", 1: "大门入口处的红色充气拱门", 2: "надувная арка с баннером"},
    "endless": {place: "x" * 80 + str(place) for place in range(5)},
    "many": {place: f"inflatable_start_arch_with_banner_{place:02d}" for place in range(40)},
}


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("which", list(LONG))
def test_names_are_whole_and_touch_neither_each_other_nor_the_matrix(which: str, normalize: bool) -> None:
    """White on all sides of the page and between the names and the frame; a white line between any two names."""
    names = LONG[which]
    rows = len(names) + 1
    matrix = np.diag(np.arange(rows) * 700 + 90000)
    drawn = draw_confusion(matrix, names, normalize)
    for edge in (drawn[:4], drawn[-4:], drawn[:, :4], drawn[:, -4:]):
        assert (edge == 255).all()
    edge = (drawn == EDGE).all(-1)
    left = int(edge[60:].sum(0).argmax()) + 1
    bottom = int(edge[:, left : left + 60].sum(1).argmax()) + 1
    inked = (drawn < 200).all(-1)
    assert not inked[55:bottom, left - 6 : left - 2].any()
    side = bottom - 55
    assert not inked[bottom + 2 : bottom + 6, left : left + side].any()
    beside, below = inked[55:bottom, 45 : left - 6].any(1), inked[bottom + 6 : -45, left : left + side].any(0)
    for line in (beside, below):
        parts = np.diff(np.flatnonzero(np.diff(np.pad(line, 1).astype(int))).reshape(-1, 2), axis=1)
        assert len(parts) >= rows, "a gap after every name"
        middles = ((np.arange(rows) + 0.5) * side / rows).astype(int)
        assert all(line[max(middle - 6, 0) : middle + 6].any() for middle in middles), "every row has its name"


def test_names_that_differ_only_in_the_middle_are_told_apart() -> None:
    """Shortened they would be the same: then their numbers come first."""
    from aigp_lightning.media.plots.figure import NORMAL, extent, told_apart

    alike = [f"{'a' * 40}{number}{'b' * 40}" for number in range(3)]
    short = told_apart([*alike, "net", "net"], NORMAL, 300)
    assert [name[:3] for name in short] == ["0: ", "1: ", "2: ", "net", "net"]
    assert max(extent([name], NORMAL) for name in short) <= 300
    assert told_apart(["inflatable_start_arch_with_banner"], NORMAL, 340) == ["inflatable_start_arch_with_banner"]
    assert told_apart(["大门" * 30], NORMAL, 100)[0].count("..") == 1


@pytest.mark.parametrize("which", ["twelve", "endless", "scripts"])
def test_long_names_stay_within_the_legend(which: str) -> None:
    names = tuple(LONG[which].values())
    drawn = draw_curve(straight(len(names), names), "PR")
    assert (drawn[:, -6:] == 255).all()


def test_titles_say_what_was_judged() -> None:
    """Boxes and keypoints have the same curves with another title, which is longer than a detector's."""
    curves = straight(2)
    titles = [draw_curve(Curves(**{**vars(curves), "prefix": prefix}), "PR")[:50] for prefix in ("", "Box", "Pose")]
    ends = [int(np.flatnonzero((title < 128).all(2).any(0)).max()) for title in titles]
    assert ends[0] < ends[1] < ends[2]
    whole = [draw_curve(Curves(**{**vars(curves), "prefix": prefix}), "PR")[50:] for prefix in ("", "Box", "Pose")]
    np.testing.assert_array_equal(whole[0], whole[2])


def test_files_of_boxes_and_keypoints() -> None:
    from aigp_lightning.media.render_jobs import curve_jobs

    curves = [Curves(**{**vars(straight(2)), "prefix": prefix}) for prefix in ("Box", "Pose")]
    assert [job.name for job in curve_jobs(curves)] == [
        f"{prefix}{which}_curve.png" for prefix in ("Box", "Pose") for which in ("PR", "F1", "P", "R")
    ]


def test_empty_matrix_is_white() -> None:
    assert (cells(draw_confusion(np.zeros((4, 4), int), NAMES, True), 4) == 255).all()


def test_threads_draw_the_same_pictures() -> None:
    sets = [straight(count) for count in (1, 3, 8, 20, 30)]
    one_by_one = [draw_curve(curves, "PR") for curves in sets]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda curves: draw_curve(curves, "PR"), sets))
    for one, other in zip(one_by_one, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_pyplot_and_its_settings_are_left_alone() -> None:
    code = """if True:
        import sys, numpy as np, matplotlib
        from aigp_lightning.media.plots.curves import draw_confusion
        from aigp_lightning.media.plots.results import draw_results
        settings = lambda: {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}
        before = settings()
        draw_confusion(np.eye(3), {}, True)
        draw_results([{"epoch": "1", "train/loss": "2"}])
        assert "matplotlib.pyplot" not in sys.modules
        assert settings() == before
    """
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=REPO)
