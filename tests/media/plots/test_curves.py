"""Curves as pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from chart_texts import NO_WARNINGS, assert_white_border, legend, notice_of
from matplotlib.colors import to_rgb

from aigp_lightning.media.plots.charts import GREY, INK, unit
from aigp_lightning.media.plots.curves import CURVE_BOX, curve_figure, draw_curve, smooth
from aigp_lightning.media.plots.palette import line_colour
from aigp_lightning.types import Curves

X = np.linspace(0, 1, 1000, dtype=np.float32)
LEFT, TOP, WIDTH, HEIGHT = CURVE_BOX


def straight(count: int, names: tuple[str, ...] | None = None, prefix: str = "") -> Curves:
    """Recall falls, precision rises, F1 is flat: each class on its own level."""
    level = np.linspace(0.9, 0.3, count, dtype=np.float32)[:, None]
    rows = {"recall": level * (1 - X), "precision": 0.1 + level * X / 2, "f1": level + 0 * X, "pr": level * (1 - X**2)}
    names = names or tuple(f"class {row}" for row in range(count))
    return Curves(prefix, names, X, ap50=rows["pr"].mean(1), **rows)


def rows_of(picture: np.ndarray, colour: Any, column: int) -> np.ndarray:
    """Where in a column a colour is, as values of the y axis."""
    inside = picture[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]
    near = np.abs(inside[:, column].astype(int) - colour).max(-1) <= 12
    return 1 - (np.flatnonzero(near) + 0.5) / HEIGHT


@pytest.mark.parametrize(("which", "field"), [("PR", "pr"), ("F1", "f1"), ("P", "precision"), ("R", "recall")])
def test_lines_go_through_their_values(which: Any, field: str) -> None:
    """Each class in its own colour, the mean of all in black and thicker; axes from 0 to 1."""
    curves = straight(3)
    values, (axes,) = getattr(curves, field), curve_figure(curves, which).axes
    *single, mean = axes.lines
    for row, line in enumerate(single):
        np.testing.assert_array_equal(line.get_xydata(), np.stack((X, values[row]), 1))
        assert to_rgb(line.get_color()) == unit(line_colour(row))
    assert len(single) == 3
    np.testing.assert_array_equal(mean.get_xdata(), X)
    expected = values.mean(0) if which == "PR" else smooth(values.mean(0))
    np.testing.assert_allclose(mean.get_ydata(), expected)
    assert to_rgb(mean.get_color()) == to_rgb(INK)
    assert mean.get_linewidth() >= 2 * single[0].get_linewidth()
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 1), (0, 1))


def test_pixels_lie_where_the_axes_say() -> None:
    curves = straight(3)
    drawn = draw_curve(curves, "PR")
    for part in (0.2, 0.5, 0.7):
        column = round(part * WIDTH)
        at = round(column / WIDTH * 999)
        for row in (0, 2):
            found = rows_of(drawn, line_colour(row), column)
            assert found.mean() == pytest.approx(curves.pr[row, at], abs=2.5 / HEIGHT)
        bold = rows_of(drawn, (38, 38, 38), column)
        assert bold.mean() == pytest.approx(curves.pr[:, at].mean(), abs=2.5 / HEIGHT)
        assert len(bold) >= 4 > len(rows_of(drawn, line_colour(0), column))


def test_lines_are_told_apart_by_style_where_colours_are_alike() -> None:
    lines = curve_figure(straight(20), "P").axes[0].lines[:-1]
    looks = {(to_rgb(line.get_color()), str(line._dash_pattern)) for line in lines}
    assert len(lines) == len(looks) == 20
    assert len({str(line._dash_pattern) for line in lines}) == 3


def test_many_classes_are_grey_without_names() -> None:
    few, many = curve_figure(straight(20), "F1"), curve_figure(straight(21), "F1")
    assert len(few.axes[0].lines) == 21
    assert legend(few)[1:] == [f"class {row}" for row in range(20)]
    (mean,), (bundle,) = many.axes[0].lines, many.axes[0].collections
    assert to_rgb(mean.get_color()) == to_rgb(INK)
    np.testing.assert_array_equal(np.array(bundle.get_segments())[..., 1], straight(21).f1)
    assert [to_rgb(colour[:3]) for colour in bundle.get_colors()] == [to_rgb(GREY)]
    assert legend(many)[1:] == ["21 classes"]
    inside = draw_curve(straight(21), "F1")[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH].astype(int)
    assert np.ptp(inside, -1).max() == 0


def test_best_value_in_the_legend_is_ultralytics() -> None:
    from ultralytics.utils.metrics import smooth as theirs

    values = np.random.default_rng(0).random(1000)
    np.testing.assert_allclose(smooth(values), theirs(values, 0.1), atol=1e-12)
    peak = Curves("", ("a",), X, *[np.exp(-((X[None] - 0.4) ** 2) / 0.1)] * 4, np.float32([0.5]))
    best = smooth(peak.f1[0])
    ending = f"(smoothed) {best.max():.2f} at {X[best.argmax()]:.3f}"
    assert legend(curve_figure(peak, "F1")) == [f"a {ending}", "a"]
    two = Curves("", ("a", "b"), X, *[np.repeat(peak.f1, 2, 0)] * 4, np.float32([0.5, 0.5]))
    assert legend(curve_figure(two, "F1")) == [f"all classes {ending}", "a", "b"]
    assert X[best.argmax()] == pytest.approx(0.4, abs=0.002)


def test_legend_says_the_average_precisions() -> None:
    """The mean's first, then each class's own, beside lines of the same looks as those in the axes."""
    curves = straight(2)
    figure = curve_figure(Curves(**{**vars(curves), "ap50": np.float32([0.25, 0.125])}), "PR")
    assert legend(figure) == ["all classes 0.188 mAP@0.5", "class 0 0.250", "class 1 0.125"]
    shown = [to_rgb(line.get_color()) for line in figure.legends[0].get_lines()]
    assert shown == [to_rgb(INK), unit(line_colour(0)), unit(line_colour(1))]


def test_a_single_class_is_not_hidden_under_the_mean() -> None:
    """One line where both are the same; where the mean is smoothed, the class's own above it."""
    figure = curve_figure(straight(1, ("gate",)), "PR")
    (line,) = figure.axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), straight(1).pr[0])
    assert legend(figure) == [f"gate {straight(1).ap50[0]:.3f} mAP@0.5"]
    own, mean = curve_figure(straight(1, ("gate",)), "F1").axes[0].lines
    np.testing.assert_array_equal(own.get_ydata(), straight(1).f1[0])
    assert own.get_zorder() > mean.get_zorder()
    assert to_rgb(own.get_color()) == unit(line_colour(0))
    assert (np.abs(draw_curve(straight(1), "F1").astype(int) - line_colour(0)).max(-1) < 12).sum() > 500


