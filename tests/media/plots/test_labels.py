"""What the labels of a data set look like."""

from __future__ import annotations

import time

import numpy as np
import pytest
from chart_texts import NO_WARNINGS, assert_white_border, labels, notice_of, overlapping
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from aigp_lightning.media.plots import labels as module
from aigp_lightning.media.plots.charts import EDGE, unit
from aigp_lightning.media.plots.labels import (
    correlogram_figure,
    counts,
    draw_correlogram,
    draw_labels,
    labels_figure,
)
from aigp_lightning.media.plots.palette import class_colour, line_colour

NAMES = {0: "gate", 1: "pole", 2: "net"}


def boxes(count: int, x: float = 0.5, y: float = 0.5, width: float = 0.2, height: float = 0.1) -> np.ndarray:
    return np.tile(np.array([x, y, width, height], np.float32), (count, 1))


def bars(figure: Figure) -> list[tuple[str, float, str, str]]:
    """Each bar from the top: its class, its length, its colour, the number beside it."""
    axes = figure.axes[0]
    rows = zip(labels(axes, "y"), axes.patches, axes.texts, strict=True)
    assert axes.yaxis.get_inverted()
    return [(name, bar.get_width(), to_hex(bar.get_facecolor()), text.get_text()) for name, bar, text in rows]  # type: ignore[attr-defined]


def colour(index: int) -> str:
    return to_hex(unit(class_colour(index)))


def test_bars_are_as_long_as_their_counts() -> None:
    """One below the other in the order of their ids, each in its class's colour, its number beside it."""
    figure = labels_figure(np.repeat([0, 1, 2], [30, 1600, 15]), boxes(1645), NAMES)
    assert bars(figure) == [
        ("gate", 30, colour(0), "30"), ("pole", 1600, colour(1), "1,600"), ("net", 15, colour(2), "15"),
    ]  # fmt: skip
    axes = figure.axes[0]
    assert axes.get_xlim() == (0, 1600)
    assert axes.get_title(loc="left") == "1,645 objects, 3 classes"


def test_bars_are_drawn_where_they_are_said_to_be() -> None:
    drawn = draw_labels(np.repeat([0, 1, 2], [30, 60, 15]), boxes(105), NAMES)[:240]
    found = [np.argwhere((drawn == class_colour(index)).all(-1)) for index in range(3)]
    lengths = np.array([np.ptp(pixels[:, 1]) + 1 for pixels in found])
    np.testing.assert_allclose(lengths / lengths[1], [0.5, 1, 0.25], atol=0.01)
    np.testing.assert_allclose([pixels[:, 0].mean() for pixels in found], [79.5, 139.5, 199.5], atol=1)


def test_a_class_without_objects_and_one_without_a_name_have_their_rows() -> None:
    assert bars(labels_figure(np.array([1, 7]), boxes(2), NAMES)) == [
        ("gate", 0, colour(0), "0"), ("pole", 1, colour(1), "1"), ("net", 0, colour(2), "0"), ("7", 1, colour(7), "1"),
    ]  # fmt: skip


@pytest.mark.parametrize("classes", [1, 4, 7, 8, 40])
def test_no_part_of_the_page_is_left_empty(classes: int) -> None:
    """Bars take the page's height beside the other plots, or, few of them, its width above."""
    figure = labels_figure(np.arange(classes), boxes(classes), {})
    bars, *others = (axes.bbox for axes in figure.axes)
    if classes <= 7:
        assert bars.width > 0.85 * figure.bbox.width
        assert bars.y0 > max(box.y1 for box in others)
        assert figure.bbox.width - max(box.x1 for box in others) < 80
    else:
        assert bars.height > 0.9 * figure.bbox.height
        assert bars.x1 < min(box.x0 for box in others)


def test_many_classes_are_summed_up_in_a_last_bar() -> None:
    """Of 60 classes the 39 most frequent have a bar each; the other 21 are as one, as long as their sum says."""
    numbers = np.r_[np.full(21, 2), np.full(38, 10), 11]
    found = bars(labels_figure(np.repeat(np.arange(60), numbers), boxes(numbers.sum()), {}))
    assert found[0] == ("59", 11, colour(59), "11")
    assert [bar[0] for bar in found[1:-1]] == [str(index) for index in range(21, 59)]
    assert found[-1] == ("21 others", 42, EDGE, "42")
    assert len(found) == 40


