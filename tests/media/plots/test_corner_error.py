"""Corner error against distance as a picture."""

from __future__ import annotations

import numpy as np
import pytest
from chart_texts import assert_white_border, labels, notice_of
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from aigp_lightning.media.plots import corner_error as module
from aigp_lightning.media.plots.charts import unit
from aigp_lightning.media.plots.corner_error import MEDIAN, corner_error_figure, draw_corner_error
from aigp_lightning.media.plots.palette import line_colour
from aigp_lightning.plan.stand_ins import example_corner_errors
from aigp_lightning.types import CornerErrors

LEFT, TOP, WIDTH, HEIGHT = module.BOX
BANDS = (5.0, 10.0, 20.0)


def errors(distance: list[float], error: list[float], bands: tuple[float, ...] = BANDS) -> CornerErrors:
    return CornerErrors(np.array(distance, np.float32), np.array(error, np.float32), bands)


def dots(figure: Figure) -> np.ndarray:
    """Distances and errors, (n, 2)."""
    (line,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert line.get_linestyle() == "None"
    assert to_rgb(line.get_color()) == unit(line_colour(4))
    return np.asarray(line.get_xydata())


def limits(figure: Figure) -> list[float]:
    """Distances of the dashed lines between bands."""
    return [float(line.get_xdata()[0]) for line in figure.axes[0].lines if line.is_dashed()]


def medians(figure: Figure) -> list[tuple[float, float, float]]:
    """From, to, and height of the bold lines."""
    lines = figure.axes[0].collections
    assert all(tuple(line.get_colors()[0][:3]) == unit(MEDIAN) and line.get_linewidths()[0] >= 3 for line in lines)
    ends = [line.get_segments()[0] for line in lines]
    return [(float(end[0, 0]), float(end[1, 0]), float(end[0, 1])) for end in ends]


def words(figure: Figure) -> list[tuple[str, float]]:
    """What is written above the frame, and at which distance."""
    return [(text.get_text(), text.get_position()[0]) for text in figure.axes[0].texts]


def near(picture: np.ndarray, colour: tuple[int, int, int], distance: int = 60) -> np.ndarray:
    """Rows and columns, within the frame, of a colour."""
    inside = picture[TOP : TOP + HEIGHT, LEFT + 2 : LEFT + WIDTH + 4].astype(int)
    return np.argwhere(np.abs(inside - colour).max(2) < distance) + np.array([0, 2])


def test_a_dot_lies_at_its_distance_and_the_logarithm_of_its_error() -> None:
    """The axis goes to 36 m, a fifth beyond the last band; over one power of ten around the only error."""
    figure = corner_error_figure(errors([12.0], [3.0], (30.0,)))
    axes = figure.axes[0]
    np.testing.assert_allclose(dots(figure), [[12, 3]])
    assert axes.get_yscale() == "log"
    assert axes.get_xlim() == pytest.approx((0, 36))
    low, high = axes.get_ylim()
    assert high / low == pytest.approx(10)
    assert np.sqrt(low * high) == pytest.approx(3)
    dot = near(draw_corner_error(errors([12.0], [3.0], (30.0,))), line_colour(4))
    assert len(dot) > 9
    np.testing.assert_allclose(dot.mean(0), [HEIGHT / 2, 12 / 36 * WIDTH], atol=3)


def test_two_powers_of_ten_are_as_far_apart_on_the_page() -> None:
    two = near(draw_corner_error(errors([6.0, 18.0], [1.0, 100.0], (20.0,))), line_colour(4))
    low, high = two[two[:, 1] < WIDTH / 2].mean(0), two[two[:, 1] > WIDTH / 2].mean(0)
    assert low[1] == pytest.approx(6 / 24 * WIDTH, abs=3)
    assert high[1] == pytest.approx(18 / 24 * WIDTH, abs=3)
    assert low[0] - high[0] == pytest.approx(2 / 2.1 * HEIGHT, abs=3)


def test_ticks_are_round_numbers_without_powers() -> None:
    axes = corner_error_figure(errors([6.0, 18.0], [1.0, 100.0])).axes[0]
    assert labels(axes, "y") == ["1", "2", "5", "10", "20", "50", "100"]
    assert labels(axes, "x") == ["0", "2.5", "5", "7.5", "10", "12.5", "15", "17.5", "20", "22.5"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "distance of the gate, metres", "mean error of its corners, pixels",
    )  # fmt: skip
    wide = corner_error_figure(errors([6.0, 18.0], [0.5, 50000.0])).axes[0]
    assert labels(wide, "y") == ["1", "10", "100", "1,000", "10,000"]


def test_a_bold_line_at_the_median_of_each_band_from_limit_to_limit() -> None:
    """Dashed lines at the limits; no bold one where there is no gate."""
    distance = [1, 2, 3, 6, 7, 8, 12, 15, 18]
    error = [1, 4, 9, 2, 2, 2, 0.5, 1, 9]
    figure = corner_error_figure(errors(distance, error, (5.0, 10.0, 20.0)))
    assert medians(figure) == [(0, 5, 4), (5, 10, 2), (10, 20, 1)]
    assert limits(figure) == [5, 10, 20]
    lines = near(draw_corner_error(errors(distance, error)), MEDIAN, 30)
    levels = []
    for low, high in ((0, 5), (5, 10), (10, 20)):
        start, end = low / 24 * WIDTH, high / 24 * WIDTH
        mine = lines[(lines[:, 1] > start + 3) & (lines[:, 1] < end - 3)]
        assert np.ptp(mine[:, 1]) > 0.9 * (end - start)
        levels.append(np.median(mine[:, 0]))
        assert len(np.unique(mine[:, 0])) >= 5, "bold"
    step = np.log10(2) / (np.log10(9 / 0.5) + 0.1) * HEIGHT
    np.testing.assert_allclose(np.diff(levels), step, atol=2)


def test_the_number_and_the_median_of_each_band_are_written_above_it() -> None:
    """A gate at a limit belongs to the further band."""
    figure = corner_error_figure(errors([1.0, 2.0, 5.0, 8.0, 9.0, 22.0], [3.0, 4.0, 2.0, 2.5, 2.0, 12.34]))
    assert words(figure) == [
        ("2 gates", 2.5), ("3.5 px", 2.5), ("3 gates", 7.5), ("2 px", 7.5), ("0 gates", 15.0),
        ("1 gate", 22.0), ("12.3 px", 22.0),
    ]  # fmt: skip


def test_an_outlier_leaves_the_others_apart() -> None:
    """1 and 2 pixels beside 5000: still more than 40 rows between their dots."""
    axes = corner_error_figure(errors([3, 9, 15], [1, 2, 5000])).axes[0]
    rows = axes.transData.transform([(3, 1), (9, 2)])[:, 1]
    assert rows[1] - rows[0] > 40


def test_gates_far_away_are_at_the_right_edge() -> None:
    """At ten times the last limit: the axis ends at three times, and words say so."""
    figure, without = (corner_error_figure(errors([4, 50, far], [2, 2, 2])) for far in (200, 55))
    assert dots(figure)[:, 0].tolist() == [4, 50, 60]
    assert dots(without)[:, 0].tolist() == [4, 50, 55]
    assert [text.get_text() for text in figure.texts] == [
        "corner error against distance", "bold: median of a band; 1 beyond 60 m at the right edge",
    ]  # fmt: skip
    assert without.texts[1].get_text() == "bold: median of a band"


@pytest.mark.parametrize("known", [[], [np.nan], [np.inf]])
def test_nothing_is_a_picture_that_says_so(known: list[float]) -> None:
    figure = corner_error_figure(errors(known, [1.0] * len(known)))
    assert notice_of(figure) == "no gates were found: there is no corner error"


def test_values_that_are_none_are_left_out() -> None:
    """A dot that is nowhere, and an error of 0, which has no logarithm."""
    one = draw_corner_error(errors([3, 9], [2, 5]))
    two = draw_corner_error(errors([3, 9, np.nan, 4, -1], [2, 5, 3, np.nan, 2]))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(dots(corner_error_figure(errors([3], [0.0]))), [[3, module.LOWEST]])


def test_many_dots_are_small_and_let_others_shine_through() -> None:
    def look(gates: int) -> tuple[float, float]:
        line = corner_error_figure(example_corner_errors(gates)).axes[0].lines[-1]
        return line.get_markersize(), line.get_alpha()

    few, many = look(300), look(301)
    assert few[0] > many[0] and few[1] > many[1]


@pytest.mark.parametrize("bands", [(), (5.0,), (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0), (100.0, 1000.0)])
def test_any_bands(bands: tuple[float, ...]) -> None:
    """Nothing is cut at the edges of the page, and no band's words run far into the next one's."""
    made = example_corner_errors(500)
    figure = corner_error_figure(CornerErrors(made.distance, made.error, bands))
    far = figure.axes[0].get_xlim()[1]
    assert limits(figure) == [limit for limit in bands if limit < far]
    populated = np.unique(np.digitize(made.distance, limits(figure)))
    assert [start for start, _, _ in medians(figure)] == [[0, *limits(figure)][band] for band in populated]
    figure.canvas.draw()
    assert_white_border(np.asarray(figure.canvas.buffer_rgba())[..., :3], 6)  # type: ignore[attr-defined]
