"""Keypoints on a picture: edges, dots, rings and numbers."""

from __future__ import annotations

import numpy as np
import pytest

from aigp_lightning.media.plots.boxes import draw_boxes, line_width
from aigp_lightning.media.plots.mosaic import Cell, draw_mosaic
from aigp_lightning.media.plots.palette import class_colour
from aigp_lightning.media.plots.skeleton import LINE, RIM, draw_keypoints

RING = ((0, 1), (1, 2), (2, 3), (3, 0))
QUAD = np.array([[200, 150], [440, 150], [440, 390], [200, 390]], float)
GREY = (114, 114, 114)


def grey(height: int = 640, width: int = 640, value: int = 114) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def gate(corners: np.ndarray = QUAD, seen: object = 2.0) -> np.ndarray:
    """One object's keypoints, (1, K, 3)."""
    third = np.broadcast_to(np.asarray(seen, float), len(corners))
    return np.concatenate((corners, third[:, None]), 1)[None]


def mosaic(points: np.ndarray, *, scores: object = None, image: np.ndarray | None = None, edges: object = RING,
           caption: str = "") -> np.ndarray:  # fmt: skip
    """A cell whose box is far around the keypoints, so that they alone are in its middle."""
    image = grey() if image is None else image
    height, width = image.shape[:2]
    box = np.array([[2, 2, width - 3, height - 3]] * len(points), float)
    sure = None if scores is None else np.asarray(scores, float)
    cell = Cell(image, box, np.zeros(len(points), np.int64), sure, points, caption)
    return draw_mosaic([cell], {0: "g"}, (), edges)  # type: ignore[arg-type]


def white(pixels: np.ndarray) -> bool:
    """Whether pixels are an edge's middle, which is softened a little."""
    return bool((pixels >= 225).all())


def ink_of_numbers(points: np.ndarray, number: int, size: tuple[int, int] = (640, 640)) -> np.ndarray:
    """Rows and columns of the white of one keypoint's number: what is nearest to it without edges, (n, 2)."""
    canvas = grey(*size)
    draw_keypoints(canvas, points, np.array([1000]), (), 2, 20, True)
    ink = np.argwhere((canvas > 200).all(2))
    nearest = np.linalg.norm(ink[:, None, ::-1] - points[0, :, :2], axis=2).argmin(1)
    return ink[nearest == number]


def test_an_edge_has_its_colour_in_the_middle_and_a_rim_on_both_sides() -> None:
    """On white, on black and on grey; inside of the quad is the picture."""
    for value in (0, 114, 255):
        drawn = mosaic(gate(), image=grey(value=value))
        for x, y, across in ((320, 150, (0, 1)), (440, 270, (1, 0)), (320, 390, (0, 1)), (200, 270, (1, 0))):
            assert white(drawn[y, x])
            for way in (-1, 1):
                dx, dy = across[0] * way, across[1] * way
                assert drawn[y + dy, x + dx].max() < 70, "a rim of one pixel, softened"
                assert tuple(drawn[y + 4 * dy, x + 4 * dx]) == (value,) * 3
        assert (drawn[170:370, 220:420] == value).all()


def test_edges_join_only_what_is_shown() -> None:
    """Corner 2 is invisible: neither it nor its two edges are there; the other two edges are."""
    for third in ([2, 2, 0, 2], [0.9, 0.9, 0.2, 0.9], [2, 2, np.nan, 2]):
        drawn = mosaic(gate(seen=third), scores=None if third[0] == 2 else [0.9])
        assert white(drawn[150, 320]) and white(drawn[270, 200])
        assert (drawn[160:400, 425:460] == 114).all(), "no edge down to it, no dot"
        assert (drawn[378:400, 230:425] == 114).all()


def test_without_edges_there_are_dots_alone() -> None:
    drawn = mosaic(gate(), edges=())
    assert tuple(drawn[150, 320]) == GREY
    assert [tuple(drawn[int(y), int(x)]) for x, y in QUAD] == [class_colour(place) for place in range(4)]


def test_a_skeleton_of_another_object_names_keypoints_that_are_not_there() -> None:
    np.testing.assert_array_equal(mosaic(gate(), edges=(*RING, (3, 9))), mosaic(gate()))


def test_hidden_labels_are_rings_and_predictions_are_filled() -> None:
    """Visibility 1 of a label: the picture shows in the middle, the colour around it."""
    truth = mosaic(gate(seen=[2, 1, 2, 1]), edges=())
    assert [tuple(truth[int(y), int(x)]) for x, y in QUAD] == [class_colour(0), GREY, class_colour(2), GREY]
    ring = truth[142:159, 432:449]
    assert (np.abs(ring.astype(int) - class_colour(1)).max(2) < 60).sum() >= 8
    found = mosaic(gate(seen=[2, 1, 2, 1]), scores=[0.9], edges=())
    assert [tuple(found[int(y), int(x)]) for x, y in QUAD] == [class_colour(place) for place in range(4)]


