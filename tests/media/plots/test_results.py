"""The rows of `results.csv` as a picture."""

from __future__ import annotations

import csv
import io
from itertools import pairwise

import numpy as np
import pytest
from chart_texts import assert_white_border, labels, notice_of
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from aigp_lightning.media.plots import results as module
from aigp_lightning.media.plots.charts import unit
from aigp_lightning.media.plots.palette import STYLES, line_colour
from aigp_lightning.media.plots.results import arrange, draw_results, gaussian, results_figure

LOSSES = ("box_loss", "cls_loss", "dfl_loss")
METRICS = ("metrics/precision(B)", "metrics/recall(B)", "metrics/mAP50(B)", "metrics/mAP50-95(B)")
KEYS = (*(f"train/{key}" for key in LOSSES), *METRICS, *(f"val/{key}" for key in LOSSES), "lr/pg0", "lr/pg1")
BLUE = unit(line_colour(4))


def rows(epochs: int, **columns: object) -> list[dict[str, str]]:
    """What is in a file of these epochs: every column falls in its own way, but for those given."""
    names = ["epoch", "time", *KEYS, *columns]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(names)))
    writer.writeheader()
    for epoch in range(epochs):
        row: dict[str, object] = {key: f"{(number + 1) / (epoch + 1):.6g}" for number, key in enumerate(KEYS)}
        given = {key: values[epoch] for key, values in columns.items()}  # type: ignore[index]
        writer.writerow({"epoch": epoch + 1, "time": epoch * 2.5, **row, **given})
    file.seek(0)
    return list(csv.DictReader(file))


def plot(figure: Figure, title: str) -> Axes:
    """The only plot with this title."""
    (found,) = [axes for axes in figure.axes if axes.get_title(loc="left") == title]
    return found


def points(axes: Axes, line: int = 0) -> list[list[float]]:
    """Epochs and values of one of a plot's lines."""
    return np.asarray(axes.lines[line].get_xydata()).tolist()


def corner(figure: Figure, axes: Axes) -> tuple[int, int]:
    """Which line of the page and which place in it a plot has."""
    left, top = axes.bbox.x0, figure.bbox.height - axes.bbox.y1
    return (round((top - 45) / (module.HEIGHT + module.GAP[1])),
            round((left - module.GAP[0] + 20) / (module.WIDTH + module.GAP[0])))  # fmt: skip


def test_training_is_above_validation() -> None:
    upper, lower = arrange(KEYS)
    assert upper == [*((f"train/{key}",) for key in LOSSES), *((key,) for key in METRICS[:2]), ("lr/pg0", "lr/pg1")]
    assert lower == [*((f"val/{key}",) for key in LOSSES), *((key,) for key in METRICS[2:])]


POSE_LOSSES = ("box_loss", "pose_loss", "kobj_loss", "cls_loss", "dfl_loss")
ERRORS = ("corners/error_px_mean", "corners/error_px_median", "corners/visible_accuracy", "gate/position_m_median",
          "gate/rotation_deg_median")  # fmt: skip
POSE_KEYS = (
    *(f"train/{key}" for key in POSE_LOSSES), *METRICS, *(key.replace("(B)", "(P)") for key in METRICS),
    *(f"val/{key}" for key in POSE_LOSSES), *ERRORS, "lr/pg0", "lr/pg1",
)  # fmt: skip


def test_boxes_keypoints_and_corners_have_lines_of_their_own() -> None:
    parts = [[" ".join(plot) for plot in part] for part in arrange(POSE_KEYS)]
    assert parts == [
        [*(f"train/{key}" for key in POSE_LOSSES), "lr/pg0 lr/pg1"],
        [f"val/{key}" for key in POSE_LOSSES],
        list(METRICS),
        [key.replace("(B)", "(P)") for key in METRICS],
        list(ERRORS),
    ]