def test_heat_maps_count_the_labels_where_they_are() -> None:
    """Centres with y downwards as in an image, sizes with height upwards."""
    many, few = boxes(50, 0.8, 0.1, 0.3, 0.6), boxes(5, 0.2, 0.7, 0.9, 0.1)
    figure = labels_figure(np.zeros(55, int), np.concatenate((many, few)), NAMES)
    _, _, centres, sizes, _ = figure.axes
    for axes, places in ((centres, ((0.8, 0.1), (0.2, 0.7))), (sizes, ((0.3, 0.6), (0.9, 0.1)))):
        image = axes.images[0]
        values = np.ma.filled(image.get_array(), 0)
        expected = np.zeros((module.BINS, module.BINS))
        for (x, y), number in zip(places, (50, 5), strict=True):
            expected[int(np.float32(y) * module.BINS), int(np.float32(x) * module.BINS)] = number
        np.testing.assert_array_equal(values, expected)
        assert tuple(image.get_extent()) == (0, 1, 0, 1)
        assert image.origin == "lower"
        assert image.norm(50) == 1  # type: ignore[operator]
        assert image.norm(5) == pytest.approx(np.sqrt(0.1))  # type: ignore[operator]
    assert centres.yaxis.get_inverted() and not sizes.yaxis.get_inverted()
    assert [axes.get_title(loc="left") for axes in figure.axes[1:4]] == [
        "boxes, their centres on one point", "centres", "sizes",
    ]  # fmt: skip
    assert (sizes.get_xlabel(), sizes.get_ylabel()) == ("width", "height")


def test_heat_maps_are_darkest_where_the_labels_are() -> None:
    """The same on the page's pixels: white without labels, light where they are rare."""
    many, few = boxes(50, 0.8, 0.1, 0.3, 0.6), boxes(5, 0.2, 0.7, 0.9, 0.1)
    names = {index: str(index) for index in range(module.FEW + 1)}
    drawn = draw_labels(np.zeros(55, int), np.concatenate((many, few)), names).astype(int).sum(-1)
    side = module.SIDE
    for left, top, dark, rare in ((1225, 50, (0.8, 0.1), (0.2, 0.7)), (725, 560, (0.3, 1 - 0.6), (0.9, 1 - 0.1))):
        plot = drawn[top + 3 : top + side - 3, left + 3 : left + side - 3]
        at = [
            plot[int(y * side) - 6 : int(y * side) + 4, int(x * side) - 6 : int(x * side) + 4] for x, y in (dark, rare)
        ]
        assert at[0].min() == plot.min() < at[1].min() < 765
        assert np.median(plot) == 765


def test_counts_are_numpy_s() -> None:
    values = np.random.default_rng(0).random((2, 1000))
    np.testing.assert_array_equal(counts(*values, 8), np.histogram2d(*values, 8, ((0, 1), (0, 1)))[0])
    assert counts(np.array([1.0, 1.2]), np.array([0.0, -0.1]), 4)[3, 0] == 2


def test_square_roots_of_areas_are_counted() -> None:
    areas = labels_figure(np.zeros(6, int), np.concatenate((boxes(4, width=0.4, height=0.1), boxes(2))), NAMES).axes[4]
    steps = areas.patches[0].get_data()  # type: ignore[attr-defined]
    np.testing.assert_allclose(steps.edges, np.linspace(0, 0.5, module.BINS + 1))
    assert np.flatnonzero(steps.values).tolist() == [int(np.sqrt(0.02) * 128), int(np.sqrt(0.04) * 128)]
    assert steps.values[np.flatnonzero(steps.values)].tolist() == [2, 4]


