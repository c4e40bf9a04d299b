"""The confusion matrix as a picture."""

from __future__ import annotations

import numpy as np
import pytest
from chart_texts import NO_WARNINGS, assert_white_border, labels, overlapping
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from aigp_lightning.media.plots.charts import count_colours
from aigp_lightning.media.plots.confusion import confusion_figure, draw_confusion

NAMES = {0: "gate", 1: "pole", 2: "net"}


def shares(figure: Figure) -> np.ndarray:
    """Each cell's place on the scale of colours, 0…1; NaN where it is white."""
    image = figure.axes[0].images[0]
    return np.ma.filled(image.norm(image.get_array()).astype(float), np.nan)


def cells(figure: Figure, rows: int) -> np.ndarray:
    """Colour of every cell as drawn, near its corner where no number is: (rows, rows, 3)."""
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    at = np.arange(rows) - 0.3
    corners = figure.axes[0].transData.transform(np.stack(np.meshgrid(at, at), 2).reshape(-1, 2))
    columns, lines = np.floor(corners).astype(int).T
    return picture[picture.shape[0] - 1 - lines, columns].reshape(rows, rows, 3)


@pytest.mark.parametrize("rows", [4, 31, 81])
@pytest.mark.parametrize("normalize", [False, True])
def test_cells_lie_by_predicted_row_and_true_column(rows: int, normalize: bool) -> None:
    """By count over the whole, or by column: all of class 0 and all false alarms are one case each."""
    matrix = np.zeros((rows, rows), int)
    matrix[0, 2], matrix[1, 2], matrix[rows - 1, 0], matrix[1, rows - 1] = 60, 20, 5, 40
    figure = confusion_figure(matrix, {}, normalize)
    values = np.where(matrix > 0, matrix / np.maximum(matrix.sum(0), 1) if normalize else np.sqrt(matrix / 60), np.nan)
    np.testing.assert_allclose(shares(figure), values)
    drawn = cells(figure, rows)
    np.testing.assert_array_equal((drawn < 255).any(-1), matrix > 0)
    colours = np.array([count_colours()(share)[:3] for share in values[matrix > 0]]) * 255
    np.testing.assert_allclose(drawn[matrix > 0], colours, atol=1)
    title = "Confusion matrix, parts of each true class" if normalize else "Confusion matrix, counts"
    axes = figure.axes[0]
    assert (axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()) == (title, "True", "Predicted")


def test_numbers_in_cells_can_be_read_on_any_colour() -> None:
    """White on dark cells, black on light ones, nothing in empty ones."""
    texts = confusion_figure(np.array([[900, 3], [0, 20]]), NAMES, False).axes[0].texts
    found = {text.get_position(): (text.get_text(), to_rgb(text.get_color())) for text in texts}
    assert found == {(0, 0): ("900", (1, 1, 1)), (1, 0): ("3", (0, 0, 0)), (1, 1): ("20", (0, 0, 0))}
    for share in np.linspace(0, 1, 21):  # at least 4.5 to 1, as for ordinary text (WCAG 2.1), whatever the cell
        matrix = np.array([[1000 * share, 0], [1000 * (1 - share), 1000]])
        for text in confusion_figure(matrix, NAMES, True).axes[0].texts:
            column, row = text.get_position()
            values = np.array(count_colours()(matrix[int(row), int(column)] / 1000)[:3])
            linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
            luminance = float(linear @ (0.2126, 0.7152, 0.0722)) + 0.05
            contrast = 1.05 / luminance if to_rgb(text.get_color()) == (1, 1, 1) else luminance / 0.05
            assert contrast > 4.5


def test_parts_have_two_decimals_and_the_least_none() -> None:
    matrix = np.array([[996, 1], [4, 1]])
    texts = confusion_figure(matrix, NAMES, True).axes[0].texts
    assert {text.get_position(): text.get_text() for text in texts} == {
        (0, 0): "1.00", (1, 0): "0.50", (1, 1): "0.50",
    }  # fmt: skip


@pytest.mark.parametrize(("rows", "there"), [(31, True), (32, False)])
def test_crowded_cells_have_no_numbers(rows: int, there: bool) -> None:
    figure = confusion_figure(np.full((rows, rows), 7), {}, False)
    assert bool(figure.axes[0].texts) is there
    figure.canvas.draw()
    for text in figure.axes[0].texts[:3]:
        box, cell = text.get_window_extent(), figure.axes[0].bbox.width / rows
        assert box.width < cell
        assert box.height < cell


def test_large_numbers_are_shortened_to_their_cells() -> None:
    matrix = np.diag(np.r_[np.full(30, 123_456), 2_500_000])
    figure = confusion_figure(matrix, {}, False)
    assert {text.get_text() for text in figure.axes[0].texts} == {"123k", "2.5M"}
    figure.canvas.draw()
    assert max(text.get_window_extent().width for text in figure.axes[0].texts) < figure.axes[0].bbox.width / 31