def test_a_pose_run_is_plotted_whole() -> None:
    """Every column has its line in its plot, at its place; titles run neither into each other nor over the edge."""
    table = [
        {"epoch": epoch + 1, **{key: (number + 1) / (epoch + 1) for number, key in enumerate(POSE_KEYS)}}
        for epoch in range(5)
    ]
    figure = results_figure(table)
    drawn = draw_results(table)
    assert drawn.shape == (5 * (module.HEIGHT + module.GAP[1]) + 30, 6 * (module.WIDTH + module.GAP[0]) + 30, 3)
    parts = arrange(POSE_KEYS)
    keys = {(down, across): plot for down, part in enumerate(parts) for across, plot in enumerate(part)}
    assert [corner(figure, axes) for axes in figure.axes] == list(keys)
    for axes, columns in zip(figure.axes, keys.values(), strict=True):
        assert axes.get_title(loc="left") == (columns[0] if len(columns) == 1 else "learning rates")
        for row, key in enumerate(columns):
            assert points(axes, row) == [[entry["epoch"], entry[key]] for entry in table]
    assert_titles_apart(figure)
    assert_white_border(drawn)


def assert_titles_apart(figure: Figure) -> None:
    """Each title ends before the next one's plot begins, or before the page's edge."""
    figure.canvas.draw()
    boxes = [axes._left_title.get_window_extent() for axes in figure.axes]  # type: ignore[attr-defined]
    for axes, box in zip(figure.axes, boxes, strict=True):
        assert box.x0 == pytest.approx(axes.bbox.x0, abs=3)
        assert box.x1 < figure.bbox.width - 8
        assert not any(box.overlaps(other) for other in boxes if other is not box)
        assert all(box.x1 < other.bbox.x0 - 8 for other in figure.axes if other.bbox.x0 > axes.bbox.x0)


def test_titles_end_before_the_page_s_edge() -> None:
    """In the last column too, however long the keypoints' names are; both of a name's ends are shown."""
    keys = [
        f"corners/visible_the_{corner}_corner_of_the_gate" for corner in ("upper_left", "lower_left", "lower_right")
    ]
    table = [{"epoch": 1, **dict.fromkeys(keys, 0.5)}, {"epoch": 2, **dict.fromkeys(keys, 0.7)}]
    figure = results_figure(table)
    assert_titles_apart(figure)
    assert (draw_results(table)[:, -8:] == 255).all()
    for axes in figure.axes:
        assert axes.get_title(loc="left").startswith("corners/")
        assert axes.get_title(loc="left").endswith("of_the_gate"[-8:])


def test_line_goes_through_the_values() -> None:
    """The range is 0…10, and a margin of a twentieth."""
    axes = plot(results_figure(rows(3, **{"train/box_loss": [0, 10, 5]})), "train/box_loss")
    assert points(axes) == [[1, 0], [2, 10], [3, 5]]
    assert axes.get_ylim() == pytest.approx((-0.5, 10.5))
    assert axes.get_xlim() == pytest.approx((0.94, 3.06))
    assert to_rgb(axes.lines[0].get_color()) == BLUE
    assert labels(axes, "x") == ["1", "2", "3"]


def test_shares_do_not_go_below_0() -> None:
    """In the first epochs of a hard data set they are 0, and no share is less; a loss of 0 has its margin."""
    zeros = [0.0, 0.0, 0.0]
    low, tiny = ({METRICS[0]: zeros}, {METRICS[0]: [0, 0, 0.01]})
    assert plot(results_figure(rows(3, **low)), METRICS[0]).get_ylim() == (0, 1)
    assert plot(results_figure(rows(3, **tiny)), METRICS[0]).get_ylim() == pytest.approx((0, 0.0105))


def test_ticks_can_be_told_apart() -> None:
    """Of a loss that hardly moves, too."""
    for values in ([6.8765, 6.8762, 6.8759], [0.02, 0.020004, 0.02001], [1200.25, 1200.5, 1200.75]):
        figure = results_figure(rows(3, **{"train/box_loss": values}))
        figure.canvas.draw()
        axes = plot(figure, "train/box_loss")
        words, (low, high) = labels(axes, "y"), axes.get_ylim()
        assert len(set(words)) == len(words) >= 2
        ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
        assert [float(word.replace(",", "")) for word in words] == pytest.approx(ticks, rel=1e-9)


def test_the_line_is_drawn_where_its_values_are() -> None:
    """On the pixels: the highest point at the middle epoch, the lowest at the first."""
    table = rows(3, **{"train/box_loss": [0, 10, 5]})
    left, top = module.GAP[0] - 20, 45
    inside = draw_results(table)[top - 4 : top + module.HEIGHT + 4, left - 4 : left + module.WIDTH + 4].astype(int)
    found = np.argwhere(np.abs(inside - line_colour(4)).max(-1) < 10) - 4
    highest, lowest = found[found[:, 0].argmin()], found[found[:, 0].argmax()]
    assert highest[1] == pytest.approx(module.WIDTH / 2, abs=5)
    assert lowest[1] < 0.1 * module.WIDTH
    assert lowest[0] - highest[0] == pytest.approx((module.HEIGHT - 1) / 1.1, abs=12)  # and the dots