def test_overlaid_boxes_have_their_size_and_colour() -> None:
    figure = labels_figure(np.array([1, 0]), np.concatenate((boxes(1, 0.9, 0.9, 0.5, 0.25), boxes(1))), NAMES)
    outlines = figure.axes[1].collections[0]
    corners = np.array([path.vertices for path in outlines.get_paths()])
    np.testing.assert_allclose(corners.min(1), [[0.25, 0.375], [0.4, 0.45]], atol=1e-6)
    np.testing.assert_allclose(corners.max(1), [[0.75, 0.625], [0.6, 0.55]], atol=1e-6)
    np.testing.assert_allclose(outlines.get_edgecolor()[:, :3], [unit(line_colour(1)), unit(line_colour(0))])
    assert not len(outlines.get_facecolor())


def test_the_overlay_is_a_sample_with_the_large_boxes_behind() -> None:
    sizes = np.random.default_rng(0).random((5000, 2))
    figure = labels_figure(np.zeros(5000, int), np.concatenate((np.full((5000, 2), 0.5), sizes), 1), NAMES)
    corners = np.array([path.vertices for path in figure.axes[1].collections[0].get_paths()])
    areas = (corners.max(1) - corners.min(1)).prod(1)
    assert len(areas) == module.OVERLAID
    assert (np.diff(areas) <= 1e-9).all()


