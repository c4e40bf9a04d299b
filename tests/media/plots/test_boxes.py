"""Boxes on a picture."""

from __future__ import annotations

import numpy as np
import pytest

from aigp_lightning.media.plots.boxes import class_colour, draw_boxes, line_width, text_colour, text_size

NAMES = {0: "gate", 1: "Säule", 2: "大门"}
NONE = np.zeros((0, 4), np.float32)


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 114, np.uint8)


def test_box_edges_lie_on_its_coordinates_in_the_class_colour() -> None:
    drawn = draw_boxes(grey(300, 400), np.array([[100.2, 120, 299.8, 250]]), np.array([1]), np.array([0.5]), NAMES)
    assert line_width(300, 400) == 1
    for row, column in ((180, 100), (180, 300), (120, 290), (250, 200)):
        assert tuple(drawn[row, column]) == class_colour(1) == (86, 180, 233)
    for row, column in ((180, 99), (180, 101), (180, 301), (249, 200), (251, 200)):
        assert tuple(drawn[row, column]) == (114, 114, 114)


def test_the_picture_given_is_left_alone_and_may_be_read_only() -> None:
    image = grey(100, 100)
    image.flags.writeable = False
    drawn = draw_boxes(image, np.array([[10, 30, 60, 80.0]]), np.array([0]), None, NAMES)
    assert (image == 114).all() and drawn.flags.writeable and (drawn != 114).any()


def test_nothing_found_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    np.testing.assert_array_equal(draw_boxes(image, NONE, NONE[:, 0], NONE[:, 0], NAMES), image)


def test_tag_is_filled_with_the_class_colour_and_black_or_white_ink() -> None:
    drawn = draw_boxes(grey(300, 400), np.array([[100, 120, 300, 250.0]]), np.array([0]), np.array([0.87]), NAMES)
    above = drawn[120 - text_size(300, 400) : 119, 101:140].reshape(-1, 3)
    assert (above == class_colour(0)).all(1).mean() > 0.4
    assert text_colour(class_colour(0)) == (0, 0, 0) and (above.max(1) < 40).sum() > 20


@pytest.mark.parametrize("box", [[0, 0, 399, 299], [390, 290, 500, 400], [-80, -50, 20, 10], [350, 0, 399, 20]])
def test_tag_stays_inside_the_picture(box: list[float]) -> None:
    """All of the text's ink is there, wherever the box is."""
    inside = draw_boxes(grey(300, 400), np.array([[100, 100, 300, 250.0]]), np.array([5]), np.array([0.5]), NAMES)
    drawn = draw_boxes(grey(300, 400), np.array([box], float), np.array([5]), np.array([0.5]), NAMES)
    assert (drawn.max(2) < 60).sum() == (inside.max(2) < 60).sum() > 20


@pytest.mark.parametrize("shape", [(8, 8), (12, 2000), (2000, 12), (1, 1)])
def test_pictures_smaller_than_the_tag(shape: tuple[int, int]) -> None:
    height, width = shape
    drawn = draw_boxes(grey(*shape), np.array([[0, 0, width, height]]), np.array([0]), np.array([0.5]), NAMES)
    assert drawn.shape == (*shape, 3) and (drawn != 114).any()


def test_text_and_lines_grow_with_the_picture() -> None:
    assert [line_width(*s) for s in ((64, 64), (360, 640), (1080, 1920), (2160, 3840))] == [1, 2, 5, 10]
    assert [text_size(*s) for s in ((64, 64), (360, 640), (1080, 1920), (2160, 3840))] == [11, 11, 30, 60]


def test_letters_beyond_ascii_are_letters_and_not_boxes() -> None:
    """The ink of ä differs from that of ö and of any missing letter."""

    def ink(name: str) -> np.ndarray:
        drawn = draw_boxes(grey(600, 900), np.array([[100, 100, 800, 500.0]]), np.array([0]), None, {0: name})
        return drawn[75:99, 99:140].max(2)

    pictures = [ink(name) for name in ("ä", "ö", "в", "\ue000")]
    for i, first in enumerate(pictures):
        for second in pictures[:i]:
            assert (np.abs(first.astype(int) - second.astype(int)) > 60).sum() > 5


def test_the_surest_is_on_top() -> None:
    boxes = np.array([[20, 40, 80, 90], [20, 40, 80, 90.0]])
    drawn = draw_boxes(grey(100, 100), boxes, np.array([3, 4]), np.array([0.9, 0.3]), NAMES)
    assert tuple(drawn[70, 20]) == class_colour(3)


def test_keypoints_are_coloured_by_their_place_and_unsure_ones_left_out() -> None:
    points = np.array([[[30, 50, 0.9], [70, 50, 0.9], [70, 80, 0.1], [900, -5, 0.9]]], float)
    drawn = draw_boxes(grey(100, 100), np.array([[20, 40, 80, 90.0]]), np.array([0]), np.array([0.9]), NAMES, points)
    assert tuple(drawn[50, 30]) == class_colour(0) and tuple(drawn[50, 70]) == class_colour(1)
    assert tuple(drawn[80, 70]) == (114, 114, 114)


def test_boxes_far_outside_do_not_overflow() -> None:
    drawn = draw_boxes(grey(100, 100), np.array([[-1e12, 40, 1e12, 90]]), np.array([0]), np.array([0.9]), NAMES)
    assert (drawn[90, :] == class_colour(0)).all()


def test_twenty_eight_colours_differ_and_then_repeat() -> None:
    colours = np.array([class_colour(index) for index in range(28)], float)
    apart = np.abs(colours[:, None] - colours[None]).sum(2) + 1000 * np.eye(28)
    assert apart.min() > 30
    assert class_colour(28) == class_colour(0)


def test_text_contrast_is_at_least_4_5() -> None:
    """WCAG level AA on every class colour."""

    def luminance(colour: tuple[int, int, int]) -> float:
        parts = np.array(colour) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for index in range(28):
        low, high = sorted((luminance(class_colour(index)), luminance(text_colour(class_colour(index)))))
        assert (high + 0.05) / (low + 0.05) >= 4.5