def test_one_epoch_is_a_dot() -> None:
    figure = results_figure(rows(1))
    for axes in figure.axes:
        assert all(line.get_marker() == "o" and len(line.get_xdata()) == 1 for line in axes.lines)
        assert np.mean(axes.get_xlim()) == pytest.approx(1)
        if len(axes.lines) == 1:  # else the names are above the lines
            assert np.mean(axes.get_ylim()) == pytest.approx(axes.lines[0].get_ydata()[0])
    drawn = draw_results(rows(1)).astype(int)
    dot = np.argwhere(
        np.abs(drawn[45:, module.GAP[0] - 20 :][: module.HEIGHT, : module.WIDTH] - line_colour(4)).max(-1) < 10
    )
    assert 9 <= len(dot) <= 60
    np.testing.assert_allclose(dot.mean(0), [module.HEIGHT / 2, module.WIDTH / 2], atol=2)


def test_dots_are_left_out_of_long_runs() -> None:
    for epochs, marker in ((40, "o"), (41, "None")):
        assert {str(line.get_marker()) for axes in results_figure(rows(epochs)).axes for line in axes.lines} <= {
            marker, "None",
        }  # fmt: skip


def test_missing_values_and_columns_of_a_resumed_run() -> None:
    """Epochs without validation, a column that came later, a value that is no number: the rest is drawn."""
    table = rows(6, **{"val/box_loss": ["", 4, "", 2, "nan", "inf"], "train/new_loss": ["", "", "", 3, 2, 1]})
    table[0] = {key: value for key, value in table[0].items() if not key.startswith("lr/")}
    figure = results_figure(table)
    assert figure.bbox.width == 5 * (module.WIDTH + module.GAP[0]) + 30
    assert points(plot(figure, "val/box_loss")) == [[2, 4], [4, 2]]
    new = plot(figure, "train/new_loss")
    assert points(new) == [[4, 3], [5, 2], [6, 1]]
    assert new.get_xlim() == pytest.approx((0.85, 6.15)), "all plots have all epochs"
    assert [point[0] for point in points(plot(figure, "learning rates"))] == [2, 3, 4, 5, 6]


def test_empty_columns_and_the_clock_are_not_plotted() -> None:
    full = results_figure([{"epoch": 1, "time": 5, "train/a": 1, "train/b": 2}])
    less = results_figure([{"epoch": 1, "time": 5, "train/a": 1, "train/b": ""}])
    assert [[axes.get_title(loc="left") for axes in figure.axes] for figure in (full, less)] == [
        ["train/a", "train/b"], ["train/a"],
    ]  # fmt: skip
    assert (full.bbox.width - 30, less.bbox.width - 30) == (600, 300)


@pytest.mark.parametrize("table", [[], [{}], [{"epoch": "1", "time": "2"}], [{"epoch": "1", "train/loss": ""}]])
def test_nothing_to_plot_is_a_picture_that_says_so(table: list[dict[str, str]]) -> None:
    assert notice_of(results_figure(table)) == "no results yet"
    assert draw_results(table).dtype == np.uint8


def test_a_surplus_cell_of_a_broken_row_is_ignored() -> None:
    """`csv.DictReader` keeps what a row has too much under None."""
    table: list[dict] = [{"epoch": "1", "train/loss": "1", None: ["7"]}, {"epoch": "2", "train/loss": None}]
    (axes,) = results_figure(table).axes
    assert points(axes) == [[1, 1]]


def test_learning_rates_share_a_plot_and_have_names_in_their_colours() -> None:
    axes = plot(results_figure(rows(3)), "learning rates")
    assert [text.get_text() for text in axes.texts] == ["pg0", "pg1"]
    for row, (line, text) in enumerate(zip(axes.lines, axes.texts, strict=True)):
        assert to_rgb(line.get_color()) == to_rgb(text.get_color()) == unit(line_colour(row))
    assert len({str(line._dash_pattern) for line in axes.lines}) == 2


