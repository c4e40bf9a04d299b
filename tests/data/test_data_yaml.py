"""data.yaml: what is read from it, and what each mistake is called."""

from __future__ import annotations

import os
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


WORDS = (
    *("yes", "no", "on", "off", "y", "true", "False", "007", "010", "08", "1_000", "1e3", "0x1F", "12:30:45", "1.10"),
    *(".5", "+3", "2024-01-01", "2024-99-99", ".nan", ".inf", "=", "<<", "null_gate", "1e400", "größer 門"),
)


@pytest.mark.parametrize("form", ["list", "lines", "ids", "quoted"])
def test_class_names_are_what_stands_in_the_file(tmp_path: Path, form: str) -> None:
    """Whatever YAML takes them for: truth values, numbers, times, dates that there are not; as plain `str`."""
    text = {
        "list": f"names: [{', '.join(WORDS)}]\n",
        "lines": "names:\n" + "".join(f"- {word}\n" for word in WORDS),
        "ids": "names:\n" + "".join(f"  {place}: {word}\n" for place, word in enumerate(WORDS)),
        "quoted": "names: [" + ", ".join(f"'{word}'" for word in WORDS) + "]\n",
    }[form]
    names = read_data_yaml(write(tmp_path, "train: a\nval: b\n" + text)).names
    assert names == dict(enumerate(WORDS))
    assert {type(name) for name in names.values()} == {str}


def test_paths_are_what_stands_in_the_file(tmp_path: Path) -> None:
    """A folder may be called by a date, a number or `off`."""
    spec = read_data_yaml(write(tmp_path, "path: 2024-01-01\ntrain: 007\nval: [off, 1e3]\nnames: ['null', '~']\n"))
    root = tmp_path / "2024-01-01"
    assert spec.splits == {"train": (f"{root}/007",), "val": (f"{root}/off", f"{root}/1e3")}
    assert spec.names == {0: "null", 1: "~"}


@pytest.mark.parametrize("nc", ["2", "'2'", "2.0", "2e0", "0x2", "02", "+2", "20e-1"])
def test_numbers_are_numbers_however_they_are_written(tmp_path: Path, nc: str) -> None:
    assert read_data_yaml(write(tmp_path, f"train: a\nval: b\nnc: {nc}\nnames: [x, z]\n")).nc == 2


def test_merged_keys_and_anchors(tmp_path: Path) -> None:
    """The own key counts, then the first of several; a value that is used twice is read once."""
    text = (
        "base: &base {train: a, val: b, names: [x]}\nother: &other {val: c, nc: 2}\n"
        "<<: [*base, *other]\nnames: &n [p, q]\nmore: *n\n"
    )
    spec = read_data_yaml(write(tmp_path, text))
    assert (spec.names, spec.splits["val"]) == ({0: "p", 1: "q"}, (f"{tmp_path}/b",))


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        *(("sigmas", "kpt_oks_sigmas"), ("kpt_sigmas", "kpt_oks_sigmas"), ("oks_sigma", "kpt_oks_sigmas")),
        *(("flipidx", "flip_idx"), ("flip-idx", "flip_idx"), ("flip_index", "flip_idx"), ("Flip_Idx", "flip_idx")),
        *(("kpt_shapes", "kpt_shape"), ("keypoint_names", "kpt_names"), ("skeletons", "skeleton"), ("tests", "test")),
        *(("name", "names"), ("classes", "names"), ("Names", "names"), ("vale", "val"), ("valid", "val")),
        *(("test_images", "test"), ("train_img_dir", "train"), ("valPath", "val")),
        *(("num_classes", "nc"), ("pth", "path"), ("trian", "train"), ("flip_idx_verticl", "flip_idx_vertical")),
    ],
)
def test_keys_that_nearly_are_known_ones_are_named(tmp_path: Path, key: str, meant: str) -> None:
    file = write(tmp_path, GOOD + f"license: MIT\n{key}: x\nroboflow: {{url: y}}\n")
    assert read_data_yaml(file).doubts == (f"{file}:6: '{key}' is not read; did you mean '{meant}'?",)


def test_keys_of_others_are_no_doubt(tmp_path: Path) -> None:
    keys = (
        "download",
        "channels",
        "license",
        "version",
        "url",
        "author",
        "date",
        "task",
        "description",
        "imgsz",
        "bar",
        "test_split",
        "test_ratio",
    )
    spec = read_data_yaml(write(tmp_path, GOOD + "".join(f"{key}: x\n" for key in keys)))
    assert spec.doubts == ()


def test_keys_that_say_nothing_beside_the_others_are_named(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD + "flip_idx: [1, 0]\nvalidation: images/train\n")
    assert read_data_yaml(file).doubts == (
        f"{file}:6: 'validation' is not read beside 'val'; leave one of the two",
        f"{file}:5: 'flip_idx' is not read without 'kpt_shape'; add 'kpt_shape', or remove it",
    )


@pytest.mark.parametrize("other", ["a\u200b", "\ufeffa", " a", "a\u202e"])
def test_names_that_look_the_same_are_the_same(tmp_path: Path, other: str) -> None:
    file = write(tmp_path, f"train: a\nval: b\nnames: [a, '{other}']\n")
    with pytest.raises(DataError, match=r"classes 0 and 1 are both called"):
        read_data_yaml(file)


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


