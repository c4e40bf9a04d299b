"""data.yaml: what is read from it, and what each mistake is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.errors import DataError
from aigp_lightning.types import Keypoints

GOOD = "path: .\ntrain: images/train\nval: images/val\nnames: [gate, pillar]\n"


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "data.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def test_reads_everything(tmp_path):
    text = (
        "train: images/train\nval: [images/a, lists/b.txt]\ntest: /abs/*.png\nnc: 2\n"
        "names: {1: pillar, 0: gate}\nkpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 2]\nkpt_names: {0: [a, b, c, d]}\n"
    )
    spec = read_data_yaml(write(tmp_path, text))
    assert spec.root == tmp_path
    assert spec.nc == 2
    assert list(spec.names.items()) == [(0, "gate"), (1, "pillar")]
    assert spec.splits == {
        "train": (f"{tmp_path}/images/train",),
        "val": (f"{tmp_path}/images/a", f"{tmp_path}/lists/b.txt"),
        "test": ("/abs/*.png",),
    }
    assert spec.keypoints == Keypoints(
        4, 3, ("a", "b", "c", "d"), (1, 0, 3, 2), (3, 2, 1, 0), None, ((0, 1), (1, 2), (2, 3), (3, 0))
    )


def test_folder_stands_for_its_data_yaml(tmp_path):
    write(tmp_path, GOOD)
    assert read_data_yaml(tmp_path).file == tmp_path / "data.yaml"


def test_byte_order_mark_and_non_ascii_names(tmp_path):
    spec = read_data_yaml(write(tmp_path, "\ufeff" + GOOD.replace("gate", "Tor ünï 门")))
    assert spec.names[0] == "Tor ünï 门"


def test_only_nc_makes_names(tmp_path):
    assert read_data_yaml(write(tmp_path, "train: a\nval: b\nnc: '2'\n")).names == {0: "class_0", 1: "class_1"}


def test_names_that_yaml_takes_for_numbers_or_booleans_are_text(tmp_path):
    """As Ultralytics has them."""
    assert read_data_yaml(write(tmp_path, "train: a\nval: b\nnames: [7, yes]\n")).names == {0: "7", 1: "True"}


def test_validation_is_another_word_for_val(tmp_path):
    spec = read_data_yaml(write(tmp_path, "train: a\nvalidation: b\nnames: [x]\n"))
    assert spec.splits["val"] == (str(tmp_path / "b"),)


def test_relative_path_starts_at_the_yaml_or_else_where_the_pictures_are(tmp_path, monkeypatch):
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    for split in ("train", "val"):
        (work / "datasets" / "set" / "images" / split).mkdir(parents=True)
    monkeypatch.chdir(work)
    file = write(home, GOOD.replace("path: .", "path: set"))
    assert read_data_yaml(file).root == work / "datasets" / "set"
    (home / "set" / "images" / "train").mkdir(parents=True)
    (home / "set" / "images" / "val").mkdir(parents=True)
    assert read_data_yaml(file).root == home / "set"


def test_exported_parent_paths_are_found(tmp_path):
    """Some exporters write ../train/images where train/images is meant."""
    (tmp_path / "train" / "images").mkdir(parents=True)
    spec = read_data_yaml(write(tmp_path, "train: ../train/images\nval: ../valid/images\nnames: [x]\n"))
    assert spec.splits["train"] == (str(tmp_path / "train" / "images"),)
    assert spec.splits["val"] == (str(tmp_path.parent / "valid" / "images"),)


def test_links_are_kept_as_written(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "images").symlink_to(tmp_path / "store", target_is_directory=True)
    spec = read_data_yaml(write(tmp_path, "train: images\nval: images\nnames: [x]\n"))
    assert spec.splits["train"] == (str(tmp_path / "images"),)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("train: a\nval: [b\nnames: [x]\n", 3, "not valid YAML"),
        (b"train: \xff\n", None, "UTF-8"),
        ("[1, 2]", None, "needs the keys train, val and names"),
        ("", None, "needs the keys train, val and names"),
        ("val: b\nnames: [x]\n", None, "'train' is missing or empty"),
        ("train: a\nval:\nnames: [x]\n", 2, "'val' is missing or empty"),
        ("train: a\nval: b\ntest: 3\nnames: [x]\n", 3, "'test' must be a path"),
        ("train: [a, {b: c}]\nval: b\nnames: [x]\n", 1, "'train' must be a path"),
        ("path: 3\ntrain: a\nval: b\nnames: [x]\n", 1, "'path' must be a folder"),
        ("train: a\nval: b\n", None, "neither 'names' nor 'nc'"),
        ("train: a\nval: b\nnames: x\n", 3, "'names' must be a list"),
        ("train: a\nval: b\nnames: []\n", 3, "'names' must be a list"),
        ("train: a\nval: b\nnames: [[x]]\n", 3, "must be text, not list"),
        ("train: a\nval: b\nnames: {a: x}\n", 3, "not a whole number"),
        ("train: a\nval: b\nnames: {1: x, 2: y}\n", 3, "must be 0 to 1, not 1 to 2"),
        ("train: a\nval: b\nnames:\n  0: x\n  0: y\n", 5, "class 0 is also on line 4"),
        ("train: a\nval: b\nnames: [x]\ntrain: c\n", 4, "'train' is also on line 1"),
        ("train: a\nval: b\nnames: [x]\nnc: 2\n", 4, "'nc' is 2, but 'names' has 1"),
        ("train: a\nval: b\nnc: 1.5\n", 3, "'nc' must be a whole number"),
        ("train: a\nval: b\nnc: .inf\n", 3, "'nc' must be a whole number"),
        ("train: a\nval: b\nnc: true\n", 3, "'nc' must be a whole number"),
        ("train: a\nval: b\nnc: 0\n", 3, "'nc' must be a whole number"),
        ("train: a\nval: b\nnc: " + "9" * 5000, None, "not valid YAML"),
        (GOOD + "kpt_shape: 4\n", 5, "'kpt_shape' must be a list"),
        (GOOD + "kpt_shape: [4, 4]\n", 5, "'kpt_shape' must be [keypoints, 2 or 3]"),
        (GOOD + "kpt_shape: [4, 3]\nflip_idx: [0, 1, 2]\n", 6, "each of 0 to 3 once"),
        (GOOD + "kpt_shape: [2, 3]\nflip_idx: [0, 0]\n", 6, "each of 0 to 1 once"),
        (GOOD + "kpt_shape: [2, 3]\nkpt_names: [a]\n", 6, "1 names, but 'kpt_shape' says 2"),
        (GOOD + "x: !!python/object/apply:os.getcwd []\n", 5, "not valid YAML"),
        (GOOD + "x: " + "[" * 1200, None, "not valid YAML"),
    ],
)
def test_each_mistake_names_file_and_line(tmp_path, text, line, says):
    file = write(tmp_path, text)
    with pytest.raises(DataError) as error:
        read_data_yaml(file)
    assert str(error.value).startswith(f"{file}: " if line is None else f"{file}:{line}: ")
    assert says in str(error.value)


def test_missing_file_says_which_option(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.yaml: no such file; give data\.data_yaml"):
        read_data_yaml(tmp_path / "nowhere.yaml")


@pytest.mark.filterwarnings("ignore")
def test_agrees_with_ultralytics(tmp_path, monkeypatch):
    theirs_utils = pytest.importorskip("ultralytics.data.utils")
    monkeypatch.setattr(theirs_utils, "check_font", lambda *_: None)  # it may download one
    for split in ("train", "val"):
        (tmp_path / "images" / split).mkdir(parents=True)
    file = write(tmp_path, GOOD + "nc: 2\nkpt_shape: [4, 3]\n")
    monkeypatch.chdir(tmp_path)
    theirs, ours = theirs_utils.check_det_dataset(str(file), autodownload=False), read_data_yaml(file)
    assert theirs["names"] == ours.names
    assert (theirs["train"],) == ours.splits["train"]
    assert (theirs["val"],) == ours.splits["val"]
    assert tuple(theirs["kpt_shape"]) == ours.kpt_shape
