"""What the labels of a data set look like."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from aigp_lightning.media.plots import labels as module
from aigp_lightning.media.plots.boxes import class_colour
from aigp_lightning.media.plots.figure import EDGE
from aigp_lightning.media.plots.labels import draw_correlogram, draw_labels

NAMES = {0: "gate", 1: "pole", 2: "net"}
BARS = slice(0, 640)  # columns of the page


def boxes(count: int, x: float = 0.5, y: float = 0.5, width: float = 0.2, height: float = 0.1) -> np.ndarray:
    return np.tile(np.array([x, y, width, height], np.float32), (count, 1))


def pixels_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns, (n, 2), of this very colour."""
    return np.argwhere((picture == colour).all(-1))


def darkest(picture: np.ndarray) -> np.ndarray:
    """Middle of the darkest pixels, (row, column), as fractions."""
    light = picture.astype(int).sum(-1)
    return (np.argwhere(light == light.min()).mean(0) + 0.5) / light.shape


def square(picture: np.ndarray, left: int, top: int) -> np.ndarray:
    """One of the four square plots, without its edges."""
    side = module.SIDE
    return picture[top + 3 : top + side - 3, left + 3 : left + side - 3]


def test_bars_are_as_long_as_their_counts() -> None:
    cls = np.repeat([0, 1, 2], [30, 60, 15])
    drawn = draw_labels(cls, boxes(105), NAMES)[:, BARS]
    lengths = []
    for index in range(3):
        found = pixels_of(drawn, class_colour(index))
        lengths.append(np.ptp(found[:, 1]) + 1)
        assert found[:, 0].min() > 50 + 90 * index  # one below the other, in the order of their ids
        assert found[:, 0].max() < 50 + 90 * (index + 1)
    np.testing.assert_allclose(np.array(lengths) / lengths[1], [0.5, 1, 0.25], atol=0.01)


def test_a_class_without_objects_and_one_without_a_name_have_their_rows() -> None:
    some = draw_labels(np.array([1, 7]), boxes(2), NAMES)[:, BARS]
    rows = [pixels_of(some, class_colour(index)) for index in (0, 1, 2, 7)]
    assert [len(found) > 0 for found in rows] == [False, True, False, True]
    assert rows[1][:, 0].min() > 50 + 90  # below the row of class 0
    assert rows[3][:, 0].min() > 50 + 3 * 90


def test_many_classes_are_summed_up_in_a_last_bar() -> None:
    """Of 60 classes the 39 most frequent have a bar each; the other 21 are as one, as long as their sum says."""
    counts = np.r_[np.full(39, 10), np.full(21, 2)]
    drawn = draw_labels(np.repeat(np.arange(60), counts), boxes(counts.sum()), {})[:, BARS]
    others = int((drawn[998] == EDGE).all(-1).sum()) - 2  # the axis is of this colour too
    first = pixels_of(drawn[:70], class_colour(0))
    assert (np.ptp(first[:, 1]) + 1) / others == pytest.approx(10 / 42, abs=0.01)


def test_heat_maps_are_darkest_where_the_labels_are() -> None:
    """Centres with y downwards as in an image, sizes with height upwards."""
    many, few = boxes(50, 0.8, 0.1, 0.3, 0.6), boxes(5, 0.2, 0.7, 0.9, 0.1)
    drawn = draw_labels(np.zeros(55, int), np.concatenate((many, few)), NAMES)
    np.testing.assert_allclose(darkest(square(drawn, 1225, 50)), [0.1, 0.8], atol=0.02)
    np.testing.assert_allclose(darkest(square(drawn, 725, 560)), [1 - 0.6, 0.3], atol=0.02)
    centres = square(drawn, 1225, 50).astype(int).sum(-1)
    rare, common = (centres[row - 9 : row + 9, column - 9 : column + 9].min() for row, column in ((265, 76), (38, 302)))
    assert 765 > rare > common
    assert centres[5, 5] == 765


def test_overlaid_boxes_have_their_size_and_colour() -> None:
    drawn = square(draw_labels(np.array([1]), boxes(1, 0.9, 0.9, 0.5, 0.25), NAMES), 725, 50)
    found = pixels_of(drawn, class_colour(1))
    np.testing.assert_allclose(np.ptp(found, 0) / module.SIDE, [0.25, 0.5], atol=0.005)
    np.testing.assert_allclose(found.min(0) + found.max(0), np.array(drawn.shape[:2]) - 1, atol=2)  # in the middle