@pytest.mark.skipif(os.sep == "\\", reason="there it is what separates folders")
@pytest.mark.parametrize("there", ["images/train", "images\\train"])
def test_backslashes_are_slashes_where_nothing_is_named_so(tmp_path: Path, there: str) -> None:
    (tmp_path / "a" / "b" / there).mkdir(parents=True)
    text = "path: a\\b\ntrain: images\\train\nval: [images\\tr*, images\\none]\nnames: [x]\n"
    spec = read_data_yaml(write(tmp_path, text))
    root, none = str(tmp_path / "a" / "b"), str(tmp_path / "a" / "b" / "images\\none")
    assert spec.splits["train"] == (f"{root}/{there}",)
    assert spec.splits["val"] == (f"{root}/{there[:7]}tr*", none)


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
        ("train: a\nval: b\ntest: {a: b}\nnames: [x]\n", 3, "'test' must be a path"),
        (
            "vale: a\ntrain: a\nnames: [x]\n",
            None,
            "'val' is missing or empty; add 'val: images/val' (a folder, a .txt "
            "or a list); line 1 has 'vale': did you mean 'val'?",
        ),
        ("train: a\nval: b\nnc: 1\nname: [x]\n", None, "line 4 has 'name': did you mean 'names'?"),
        ("train: [a, {b: c}]\nval: b\nnames: [x]\n", 1, "'train' must be a path"),
        ("path: [3]\ntrain: a\nval: b\nnames: [x]\n", 1, "'path' must be a folder"),
        ("train: a\nval: b\n", None, "the class names are missing"),
        ("train: a\nval: b\nnc: 1\nnames:\n", 4, "'names' must be a list"),
        ("train: a\nval: b\nnames: x\n", 3, "'names' must be a list"),
        ("train: a\nval: b\nnames: []\n", 3, "'names' must be a list"),
        ("train: a\nval: b\nnames: [[x]]\n", 3, "must be text, not a list"),
        ("train: a\nval: b\nnames: {no: x, yes: y}\n", 3, "not a whole number: 'no'"),
        ("train: a\nval: b\nnames:\n- gate\n- null\n", 5, "class 1 has no name"),
        ("train: a\nval: b\nnames:\n- gate\n-\n", 5, "class 1 has no name"),
        ("train: a\nval: b\nnames:\n  0: gate\n  1: ~\n", 5, "class 1 has no name"),
        ("train: a\nval: b\nnames: [gate, ' ']\n", 3, "class 1 has no name"),
        ('train: a\nval: b\nnames: ["\\u200b"]\n', 3, "class 0 has no name"),
        ("train: a\nval: b\nnames:\n- gate\n- Gate\n- gate\n", 6, "classes 0 and 2 are both called 'gate'"),
        ("train: a\nval: b\nnames:\n  1: x\n  0: 'x '\n", 5, "classes 1 and 0 are both called 'x '"),
        ("train: a\nval: b\nnames: [\u00e9, e\u0301]\n", 3, "classes 0 and 1 are both called"),
        ("train: a\nval: b\nnames: {a: x}\n", 3, "not a whole number"),
        ("train: a\nval: b\nnames: {1: x, 2: y}\n", 3, "must be 0 to 1, not 1 to 2"),
        ("train: a\nval: b\nnames:\n  0: x\n  0: y\n", 5, "'0' is also on line 4"),
        ("train: a\nval: b\nnames:\n  0: x\n  0.0: y\n", 3, "must be 0 to 1, not 0 to 0"),
        ("train: a\nval: b\nnames: [x]\ntrain: c\n", 4, "'train' is also on line 1"),
        ("train: a\nval: b\nnames: [x]\nnc: 2\n", 4, "'nc' is 2, but 'names' has 1"),
        ("train: a\nval: b\nnc: 1.5\n", 3, "'nc' must be a whole number"),
        ("train: a\nval: b\nnc: .inf\n", 3, "'nc' must be a whole number"),
        ("train: a\nval: b\nnc: true\n", 3, "'nc' must be a whole number"),
        ("train: a\nval: b\nnc: 0\n", 3, "'nc' must be a whole number"),
        ("train: a\nval: b\nnc: 010\nnames: [x]\n", 3, "'nc' must be a whole number"),
        ("train: a\nval: b\nnc: 1:30\nnames: [x]\n", 3, "'nc' must be a whole number"),
        ("train: a\nval: b\nnc: " + "9" * 5000, 3, "'nc' must be a whole number"),
        (GOOD + "kpt_shape: 4\n", 5, "'kpt_shape' must be a list"),
        (GOOD + "kpt_shape: [4, 4]\n", 5, "'kpt_shape' must be [keypoints, 2 or 3]"),
        (GOOD + "kpt_shape: [4, 3]\nflip_idx: [0, 1, 2]\n", 6, "each of 0 to 3 once"),
        (GOOD + "kpt_shape: [2, 3]\nflip_idx: [0, 0]\n", 6, "each of 0 to 1 once"),
        (GOOD + "kpt_shape: [2, 3]\nkpt_names: [a]\n", 6, "1 names, but 'kpt_shape' says 2"),
        (GOOD + "x: !!python/object/apply:os.getcwd []\n", 5, "tag !!python/object/apply"),
        (GOOD + "x: &x [*x]\n", 5, "a value holds itself"),
        (GOOD + "? [x]\n: y\n", 5, "a key must be text"),
        (GOOD + "<<: x\n", 5, "`<<` takes a mapping"),
        (GOOD + "x: " + "[" * 1200, None, "not valid YAML"),
    ],
)
def test_each_mistake_names_file_and_line(tmp_path, text, line, says):
    file = write(tmp_path, text)
    with pytest.raises(DataError) as error:
        read_data_yaml(file)
    assert str(error.value).startswith(f"{file}: " if line is None else f"{file}:{line}: ")
    assert says in str(error.value)


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
