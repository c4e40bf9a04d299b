"""What data.yaml says about keypoints: every key read, every mistake named with its line, mirrors derived rightly."""

from __future__ import annotations

from pathlib import Path

import pytest

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.keypoint_yaml import PERSON
from aigp_lightning.errors import DataError
from aigp_lightning.types import Keypoints

HEAD = "train: images\nval: images\nnames: [gate]\n"


def read(folder: Path, text: str) -> Keypoints | None:
    file = folder / "data.yaml"
    file.write_text(HEAD + text, encoding="utf-8")
    return read_data_yaml(file).keypoints


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    text = (
        "kpt_shape: [3, 2]\nflip_idx: [1.0, 0, 02]\nflip_idx_vertical: [0, 2, 1]\n"
        "kpt_names: {0: [a, no, 1.10], 1: [x, y, z]}\nkpt_oks_sigmas: [1e-1, 1, 25e-3]\nskeleton: [[0, 1], [1, 2]]\n"
    )
    assert read(tmp_path, text) == Keypoints(
        3, 2, ("a", "no", "1.10"), (1, 0, 2), (0, 2, 1), (0.1, 1.0, 0.025), ((0, 1), (1, 2))
    )


def test_nothing_said(tmp_path: Path) -> None:
    assert read(tmp_path, "") is None
    assert read(tmp_path, "kpt_shape: [2, 3]\n") == Keypoints(2, 3, ("0", "1"))
    assert read(tmp_path, "kpt_shape: [2, 3]\nflip_idx: []\nkpt_names: [left, right]\n") == Keypoints(
        2, 3, ("left", "right")
    )


def test_lines_that_need_not_be_said(tmp_path: Path) -> None:
    """Round four corners; COCO's person; nothing for others, or where an empty skeleton says so."""
    shapes = {"[4, 3]": ((0, 1), (1, 2), (2, 3), (3, 0)), "[17, 3]": PERSON, "[5, 3]": ()}
    for shape, edges in shapes.items():
        found = read(tmp_path, f"kpt_shape: {shape}\n")
        assert found is not None and found.edges == edges
    none = read(tmp_path, "kpt_shape: [4, 3]\nskeleton: []\n")
    assert none is not None and none.edges == ()


@pytest.mark.parametrize(
    ("flip", "vertical"),
    [
        ([1, 0, 3, 2], (3, 2, 1, 0)),  # from the top left, either way round, or from the bottom right
        ([3, 2, 1, 0], (1, 0, 3, 2)),
        ([0, 3, 2, 1], (2, 1, 0, 3)),  # standing on a corner: top, right, bottom, left
        ([2, 1, 0, 3], (0, 3, 2, 1)),
        ([0, 1, 2, 3], None),  # no mirror of a ring
        ([2, 3, 0, 1], None),
        ([1, 0, 2, 3], None),
    ],
)
def test_upside_down_order_of_four_corners(tmp_path: Path, flip: list[int], vertical: tuple[int, ...] | None) -> None:
    """It follows from the left-right order in a ring, and only there."""
    found = read(tmp_path, f"kpt_shape: [4, 3]\nflip_idx: {flip}\n")
    assert found is not None and found.flip_idx_vertical == vertical
    other = read(tmp_path, f"kpt_shape: [4, 3]\nflip_idx: {flip}\nskeleton: [[0, 1], [1, 3], [3, 2], [2, 0]]\n")
    assert other is not None and other.flip_idx_vertical is None
    said = read(tmp_path, f"kpt_shape: [4, 3]\nflip_idx: {flip}\nflip_idx_vertical: [2, 3, 0, 1]\n")
    assert said is not None and said.flip_idx_vertical == (2, 3, 0, 1)


def test_upside_down_order_of_others_is_not_guessed(tmp_path: Path) -> None:
    ring = "skeleton: [[0, 1], [1, 2], [2, 3], [3, 0]]\n"
    six, five = "kpt_shape: [6, 3]\nflip_idx: [1, 0, 3, 2, 5, 4]\n", "kpt_shape: [5, 3]\nflip_idx: [1, 0, 3, 2, 4]\n"
    for text in (six, five + ring):
        found = read(tmp_path, text)
        assert found is not None and found.flip_idx_vertical is None


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("kpt_shape: [0, 3]\n", 4, r"'kpt_shape' must be \[keypoints, 2 or 3\]"),
        ("kpt_shape: [true, 3]\n", 4, "'kpt_shape' must be a list of whole numbers"),
        ("kpt_shape: [3, 3]\nflip_idx: [1, 2, 0]\n", 5, "turns keypoint 0 into 1, but 1 into 2: mirrored twice"),
        ("kpt_shape: [4, 3]\nflip_idx_vertical: [3, 2, 1]\n", 5, "'flip_idx_vertical' must hold each of 0 to 3 once"),
        ("kpt_shape: [2, 3]\nflip_idx: [1.5, 0]\n", 5, "'flip_idx' must be a list of whole numbers"),
        ("kpt_shape: [2, 3]\nkpt_names: {0: [a]}\n", 5, "'kpt_names' has 1 names, but 'kpt_shape' says 2"),
        ("kpt_shape: [2, 3]\nkpt_names: left right\n", 5, "'kpt_names' must be a list with one name"),
        ("kpt_shape: [2, 3]\nkpt_names: [left, ~]\n", 5, "'kpt_names' must be a list with one name"),
        ("kpt_shape: [2, 3]\nkpt_oks_sigmas: [0.1, 0]\n", 5, "'kpt_oks_sigmas' must be 2 numbers over 0"),
        ("kpt_shape: [2, 3]\nkpt_oks_sigmas: [0.1, .nan]\n", 5, "'kpt_oks_sigmas' must be 2 numbers over 0"),
        ("kpt_shape: [2, 3]\nkpt_oks_sigmas: 0.1\n", 5, "'kpt_oks_sigmas' must be 2 numbers over 0"),
        (
            "kpt_shape: [2, 3]\nskeleton: [[0, 2]]\n",
            5,
            r"pairs of keypoints from 0 to 1, .*\['0', '2'\]",
        ),
        ("kpt_shape: [2, 3]\nskeleton: {0: 1}\n", 5, "'skeleton' must be pairs"),
    ],
)
def test_each_mistake_names_file_and_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    with pytest.raises(DataError, match=rf"data\.yaml:{line}: .*{says}"):
        read(tmp_path, text)