def test_correlogram_pairs_columns_across_with_rows_up() -> None:
    drawn = draw_correlogram(np.concatenate((boxes(50, 0.8, 0.1, 0.3, 0.6), boxes(2, 0.2, 0.7, 0.9, 0.2))))
    values, side = (0.8, 0.1, 0.3, 0.6), module.SMALL_BINS * module.CELL
    for row in range(4):
        for column in range(row):
            left, top = 85 + column * (side + 20), 20 + row * (side + 20)
            panel = drawn[top + 3 : top + side - 3, left + 3 : left + side - 3]
            np.testing.assert_allclose(darkest(panel), [1 - values[row], values[column]], atol=0.025)
        left = top = 20 + row * (side + 20)
        bars = (drawn[top + 5 : top + side - 3, left + 68 : left + 65 + side - 3] < 200).any(-1)
        assert bars.sum(0).argmax() / side == pytest.approx(values[row] - 0.01, abs=0.03)  # the highest bar
    upper = drawn[20 : 20 + side, 85 + side + 20 :]
    assert (upper == 255).all()


def test_no_labels_is_a_picture_that_says_so() -> None:
    for drawn in (draw_labels(np.zeros(0, int), boxes(0), NAMES), draw_correlogram(boxes(0))):
        assert drawn.dtype == np.uint8
        assert drawn.ndim == 3
        ink = np.argwhere((drawn < 128).all(-1))
        assert len(ink) > 300
        np.testing.assert_allclose(ink.mean(0), np.array(drawn.shape[:2]) / 2, rtol=0.1)


def test_half_a_million_labels_take_no_longer_than_a_glance() -> None:
    random = np.random.default_rng(0)
    cls, cxcywh = random.integers(0, 80, 500_000), random.random((500_000, 4), np.float32)
    draw_labels(cls[:10], cxcywh[:10], NAMES)
    before = time.process_time()
    draw_labels(cls, cxcywh, {})
    draw_correlogram(cxcywh)
    assert time.process_time() - before < 1.5


def test_names_of_any_script_and_length_fit(capfd: pytest.CaptureFixture[str]) -> None:
    """Two names that differ only in the middle's script give two pictures, and nothing is written to the terminal."""
    cls = np.array([0, 1])
    one = draw_labels(cls, boxes(2), {0: "大门", 1: "x" * 300 + "$end$_1"})
    two = draw_labels(cls, boxes(2), {0: "大口", 1: "x" * 300 + "$end$_2"})
    assert one.shape == two.shape == (1050, 1650, 3)
    assert (one[50:140, :400] != two[50:140, :400]).any()
    assert (one[140:230, :400] != two[140:230, :400]).any()
    assert (one[:, :3] == 255).all()  # no name runs over the page's edge
    assert capfd.readouterr() == ("", "")


def test_threads_draw_the_same_pictures() -> None:
    random = np.random.default_rng(1)
    sets = [(random.integers(0, 30, 200), random.random((200, 4), np.float32)) for _ in range(8)]
    one_by_one = [draw_labels(*labels, NAMES) for labels in sets]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda labels: draw_labels(*labels, NAMES), sets))
    for one, other in zip(one_by_one, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["inflatable_start_arch_with_banner", "x" * 90, "大门入口处的红色充气拱门" * 3])
def test_long_names_leave_room_for_bars(name: str) -> None:
    """Nothing is cut at the page's edge, names end before the bars, and bars are long enough to compare."""
    names = {place: f"{name}_{place:02d}" for place in range(12)}
    drawn = draw_labels(np.repeat(np.arange(12), 20), boxes(240), names)
    assert (drawn[:, :5] == 255).all()
    bars = np.array([pixels_of(drawn[:, BARS], class_colour(place))[:, 1] for place in range(7)], dtype=object)
    start = min(int(columns.min()) for columns in bars)
    assert min(int(np.ptp(columns)) for columns in bars) > 200
    words = (drawn[60:-40, :start] < 128).all(2)
    assert words.sum() > 1000
    assert not words[:, start - 6 : start - 2].any()
