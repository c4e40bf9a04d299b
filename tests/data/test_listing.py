"""Images that a list names, line by line."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from aigp_lightning.data.data_yaml import DataSpec
from aigp_lightning.data.listing import find_images
from aigp_lightning.errors import DataError


def spec(root: Path, *images: str, lines: str) -> DataSpec:
    """A data set with these images, empty, and a list of them in a folder elsewhere."""
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "lists").mkdir()
    (root / "lists" / "train.txt").write_text(lines, encoding="utf-8")
    return DataSpec(root / "data.yaml", root, {0: "gate"}, {"train": (str(root / "lists" / "train.txt"),)})


@pytest.mark.parametrize(
    ("line", "image"),
    [
        ("images/g #2/a.png", "images/g #2/a.png"),
        ("images/g #2/a.png # front", "images/g #2/a.png"),
        ("../images/g #2/a.png\t# front", "lists/../images/g #2/a.png"),
        ("images\\g #2\\a.png", "images/g #2/a.png"),
        (unicodedata.normalize("NFD", "images/höf #2/a.png # front"), "images/höf #2/a.png"),
        ("images/g/a.png # not b.png", "images/g/a.png"),
        ("images/g #2/none.png", "lists/images/g #2/none.png"),  # which is missing, and said to be
        ("images/none.png # not b.png", "lists/images/none.png"),
        ("# images/g/a.png", None),
    ],
)
def test_a_number_sign_belongs_to_the_longest_name_that_is_there(line: str, image: str | None, tmp_path: Path) -> None:
    names = ["images/g #2/a.png", "images/g/a.png", "images/höf #2/a.png", "other.png"]
    found, problems = find_images(spec(tmp_path, *names, lines=f"{line}\nother.png\n"), "train")
    wanted = [str(tmp_path / "other.png"), *([f"{tmp_path}/{image}"] if image else [])]
    assert [unicodedata.normalize("NFC", path) for path in found] == sorted(wanted)
    assert problems == []


@pytest.mark.parametrize("start", ["data/obj", "./data/obj", "data\\obj"])
def test_a_list_with_a_folder_too_many_is_named(start: str, tmp_path: Path) -> None:
    """CVAT puts `data/` before the names; where one image is there as written, the others are just missing."""
    data = spec(tmp_path, "obj/a.png", "obj/b.png", lines=f"{start}/a.png\n{start}/b.png\n")
    with pytest.raises(DataError) as caught:
        find_images(data, "train")
    assert str(caught.value) == (
        f"{tmp_path / 'lists' / 'train.txt'}: its images are not in data/, but all are there without that folder, in "
        f"{tmp_path}: take 'data/' off the beginning of its lines"
    )
    (tmp_path / "data" / "obj").mkdir(parents=True)
    (tmp_path / "data" / "obj" / "a.png").touch()
    (tmp_path / "lists" / "train.txt").write_text("data/obj/a.png\ndata/obj/b.png\n")
    assert len(find_images(data, "train")[0]) == 2


def test_a_list_of_missing_images_is_left_to_the_scan(tmp_path: Path) -> None:
    data = spec(tmp_path, "obj/a.png", lines="data/obj/a.png\ndata/obj/none.png\n")
    assert len(find_images(data, "train")[0]) == 2
