"""Files of image results: what was written is read, what is none is refused in a line."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigp_lightning.errors import DataError
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, SHAPES, ImageResults, empty_results, read_results

ABOUT: dict[str, Any] = {
    "names": {"0": "gate", "1": "pole"}, "task": "pose", "family": "yolo", "keypoints": ["a", "b", "c", "d"],
    "edges": [[0, 3]], "bands": [5.0, 10], "settings": {"imgsz": 96, "rect": False}, "model": {"sha256": "ab"},
    "data": {"data_yaml": "d.yaml", "images": 2, "labels": None}, "metrics": {"fitness": 0.5, "recall": None},
    "table": [{"class": "all", "images": 2, "precision": None}],
}  # fmt: skip
SIZES = {"n": 2, "d": 3, "t": 4}


def some_results() -> ImageResults:
    random = np.random.default_rng(0)
    arrays = {
        name: (random.random((SIZES[axis], *(4 if size is None else size for size in rest))) * 2).astype(kind)
        for name, (kind, axis, rest) in SHAPES.items()
    }
    arrays |= {
        "found_image": np.array([0, 1, 1], np.int32), "true_image": np.array([0, 0, 1, 1], np.int32),
        "match": np.array([1, 3, -1], np.int32), "found_score": np.array([0.9, 0.5, 0.25], np.float32),
        "correct_pose": np.ones((3, 10), np.bool_), "correct_mask": np.zeros((3, 0), np.bool_),
    }  # fmt: skip
    return ImageResults(("bilder/ä.jpg", "b.jpg"), about=ABOUT, **arrays)


def test_all_of_it_comes_back(tmp_path: Path) -> None:
    results = some_results()
    results.save(tmp_path / RESULTS_FILE)
    back = read_results(tmp_path / RESULTS_FILE)
    assert back.files == results.files
    assert back.names == {0: "gate", 1: "pole"} and back.about == {"version": 1, **ABOUT}
    for name in SHAPES:
        assert np.array_equal(getattr(back, name), getattr(results, name)), name


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "cannot be read"),
        (b"PK\x05\x06" + bytes(18), "cannot be read"),
        (b"not a zip", "cannot be read"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError, match=told):
        read_results(tmp_path / "x.npz")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_results(tmp_path / "x.npz")


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, files=np.array([{}], dtype=object), about=np.zeros(1))
    (tmp_path / "x.npz").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="allow_pickle"):
        read_results(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"match": np.array([0, 1, 4], np.int32)}, "match points nowhere"),
        ({"match": np.array([2, 3, -1], np.int32)}, "match goes with an object of another image"),
        ({"found_image": np.array([1, 0, 1], np.int32)}, "found_image does not rise"),
        ({"true_image": np.array([0, 1, 0, 1], np.int32)}, "true_image does not rise"),
        ({"found_label": np.array([0, 1, -1], np.int32)}, "found_label has a negative number"),
        ({"true_label": np.array([0, 1, 0, 2], np.int32)}, "true_label has a class that is not among its 'names'"),
        ({"shapes": np.array([[9, 9], [9, -9]], np.int32)}, "shapes has a negative number"),
        ({"found_score": np.array([0.9, np.nan, 0.1], np.float32)}, "found_score has what is no number"),
        ({"found_score": np.array([0.9, 1.5, 0.1], np.float32)}, "found_score is not between 0 and 1"),
        ({"found_box": np.full((3, 4), np.inf, np.float32)}, "found_box has what is no number"),
        ({"true_points": np.full((4, 4, 3), np.nan, np.float32)}, "true_points has what is no number"),
        ({"true_points": np.zeros((4, 2, 3), np.float32)}, "different keypoints"),
        ({"correct_pose": np.zeros((3, 7), np.bool_)}, "correct_pose has another shape"),
        ({"correct_mask": np.zeros((3, 7), np.bool_)}, "correct_mask has another shape"),
        ({"found_image": np.array([0, 1, -1], np.int32)}, "found_image points nowhere"),
        ({"found_box": np.zeros((3, 5), np.float32)}, "found_box has another shape"),
        ({"found_box": np.zeros((3, 4))}, "found_box is missing or of another form"),
        ({"true_box": np.zeros((3, 4), np.float32)}, "true_box has another length"),
    ],
)
def test_arrays_that_do_not_go_together_are_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    replace(some_results(), **changes).save(tmp_path / "x.npz")
    with pytest.raises(DataError, match=told):
        read_results(tmp_path / "x.npz")


def test_a_file_from_before_masks_were_kept(tmp_path: Path) -> None:
    """It opens without them, unless another array makes no sense."""
    results = some_results()
    fields = {name: getattr(results, name) for name in SHAPES if name != "correct_mask"}
    texts = {"files": list(results.files), "about": {"version": 1, **ABOUT, "task": "segment"}}
    rows = {key: np.frombuffer(json.dumps(value).encode(), np.uint8) for key, value in texts.items()}
    np.savez(tmp_path / "x.npz", **rows, **fields)
    back = read_results(tmp_path / "x.npz")
    assert back.correct_mask.shape == (3, 0) and back.not_kept == "masks" and list(back.judged) == ["B", "P"]
    np.savez(tmp_path / "x.npz", **rows, **{**fields, "correct": np.array(True)})
    with pytest.raises(DataError, match="correct is missing or of another form"):
        read_results(tmp_path / "x.npz")


def test_another_version_is_refused(tmp_path: Path) -> None:
    empty_results([], {"version": 2}).save(tmp_path / "x.npz")
    with pytest.raises(DataError, match="version 1"):
        read_results(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("task", (5, None, ["detect"])),
        ("family", (5,)),
        (
            "names",
            (["gate"], None, "gate", {"x": "y"}, {"-1": "a", "0": "b", "1": "c"}, {"0": 5, "1": "a"}, {"0": "a"}),
        ),
        ("keypoints", ("a", [1], {"a": 1}, ["a", "b"])),
        ("edges", ("a", [1], [[0]], [[0, "1"]], [[0, -1]], [[0, 4]])),
        ("bands", (5, ["5"], [10, 5], [float("nan")], [float("inf")])),
        ("settings", (5, "imgsz", [1])),
        ("data", ("data.yaml", [1], {"images": "2"}, {"images": -1}, {"split": 5}, {"labels": True})),
        ("model", ("best.ckpt", {"sha256": 5}, {"file": ["a"]})),
        ("metrics", ([0.5], 5, {"fitness": "0.5"}, {"fitness": float("nan")}, {"fitness": True}, {"fitness": [1]})),
        ("table", ({"a": 1}, [5], ["all"], [{"class": ["all"]}], [{"class": {"a": 1}}])),
    ],
)
def test_what_a_file_says_of_its_validation_has_its_form(tmp_path: Path, part: str, values: tuple[Any, ...]) -> None:
    results = some_results()
    for value in values:
        replace(results, about={**ABOUT, part: value}).save(tmp_path / "x.npz")
        with pytest.raises(DataError, match=r"does not hold the results of a validation: .*(its|'names')"):
            read_results(tmp_path / "x.npz")


def test_results_without_names_have_no_objects(tmp_path: Path) -> None:
    empty_results(["a.jpg"], {"task": "detect"}).save(tmp_path / "x.npz")
    assert read_results(tmp_path / "x.npz").names == {}
    about = {part: value for part, value in ABOUT.items() if part != "names"}
    replace(some_results(), about=about).save(tmp_path / "x.npz")
    with pytest.raises(DataError, match="not among its 'names'"):
        read_results(tmp_path / "x.npz")


def test_a_damaged_file_is_one_line() -> None:
    """Bits are flipped, pieces cut out, with and without compression: read as it was, or one error of ours."""
    whole = io.BytesIO()
    np.savez(whole, names=np.zeros(3), **{name: getattr(some_results(), name) for name in SHAPES})
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.npz"
        some_results().save(path)
        files = (path.read_bytes(), whole.getvalue())
        outcomes = set()

        @settings(deadline=None, derandomize=True, database=None, max_examples=400)
        @given(st.sampled_from(files), st.lists(st.integers(0, 1 << 20), min_size=1, max_size=4), st.booleans())
        def holds(data: bytes, places: list[int], cut: bool) -> None:
            damaged = bytearray(data)
            for place in places:
                damaged[place // 8 % len(data)] ^= 1 << place % 8
            path.write_bytes(damaged[: places[0] % len(data)] if cut and places[0] % 7 == 0 else damaged)
            try:
                read_results(path)
                outcomes.add("read")
            except DataError as error:
                assert "\n" not in str(error)
                outcomes.add("refused")

        holds()
    assert "refused" in outcomes
