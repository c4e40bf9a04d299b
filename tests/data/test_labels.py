"""One label file: what is read, and what each mistake is called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigp_lightning.data.label_bounds import check_outside
from aigp_lightning.data.labels import object_lines, parse_label_file
from aigp_lightning.data.problems import BOX_OUTSIDE, GONE, OBJECT_OUTSIDE, Problem
from aigp_lightning.errors import ConfigError

OUT_OF_RANGE = "coordinate out of range"
BOX = "0 0.5 0.5 0.2 0.1"


def parse(folder: Path, text: str | bytes, nc: int = 3, kpt_shape=None, **options):
    file = folder / "a.txt"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return parse_label_file(file, nc, kpt_shape, **options)


def kinds(problems: list[Problem]) -> list[tuple[int | None, str]]:
    return [(p.line, p.kind) for p in problems]


def test_boxes(tmp_path):
    cls, boxes, keypoints, problems = parse(tmp_path, "2 0.5 0.25 0.2 0.1\n\n  0 .5 .5 1 1 \r\n")
    assert cls.dtype == np.int64
    assert cls.tolist() == [2, 0]
    assert boxes.dtype == np.float32
    np.testing.assert_array_equal(boxes, np.float32([[0.5, 0.25, 0.2, 0.1], [0.5, 0.5, 1, 1]]))
    assert keypoints is None
    assert problems == []


@pytest.mark.parametrize("text", [None, "", "  \n\n", "\ufeff"])
def test_background(tmp_path, text):
    if text is not None:
        (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    cls, boxes, keypoints, problems = parse_label_file(tmp_path / "a.txt", 1, (4, 3))
    assert (cls.shape, boxes.shape, problems) == ((0,), (0, 4), [])
    assert keypoints is not None
    assert keypoints.shape == (0, 4, 3)


def test_byte_order_mark(tmp_path):
    assert parse(tmp_path, "\ufeff1 0.5 0.5 0.2 0.1")[0].tolist() == [1]


def test_polygon_becomes_its_box(tmp_path):
    cls, boxes, _, problems = parse(tmp_path, "1 0.25 0.5 0.75 0.5 0.5 0.75\n0 0 0 0.5 0 0.5 0.5 0 0.5")
    assert cls.tolist() == [1, 0]
    np.testing.assert_array_equal(boxes, np.float32([[0.5, 0.625, 0.5, 0.25], [0.25, 0.25, 0.5, 0.5]]))
    assert problems == []


def test_different_polygons_in_one_box_are_no_duplicates(tmp_path):
    text = "0 0 0 1 0 1 1\n0 0 0 1 1 0 1\n0 0 0 1 0 1 1\n"
    cls, _, _, problems = parse(tmp_path, text)
    assert len(cls) == 2
    assert kinds(problems) == [(3, "duplicate row")]
    assert problems[0].text == "same as line 1, dropped"


def test_keypoints_of_three_numbers(tmp_path):
    _, boxes, keypoints, problems = parse(tmp_path, f"{BOX} 0.1 0.2 2 0.3 0.4 0", kpt_shape=(2, 3))
    assert boxes.tolist() == np.float32([[0.5, 0.5, 0.2, 0.1]]).tolist()
    assert keypoints.tolist() == np.float32([[[0.1, 0.2, 2], [0, 0, 0]]]).tolist()
    assert problems == []


def test_keypoints_of_two_numbers_are_missing_when_negative(tmp_path):
    """-1 -1 is how a missing one is written: nothing to tell of."""
    text = f"{BOX} 0.1 0.2 -0.005 0.4\n1 0.5 0.5 0.2 0.1 -1 -1 0.1 0.2\n"
    for outside in ("clip", "drop", "error"):
        keypoints, problems = parse(tmp_path, text, kpt_shape=(2, 2), outside=outside)[2:]
        point = [0.1, 0.2, 2]
        assert (keypoints == np.float32([[point, [0, 0, 0]], [[0, 0, 0], point]])).all()
        assert problems == []


def test_pose_file_for_a_box_task(tmp_path):
    cls, boxes, keypoints, problems = parse(tmp_path, f"{BOX} 0.1 0.2 2", kpt_shape=(1, 3), boxes_only=True)
    assert (cls.tolist(), len(boxes), keypoints, problems) == ([0], 1, None, [])


def test_visibility_beyond_two_is_mended(tmp_path):
    keypoints, problems = parse(tmp_path, f"{BOX} 0.1 0.2 0.7\n{BOX} 0.1 0.2 9", kpt_shape=(1, 3))[2:]
    assert keypoints[:, 0, 2].tolist() == [1, 2]
    assert kinds(problems) == [(1, "bad visibility"), (2, "bad visibility")]
    assert not any(p.fatal for p in problems)


def test_single_class(tmp_path):
    cls, _, _, problems = parse(tmp_path, "7 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.1 0.1", nc=1, single_cls=True)
    assert (cls.tolist(), problems) == ([0, 0], [])


@pytest.mark.parametrize(
    ("row", "kind", "text"),
    [
        ("0 0.5 0.5 0.2", "wrong column count", "4 columns, expected 5 (class x_center y_center w h)"),
        ("0 0.5 0.5 0.2 0.1 0.9", "wrong column count", "6 columns, expected 5 (class x_center y_center w h)"),
        ("3 0.5 0.5 0.2 0.1", "class out of range", "class 3, but the data set has 3 (0 to 2)"),
        ("-1 0.5 0.5 0.2 0.1", "class out of range", "class -1, but the data set has 3 (0 to 2)"),
        ("1.5 0.5 0.5 0.2 0.1", "non-integer class", "class 1.5 is not a whole number"),
        ("0 320.5 0.5 0.2 0.1", OUT_OF_RANGE, "320.5 is not a fraction of the image, 0 to 1, and looks like pixels"),
        ("0 0.5 -4.1 0.2 0.1", OUT_OF_RANGE, "-4.1 is not a fraction of the image, 0 to 1, and looks like pixels"),
        ("0 0.5 0.5 0.2 5.1", OUT_OF_RANGE, "5.1 is not a fraction of the image, 0 to 1, and looks like pixels"),
        ("0 2 1 1 4", OUT_OF_RANGE, "2 is not a fraction of the image, 0 to 1, and looks like pixels"),
        ("0 0.5 0.5 -0.005 0.1", "negative size", "-0.005 cannot be a width or height"),
        ("0 nan 0.5 0.2 0.1", "not finite", "a value is NaN or infinite"),
        ("0 0.5 inf 0.2 0.1", "not finite", "a value is NaN or infinite"),
        ("0 0.5 1e99 0.2 0.1", "not finite", "a value is NaN or infinite"),
        ("nan 0.5 0.5 0.2 0.1", "not finite", "a value is NaN or infinite"),
        ("gate 0.5 0.5 0.2 0.1", "not a number", "'gate' is not a number"),
        ("0 0,5 0.5 0.2 0.1", "not a number", "'0,5' is not a number"),
    ],
)
def test_each_bad_row_is_named_and_sets_the_image_aside(tmp_path, row, kind, text):
    cls, boxes, _, problems = parse(tmp_path, f"{BOX}\n\n{row}\n")
    assert problems == [Problem(str(tmp_path / "a.txt"), 3, kind, text, True)]
    assert len(cls) == len(boxes) == 0


def test_every_bad_row_is_listed(tmp_path):
    text = b"9 0.5 0.5 0.2 0.1\n" + BOX.encode() + b"\nx 0 0 0 0\n0 0\n\xff\xfe 0 0 0 0\n0 nan 0 0 0\n0 9.5 0 0 -3\n"
    assert kinds(parse(tmp_path, text)[3]) == [
        (1, "class out of range"),
        (3, "not a number"),
        (4, "wrong column count"),
        (5, "unreadable label"),
        (6, "not finite"),
        (7, "coordinate out of range"),
        (7, "negative size"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"0 0 0 1 0 1 1\n{BOX}\n", (2, "mixed rows")),
        ("0 0 0 1 0 1 1\n0 0 0 1 0 1 1 0.5\n", (2, "wrong column count")),
        ("0 0 0 1 0 1 1\n0 0 0\n", (2, "wrong column count")),
        ("0 0 0 1 0 1 1\n0 0 0 1 0 inf 1\n", (2, "not finite")),
        ("0 0 0 1 0 1 1\n0 0 0 9 0 9 1\n", (2, "coordinate out of range")),
    ],
)
def test_bad_polygons(tmp_path, text, expected):
    cls, _, _, problems = parse(tmp_path, text)
    assert len(cls) == 0
    assert kinds(problems) == [expected]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (BOX, "wrong column count"),
        (f"{BOX} 0.1 120 2", "coordinate out of range"),
        (f"{BOX} inf 120 0", "not finite"),
        (f"{BOX} 0.1 0.2 -1", "bad visibility"),
        (f"{BOX} 0.1 0.2 nan", "not finite"),
    ],
)
def test_bad_pose_rows(tmp_path, row, kind):
    problems = parse(tmp_path, f"{BOX} 0.1 0.2 2\n{row}\n", kpt_shape=(1, 3))[3]
    assert kinds(problems) == [(2, kind)]
    assert problems[0].fatal


def test_duplicates_and_boxes_without_area_are_dropped_with_a_note(tmp_path):
    text = "1 0.5 0.5 0.2 0.1\n0 0.5 0.5 0 0.1\n1 0.50 0.5 0.2 0.1\n0 0.1 0.1 0.1 0.1\n"
    cls, boxes, _, problems = parse(tmp_path, text)
    assert cls.tolist() == [1, 0]
    assert len(boxes) == 2
    assert kinds(problems) == [(2, "zero size"), (3, "duplicate row")]
    assert not any(p.fatal for p in problems)


def test_unreadable_label(tmp_path):
    (tmp_path / "a.txt").mkdir()
    problems = parse_label_file(tmp_path / "a.txt", 1, None)[3]
    assert kinds(problems) == [(None, "unreadable label")]


def test_problem_is_one_line_whatever_the_name():
    text = str(Problem("/a\nb\x1b[31m.txt", 3, "kind", "text", True))
    assert text == "/a\\nb\\x1b[31m.txt:3 kind: text"


number = st.one_of(
    st.floats(-0.3, 1.3).map(str),
    st.floats().map(str),
    st.integers(-2, 5).map(str),
    st.text(max_size=4),
    st.sampled_from(["0", "0.5", "1", "nan", "-0", "1e400", "1_0", "٣"]),
)
row = st.lists(number, max_size=12).map(" ".join)
good = st.lists(st.floats(0, 1, width=32).map(str), min_size=4, max_size=4).map(lambda v: "1 " + " ".join(v))
label_text = st.lists(st.one_of(row, good), max_size=6).map("\n".join)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.one_of(st.binary(max_size=60), label_text.map(lambda t: t.encode("utf-8", "surrogatepass"))),
    kpt_shape=st.sampled_from([None, (1, 2), (1, 3), (2, 3)]),
    single_cls=st.booleans(),
    boxes_only=st.booleans(),
    outside=st.sampled_from(["clip", "drop", "error"]),
)
def test_never_raises_and_never_returns_what_cannot_be(tmp_path, raw, kpt_shape, single_cls, boxes_only, outside):
    cls, boxes, keypoints, problems = parse(
        tmp_path, raw, 3, kpt_shape, single_cls=single_cls, boxes_only=boxes_only, outside=outside
    )
    assert len(cls) == len(boxes)
    assert ((cls >= 0) & (cls < 3)).all()
    assert ((boxes >= -0.0101) & (boxes <= 1.0101)).all()
    assert (boxes[:, 2:] > 0).all()
    edges = np.concatenate((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2))
    assert ((edges >= -0.0101) & (edges <= 1.0101)).all()
    assert (keypoints is not None) == (kpt_shape is not None and not boxes_only)
    if keypoints is not None:
        assert keypoints.shape == (len(cls), kpt_shape[0], 3)
        assert ((keypoints[..., :2] >= -0.0101) & (keypoints[..., :2] <= 1.0101)).all()
        assert np.isin(keypoints[..., 2], (0, 1, 2)).all()
        assert not keypoints[keypoints[..., 2] == 0].any()
    if any(p.fatal for p in problems):
        assert len(cls) == 0
    assert all("\n" not in str(p) for p in problems)


def test_keypoints_without_kpt_shape_are_told(tmp_path):
    row = f"{BOX} 0.1 0.2 2 0.3 0.4 0 0.3 0.5 1 0.1 0.5 2"
    cls, boxes, keypoints, problems = parse(tmp_path, f"{row}\n{row}\n")
    assert (len(cls), len(boxes), keypoints) == (0, 0, None)
    assert kinds(problems) == [(1, "keypoints without kpt_shape")]
    assert "add 'kpt_shape: [4, 3]'" in problems[0].text and problems[0].fatal


@pytest.mark.parametrize("columns", ["9", "17"])
def test_rows_that_kpt_shape_does_not_fit_are_no_polygons(tmp_path, columns):
    """A detector reads the boxes alone, and yet no other box than the one that is written."""
    row = BOX + (" 0.45 0.48 0.55 0.52" if columns == "9" else " 0.45 0.48 2" * 4)
    cls, _, _, problems = parse(tmp_path, row, kpt_shape=(4, 2), boxes_only=True)
    assert (len(cls), kinds(problems)) == (0, [(1, "wrong column count")])
    assert problems[0].text == (
        f"{columns} columns, expected 13 (a box and 4 keypoints of 2 numbers, as 'kpt_shape' says, "
        "or 5: class x_center y_center w h)"
    )
    boxes = parse(tmp_path, BOX + " 0.45 0.48" * 4, kpt_shape=(4, 2), boxes_only=True)[1]
    assert boxes.tolist() == np.float32([[0.5, 0.5, 0.2, 0.1]]).tolist()


def test_a_polygon_on_the_border_is_no_keypoints(tmp_path):
    _, boxes, _, problems = parse(tmp_path, "0 0 0 1 0 1 1 0 1")
    assert problems == [] and boxes.tolist() == [[0.5, 0.5, 1, 1]]


def test_an_odd_visibility_is_named(tmp_path):
    keypoints, problems = parse(tmp_path, f"{BOX} 0.1 0.2 3", kpt_shape=(1, 3))[2:]
    assert keypoints[0, 0, 2] == 2 and problems[0].text == "3 is not 0, 1 or 2, taken as 2"


# ---- out of the picture

RING = ((0.3, 0.3, 2), (0.7, 0.3, 2), (0.7, 0.7, 1))


def gate(*last: object, box: str = "0.5 0.5 0.4 0.4") -> str:
    """A gate with three corners in the picture; the last one as given."""
    return f"0 {box} " + " ".join(str(v) for point in (*RING, last) for v in point)


@pytest.mark.parametrize("last", ["0 0", "0.9 0.1", "-0.12607 1.185889", "5.8 0.24", "-1 -1", "320 1e30"])
@pytest.mark.parametrize("outside", ["clip", "drop", "error"])
def test_a_point_that_is_not_labelled_lies_nowhere(tmp_path, last, outside):
    """CVAT writes whatever numbers before a visibility of 0."""
    keypoints, problems = parse(tmp_path, gate(*last.split(), 0), kpt_shape=(4, 3), outside=outside)[2:]
    assert keypoints.tolist() == np.float32([[*RING, (0, 0, 0)]]).tolist()
    assert problems == []


def test_gates_that_differ_in_what_means_nothing_are_the_same(tmp_path):
    cls, _, _, problems = parse(tmp_path, f"{gate(0.9, 0.1, 0)}\n{gate(7, 8, 0)}", kpt_shape=(4, 3))
    assert (len(cls), kinds(problems)) == (1, [(2, "duplicate row")])


@pytest.mark.parametrize("shape", [(4, 3), (4, 2)])
def test_a_corner_out_of_the_picture_is_not_visible(tmp_path, shape):
    """Up to a hundredth is rounding, and stays as it is written."""
    rows = [gate(-0.126, 0.7, 1), gate(-0.009, 1.009, 2)]
    if shape[1] == 2:
        rows = [f"0 0.5 0.5 0.4 0.4 0.3 0.3 0.7 0.3 0.7 0.7 {last}" for last in ("1.126 0.7", "1.009 0.7")]
    keypoints, problems = parse(tmp_path, "\n".join(rows), kpt_shape=shape)[2:]
    assert (keypoints[0, :3, 2] > 0).all() and keypoints[0, 3].tolist() == [0, 0, 0]
    assert keypoints[1, 3].tolist() == np.float32([-0.009, 1.009, 2] if shape[1] == 3 else [1.009, 0.7, 2]).tolist()
    (problem,) = problems
    where = "-0.126 0.7" if shape[1] == 3 else "1.126 0.7"
    assert (problem.line, problem.text, problem.became) == (1, f"its keypoint 3 is at {where}", "read as not visible")


@pytest.mark.parametrize(
    ("row", "box", "told"),
    [
        ("0.95 0.5 0.2 0.2", [0.925, 0.5, 0.15, 0.2], "its box reaches to 1.05"),
        ("0.5 0.5 2 3", [0.5, 0.5, 1, 1], "its box reaches to 3"),
        ("-0.25 1.25 1 1", [0.125, 0.875, 0.25, 0.25], "its box reaches to -0.75"),
        ("0.5 0.9 0.2 0.22", [0.5, 0.9, 0.2, 0.22], None),  # to 1.01: as it is written, as Ultralytics has it
    ],
)
def test_a_box_that_reaches_out_is_clipped(tmp_path, row, box, told):
    """The others in the picture stay, to the last bit."""
    cls, boxes, _, problems = parse(tmp_path, f"2 0.1 0.3 0.123457 0.1\n1 {row}\n")
    assert cls.tolist() == [2, 1]
    np.testing.assert_array_equal(boxes[0], np.float32([0.1, 0.3, 0.123457, 0.1]))
    np.testing.assert_allclose(boxes[1], box, atol=1e-7)
    assert [(p.line, p.kind, p.text, p.became) for p in problems] == (
        [(2, BOX_OUTSIDE, told, "clipped")] if told else []
    )


@pytest.mark.parametrize(
    ("polygon", "box"),
    [
        ("0.5 0.5 1.5 0.5 1.5 0.75 0.5 0.75", [0.5, 0.5, 1, 0.75]),
        ("0.5 0.2 1.5 0.2 1.5 1.2", [0.5, 0.2, 1, 0.7]),  # its own box, clipped, would reach down to 1
        ("-1.5 -1.5 2.5 -1.5 2.5 2.5 -1.5 2.5", [0, 0, 1, 1]),
        ("-0.5 0.5 0.5 -0.5 1.5 0.5 0.5 1.5", [0, 0, 1, 1]),
        # a hook that leaves at the right and comes back above the picture: nothing of that is seen
        ("0.6 0.6 1.5 0.6 1.5 -0.5 0.2 -0.5 0.2 -0.7 1.7 -0.7 1.7 0.8 0.6 0.8", [0.6, 0.6, 1, 0.8]),
    ],
)
def test_a_polygon_that_reaches_out_is_clipped_before_its_box_is_taken(tmp_path, polygon, box):
    boxes, _, problems = parse(tmp_path, f"0 0.1 0.1 0.2 0.1 0.2 0.3\n0 {polygon}")[1:]
    np.testing.assert_allclose(boxes[0], [0.15, 0.2, 0.1, 0.2], atol=1e-6)
    x1, y1, x2, y2 = box
    np.testing.assert_allclose(boxes[1], [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], atol=1e-6)
    assert [(p.line, p.kind, p.became) for p in problems] == [(2, BOX_OUTSIDE, "clipped")]


def test_a_polygon_round_the_pictures_corner_is_dropped(tmp_path):
    """Its box lies in the picture, but nothing of itself does."""
    cls, _, _, problems = parse(tmp_path, "0 0.5 1.7 1.7 0.5 1.7 1.7")
    assert (len(cls), [(p.kind, p.became) for p in problems]) == (0, [(GONE, "dropped")])


def test_what_lies_outside_is_dropped(tmp_path):
    text = f"1 1.2 0.5 0.3 0.2\n{BOX}\n1 0.5 -0.1 0.2 0.2\n"
    cls, boxes, _, problems = parse(tmp_path, text)
    assert (cls.tolist(), len(boxes)) == ([0], 1)
    assert [(p.line, p.text, p.became, p.fatal) for p in problems] == [
        (1, "it lies from 1.05 0.4 to 1.35 0.6", "dropped", False),
        (3, "it lies from 0.4 -0.2 to 0.6 0", "dropped", False),
    ]


def test_objects_that_reach_out_are_dropped_if_asked(tmp_path):
    text = "\n".join([gate(0.3, 0.7, 2), gate(0.3, 1.7, 2), gate(0.3, 0.6, 2, box="0.9 0.5 0.4 0.4")])
    cls, _, keypoints, problems = parse(tmp_path, text, kpt_shape=(4, 3), outside="drop")
    assert (len(cls), keypoints[0, 3].tolist()) == (1, np.float32([0.3, 0.7, 2]).tolist())
    assert [(p.line, p.kind, p.text, p.became) for p in problems] == [
        (2, OBJECT_OUTSIDE, "its keypoint 3 is at 0.3 1.7", "dropped"),
        (3, OBJECT_OUTSIDE, "its box reaches to 1.1", "dropped"),
    ]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (gate(0.3, 1.7, 2), "1.7 is not a fraction of the image, 0 to 1"),
        (gate(0.3, 0.7, 2, box="1.05 0.5 0.4 0.4"), "1.05 is not a fraction of the image, 0 to 1"),
        (gate(0.3, 0.7, 2, box="0.9 0.5 0.4 0.4"), "the box reaches to 1.1, out of the picture"),
    ],
)
def test_objects_that_reach_out_set_the_image_aside_if_asked(tmp_path, row, text):
    cls, _, _, problems = parse(tmp_path, f"{gate(0.3, 0.7, 2)}\n{row}", kpt_shape=(4, 3), outside="error")
    assert [(p.line, p.kind, p.text, p.fatal) for p in problems] == [(2, OUT_OF_RANGE, text, True)]
    assert len(cls) == 0


def test_lines_of_objects_are_found_again(tmp_path):
    """Whatever was dropped before them."""
    text = f"\n{gate(0.3, 0.7, 2)}\n{gate(0.3, 0.7, 2)}\n{gate(0.3, 1.7, 2)}\n{gate(0.3, 0.6, 2)}"
    assert len(parse(tmp_path, text, kpt_shape=(4, 3))[0]) == 3
    assert object_lines(tmp_path / "a.txt", (4, 3)) == [2, 4, 5]
    assert object_lines(tmp_path / "a.txt", (4, 3), "drop") == [2, 5]
    assert object_lines(tmp_path / "a.txt", (4, 3), "error") == []


def test_the_option_is_one_of_three():
    with pytest.raises(ConfigError, match=r"--data\.outside is cut; it must be one of clip, drop, error"):
        check_outside("cut")
