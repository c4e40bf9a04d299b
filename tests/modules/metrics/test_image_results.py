"""Files of image results: what was written is read, what is none is refused in a line."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aigp_lightning.errors import DataError
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, SHAPES, ImageResults, empty_results, read_results

SIZES = {"n": 2, "d": 3, "t": 4}


def some_results() -> ImageResults:
    random = np.random.default_rng(0)
    arrays = {
        name: (random.random((SIZES[axis], *(4 if size is None else size for size in rest))) * 2).astype(kind)
        for name, (kind, axis, rest) in SHAPES.items()
    }
    return ImageResults(("bilder/ä.jpg", "b.jpg"), about={"names": {"0": "gate"}, "task": "pose"}, **arrays)


def test_all_of_it_comes_back(tmp_path: Path) -> None:
    results = some_results()
    results.save(tmp_path / RESULTS_FILE)
    back = read_results(tmp_path / RESULTS_FILE)
    assert back.files == results.files
    assert back.names == {0: "gate"}
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
        ({"found_image": np.array([0, 1, -1], np.int32)}, "found_image points nowhere"),
        ({"found_box": np.zeros((3, 5), np.float32)}, "found_box has another shape"),
        ({"found_box": np.zeros((3, 4))}, "found_box is missing or of another form"),
        ({"true_box": np.zeros((3, 4), np.float32)}, "true_box has another length"),
    ],
)
def test_arrays_that_do_not_go_together_are_refused(tmp_path: Path, changes: dict[str, np.ndarray], told: str) -> None:
    replace(some_results(), **changes).save(tmp_path / "x.npz")
    with pytest.raises(DataError, match=told):
        read_results(tmp_path / "x.npz")


def test_another_version_is_refused(tmp_path: Path) -> None:
    empty_results([], {"version": 2}).save(tmp_path / "x.npz")
    with pytest.raises(DataError, match="version 1"):
        read_results(tmp_path / "x.npz")