def test_more_classes_than_pixels_lose_no_count() -> None:
    matrix = np.zeros((1301, 1301), int)
    matrix[700, 333] = 5
    figure = confusion_figure(matrix, {}, False)
    np.testing.assert_array_equal(np.argwhere(shares(figure) > 0), [[350, 166]])
    drawn = draw_confusion(matrix, {}, False)
    darkest = np.round(np.array(count_colours()(1.0)[:3]) * 255)
    dark = np.argwhere((np.abs(drawn - darkest) <= 1).all(-1))
    dark = dark[dark[:, 1] < drawn.shape[1] - 150]  # not the scale's
    assert len(dark) >= 1
    assert np.ptp(dark, 0).max() <= 2


@pytest.mark.parametrize("rows", [999, 1000])
def test_as_many_classes_as_pixels_lose_no_count(rows: int) -> None:
    matrix = np.diag(np.arange(1, rows + 1))
    drawn = cells(confusion_figure(matrix, {}, False), rows)
    assert (drawn[range(rows), range(rows)] < 255).any(-1).all()


def test_the_scale_is_that_of_the_values() -> None:
    """Its ticks are counts, or parts up to 1."""
    for normalize, top in ((False, 400), (True, 1)):
        figure = confusion_figure(np.diag([400, 100, 0]), NAMES, normalize)
        _, scale = figure.axes
        assert scale.get_ylim() == (0, top)
        assert len(scale.get_yticks()) >= 3


@pytest.mark.parametrize("most", [1, 2, 3, 400])
def test_ticks_of_counts_are_whole_and_their_scale_is_said(most: int) -> None:
    counts, parts = (confusion_figure(np.diag([most, 1, 0]), NAMES, normalize) for normalize in (False, True))
    for figure in (counts, parts):
        figure.canvas.draw()
        assert_white_border(np.asarray(figure.canvas.buffer_rgba())[..., :3], 4)  # type: ignore[attr-defined]
    ticks = labels(counts.axes[1], "y")
    assert len(ticks) >= 2
    assert all(tick.isdecimal() for tick in ticks)
    assert counts.axes[1].get_ylabel() == "square root scale"
    assert labels(parts.axes[1], "y") == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert parts.axes[1].get_ylabel() == ""


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("rows", [2, 3, 4])
def test_the_title_of_a_small_matrix_ends_before_the_scale(rows: int, normalize: bool) -> None:
    figure = confusion_figure(np.eye(rows), NAMES, normalize)
    figure.canvas.draw()
    axes, scale = figure.axes
    title = axes._left_title.get_window_extent()  # type: ignore[attr-defined]
    assert title.x0 == pytest.approx(axes.bbox.x0, abs=3)
    assert title.x1 < scale.bbox.x0
    assert title.y1 < figure.bbox.height - 8


def test_empty_matrix_is_white() -> None:
    for normalize in (False, True):
        assert (cells(confusion_figure(np.zeros((4, 4), int), NAMES, normalize), 4) == 255).all()


LONG = {
    "twelve": {place: f"inflatable_start_arch_with_banner_{place:02d}" for place in range(12)},
    "two": {0: "inflatable_start_arch_with_banner", 1: "inflatable_finish_arch_without_banner"},
    "four": {0: "net", 1: "box", 2: "tree", 3: "pillar"},
    "scripts": {0: "aufblasbarer Startbogen mit Bändern", 1: "大门入口处的红色充气拱门", 2: "надувная арка с баннером"},
    "endless": {place: "x" * 80 + str(place) for place in range(5)},
    "formula": {0: "a very long name of a gate that nobody could write in full", 1: "大门" * 30, 2: "$x_1$"},
    "many": {place: f"inflatable_start_arch_with_banner_{place:02d}" for place in range(40)},
    "eighty": {place: f"class {place}" for place in range(80)},
}


@NO_WARNINGS
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("which", list(LONG))
def test_names_are_whole_and_touch_neither_each_other_nor_the_matrix(
    which: str, normalize: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """White on all sides of the page; every row and column has its name, beside the matrix; nothing on the terminal."""
    names = LONG[which]
    rows = len(names) + 1
    figure = confusion_figure(np.diag(np.arange(rows) * 700 + 90000), names, normalize)
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    assert_white_border(picture, 4)
    assert max(picture.shape) < 1700
    axes = figure.axes[0]
    assert len(set(labels(axes, "y"))) == rows
    for axis in ("x", "y"):
        words = labels(axes, axis)
        assert words[-1] == "background"
        if which in ("twelve", "two", "four", "many", "eighty"):
            assert words[:-1] == list(names.values())
    beside, below = axes.get_yticklabels(), axes.get_xticklabels()
    assert max(text.get_window_extent().x1 for text in beside) < axes.bbox.x0 - 2
    assert max(text.get_window_extent().y1 for text in below) < axes.bbox.y0 - 2
    assert overlapping(figure, [*beside, axes.yaxis.label]) == []
    assert overlapping(figure, [*below, axes.xaxis.label]) == []
    assert capfd.readouterr() == ("", "")


def test_more_names_than_lines_leave_some_out() -> None:
    figure = confusion_figure(np.eye(301), {place: f"class {place}" for place in range(300)}, False)
    figure.canvas.draw()
    axes = figure.axes[0]
    words = labels(axes, "y")
    assert 50 < len(words) < 150
    assert words[:2] == ["class 0", f"class {round(axes.get_yticks()[1])}"]
    assert overlapping(figure, axes.get_yticklabels()) == overlapping(figure, axes.get_xticklabels()) == []
