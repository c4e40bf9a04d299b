"""Mosaics: whose pixels are where."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from aigp_lightning.media.encode import encode
from aigp_lightning.media.plots.boxes import class_colour, line_width, text_colour
from aigp_lightning.media.plots.mosaic import EDGE, HIDDEN, INK, PADDING, PAPER, Cell, draw_mosaic, letter_size
from aigp_lightning.media.plots.text import inks, text_mask

NAMES = {0: "gate", 1: "Säule", 2: "大门", 3: "a name much longer than a small picture is wide"}
EMPTY = np.zeros((0, 4), np.float32)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 114, np.uint8)


def cell(
    image: np.ndarray,
    boxes: object = EMPTY,
    labels: object = None,
    scores: object = None,
    points: np.ndarray | None = None,
    caption: str = "",
) -> Cell:
    rows = np.asarray(boxes, np.float32).reshape(-1, 4)
    classes = np.zeros(len(rows), np.int64) if labels is None else np.asarray(labels)
    return Cell(image, rows, classes, None if scores is None else np.asarray(scores, np.float32), points, caption)


def crowded(height: int, width: int, seed: int) -> Cell:
    """Noise with forty boxes, many of them beyond the edges, names, confidences, keypoints and a caption."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(-0.3, 1, (40, 2)) * (width, height)
    boxes = np.concatenate((low, low + rng.uniform(0.05, 0.6, (40, 2)) * (width, height)), 1)
    points = np.concatenate((rng.uniform(-0.1, 1.1, (40, 4, 2)) * (width, height), np.ones((40, 4, 1))), 2)
    return cell(noise(height, width, seed), boxes, rng.integers(0, 4, 40), rng.random(40), points, f"image {seed}.jpg")


def of(canvas: np.ndarray, number: int, columns: int, height: int, width: int) -> np.ndarray:
    top, left = number // columns * height, number % columns * width
    return canvas[top : top + height, left : left + width]


@pytest.mark.parametrize(
    ("count", "rows", "columns"),
    [(1, 1, 1), (2, 1, 2), (3, 2, 2), (4, 2, 2), (5, 2, 3), (7, 3, 3), (12, 3, 4), (13, 4, 4), (16, 4, 4), (17, 4, 5)],
)
def test_every_image_lies_pixel_for_pixel_in_its_place(count: int, rows: int, columns: int) -> None:
    """Row by row, nothing scaled, grey in the places left over."""
    images = [noise(20, 30, seed) for seed in range(count)]
    drawn = draw_mosaic([cell(image) for image in images], NAMES)
    assert drawn.shape == (rows * 20, columns * 30, 3) and drawn.dtype == np.uint8
    for number, image in enumerate(images):
        np.testing.assert_array_equal(of(drawn, number, columns, 20, 30), image)
    for number in range(count, rows * columns):
        assert (of(drawn, number, columns, 20, 30) == PADDING).all()


def test_images_of_different_sizes_keep_theirs() -> None:
    """Each beside the one before, as many as have room; a line in the padding below shows where they end."""
    images = [noise(20, 50, 1), noise(40, 30, 2), noise(40, 50, 3)]
    drawn = draw_mosaic([cell(image) for image in images], NAMES)
    assert drawn.shape == (80, 80, 3)
    for image, (top, left) in zip(images, ((0, 0), (0, 50), (40, 0)), strict=True):
        np.testing.assert_array_equal(drawn[top : top + image.shape[0], left : left + image.shape[1]], image)
    assert (drawn[20, :50] == EDGE).all() and (drawn[21:40, :50] == PADDING).all()
    assert (drawn[40:, 50:] == PADDING).all()


def test_rectangular_batches_leave_little_of_the_page_empty() -> None:
    """Eight wide images, then eight high ones, as their aspect ratio sorts them: no half of a place is grey."""
    images = [noise(24, 40, seed) for seed in range(8)] + [noise(40, 24, seed) for seed in range(8)]
    drawn = draw_mosaic([cell(image) for image in images], NAMES)
    assert drawn.shape == (2 * 24 + 2 * 40, 160, 3)
    assert (drawn == PADDING).all(2).mean() < 0.3, "the end of the last row, most of it"
    np.testing.assert_array_equal(drawn[48:88, 24:48], images[9])