def test_names_of_learning_rates_lie_on_no_line() -> None:
    """However the rates go, and however many there are."""
    for groups in (2, 3, 8):
        table = [{"epoch": epoch, **{f"lr/pg{group}": 0.1 * epoch for group in range(groups)}} for epoch in (1, 2, 3)]
        (axes,) = results_figure(table).axes
        boxes = [text.get_window_extent() for text in axes.texts]
        top = max(axes.transData.transform(line.get_xydata())[:, 1].max() for line in axes.lines)
        assert min(box.y0 for box in boxes) > top
        assert max(box.x1 for box in boxes) <= axes.bbox.x1 and max(box.y1 for box in boxes) <= axes.bbox.y1
        assert all(one.x1 < other.x0 or one.y0 > other.y1 for one, other in pairwise(boxes))


def test_equal_learning_rates_are_all_seen() -> None:
    """Each is wider than the next one, which lies over it, and has gaps: on the page are the colours of all three."""
    table = [{"epoch": epoch, **{f"lr/pg{group}": 0.1 / epoch for group in range(3)}} for epoch in range(1, 11)]
    (axes,) = results_figure(table).axes
    widths = [line.get_linewidth() for line in axes.lines]
    assert widths == sorted(set(widths), reverse=True)
    inside = draw_results(table)[90 : 45 + module.HEIGHT, module.GAP[0] - 20 :][:, : module.WIDTH].astype(int)
    for row in range(3):
        assert (np.abs(inside - line_colour(row)).max(-1) < 12).sum() > 50


def test_smoothing_is_the_normal_distribution() -> None:
    from scipy.ndimage import gaussian_filter1d

    values = np.random.default_rng(0).random(80)
    np.testing.assert_allclose(gaussian(values)[12:-12], gaussian_filter1d(values, 3.0)[12:-12], atol=1e-9)
    np.testing.assert_allclose(gaussian(np.full(5, 2.0)), 2.0)
    straight = gaussian(np.arange(3.0))
    assert straight[1] == pytest.approx(1)
    assert straight[0] < 1 < straight[2]


def test_smoothed_line_is_dotted_and_lies_between() -> None:
    values = [0.0, 10.0] * 20
    raw, smoothed = plot(results_figure(rows(40, **{"train/box_loss": values})), "train/box_loss").lines
    np.testing.assert_array_equal(raw.get_ydata(), values)
    np.testing.assert_array_equal(smoothed.get_ydata(), gaussian(np.array(values)))
    np.testing.assert_array_equal(smoothed.get_xdata(), np.arange(1, 41))
    assert np.abs(np.asarray(smoothed.get_ydata()) - 5).max() < 1
    assert to_rgb(smoothed.get_color()) == unit(line_colour(5))
    assert smoothed._unscaled_dash_pattern[1] == STYLES[3][1]
    assert raw.get_linestyle() == "-"


def test_two_epochs_are_not_smoothed() -> None:
    assert len(plot(results_figure(rows(2)), "train/box_loss").lines) == 1


def test_the_best_epoch_is_marked_in_every_plot_of_one_column() -> None:
    table = rows(6)
    figure = results_figure(table, best=4)
    for axes in figure.axes:
        marks = [line for line in axes.lines if line.get_marker() == module.BEST]
        title = axes.get_title(loc="left")
        expected = [] if title == "learning rates" else [[[4.0, float(table[3][title])]]]
        assert [np.asarray(mark.get_xydata()).tolist() for mark in marks] == expected
    assert figure.texts[-1].get_text() == "x: epoch, dotted: smoothed, diamond: best epoch, 4"
    assert not any(line.get_marker() == module.BEST for axes in results_figure(table).axes for line in axes.lines)
    narrow = results_figure([{"epoch": "1", "train/loss": "2"}, {"epoch": "2", "train/loss": "1"}], best=2)
    narrow.canvas.draw()
    assert narrow.texts[-1].get_window_extent().x0 > 0


def test_lines_can_be_seen_on_white() -> None:
    """WCAG's contrast for graphics, 3 to 1, for all 28 colours, yellow among them."""
    colours = np.array([line_colour(index) for index in range(28)]) / 255
    luminance = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4) @ (
        0.2126,
        0.7152,
        0.0722,
    )
    assert (1.05 / (luminance + 0.05)).min() > 2.95