@pytest.mark.parametrize("count", [1, 2, 5, 6, 20, 21])
def test_the_legend_takes_no_more_room_than_it_needs(count: int) -> None:
    """Few lines below the axes, more of them beside, and the page ends where the legend does."""
    for which in ("PR", "F1"):
        figure = curve_figure(straight(count), which)  # type: ignore[arg-type]
        figure.canvas.draw()
        box, label = figure.legends[0].get_window_extent(), figure.axes[0].xaxis.label.get_window_extent()
        if 5 < count <= 20:
            assert box.x0 > LEFT + WIDTH
            assert 5 < figure.bbox.width - box.x1 < 35
        else:
            assert figure.bbox.width == LEFT + WIDTH + 40
            assert 0 < box.y0 < 25
            assert 5 < label.y0 - box.y1 < 30
            assert box.x1 < figure.bbox.width - 5


def test_no_classes_is_a_picture_that_says_so() -> None:
    empty = np.zeros((0, 1000), np.float32)
    figure = curve_figure(Curves("", (), X, empty, empty, empty, empty, empty[:, 0]), "PR")
    assert notice_of(figure) == "no labels: there is no curve"


ODD = ("a very long name of a gate that nobody could write in full", "大门" * 30, "$x_1$", "_hidden", "надувная арка")


@NO_WARNINGS
@pytest.mark.parametrize(
    "names",
    [
        ODD,
        tuple("x" * 80 + str(place) for place in range(5)),
        tuple(f"inflatable_start_arch_with_banner_{place:02d}" for place in range(20)),
    ],
)
def test_names_of_any_length_and_script_stay_within_the_legend(
    names: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    """One line each, none left out, none alike, nothing cut at the page's edge, nothing on the terminal."""
    for which in ("PR", "F1"):
        figure = curve_figure(straight(len(names), names), which)  # type: ignore[arg-type]
        words = legend(figure)[1:]
        assert len(set(words)) == len(names)
        if names is ODD:
            endings = [f" {value:.3f}" if which == "PR" else "" for value in straight(5).ap50]
            assert words[1].startswith("1: □□")
            assert words[2:] == [f"{name}{ending}" for name, ending in zip(names[2:], endings[2:], strict=True)]
        assert_white_border(draw_curve(straight(len(names), names), which), 6)  # type: ignore[arg-type]
    assert capfd.readouterr() == ("", "")


def test_a_full_legend_ends_above_the_page_s_edge() -> None:
    figure = curve_figure(straight(20), "PR")
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert box.y0 > 0
    assert box.x0 > LEFT + WIDTH


@pytest.mark.parametrize(
    ("prefix", "titles"),
    [
        ("", ["Precision against recall", "F1 against confidence", "Precision against confidence",
              "Recall against confidence"]),
        ("Pose", ["Pose: precision against recall", "Pose: F1 against confidence",
                  "Pose: precision against confidence", "Pose: recall against confidence"]),
    ],
)  # fmt: skip
def test_titles_say_what_was_judged(prefix: str, titles: list[str]) -> None:
    """Boxes and keypoints have the same curves with another title."""
    figures = [curve_figure(straight(2, prefix=prefix), which) for which in ("PR", "F1", "P", "R")]  # type: ignore[arg-type]
    assert [figure.axes[0].get_title(loc="left") for figure in figures] == titles
    assert [figure.axes[0].get_xlabel() for figure in figures] == ["Recall", *["Confidence"] * 3]
    assert [figure.axes[0].get_ylabel() for figure in figures] == ["Precision", "F1", "Precision", "Recall"]


def test_files_of_boxes_and_keypoints() -> None:
    from aigp_lightning.media.render_jobs import curve_jobs

    curves = [straight(2, prefix=prefix) for prefix in ("Box", "Pose")]
    assert [job.name for job in curve_jobs(curves)] == [
        f"{prefix}{which}_curve.png" for prefix in ("Box", "Pose") for which in ("PR", "F1", "P", "R")
    ]
