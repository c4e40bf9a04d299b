"""Files that are too large, too many, or no files at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.labels import parse_label_file
from aigp_lightning.data.limits import MAX_LABEL_BYTES, MAX_PROBLEMS, MAX_ROWS, MAX_YAML_BYTES, is_name, quoted
from aigp_lightning.data.listing import find_images
from aigp_lightning.data.verify import check_image
from aigp_lightning.errors import DataError

HEAD = "train: images\nval: images\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_pipes_are_not_opened(tmp_path: Path) -> None:
    """Opening one would wait for a writer for ever."""
    os.mkfifo(tmp_path / "a.txt")
    os.mkfifo(tmp_path / "a.jpg")
    (label,) = parse_label_file(tmp_path / "a.txt", 1, None)[3]
    shape, image = check_image(str(tmp_path / "a.jpg"))
    assert (label.kind, label.text, label.fatal) == ("unreadable label", "a device or pipe, not a file", True)
    assert shape is None
    assert image is not None
    assert (image.kind, image.text) == ("unreadable image", "a device or pipe, not a file")


def test_a_label_file_of_any_size_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    with file.open("wb") as stream:
        stream.truncate(MAX_LABEL_BYTES + 10**6)  # a hole, which costs no disk
    (problem,) = parse_label_file(file, 1, None)[3]
    assert (problem.text, problem.fatal) == ("17 MB, at most 16 are read", True)


@pytest.mark.parametrize("row", ["0 0.5 0.5 0.1 0.1", "x", "\udcff"])
def test_too_many_rows(tmp_path: Path, row: str) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(f"{row}\n".encode("utf-8", "surrogateescape") * (MAX_ROWS + 1))
    cls, _, _, (problem,) = parse_label_file(file, 1, None)
    assert (len(cls), problem.kind, problem.fatal) == (0, "too many rows", True)
    assert problem.text == f"{MAX_ROWS + 1} lines, at most {MAX_ROWS} are read"


@pytest.mark.parametrize(
    ("row", "kind", "fatal"), [("x", "wrong column count", True), ("0 .5 .5 1 1", "duplicate row", False)]
)
def test_problems_of_a_file_are_counted_beyond_the_first(tmp_path: Path, row: str, kind: str, fatal: bool) -> None:
    file = tmp_path / "a.txt"
    file.write_text(f"{row}\n" * (MAX_PROBLEMS + 50), encoding="utf-8")
    cls, _, _, problems = parse_label_file(file, 1, None)
    *listed, last = problems
    assert {problem.kind for problem in listed} == {kind}
    assert len(listed) == MAX_PROBLEMS
    first = MAX_PROBLEMS + (1 if fatal else 2)
    assert str(last) == f"{file}:{first} and more: {50 if fatal else 49} more from this line on"
    assert (last.fatal, len(cls)) == (fatal, 0 if fatal else 1)


def test_lines_of_a_list_are_counted_beyond_the_first(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("train: list.txt\nval: list.txt\nnames: [gate]\n", encoding="utf-8")
    (tmp_path / "list.txt").write_text("a.jpg\n" + "nonsense\n" * (MAX_PROBLEMS + 7), encoding="utf-8")
    images, problems = find_images(read_data_yaml(tmp_path / "data.yaml"), "train")
    assert len(images) == 1
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1].text == "7 more lines do not end like an image's name"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "names: [gate]\n#" + "x" * MAX_YAML_BYTES,
            "data.yaml: 1 MB, at most 1 are read; long lists of images go into",
        ),
        ("nc: 100001\n", "data.yaml:3: 'nc' is 100001; at most 100000 classes are trained"),
        ("nc: 0x" + "f" * 5000, "data.yaml:3: 'nc' must be a whole number over 0, not '0xff"),
        ("names: {0.5: gate}\n", "data.yaml:3: a class id under 'names' is not a whole number"),
        ("names: {.inf: gate}\n", "data.yaml:3: a class id under 'names' is not a whole number"),
        ('names: ["\\e[31m"]\n', "data.yaml:3: '\\x1b[31m' is no class name; up to 200 printable characters are one"),
        ("names: [gate]\nkpt_shape: [1001, 3]\n", "data.yaml:4: 'kpt_shape' must be [keypoints, 2 or 3]"),
        (
            "names: [!!timestamp x]\n",
            "data.yaml:3: not valid YAML for a data set: tag !!timestamp; write it without",
        ),
        ("names: [!!binary eA==]\n", "data.yaml:3: not valid YAML for a data set: tag !!binary; write it without"),
        ("path: " + "a" * 5000 + "\nnames: [gate]\n", "there is no"),
        ("path: ~nobody-has-this-name/x\nnames: [gate]\n", "there is no"),
    ],
)
def test_a_data_yaml_that_would_cost_or_break_something(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "data.yaml").write_text(HEAD + text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        find_images(read_data_yaml(tmp_path / "data.yaml"), "train")
    assert says in str(caught.value)


def test_quoted_is_short_whatever_the_value() -> None:
    laughs: list[object] = ["x"] * 10
    for _ in range(40):
        laughs = [laughs] * 10
    assert quoted(laughs).startswith("[[[...], [...],")
    assert len(quoted(laughs)) <= 80
    assert quoted(16**5000) == "a very long number"
    assert len(quoted("x" * 10**6)) <= 80
    assert quoted("a\n\x1b") == r"'a\n\x1b'"


@pytest.mark.parametrize(
    ("name", "fine"),
    [
        ("gate", True),
        ("größer 門", True),
        ("", True),
        ("a\n", False),
        ("\x9b", False),
        ("\ud800", False),
        ("a" * 201, False),
    ],
)
def test_names(name: str, fine: bool) -> None:
    assert is_name(name) is fine