def test_a_masked_image_s_shape_shows_nowhere() -> None:
    """It takes the place of the largest of the others, whatever it is itself."""
    others = [cell(noise(24, 40, seed)) for seed in range(3)]
    drawn = [draw_mosaic([*others[:1], cell(hidden), *others[1:]], NAMES, [1]) for hidden in (grey(8, 90), grey(70, 9))]
    np.testing.assert_array_equal(*drawn)
    assert drawn[0].shape == (48, 80, 3)


def test_planes_as_a_batch_has_them_and_read_only_arrays() -> None:
    batch = np.ascontiguousarray(np.stack([noise(24, 36, seed) for seed in range(4)]).transpose(0, 3, 1, 2))
    batch.flags.writeable = False
    drawn = draw_mosaic([cell(image.transpose(1, 2, 0)) for image in batch], NAMES)
    for number, image in enumerate(batch):
        np.testing.assert_array_equal(of(drawn, number, 2, 24, 36), image.transpose(1, 2, 0))


@pytest.mark.parametrize("step", [(1, -1, 1), (-1, 1, 1), (1, 2, 1), (1, 1, -1)])
def test_mirrored_and_thinned_views(step: tuple[int, int, int]) -> None:
    for image in (noise(24, 36), np.ascontiguousarray(noise(24, 36).transpose(2, 0, 1)).transpose(1, 2, 0)):
        view = image[:: step[0], :: step[1], :: step[2]]
        np.testing.assert_array_equal(draw_mosaic([cell(view)], NAMES), view)


def test_box_in_the_second_row_lies_on_its_coordinates_in_its_class_colour() -> None:
    """Edges of one pixel; inside and outside of them is the image."""
    images = [noise(160, 160, seed) for seed in range(4)]
    box = [40, 60, 120, 130]
    drawn = draw_mosaic([*map(cell, images[:3]), cell(images[3], [box], [5])], NAMES)
    assert line_width(160, 160) == 1
    place = of(drawn, 3, 2, 160, 160)
    for edge in (place[60:131, 40], place[60:131, 120], place[60, 40:121], place[130, 40:121]):
        assert (edge == class_colour(5)).all()
    np.testing.assert_array_equal(place[61:130, 41:120], images[3][61:130, 41:120])
    np.testing.assert_array_equal(place[131:], images[3][131:])
    np.testing.assert_array_equal(place[:40], images[3][:40])
    for number in range(3):
        np.testing.assert_array_equal(of(drawn, number, 2, 160, 160), images[number])