@pytest.mark.parametrize("number", range(4))
def test_numbers_stand_outside(number: int) -> None:
    """White letters, right next to the dot, further from the middle of the gate than the dot is."""
    ink = ink_of_numbers(gate(), number)
    assert 12 < len(ink) < 120
    x, y = QUAD[number]
    out = QUAD[number] - QUAD.mean(0)
    away = (ink[:, ::-1] - (x, y)) @ out / np.linalg.norm(out)
    assert away.min() > 5
    assert away.max() < 32
    assert np.ptp(ink[:, 0]) + 1 >= 9, "high enough to be read"


def test_numbers_differ_and_have_a_dark_rim_on_white() -> None:
    shapes = []
    for number in range(4):
        ink = ink_of_numbers(gate(), number)
        low, high = ink.min(0), ink.max(0)
        shapes.append({tuple(place) for place in (ink - low).tolist()})
        bright = mosaic(gate(), image=grey(value=255), edges=())[low[0] - 1 : high[0] + 2, low[1] - 1 : high[1] + 2]
        assert (bright < 90).all(2).sum() > 15
    assert len({frozenset(shape) for shape in shapes}) == 4


def test_a_steep_gate_has_its_numbers_on_both_sides() -> None:
    corners = np.array([[300, 100], [340, 110], [340, 500], [300, 520]], float)
    for number, side in enumerate((-1, 1, 1, -1)):
        ink = ink_of_numbers(gate(corners), number)
        assert len(ink) > 8
        assert np.sign((ink[:, 1] - 320).mean()) == side