def test_many_overlaid_boxes_let_others_shine_through() -> None:
    """Few are opaque; of many of gates' sizes the page shows more and less crowded places, and white between them."""
    sizes = np.exp(np.random.default_rng(0).normal(-1.6, 0.6, (592, 1)).repeat(2, 1)).clip(0.03, 0.9)
    figures = [
        labels_figure(np.zeros(count, int), np.concatenate((np.full((count, 2), 0.5), sizes[:count]), 1), {0: "gate"})
        for count in (20, 592)
    ]
    few, many = (figure.axes[1].collections[0] for figure in figures)
    assert few.get_alpha() == 1
    assert many.get_alpha() == module.FAINTEST
    figures[1].canvas.draw()
    picture = np.asarray(figures[1].canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
    box = figures[1].axes[1].bbox
    middle = picture[round(figures[1].bbox.height - (box.y0 + box.y1) / 2), round(box.x0) + 3 : round(box.x1) - 3]
    assert len(np.unique(middle, axis=0)) > 20
    assert (middle == 255).all(-1).mean() > 0.2


def test_correlogram_pairs_columns_across_with_rows_up() -> None:
    values = (0.8, 0.1, 0.3, 0.6)
    figure = correlogram_figure(np.concatenate((boxes(50, *values), boxes(2, 0.2, 0.7, 0.9, 0.2))))
    axes = iter(figure.axes)
    bins = [int(np.float32(value) * module.PAIR_BINS) for value in values]
    for row in range(4):
        for column in range(row):
            image = next(axes).images[0]
            found = np.ma.filled(image.get_array(), 0)
            assert np.unravel_index(found.argmax(), found.shape) == (bins[row], bins[column])
            assert (found.max(), found.sum()) == (50, 52)
            assert image.origin == "lower"
        steps = next(axes).patches[0].get_data()  # type: ignore[attr-defined]
        assert (int(steps.values.argmax()), steps.values.max(), steps.values.sum()) == (bins[row], 50, 52)
    assert [axes.get_xlabel() for axes in figure.axes[6:]] == ["x", "y", "width", "height"]
    assert [figure.axes[place].get_ylabel() for place in (1, 3, 6)] == ["y", "width", "height"]


@pytest.mark.parametrize(("largest", "reach"), [(0.1, 0.125), (0.2, 0.25), (0.5, 0.5), (0.51, 1)])
def test_small_boxes_fill_their_plots(largest: float, reach: float) -> None:
    """Plots of sizes end where no box reaches; what is in them is where it was."""
    figure = labels_figure(np.zeros(5, int), boxes(5, width=largest, height=largest / 2), NAMES)
    _, overlay, centres, sizes, areas = figure.axes
    assert sizes.get_xlim() == sizes.get_ylim() == areas.get_xlim() == (0, reach)
    assert centres.get_xlim() == (0, 1)
    assert overlay.get_xlim() == (0.5 - reach / 2, 0.5 + reach / 2)
    found = np.ma.filled(sizes.images[0].get_array(), 0)
    row, column = np.unravel_index(found.argmax(), found.shape)
    expected = (np.float32(largest / 2) / reach * module.BINS, np.float32(largest) / reach * module.BINS)
    np.testing.assert_allclose([row + 0.5, column + 0.5], expected, atol=1.01)


def test_y_grows_downwards_wherever_it_is_plotted_upright() -> None:
    labels, correlogram = labels_figure(np.zeros(2, int), boxes(2), NAMES), correlogram_figure(boxes(2))
    upright = [axes for figure in (labels, correlogram) for axes in figure.axes if axes.get_ylabel() == "y"]
    assert [axes.yaxis.get_inverted() for axes in upright] == [True, True]
    assert not any(axes.yaxis.get_inverted() for axes in correlogram.axes if axes.get_ylabel() in ("width", "height"))


def test_correlogram_s_plots_lie_in_the_lower_triangle() -> None:
    drawn = draw_correlogram(boxes(50, 0.8, 0.1, 0.3, 0.6))
    side, step = module.PAIR_SIDE, module.PAIR_SIDE + module.PAIR_GAP
    assert drawn.shape == (4 * step + 90, 4 * step + 90, 3)
    assert (drawn[20 : 20 + side, 85 + step - 5 :] == 255).all()
    for row in range(4):
        for column in range(row + 1):
            left, top = 85 + column * step, 20 + row * step
            assert (drawn[top + 3 : top + side - 3, left + 3 : left + side - 3] < 200).any()


def test_no_labels_is_a_picture_that_says_so() -> None:
    for figure in (labels_figure(np.zeros(0, int), boxes(0), NAMES), correlogram_figure(boxes(0))):
        assert notice_of(figure) == "no labels: every image is background"


def test_half_a_million_labels_take_no_longer_than_a_glance() -> None:
    """Beyond what a few labels take."""
    random = np.random.default_rng(0)
    cls, cxcywh = random.integers(0, 80, 500_000), random.random((500_000, 4), np.float32)

    def seconds(number: int) -> float:
        before = time.process_time()
        draw_labels(cls[:number], cxcywh[:number], {})
        draw_correlogram(cxcywh[:number])
        return time.process_time() - before

    seconds(10)
    assert seconds(500_000) - seconds(5000) < 1.5


ODD = {0: "大门", 1: "x" * 300 + "$end$_1", 2: "$x_1$", 3: "_hidden"}


@NO_WARNINGS
@pytest.mark.parametrize(
    "names",
    [
        ODD,
        {place: f"inflatable_start_arch_with_banner_{place:02d}" for place in range(12)},
        {place: f"{'x' * 90}_{place:02d}" for place in range(40)},
        {place: f"{'大门入口处的红色充气拱门' * 3}_{place:02d}" for place in range(12)},
    ],
)
def test_names_of_any_script_and_length_leave_room_for_bars(
    names: dict[int, str], capfd: pytest.CaptureFixture[str]
) -> None:
    """No name runs over the page's edge, into its bar or into another; no two are alike; the terminal stays empty."""
    figure = labels_figure(np.repeat(np.arange(len(names)), 20), boxes(20 * len(names)), names)
    figure.canvas.draw()
    axes = figure.axes[0]
    words = axes.get_yticklabels()
    assert len({word.get_text() for word in words}) == len(names)
    if names is ODD:
        assert [word.get_text() for word in words][::2] == ["0: □□", "$x_1$"]
    assert axes.bbox.width > 200
    assert max(word.get_window_extent().x1 for word in words) < axes.bbox.x0 - 2
    if names is ODD:
        assert max(text.get_window_extent().x1 for text in axes.texts) < figure.bbox.width - 10
        assert axes.bbox.y0 > figure.axes[1].bbox.y1 + 40
    else:
        assert max(text.get_window_extent().x1 for text in axes.texts) < figure.axes[1].bbox.x0 - 40
    assert overlapping(figure, words) == []
    assert_white_border(np.asarray(figure.canvas.buffer_rgba())[..., :3])  # type: ignore[attr-defined]
    assert capfd.readouterr() == ("", "")


def test_histograms_are_blue() -> None:
    red, green, blue = to_rgb(labels_figure(np.array([0]), boxes(1), NAMES).axes[4].patches[0].get_facecolor()[:3])
    assert blue > green > red
