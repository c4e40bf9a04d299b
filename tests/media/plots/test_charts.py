"""What all charts share: names that fit, pages of whole pixels, threads, and Matplotlib's settings left alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from chart_texts import notice_of
from helpers import REPO

from aigp_lightning.media.plots.charts import (
    NORMAL,
    count_colours,
    new_figure,
    notice,
    pixels,
    shown,
    text_width,
    told_apart,
    widest,
)
from aigp_lightning.media.plots.confusion import draw_confusion
from aigp_lightning.media.plots.corner_error import draw_corner_error
from aigp_lightning.media.plots.curves import draw_curve
from aigp_lightning.media.plots.labels import draw_correlogram, draw_labels
from aigp_lightning.media.plots.results import draw_results
from aigp_lightning.plan.stand_ins import example_corner_errors, example_curves, example_matrix, example_rows

NAMES = {0: "gate", 1: "Säule", 2: "大门"}


def charts() -> list[Callable[[], np.ndarray]]:
    """One of each kind."""
    random = np.random.default_rng(1)
    cls, boxes = random.integers(0, 3, 200), random.random((200, 4), np.float32)
    rows = example_rows(["box_loss"], [""], 12)
    return [
        lambda: draw_curve(example_curves("", NAMES, cls), "PR"),
        lambda: draw_curve(example_curves("Box", NAMES, cls), "F1"),
        lambda: draw_confusion(example_matrix(NAMES, cls), NAMES, False),
        lambda: draw_labels(cls, boxes, NAMES),
        lambda: draw_correlogram(boxes),
        lambda: draw_results(rows),
        lambda: draw_corner_error(example_corner_errors(50)),
    ]


def test_threads_draw_the_same_pictures_as_one_alone() -> None:
    """The ledger compares bytes: the same data are the same pixels, whoever draws beside."""
    alone = [draw() for draw in charts()]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda draw: draw(), charts() * 2))
    for number, picture in enumerate(together):
        assert picture.dtype == np.uint8
        assert picture.flags.c_contiguous
        np.testing.assert_array_equal(picture, alone[number % len(alone)])


def test_pyplot_settings_and_imports_are_left_alone() -> None:
    """Importing a chart's module does not import Matplotlib; drawing changes no setting and writes nothing."""
    code = """if True:
        import sys
        from aigp_lightning.media.plots import confusion, corner_error, curves, labels, results
        assert "matplotlib" not in sys.modules
        import matplotlib, numpy as np
        settings = lambda: {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}
        before = settings()
        confusion.draw_confusion(np.eye(3), {0: "大门"}, True)
        results.draw_results([{"epoch": "1", "train/loss": "2"}])
        labels.draw_labels(np.array([0]), np.array([[0.5, 0.5, 0.1, 0.1]]), {})
        assert "matplotlib.pyplot" not in sys.modules
        assert settings() == before
    """
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code], check=True, timeout=120, cwd=REPO,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == ""
    assert "Glyph" not in done.stderr


@pytest.mark.parametrize("size", [(1200, 300), (333, 217), (1851, 1007)])
def test_a_page_has_the_pixels_that_were_asked_for(size: tuple[int, int]) -> None:
    drawn = pixels(new_figure(*size))
    assert drawn.shape == (size[1], size[0], 3)
    assert (drawn == 255).all()


def test_a_notice_says_its_words_in_the_middle() -> None:
    figure = notice("no labels")
    assert notice_of(figure) == "no labels"
    ink = np.argwhere((pixels(figure) < 128).all(-1))
    assert len(ink) > 300
    np.testing.assert_allclose(ink.mean(0), [150, 600], rtol=0.1)


def test_names_that_differ_only_in_the_middle_are_told_apart() -> None:
    """Shortened they would be the same: then their numbers come first."""
    alike = [f"{'a' * 40}{number}{'b' * 40}" for number in range(3)]
    short = told_apart([*alike, "net", "net"], NORMAL, 300)
    assert [name[:3] for name in short] == ["0: ", "1: ", "2: ", "net", "net"]
    assert widest(short, NORMAL) <= 300
    assert told_apart(["inflatable_start_arch_with_banner"], NORMAL, 340) == ["inflatable_start_arch_with_banner"]
    assert told_apart(["大门" * 30], NORMAL, 100)[0].count("..") == 1
    assert told_apart(["two\nlines"], NORMAL, 300) == ["two lines"]


def test_letters_that_the_font_lacks_are_boxes_behind_the_name_s_number() -> None:
    """Two such names would look alike; those that it has (Latin, Cyrillic, Greek) stay as they are."""
    assert told_apart(["大门", "大口", "Säule", "надувная", "πύλη"], NORMAL, 300) == [
        "0: □□", "1: □□", "Säule", "надувная", "πύλη",
    ]  # fmt: skip


def test_both_ends_of_a_long_name_are_kept() -> None:
    assert shown("inflatable_start_arch_with_banner", 16) == "inflata.._banner"
    assert shown("short", 16) == "short"


def test_widths_are_those_that_matplotlib_draws() -> None:
    for words in ("gate", "inflatable_start_arch", "надувная арка"):
        figure = new_figure(600, 100)
        figure.text(0.1, 0.5, words, fontsize=NORMAL)
        ink = np.flatnonzero((pixels(figure) < 200).all(-1).any(0))
        assert text_width(words, NORMAL) == pytest.approx(ink.max() - ink.min() + 1, abs=4)


def test_the_least_count_can_be_told_from_none() -> None:
    colours = count_colours()
    least, none = np.array(colours(0.0)[:3]), np.array(colours.get_bad()[:3])
    assert (none == 1).all()
    assert 0.02 < (none - least).max() < 0.15
    lightness = np.array([colours(share)[:3] for share in np.linspace(0, 1, 9)]) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) < 0).all()
