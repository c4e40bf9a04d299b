"""The share of pictures with a near neighbour in another split is that which the frames' numbers tell."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from aigp_lightning.data.leaks.leak_report import figures, leak_lines
from aigp_lightning.data.leaks.split_leaks import FRAME, IDENTICAL, SplitLeak, find_leaks


@pytest.fixture(scope="module")
def one(flights: Path) -> list[str]:
    """The frames of the first flight."""
    return sorted(map(str, (flights / "images" / "flight_000").iterdir()))


@pytest.fixture(scope="module")
def two(flights: Path) -> list[str]:
    """The frames of the second flight, which is faster."""
    return sorted(map(str, (flights / "images" / "flight_001").iterdir()))


def measured(train: list[str], val: list[str], root: Path) -> SplitLeak:
    [leak] = find_leaks({"train": train, "val": val}, str(root), workers=1)
    return leak


def drawn(frames: list[str], count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Frames at random, and the others."""
    chosen = set(random.Random(seed).sample(frames, count))
    return sorted(chosen), [frame for frame in frames if frame not in chosen]


@pytest.mark.parametrize("seed", [0, 1])
def test_frames_at_random_leak_all(one: list[str], two: list[str], flights: Path, seed: int) -> None:
    """Each has a frame within two of it in training, for all but a share of 0.2 to the 4th."""
    for frames in (one, two):
        val, train = drawn(frames, len(frames) // 5, seed)
        truth = np.mean([any(abs(frames.index(v) - frames.index(t)) <= 2 for t in train) for v in val])
        leak = measured(train, val, flights)
        assert abs(leak.share - truth) <= 0.02
        assert leak.kinds == {FRAME: len(val)}
        assert len(leak.cut) == 1


def test_another_flight_leaks_nothing(one: list[str], two: list[str], flights: Path) -> None:
    leak = measured(one, two, flights)
    assert (leak.share, leak.cut, leak.pairs) == (0.0, [], [])


def test_half_of_a_mixture_leaks(one: list[str], two: list[str], flights: Path) -> None:
    """Validation is frames of a flight that is trained on, and as many of one that is not."""
    mine, train = drawn(one, 40)
    leak = measured(train, [*mine, *two[:40]], flights)
    assert abs(leak.share - 0.5) <= 0.02
    assert {Path(pair.file).parent.name for pair in leak.pairs} == {"flight_000"}


def test_a_block_with_a_gap_leaks_nothing(one: list[str], flights: Path) -> None:
    assert measured(one[:100], one[120:], flights).share <= 0.01


def test_names_that_say_nothing(one: list[str], tmp_path: Path) -> None:
    """Without numbers the pictures alone tell it, of a flight that is not too fast."""
    order = random.Random(3).sample(one, len(one))
    copies = []
    for frame, name in zip(one, order, strict=True):
        letters = "".join(chr(ord("a") + int(digit)) for digit in Path(name).stem)
        copies.append(str(shutil.copy(frame, tmp_path / f"{letters}.jpg")))
    val, train = drawn(copies, 28)
    leak = measured(train, val, tmp_path)
    assert leak.cut == []
    assert leak.share >= 0.8


def test_two_flights_whose_frames_have_the_same_names(one: list[str], two: list[str], tmp_path: Path) -> None:
    """Training and validation count from 0 each, as `make-data` does: no neighbours, however near the numbers."""
    splits: dict[str, list[str]] = {"train": [], "val": []}
    for split, frames in (("train", one), ("val", two)):
        (tmp_path / "images" / split).mkdir(parents=True)
        for number, frame in enumerate(frames):
            copy = shutil.copy(frame, tmp_path / "images" / split / f"{number:06d}.jpg")
            splits[split].append(str(copy))
    assert measured(splits["train"], splits["val"], tmp_path).share == 0.0


def test_every_other_frame(one: list[str], flights: Path) -> None:
    """No two neighbours are in one split, and yet all leak."""
    assert measured(one[::2], one[1::2], flights).share == 1.0


def test_identical_copies_and_links(one: list[str], two: list[str], tmp_path: Path) -> None:
    """Under other names, in other folders, with blanks, line ends and letters of all scripts; a link too."""
    names = ["a b.jpg", "a\nb.jpg", "ворота.jpg"]
    val = [str(shutil.copy(frame, tmp_path / name)) for frame, name in zip(one[::40], names, strict=False)]
    os.symlink(one[125], tmp_path / "link.jpg")
    leak = measured(one, [*val, str(tmp_path / "link.jpg"), two[0]], tmp_path)
    assert leak.kinds == {IDENTICAL: 4}
    assert leak.share == 0.8
    lines = leak_lines(leak, 0.05)
    assert all("\n" not in line for line in lines)
    assert any("a\\nb.jpg is the same file as" in line for line in lines)


def test_flat_pictures_count_only_as_identical(tmp_path: Path) -> None:
    """Frames of a covered lens look alike and show nothing; the same file twice is the same file."""
    grey = {name: str(tmp_path / f"{name}.png") for name in ("x", "y", "z")}
    for name, level in (("x", 5), ("y", 5), ("z", 9)):
        cv2.imwrite(grey[name], np.full((40, 40, 3), level, np.uint8))
    assert measured([grey["x"]], [grey["z"]], tmp_path).share == 0.0
    assert measured([grey["x"]], [grey["y"]], tmp_path).kinds == {IDENTICAL: 1}


def test_a_picture_that_cannot_be_read_does_not_count(one: list[str], tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    leak = measured(one[:50], [str(tmp_path / "broken.jpg"), one[50]], tmp_path)
    assert (leak.pictures, leak.share) == (1, 1.0)
    empty = measured([str(tmp_path / "broken.jpg")], one[:3], tmp_path)
    assert (empty.pictures, empty.share) == (3, 0.0)


def test_pairs_of_three_splits(one: list[str], two: list[str], flights: Path) -> None:
    leaks = find_leaks({"train": one[:90], "val": two[:50:2], "test": two[1:50:2]}, str(flights), workers=1)
    assert [(leak.split, leak.other, leak.share) for leak in leaks] == [
        ("val", "train", 0.0), ("test", "train", 0.0), ("test", "val", 1.0),
    ]  # fmt: skip
    assert figures(leaks[2], 0.05)["near"] == 25


def test_splits_of_one_picture(one: list[str], flights: Path) -> None:
    assert measured([one[0]], [one[1]], flights).share == 1.0
    assert find_leaks({"train": one[:1], "val": []}, str(flights), workers=1) == []
