"""What is read by many files at once is what each file gives by itself; what is wrong in any way is left to that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aigp_lightning.data.labels import parse_label_file
from aigp_lightning.data.usual_labels import usual_labels

BOX = "1 0.5 0.25 0.125 0.1"
USUAL = (
    BOX, f"{BOX}\n", f"\n{BOX}\r\n\n2 .5 5e-1 +0.25 1E-1\n", f"{BOX}\n0 0.5 0.25 0.125 0.1", "", " \n\t\n",
    "0 0.0625 0.5 0.125 1", "0 -0 0.5 1e-20 0.1", f" {BOX}  ",
)  # fmt: skip
UNUSUAL = (
    f"{BOX}\n{BOX}", "0 0 0.5 0.1 0.1\n0 -0 0.5 0.1 0.1", "3 0.5 0.5 0.1 0.1", "-1 0.5 0.5 0.1 0.1",
    "0.5 0.5 0.5 0.1 0.1", "0 0.5 0.5 0 0.1", "0 0.5 0.5 -0.1 0.1", "0 1.5 0.5 0.1 0.1", "0 0.95 0.5 0.2 0.1",
    "0 500 500 10 10", "0 0.5 0.5 0.1", "0 0.5 0.5 0.1 0.1 0.9", "0 0.1 0.1 0.2 0.1 0.2 0.2", "0 nan 0.5 0.1 0.1",
    "0 inf 0.5 0.1 0.1", "0 1e99 0.5 0.1 0.1", "a 0.5 0.5 0.1 0.1", "0 0,5 0.5 0.1 0.1", "0 0_5 0.5 0.1 0.1",
    "0 \u0660 0.5 0.1 0.1", "0 0.5\v0.5 0.1 0.1", f"\ufeff{BOX}", "0 0.5 0.5\n0.1 0.1",
    "0 0.5 0.5 0.1 0.1 0 0.5 0.5 0.1 0.1", "0 e 0.5 0.1 0.1",
)  # fmt: skip
POINTS = " 0.5 0.5 2 0.25 0.75 1"
POSE_USUAL = (
    BOX + POINTS,
    f"{BOX} 0.5 0.5 0 0.25 0.75 1",
    f"{BOX} 0 0 0 0 0 0",
    "",
    f"{BOX}{POINTS}\n0{BOX[1:]}{POINTS}",
)
POSE_UNUSUAL = (
    BOX, f"{BOX} 0.5 0.5 0.5 0.25 0.75 1", f"{BOX} 0.5 0.5 3 0.25 0.75 1", f"{BOX} 0.5 1.5 2 0.25 0.75 1",
    f"{BOX} 0.5 0.5 -1 0.25 0.75 1", f"{BOX} -0.5 0.5 1 0.25 0.75 1", f"{BOX} 0.5 0.5 0 0 0 1\n{BOX} 0.7 0.5 0 0 0 1",
)  # fmt: skip


def write(folder: Path, texts: tuple[str, ...]) -> list[str]:
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_text(text, encoding="utf-8", newline="")
    return [str(folder / f"{number}.txt") for number in range(len(texts))]


def check_same(one: Any, file: str, nc: int, pose: tuple[int, int] | None, single: bool) -> None:
    *arrays, problems = parse_label_file(file, nc, pose, single)
    assert problems == []
    for ours, theirs in zip(one, arrays, strict=True):
        if theirs is None:
            assert ours is None
        else:
            assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())


def test_many_files_without_an_object(tmp_path: Path) -> None:
    """Backgrounds alone, as a stretch of a flight may be: there was no column to count."""
    found = usual_labels(write(tmp_path, ("",) * 70), 1, (4, 3), False)
    assert len(found) == 70 and all(one is not None and len(one[0]) == 0 for one in found)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(("texts", "pose"), [(USUAL, None), (POSE_USUAL, (2, 3))], ids=["boxes", "pose"])
def test_usual_files(texts: tuple[str, ...], pose: tuple[int, int] | None, single: bool, tmp_path: Path) -> None:
    files = write(tmp_path, texts)
    for file, one in zip(files, usual_labels(files, 3, pose, single), strict=True):
        assert one is not None, Path(file).read_bytes()
        check_same(one, file, 3, pose, single)


@pytest.mark.parametrize(("texts", "pose"), [(UNUSUAL, None), (POSE_UNUSUAL, (2, 3))], ids=["boxes", "pose"])
def test_unusual_files(texts: tuple[str, ...], pose: tuple[int, int] | None, tmp_path: Path) -> None:
    """One at a time, and between others that are usual and are read."""
    good = BOX + (POINTS if pose else "")
    for text in texts:
        files = write(tmp_path, (good, text, good))
        found = usual_labels(files, 3, pose, False)
        assert found[1] is None, text
        assert [one is None for one in found] in ([False, True, False], [True, True, True])
    assert parse_label_file(files[0], 3, pose)[3] == []


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "nowhere")
    files = [str(tmp_path / f"{name}.txt") for name in ("none", "folder", "link")]
    assert usual_labels([*files, "\0.txt"], 3, None, False) == [None] * 4
    assert usual_labels([], 3, None, False) == []


def test_keypoints_without_visibility_are_left(tmp_path: Path) -> None:
    files = write(tmp_path, (f"{BOX} 0.5 0.5 0.25 0.75",))
    assert usual_labels(files, 3, (2, 2), False) == [None]


def test_many_random_files(tmp_path: Path) -> None:
    """Of boxes drawn a little beyond the picture, some are left out and the others are the same."""
    rng = np.random.default_rng(5)
    texts = tuple(
        "\n".join(
            " ".join(map(str, (rng.integers(4), *rng.uniform(0, 0.7, 4).round(3)))) for _ in range(rng.integers(4))
        )
        for _ in range(80)
    )
    files = write(tmp_path, texts)
    found = usual_labels(files, 3, None, False)
    clean = [not parse_label_file(file, 3, None)[3] for file in files]
    assert [one is not None for one in found] == clean
    assert 10 < sum(clean) < 70
    for file, one in zip(files, found, strict=True):
        if one is not None:
            check_same(one, file, 3, None, False)
