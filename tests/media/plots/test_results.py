"""The rows of `results.csv` as a picture."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from aigp_lightning.media.plots import results as module
from aigp_lightning.media.plots.palette import line_colour
from aigp_lightning.media.plots.results import arrange, draw_results, gaussian

LOSSES = ("box_loss", "cls_loss", "dfl_loss")
METRICS = ("metrics/precision(B)", "metrics/recall(B)", "metrics/mAP50(B)", "metrics/mAP50-95(B)")
KEYS = (*(f"train/{key}" for key in LOSSES), *METRICS, *(f"val/{key}" for key in LOSSES), "lr/pg0", "lr/pg1")
BLUE = line_colour(4)


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


def plot(picture: np.ndarray, down: int, across: int) -> np.ndarray:
    """The inside of one plot."""
    left = module.GAP[0] - 20 + across * (module.WIDTH + module.GAP[0])
    top = 45 + down * (module.HEIGHT + module.GAP[1])
    return picture[top : top + module.HEIGHT, left : left + module.WIDTH]


def place(picture: np.ndarray) -> np.ndarray:
    """Rows and columns of the raw line, (n, 2)."""
    return np.argwhere(np.abs(picture.astype(int) - BLUE).max(-1) < 10)


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
    """Every column has its line in its plot; titles run neither into each other nor over the edge."""
    table = [
        {"epoch": epoch + 1, **{key: (number + 1) / (epoch + 1) for number, key in enumerate(POSE_KEYS)}}
        for epoch in range(5)
    ]
    drawn = draw_results(table)
    assert drawn.shape == (5 * (module.HEIGHT + module.GAP[1]) + 30, 6 * (module.WIDTH + module.GAP[0]) + 30, 3)
    for down, across in ((0, 5), (1, 5), (2, 4), (3, 4), (4, 5)):
        for column in range(across):
            assert len(place(plot(drawn, down, column))) > 40
        assert not len(place(plot(drawn, down, across))) if down else True
    titles = (drawn[45 + 4 * (module.HEIGHT + module.GAP[1]) - 26 :][:24] < 128).all(2).any(0)
    for column in range(1, 5):
        start = module.GAP[0] - 20 + column * (module.WIDTH + module.GAP[0]) - 3
        assert not titles[start - 8 : start].any()


def test_titles_end_before_the_page_s_edge() -> None:
    """In the last column too, however long the keypoints' names are."""
    keys = [
        f"corners/visible_the_{corner}_corner_of_the_gate" for corner in ("upper_left", "lower_left", "lower_right")
    ]
    drawn = draw_results([{"epoch": 1, **dict.fromkeys(keys, 0.5)}, {"epoch": 2, **dict.fromkeys(keys, 0.7)}])
    assert (drawn[:, -8:] == 255).all()
    gap = module.GAP[0] - 20 + module.WIDTH + module.GAP[0] - 3
    assert not (drawn[18:42, gap - 8 : gap] < 128).any()
    assert (drawn[18:42, -250:] < 128).all(2).sum() > 200


def test_line_goes_through_the_values() -> None:
    """The range is 0…10, and a margin of a twentieth; the line turns at the middle epoch."""
    found = place(plot(draw_results(rows(3, **{"train/box_loss": [0, 10, 5]})), 0, 0))
    height = (module.HEIGHT - 1) / 1.1
    highest, lowest = found[found[:, 0].argmin()], found[found[:, 0].argmax()]
    assert highest[1] == pytest.approx(module.WIDTH / 2, abs=5)
    assert lowest[1] < 0.1 * module.WIDTH
    assert lowest[0] - highest[0] == pytest.approx(height, abs=12)  # and the dots
    last = found[found[:, 1] > 0.96 * module.WIDTH]
    assert last[:, 0].mean() == pytest.approx(module.HEIGHT / 2, abs=4)


def test_one_epoch_is_a_dot() -> None:
    for cell in ((0, 0), (1, 4)):
        found = place(plot(draw_results(rows(1)), *cell))
        assert 9 <= len(found) <= 60
        np.testing.assert_allclose(found.mean(0), [module.HEIGHT / 2, module.WIDTH / 2], atol=2)


def test_missing_values_and_columns_of_a_resumed_run() -> None:
    """Epochs without validation, a column that came later, a value that is no number: the rest is drawn."""
    table = rows(6, **{"val/box_loss": ["", 4, "", 2, "nan", "inf"], "train/new_loss": ["", "", "", 3, 2, 1]})
    table[0] = {key: value for key, value in table[0].items() if not key.startswith("lr/")}
    drawn = draw_results(table)
    assert drawn.shape[1] == 5 * (module.WIDTH + module.GAP[0]) + 30
    new = place(plot(drawn, 0, 3))
    assert new[:, 1].min() > 0.5 * module.WIDTH  # from the fourth epoch on
    assert new[:, 1].max() > 0.9 * module.WIDTH


def test_empty_columns_and_the_clock_are_not_plotted() -> None:
    full = draw_results([{"epoch": 1, "time": 5, "train/a": 1, "train/b": 2}])
    less = draw_results([{"epoch": 1, "time": 5, "train/a": 1, "train/b": ""}])
    assert (full.shape[1] - 30, less.shape[1] - 30) == (600, 300)


@pytest.mark.parametrize("table", [[], [{}], [{"epoch": "1", "time": "2"}], [{"epoch": "1", "train/loss": ""}]])
def test_nothing_to_plot_is_a_picture_that_says_so(table: list[dict[str, str]]) -> None:
    drawn = draw_results(table)
    assert drawn.dtype == np.uint8
    assert (drawn < 128).all(-1).sum() > 100


def test_a_surplus_cell_of_a_broken_row_is_ignored() -> None:
    """`csv.DictReader` keeps what a row has too much under None."""
    table: list[dict] = [{"epoch": "1", "train/loss": "1", None: ["7"]}, {"epoch": "2", "train/loss": None}]
    assert len(place(plot(draw_results(table), 0, 0))) > 5


def test_smoothing_is_the_normal_distribution() -> None:
    from scipy.ndimage import gaussian_filter1d

    values = np.random.default_rng(0).random(80)
    np.testing.assert_allclose(gaussian(values)[12:-12], gaussian_filter1d(values, 3.0)[12:-12], atol=1e-9)
    np.testing.assert_allclose(gaussian(np.full(5, 2.0)), 2.0)
    straight = gaussian(np.arange(3.0))
    assert straight[1] == pytest.approx(1)
    assert straight[0] < 1 < straight[2]


def test_smoothed_line_is_dotted_and_lies_between() -> None:
    values = [0, 10] * 20
    drawn = plot(draw_results(rows(40, **{"train/box_loss": values})), 0, 0)
    dots = np.argwhere(np.abs(drawn.astype(int) - line_colour(5)).max(-1) < 10)
    assert len(dots) > 50
    np.testing.assert_allclose(dots[:, 0], module.HEIGHT / 2, atol=0.1 * module.HEIGHT)
    assert len(np.unique(dots[:, 1])) < 0.8 * module.WIDTH


def test_threads_draw_the_same_pictures() -> None:
    tables = [rows(count) for count in (1, 2, 10, 50)]
    one_by_one = [draw_results(table) for table in tables]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(one_by_one, pool.map(draw_results, tables), strict=True):
            np.testing.assert_array_equal(one, other)
