"""Corner error against distance as a picture."""

from __future__ import annotations

import numpy as np
import pytest

from aigp_lightning.media.plots import corner_error as module
from aigp_lightning.media.plots.corner_error import MEDIAN, draw_corner_error
from aigp_lightning.media.plots.palette import line_colour
from aigp_lightning.plan.stand_ins import example_corner_errors
from aigp_lightning.types import CornerErrors

LEFT, TOP, WIDTH, HEIGHT = module.FRAME
BANDS = (5.0, 10.0, 20.0)


def errors(distance: list[float], error: list[float], bands: tuple[float, ...] = BANDS) -> CornerErrors:
    return CornerErrors(np.array(distance, np.float32), np.array(error, np.float32), bands)


def near(picture: np.ndarray, colour: tuple[int, int, int], distance: int = 30) -> np.ndarray:
    """Rows and columns, within the frame, of a colour."""
    inside = picture[TOP : TOP + HEIGHT, LEFT + 2 : LEFT + WIDTH + 4].astype(int)
    return np.argwhere(np.abs(inside - colour).max(2) < distance) + np.array([0, 2])


def test_a_dot_lies_at_its_distance_and_the_logarithm_of_its_error() -> None:
    """The axis goes to 24 m, a fifth beyond the last band; over one power of ten around the only error."""
    drawn = draw_corner_error(errors([12.0], [3.0], (30.0,)))
    dot = near(drawn, line_colour(4), 60)
    assert len(dot) > 9
    np.testing.assert_allclose(dot.mean(0), [HEIGHT / 2, 12 / 36 * WIDTH], atol=3)
    two = near(draw_corner_error(errors([6.0, 18.0], [1.0, 100.0], (20.0,))), line_colour(4), 60)
    low, high = two[two[:, 1] < WIDTH / 2].mean(0), two[two[:, 1] > WIDTH / 2].mean(0)
    assert low[1] == pytest.approx(6 / 24 * WIDTH, abs=3)
    assert high[1] == pytest.approx(18 / 24 * WIDTH, abs=3)
    assert low[0] - high[0] == pytest.approx(2 / 2.1 * HEIGHT, abs=3)


def test_a_bold_line_at_the_median_of_each_band_from_limit_to_limit() -> None:
    """Medians of 4, 2 and 1 pixels in a row: their lines are equally far apart, and stop at the bands' limits."""
    distance = [1, 2, 3, 6, 7, 8, 12, 15, 18]
    error = [1, 4, 9, 2, 2, 2, 0.5, 1, 9]
    lines = near(draw_corner_error(errors(distance, error, (5.0, 10.0, 20.0))), MEDIAN)
    levels = []
    for low, high in ((0, 5), (5, 10), (10, 20)):
        start, end = low / 24 * WIDTH, high / 24 * WIDTH
        mine = lines[(lines[:, 1] > start + 3) & (lines[:, 1] < end - 3)]
        assert np.ptp(mine[:, 1]) > 0.9 * (end - start)
        levels.append(np.median(mine[:, 0]))
        assert len(np.unique(mine[:, 0])) >= 5, "bold"
    assert levels[1] - levels[0] == pytest.approx(levels[2] - levels[1], abs=2)
    assert levels[1] - levels[0] == pytest.approx(np.log10(2) / (np.log10(9 / 0.5) + 0.1) * HEIGHT, abs=2)
    assert not len(lines[lines[:, 1] > 20 / 24 * WIDTH + 3]), "no gate is further away"


def test_the_number_of_gates_of_each_band_is_written() -> None:
    """One gate more in the second band changes the words above it and no others."""
    base = [1.0, 2.0, 7.0, 8.0, 15.0, 22.0]
    one = draw_corner_error(errors(base, [3.0] * 6))
    two = draw_corner_error(errors([*base, 9.0], [3.0] * 7))
    changed = np.argwhere((one != two)[:TOP].any(2))
    assert len(changed) > 5
    assert changed[:, 1].min() > LEFT + 5 / 24 * WIDTH
    assert changed[:, 1].max() < LEFT + 10 / 24 * WIDTH


def test_an_outlier_leaves_the_others_apart() -> None:
    """1 and 2 pixels beside 5000: still more than 40 rows between their dots."""
    dots = near(draw_corner_error(errors([3, 9, 15], [1, 2, 5000])), line_colour(4), 60)
    rows = [dots[np.abs(dots[:, 1] - at / 24 * WIDTH) < 8][:, 0].mean() for at in (3, 9)]
    assert rows[0] - rows[1] > 40


def test_gates_far_away_are_at_the_right_edge() -> None:
    """At ten times the last limit: the axis ends at three times, and words say so."""
    drawn, without = (draw_corner_error(errors([4, 50, far], [2, 2, 2])) for far in (200, 55))
    dots = near(drawn, line_colour(4), 60)
    np.testing.assert_allclose(sorted(set((dots[:, 1] / WIDTH).round(1))), [0.1, 0.8, 1.0])
    assert (drawn[:50] < 128).all(2).sum() > (without[:50] < 128).all(2).sum() + 200


@pytest.mark.parametrize("known", [[], [np.nan], [np.inf]])
def test_nothing_is_a_picture_that_says_so(known: list[float]) -> None:
    drawn = draw_corner_error(errors(known, [1.0] * len(known)))
    assert (drawn < 128).all(2).sum() > 300
    assert not len(near(np.pad(drawn, ((0, 700), (0, 0), (0, 0))), MEDIAN))


def test_values_that_are_none_are_left_out() -> None:
    """A dot that is nowhere, and an error of 0, which has no logarithm."""
    one = draw_corner_error(errors([3, 9], [2, 5]))
    two = draw_corner_error(errors([3, 9, np.nan, 4, -1], [2, 5, 3, np.nan, 2]))
    np.testing.assert_array_equal(one, two)
    assert len(near(draw_corner_error(errors([3], [0.0])), line_colour(4), 60)) > 9


@pytest.mark.parametrize("bands", [(), (5.0,), (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0), (100.0, 1000.0)])
def test_any_bands(bands: tuple[float, ...]) -> None:
    """Nothing is cut at the edges of the page."""
    made = example_corner_errors(500)
    drawn = draw_corner_error(CornerErrors(made.distance, made.error, bands))
    assert drawn.dtype == np.uint8
    for edge in (drawn[:6], drawn[-6:], drawn[:, :6], drawn[:, -6:]):
        assert (edge == 255).all()