@pytest.mark.parametrize(("side", "there"), [(60, True), (30, True), (12, False), (5, False)])
def test_small_objects_have_no_numbers_but_dots_and_edges(side: int, there: bool) -> None:
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], float) + 300
    drawn = mosaic(gate(corners), edges=())
    assert bool((drawn > 235).all(2).any()) is there
    drawn = mosaic(gate(corners))
    for place in range(4):
        x, y = corners[place].astype(int)
        assert tuple(drawn[y, x]) == class_colour(place)
    if side > 5:
        assert white(drawn[300, 300 + side // 2])
    reach = np.argwhere((drawn[100:-100, 100:-100] != 114).any(2)) + 100
    assert np.abs(reach - (300 + side / 2)).max() < side / 2 + (40 if there else 6)


def test_dots_of_a_small_gate_leave_its_middle_free() -> None:
    """Twelve pixels wide at 160: each dot is its colour, and the middle is still the picture."""
    corners = np.array([[70, 70], [82, 70], [82, 82], [70, 82]], float)
    drawn = mosaic(gate(corners), image=grey(160, 160))
    assert line_width(160, 160) == 1
    assert (drawn[74:79, 74:79] == 114).all()


@pytest.mark.parametrize("at", [(3, 3), (636, 3), (636, 636), (3, 636), (320, 1), (638, 320)])
def test_numbers_stay_inside_the_picture(at: tuple[int, int]) -> None:
    """At the edge of the picture the number turns aside; it is as whole as in the middle."""
    corners = np.array([at, (320, 320), (300, 200), (200, 300)], float)
    whole, here = (len(ink_of_numbers(gate(c), 0)) for c in (QUAD, corners))
    assert here == whole > 8


def test_numbers_keep_out_of_the_caption() -> None:
    corners = np.array([[20, 30], [300, 30], [300, 300], [20, 300]], float)
    alone = mosaic(np.zeros((0, 4, 3)), caption="000001.jpg")
    strip = (alone != 114).any(2)
    assert strip[5, 5] and not strip[30, 20]
    drawn = mosaic(gate(corners), caption="000001.jpg")
    np.testing.assert_array_equal(drawn[:12, :60], alone[:12, :60])
    assert (mosaic(gate(corners), caption="000001.jpg", edges=()) > 235).all(2)[22:50].any(), "but it is written"


def test_names_keep_off_the_numbers() -> None:
    """A box as tight as can be: the name is above the numbers of the upper corners, and all four can be read."""
    box = np.array([[200, 150, 440, 390.0]])
    drawn = draw_boxes(grey(), box, np.array([2]), None, {2: "gate"}, gate(), RING)
    without = draw_boxes(grey(), box, np.array([2]), None, {2: ""}, gate(), RING)
    top = slice(130, 150), slice(180, 215)
    number = (without[top] > 200).all(2)
    assert number.sum() > 5
    assert (drawn[top][number] > 200).all()
    assert (drawn[100:130, 180:240] == class_colour(2)).all(2).sum() > 100


def test_edges_lead_out_of_the_picture_in_the_right_direction() -> None:
    """A corner far to the right: the edge to it leaves at its own height, whatever the distance."""
    for far in (700, 5000, 16000):
        corners = np.array([[100, 300], [far, 300], [far, 500], [100, 500]], float)
        drawn = mosaic(gate(corners, 0.9), scores=[0.9])
        assert white(drawn[300, 120:630])
        assert white(drawn[500, 120:630])


@pytest.mark.parametrize("value", [1e9, -1e9, 1e30, np.inf, np.nan])
def test_corners_that_are_nowhere_break_nothing(value: float) -> None:
    corners = QUAD.copy()
    corners[1] = value, -value
    drawn = mosaic(gate(corners, 0.9), scores=[0.9])
    assert white(drawn[270, 200])
    assert white(drawn[390, 320])


def test_nothing_reaches_a_neighbour() -> None:
    """Keypoints on all borders of the middle cell and far outside: the eight cells around it stay the very pixels."""
    rng = np.random.default_rng(0)
    for side in (33, 64, 160):
        images = [rng.integers(0, 255, (side, side, 3), dtype=np.uint8) for _ in range(9)]
        points = np.concatenate((rng.uniform(-1, 2, (30, 4, 2)) * side, rng.integers(0, 3, (30, 4, 1))), 2)
        points[:4, :, 0], points[4:8, :, 1] = side - 1, 0
        box = np.array([[0, 0, side, side]] * 30, float)
        full = Cell(images[4], box, np.zeros(30, np.int64), None, points, "a.jpg")
        none = np.zeros((0, 4)), np.zeros(0, np.int64)
        cells = [full if number == 4 else Cell(image, *none) for number, image in enumerate(images)]
        drawn = draw_mosaic(cells, {0: "gate"}, (), RING)
        for number, image in enumerate(images):
            place = drawn[number // 3 * side :, number % 3 * side :][:side, :side]
            assert (place == image).all() == (number != 4)


def test_a_masked_cell_shows_no_keypoint() -> None:
    box = np.array([[2, 2, 600, 600.0]])
    cells = [Cell(grey(), box, np.zeros(1, np.int64), None, points) for points in (gate(), gate(QUAD + 50))]
    drawn = draw_mosaic(cells, {0: "g"}, {0, 1}, RING)
    np.testing.assert_array_equal(drawn[:, :640], drawn[:, 640:])


def test_the_surest_is_on_top() -> None:
    """Two gates on each other: the edges of the surer one cross the dots of the other."""
    points = np.concatenate((gate(QUAD, 0.9), gate(QUAD[[1, 0, 3, 2]], 0.9)))
    for scores in ([0.9, 0.3], [0.3, 0.9]):
        drawn = mosaic(points, scores=scores)
        first = int(np.argmax(scores))
        assert tuple(drawn[150, 200]) == class_colour(0 if first == 0 else 1)


def test_what_the_numbers_cover() -> None:
    """The rectangle holds all that is written, and none for an object without numbers."""
    canvas = grey()
    tiny = gate(np.array([[300, 300], [303, 300], [303, 303], [300, 303]], float))
    cover = draw_keypoints(canvas, np.concatenate((gate(), tiny)), np.array([300, 300]), (), 2, 20, True)
    ink = np.argwhere((canvas > 235).all(2))
    low, high = ink.min(0)[::-1], ink.max(0)[::-1]
    assert (cover[0, :2] <= low).all() and (cover[0, 2:] > high).all()
    assert (cover[0, :2] >= low - 4).all() and (cover[0, 2:] <= high + 5).all()
    assert cover[1, 0] > cover[1, 2]


def test_rims_are_the_opposite_of_lines() -> None:
    assert np.abs(np.subtract(LINE, RIM)).min() > 200


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (300, 5)])
def test_tiny_pictures(shape: tuple[int, int]) -> None:
    corners = np.array([[0, 0], [shape[1] - 1, 0], [shape[1] - 1, shape[0] - 1], [0, shape[0] - 1]], float)
    assert draw_boxes(grey(*shape), np.array([[0, 0, shape[1], shape[0]]]), np.zeros(1), None, {}, gate(corners),
                      RING).shape == (*shape, 3)  # fmt: skip