def test_png_has_the_colours_and_jpeg_nearly() -> None:
    images = [grey(640, 640), grey(640, 640)]
    box = [[100, 200, 400, 500]]
    drawn = draw_mosaic([cell(images[0], box, [0], [0.5]), cell(images[1], box, [4], [0.5])], NAMES)
    for suffix, distance in ((".png", 0), (".jpg", 40)):
        decoded = cv2.imdecode(np.frombuffer(encode(drawn, suffix), np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)
        for offset, label in ((0, 0), (640, 4)):
            assert np.abs(decoded[250:450, offset + 100] - class_colour(label)).max() <= distance
            assert np.abs(decoded[500, offset + 150 : offset + 350] - class_colour(label)).max() <= distance
            assert np.abs(decoded[210:490, offset + 110 : offset + 390] - 114).max() <= distance / 4


def test_wide_lines_have_a_rim_that_contrasts() -> None:
    """A dark blue box shows on dark blue."""
    image = np.full((640, 640, 3), class_colour(4), np.uint8)
    drawn = draw_mosaic([cell(image, [[100, 100, 500, 500]], [4])], NAMES)
    assert line_width(640, 640) == 2
    across = drawn[300, 90:110]
    assert (across == text_colour(class_colour(4))).all(1).sum() == 2 and (across == class_colour(4)).all(1)[10]


def test_nothing_of_a_cell_reaches_its_neighbours() -> None:
    """Whatever is drawn in the middle cell, the eight around it stay the very pixels; so does their padding."""
    for height, width in ((64, 64), (90, 160), (33, 17)):
        images = [noise(height, width, seed) for seed in range(9)]
        drawn = draw_mosaic(
            [crowded(height, width, 4) if number == 4 else cell(image) for number, image in enumerate(images)], NAMES
        )
        for number, image in enumerate(images):
            same = (of(drawn, number, 3, height, width) == image).all()
            assert same == (number != 4)


def test_nothing_is_drawn_beyond_a_smaller_image() -> None:
    """Its padding stays grey, but for the line."""
    drawn = draw_mosaic([crowded(60, 70, 1), cell(noise(100, 120))], NAMES)
    assert drawn.shape == (100, 190, 3)
    assert (drawn[61:100, :70] == PADDING).all() and (drawn[60, :70] == EDGE).all()
    np.testing.assert_array_equal(drawn[:, 70:], noise(100, 120))


def test_a_masked_cell_shows_a_word_and_nothing_else() -> None:
    """Two wholly different images give the same pixels: the fill, the ink and what is between them."""
    pictures = [
        draw_mosaic([cell(grey(200, 300)), first, cell(grey(200, 300))], NAMES, masked={1})
        for first in (crowded(200, 300, 1), crowded(200, 300, 2), cell(noise(10, 20, 3), caption="secret.jpg"))
    ]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    np.testing.assert_array_equal(pictures[0], pictures[2])
    place = of(pictures[0], 1, 2, 200, 300)
    assert (place[..., 0] == place[..., 1]).all() and (place[..., 0] == place[..., 2]).all()
    assert place.min() == HIDDEN[0] and place.max() <= INK[0]
    assert 0.95 < (place == HIDDEN).mean() < 1 and (place.min(2) > 160).sum() > 20, "a word in the middle"
    assert (place[:80] == HIDDEN).all() and (place[120:] == HIDDEN).all()
    assert (of(pictures[0], 0, 2, 200, 300) == 114).all()


def test_masks_hold_for_any_collection_and_all_cells() -> None:
    cells = [crowded(64, 64, seed) for seed in range(4)]
    drawn = draw_mosaic(cells, NAMES, masked=range(4))
    for number in range(4):
        np.testing.assert_array_equal(of(drawn, number, 2, 64, 64), drawn[:64, :64])
    part = draw_mosaic(cells, NAMES, masked=[0, 3, 3])
    np.testing.assert_array_equal(of(part, 3, 2, 64, 64), drawn[:64, :64])
    np.testing.assert_array_equal(of(part, 1, 2, 64, 64), draw_mosaic(cells, NAMES)[:64, 64:])


@pytest.mark.parametrize("masked", [[4], [-1], [0, 9]])
def test_a_mask_of_no_cell_is_an_error(masked: list[int]) -> None:
    """Counting from the end, or wrongly, would show what is private."""
    with pytest.raises(ValueError, match="no such cell"):
        draw_mosaic([cell(grey(8, 8))] * 4, NAMES, masked)


def test_tiny_masked_cells() -> None:
    assert draw_mosaic([cell(grey(3, 5))], NAMES, [0]).shape == (3, 5, 3)


def test_no_cells() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        draw_mosaic([], NAMES)


def test_cells_that_do_not_fit_together_are_refused() -> None:
    for image in (np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((3, 4, 4), np.uint8), grey(0, 4)):
        with pytest.raises(ValueError, match="image is"):
            cell(image)
    with pytest.raises(ValueError, match=r"differ in number: \[2, 1\]"):
        cell(grey(4, 4), np.ones((2, 4)), [0])
    with pytest.raises(ValueError, match=r"differ in number: \[1, 1, 2\]"):
        cell(grey(4, 4), np.ones((1, 4)), [0], [0.5, 0.5])


@pytest.mark.parametrize(
    "box",
    [
        [np.nan, 10, 50, 50],
        [10, 10, np.inf, 50],
        [-np.inf, 10, 50, 50],
        [30, 30, 30, 60],
        [30, 30, 60, 30],
        [60, 60, 30, 30],
        [200, 10, 300, 50],
        [10, -90, 50, -20],
    ],
)
def test_boxes_that_are_none_are_skipped(box: list[float]) -> None:
    """Neither line nor name nor keypoint; the sound one is drawn as it would be alone."""
    image, sound = noise(160, 160), [20, 60, 120, 140]
    points = np.array([[[80, 20, 1.0]]] * 2)
    np.testing.assert_array_equal(draw_mosaic([cell(image, [box], [1], [0.9], points[:1])], NAMES), image)
    both = draw_mosaic([cell(image, [box, sound], [1, 0], [0.9, 0.8], points)], NAMES)
    np.testing.assert_array_equal(both, draw_mosaic([cell(image, [sound], [0], [0.8], points[:1])], NAMES))


def test_odd_numbers_are_drawn_all_the_same() -> None:
    """A confidence that is none, keypoints that are nowhere, boxes without end, no class names."""
    points = np.array([[[np.nan, 3, 1], [np.inf, -np.inf, 1], [1e30, 1e30, 1], [20, 30, np.nan]]])
    drawn = draw_mosaic([cell(grey(80, 80), [[-1e30, 20, 1e30, 60]], [77], [np.nan], points)], {})
    assert (drawn[60] == class_colour(77)).all() and (drawn[30, 20] == 114).all()


def test_ground_truth_has_no_confidence_and_a_prediction_two_decimals() -> None:
    """The tag of a prediction goes on where that of ground truth ends, by the same number of columns for all."""

    def columns(scores: list[float] | None, name: str = "gate") -> int:
        drawn = draw_mosaic([cell(grey(160, 300), [[20, 60, 290, 150]], [0], scores)], {0: name})
        return int((drawn[53] != 114).any(1).sum())

    truth = columns(None)
    assert 20 < truth < 45
    assert columns([0.5]) == columns([0.504]) and columns([0.5]) - truth > 15
    assert columns([0.5], "gate gate") - columns(None, "gate gate") == columns([0.5]) - truth
    one, other = (
        draw_mosaic([cell(grey(160, 300), [[20, 60, 290, 150]], [0], [score])], NAMES) for score in (0.504, 0.496)
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("side", [64, 160, 320, 640, 1280, 2560])
def test_names_can_be_read_at_any_size(side: int) -> None:
    """A tag of solid colour above the box, its letters high enough and of strong contrast, yet a small part."""
    box = [side * 0.1, side * 0.5, side * 0.9, side * 0.95]
    drawn = draw_mosaic([cell(grey(side, side), [box], [0], [0.87])], NAMES)
    top, line = round(side * 0.5), line_width(side, side)
    tag = drawn[: top - line // 2 - 1, round(side * 0.1) + line + 1 :]
    rows = np.flatnonzero((tag == class_colour(0)).all(2).any(1))
    ink = np.flatnonzero((tag < 60).all(2).any(1))
    letters = letter_size(side, side, 1)
    assert max(8, side * 0.02) <= letters <= max(10, side * 0.07)
    assert letters <= rows.max() - rows.min() + 1 <= 1.5 * letters + line
    assert 0.7 * letters <= ink.max() - ink.min() + 1 <= 1.1 * letters + 1, "from the d's or t's top to the g's tail"
    assert (tag != 114).any(2).sum() < 0.25 * side * side


def test_letters_are_smaller_in_a_crowd_but_never_too_small() -> None:
    assert [letter_size(640, 640, boxes) for boxes in (0, 12, 24, 48, 300)] == [20, 20, 14, 10, 10]
    assert [letter_size(160, 160, boxes) for boxes in (1, 300)] == [10, 9]
    assert letter_size(64, 64, 1) == letter_size(1, 1, 300) == 9


def test_all_outlines_come_before_all_names_and_the_surest_name_is_on_top() -> None:
    """A later box's line does not cross an earlier name; a name that meets another gives way or is left out."""
    boxes = [[40, 80, 200, 200], [60, 60, 61.5, 160]]
    drawn = draw_mosaic([cell(grey(240, 240), boxes, [0, 4], [0.9, 0.3])], NAMES)
    tag = drawn[68:79, 41:75]
    assert not (tag == class_colour(4)).all(2).any() and (tag == class_colour(0)).all(2).mean() > 0.4
    for scores in ([0.9, 0.3], [0.3, 0.9]):
        drawn = draw_mosaic([cell(grey(240, 240), [[40, 80, 200, 200]] * 2, [0, 4], scores)], NAMES)
        first, second = np.argsort(scores)[::-1] * 4
        assert (drawn[68:79, 41:75] == class_colour(first)).all(2).mean() > 0.4, "above: the surer one"
        assert (drawn[202:212, 41:75] == class_colour(second)).all(2).mean() > 0.4, "below: the other"
        assert (drawn[120, 40] == class_colour(first)).all()


def test_a_crowd_of_small_boxes_is_not_buried_under_names() -> None:
    """A hundred boxes on one spot: most of the picture is still the picture, and each tag left can be read."""
    rng = np.random.default_rng(0)
    low = 75 + rng.uniform(-4, 4, (100, 2))
    image = noise(160, 160)
    drawn = draw_mosaic([cell(image, np.hstack((low, low + 8)), rng.integers(0, 3, 100), rng.random(100))], NAMES)
    assert (drawn == image).all(2).mean() > 0.8


def test_names_leave_most_of_a_small_picture_alone() -> None:
    """Twenty boxes all over 64 pixels: what can be seen is the surest name, the boxes, and most of the image."""
    low = np.stack(np.meshgrid(np.arange(2, 60, 12), np.arange(2, 60, 15)), axis=2).reshape(-1, 2)
    image, scores = noise(64, 64), np.linspace(0.3, 0.9, 20)
    drawn = draw_mosaic([cell(image, np.hstack((low, low + 6)), np.arange(20) % 7, scores)], {})
    assert 0.4 < (drawn == image).all(2).mean() < 0.9
    filled = [(drawn == class_colour(label)).all(2).sum() for label in range(7)]
    assert filled[19 % 7] > 150, "boxes, and a name"
    assert max(filled[0], filled[1]) < 100, "boxes only"


def test_names_keep_out_of_small_boxes() -> None:
    """Small gates in a column: no name lies on a gate, its own or another, and each is still written."""
    boxes = [[100, top, 116, top + 14] for top in range(40, 200, 26)]
    scores = np.linspace(0.9, 0.4, len(boxes))
    drawn = draw_mosaic([cell(np.full((240, 240, 3), 77, np.uint8), boxes, [0] * len(boxes), scores)], NAMES)
    for left, top, right, bottom in boxes:
        assert (drawn[top + 1 : bottom, left + 1 : right] == 77).all()
    tags = (drawn == class_colour(0)).all(2)
    assert tags.sum() > len(boxes) * (60 + 150), "outlines, and names beside them"


def test_caption_is_light_on_dark_whatever_the_image() -> None:
    for image in (grey(160, 160), np.full((160, 160, 3), 255, np.uint8), np.zeros((160, 160, 3), np.uint8)):
        drawn = draw_mosaic([cell(image, caption="000001.jpg")], NAMES)
        changed = (drawn != image).any(2)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        assert rows[0] == columns[0] == 0 and 9 <= rows[-1] <= 16 and 40 < columns[-1] < 80
        strip = drawn[: rows[-1] + 1, : columns[-1] + 1]
        assert (strip == PAPER).all(2).mean() > 0.5 and (strip.min(2) > 180).sum() > 20
        np.testing.assert_array_equal(drawn[20:], image[20:])


def test_names_keep_out_of_the_caption() -> None:
    """Boxes at the top left corner: the caption's pixels are those of a cell without boxes."""
    image = grey(320, 320)
    alone = draw_mosaic([cell(image, caption="000001.jpg")], NAMES)
    strip = alone != image
    for box in ([0, 0, 100, 100], [0, 0, 320, 320], [10, 15, 60, 300], [2, 22, 200, 80]):
        drawn = draw_mosaic([cell(image, [box], [0], [0.5], caption="000001.jpg")], NAMES)
        np.testing.assert_array_equal(drawn[strip], alone[strip])
        assert (drawn == class_colour(0)).all(2).sum() > 2 * (box[2] - box[0]), "and the name is somewhere else"


def test_long_names_and_captions_are_cut_to_the_cell() -> None:
    """The confidence stays whole, and of a file's name its end."""
    drawn = draw_mosaic([cell(grey(64, 64), [[2, 30, 62, 60]], [3], [0.37])], NAMES)
    tag = drawn[:30][(drawn[:30] != 114).any(2).any(1)]
    number = inks(class_colour(3), text_colour(class_colour(3)))[text_mask("0.37", letter_size(64, 64, 1), True)]
    end = np.flatnonzero((tag != 114).any(2).any(0))[-1] + 1
    assert end <= 64 and tag.shape[0] == number.shape[0]
    np.testing.assert_array_equal(tag[:, end - number.shape[1] : end], number)
    assert (tag[:, : end - number.shape[1]].max(2) < 60).sum() > 10, "letters before it"
    ends = [draw_mosaic([cell(grey(64, 64), caption="x" * 40 + end)], NAMES) for end in ("1.jpg", "2.jpg", "1.jpg")]
    assert (ends[0] != ends[1]).any() and (ends[0] == ends[2]).all()


@pytest.mark.parametrize("text", ["", " ", "\n", "a\nb", "\udcff\udc80.jpg", "x" * 5000, "門" * 400, "🏁"])
def test_strange_words_break_nothing(text: str) -> None:
    drawn = draw_mosaic([cell(grey(64, 64), [[5, 30, 60, 60]], [0], [0.5], caption=text)], {0: text})
    assert (drawn[60, 5:61] == class_colour(0)).all()


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (12, 500), (500, 12), (64, 64)])
def test_images_smaller_than_their_words(shape: tuple[int, int]) -> None:
    drawn = draw_mosaic([crowded(*shape, seed) for seed in range(3)], NAMES)
    assert drawn.shape == (2 * shape[0], 2 * shape[1], 3)
    assert (of(drawn, 3, 2, *shape) == PADDING).all()


def test_keypoints_are_dots_in_the_colour_of_their_place() -> None:
    points = np.array([[[30, 60, 0.9], [70, 60, 2.0], [70, 80, 0.1], [900, -5, 0.9]]], np.float32)
    images = [noise(120, 120, 1), grey(120, 120)]
    drawn = draw_mosaic([cell(images[0]), cell(images[1], [[20, 50, 80, 90]], [0], None, points)], NAMES)
    place = drawn[:, 120:]
    assert (place[60, 30] == class_colour(0)).all() and (place[60, 70] == class_colour(1)).all()
    assert (place[80, 70] == 114).all()
    np.testing.assert_array_equal(drawn[:, :120], images[0])


def test_the_images_given_are_left_alone() -> None:
    image = noise(90, 90)
    before = image.copy()
    draw_mosaic([cell(image, [[5, 5, 60, 60]], [0], [0.5], caption="a.jpg")], NAMES)
    np.testing.assert_array_equal(image, before)


def test_the_grey_of_a_letterbox_is_left_out() -> None:
    """The image lies in the corner of its place, and boxes, keypoints and masks where they belong in it."""
    whole = np.full((96, 160, 3), 114, np.uint8)
    whole[20:70] = noise(50, 160)
    points = np.array([[[100.0, 40, 2]]])
    masks = np.zeros((1, 48, 80), np.uint8)
    masks[0, 15:20, 40:60] = 1
    shown = Cell(whole, np.array([[80, 30, 120, 60]]), np.array([0]), None, points, "", masks, window=(20, 0, 70, 160))
    without = Cell(whole[20:70], np.array([[80, 10, 120, 40]]), np.array([0]), None, points - [0, 20, 0], "",
                   masks.repeat(2, 1).repeat(2, 2)[:, 20:70])  # fmt: skip
    drawn = draw_mosaic([shown], NAMES)
    assert drawn.shape == (50, 160, 3)
    np.testing.assert_array_equal(drawn, draw_mosaic([without], NAMES))
