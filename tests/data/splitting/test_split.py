"""Splits as lists: what is in them, what they have in common, and what is refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.listing import list_images
from aigp_lightning.data.splitting.options import SplitOptions
from aigp_lightning.data.splitting.split import SplitResult, split_data
from aigp_lightning.errors import ConfigError, DataError


@pytest.fixture
def copied(flights: Path, tmp_path: Path) -> Path:
    """A folder of two flights that a test may write to."""
    without = shutil.ignore_patterns("*.aigp-cache.npz")
    return Path(shutil.copytree(flights, tmp_path / "Flüge 1", ignore=without))


def split(source: Path, **options: object) -> SplitResult:
    return split_data(str(source), SplitOptions(**options), workers=1)  # type: ignore[arg-type]


def listed(result: SplitResult) -> dict[str, list[str]]:
    spec = read_data_yaml(result.out)
    return {name: list_images(spec, name) for name in spec.splits}


def noise(folder: Path, names: list[str], label: str = "0 0.5 0.5 0.2 0.2") -> None:
    """Pictures that resemble no other, each with a label."""
    import cv2

    random = np.random.default_rng(len(names))
    for name in names:
        file = folder / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        picture = cv2.resize(random.integers(0, 256, (8, 12, 3), dtype=np.uint8), (96, 64))
        file.write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
        text = folder / "labels" / Path(name).with_suffix(".txt")
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(label + "\n", encoding="utf-8")


def test_a_random_split_leaks_and_blocks_mend_it(copied: Path) -> None:
    """Nothing is moved; the leaking list stays, and the one with blocks has other pictures in each split."""
    before = {path for path in copied.rglob("*") if path.suffix in (".jpg", ".txt")}
    leaking = split(copied, by="random", out=str(copied / "leaking.yaml"))
    assert leaking.counts == {"train": 168, "val": 42}
    assert leaking.leaks[0].share >= 0.98
    mended = split(copied / "leaking.yaml", by="block", test=0.1)
    assert mended.out == copied / "data-block.yaml"
    assert [leak.share for leak in mended.leaks] == [0, 0, 0]
    found = listed(mended)
    assert {name: len(files) for name, files in found.items()} == mended.counts
    unused = (copied / "data-block-unused.txt").read_text(encoding="utf-8").splitlines()
    assert len(unused) == mended.unused == 210 - sum(mended.counts.values())
    everything = [*found["train"], *found["val"], *found["test"]]
    assert len({*everything}) == len(everything)
    assert before <= {*copied.rglob("*")}


def test_blocks_keep_a_gap_of_frames(copied: Path) -> None:
    result = split(copied, by="block", gap="6", val=0.3)
    sides = {file: name for name, files in listed(result).items() for file in files}
    for flight in ("flight_000", "flight_001"):
        frames = {int(Path(file).stem): side for file, side in sides.items() if f"/{flight}/" in file}
        assert {*frames.values()} == {"train", "val"}  # each flight is in both
        other = [abs(a - b) for a in frames for b in frames if frames[a] != frames[b]]
        assert min(other) > 6


def test_blocks_without_runs_are_dealt_or_kept_together(tmp_path: Path) -> None:
    """Independent pictures one by one; copies of one go into one split."""
    noise(tmp_path, [f"{number:03d}.jpg" for number in range(40)])
    for number in range(6):
        shutil.copy(tmp_path / "images" / "007.jpg", tmp_path / "images" / f"copy{'abcdef'[number]}.jpg")
    found = listed(split(tmp_path, by="block", val=0.25))
    assert sum(map(len, found.values())) == 46
    assert any({Path(f).stem for f in files} >= {"007", "copya", "copyf"} for files in found.values())
    assert 8 <= len(found["val"]) <= 15


@pytest.mark.parametrize("group", ["folder", "session", r"(night|day)"])
def test_groups_stay_whole(tmp_path: Path, group: str) -> None:
    names = [f"{time}{n}/{time}{n}_{i:04d}.jpg" for time in ("night", "day") for n in range(3) for i in range(6)]
    noise(tmp_path, names)
    found = listed(split(tmp_path, by="group", group=group, val=0.4))
    of = {
        "folder": lambda file: Path(file).parent.name,
        "session": lambda file: Path(file).stem.split("_")[0],
    }.get(group, lambda file: Path(file).parent.name.rstrip("012"))
    train, val = ({of(file) for file in found[name]} for name in ("train", "val"))
    assert not train & val
    assert len(train | val) == (2 if group == "(night|day)" else 6)
    assert sum(map(len, found.values())) == 36


def test_sessions_by_time_part_where_the_clock_pauses(tmp_path: Path) -> None:
    times = [1_700_000_000 + start + step * 0.5 for start in (0, 600, 1200) for step in range(5)]
    noise(tmp_path, [f"{time:.3f}.jpg" for time in times])
    result = split(tmp_path, by="group", group="session", val=0.34)
    assert "3 groups by session" in result.lines
    assert result.counts == {"train": 10, "val": 5}


def test_the_keys_of_a_data_yaml_stay(tmp_path: Path) -> None:
    """Comments and keys about keypoints are kept as they are written; what says where pictures are is replaced."""
    noise(tmp_path, [f"{n}.jpg" for n in range(10)], label="0 .5 .5 .2 .2 " + ".5 .5 2 " * 4)
    text = (
        "# ours\npath: .\ntrain:\n  - images\nval: [images]\nnc: 1\nnames: ['007'] # not a number\n"
        "kpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 2]\nobject_points: gate-4\n"
    )
    (tmp_path / "gates.yaml").write_text(text, encoding="utf-8")
    result = split(tmp_path / "gates.yaml", by="random")
    written = result.out.read_text(encoding="utf-8")
    kept = "# ours\n" + text.partition("val: [images]\n")[2]
    assert written == 'train: "data-random-train.txt"\nval: "data-random-val.txt"\n' + kept
    assert read_data_yaml(result.out).keypoints == read_data_yaml(tmp_path / "gates.yaml").keypoints
    assert (tmp_path / "gates.yaml").read_text(encoding="utf-8") == text


def test_the_same_seed_gives_the_same_files(copied: Path) -> None:
    for way in ("block", "random"):
        texts = []
        for seed in (3, 3, 4):
            split(copied, by=way, seed=seed, out=str(copied / "a.yaml"), force=True)
            texts.append((copied / "a-val.txt").read_text(encoding="utf-8"))
        assert texts[0] == texts[1] != texts[2]


def test_names_of_classes_without_a_data_yaml(tmp_path: Path) -> None:
    noise(tmp_path, [f"{n}.jpg" for n in range(6)], label="2 .5 .5 .2 .2")
    result = split(tmp_path, by="random", out=str(tmp_path / "a.yaml"))
    assert "no data.yaml and no classes.txt: the classes are called class0 to class2" in result.lines[0]
    (tmp_path / "labels" / "classes.txt").write_text("gate\n\nbanner\nno\n", encoding="utf-8")
    named = split(tmp_path, by="random", out=str(tmp_path / "b.yaml"))
    assert read_data_yaml(result.out).names == {0: "class0", 1: "class1", 2: "class2"}
    assert read_data_yaml(named.out).names == {0: "gate", 1: "banner", 2: "no"}


@pytest.mark.parametrize("few", [0, 2])
def test_keypoints_that_nobody_told_are_refused(few: int, tmp_path: Path) -> None:
    """Nearly all pictures would be in no split; what is written as advised is split whole."""
    corners = ".4 .4 2 .6 .4 2 .6 .6 2 .4 .6 2"
    noise(tmp_path, [f"{n}.jpg" for n in range(12)], label=f"0 .5 .5 .2 .2 {corners}")
    noise(tmp_path, [f"box {n}.jpg" for n in range(few)])
    with pytest.raises(DataError) as refused:
        split(tmp_path, by="random")
    text = str(refused.value)
    assert "12 label files look like boxes with 4 keypoints, and no data.yaml says so; write" in text
    assert (
        "'train: images', 'val: images', the names of the classes and 'kpt_shape: [4, 3]'" in text and "\n" not in text
    )
    assert not list(tmp_path.glob("*.txt")), "nothing was written"
    told = "train: images\nval: images\nnames: [gate]\n"
    (tmp_path / "data.yaml").write_text(told, encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.yaml: 12 label files look like .*; add 'kpt_shape: \[4, 3\]' to it"):
        split(tmp_path, by="random")
    (tmp_path / "data.yaml").write_text(f"{told}kpt_shape: [4, 3]\n", encoding="utf-8")
    assert sum(split(tmp_path, by="random").counts.values()) == 12, "boxes alone have no keypoints to train on"


def test_a_folder_without_usable_pictures_is_named_itself(tmp_path: Path) -> None:
    noise(tmp_path, ["a.jpg", "b.jpg"], label="0 0.5 what 0.2 0.2")
    with pytest.raises(DataError) as refused:
        split(tmp_path, by="random")
    assert str(refused.value).startswith(f"{tmp_path}: no usable image") and "data.yaml" not in str(refused.value)


def test_hostile_names_links_broken_pictures_and_missing_labels(tmp_path: Path) -> None:
    """What a list cannot name, what leads to the same file and what cannot be read is told; all else is listed."""
    usual = [f"{n}.jpg" for n in range(8)]
    odd = ["a #1.jpg", "ворота 門.jpg", "with, comma.jpg", "'quoted'.jpg"]
    noise(tmp_path, [*usual, *odd])
    noise(tmp_path, ["line\nend.jpg", "broken.jpg"])
    (tmp_path / "images" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "labels" / "3.txt").unlink()
    os.symlink(tmp_path / "images" / "0.jpg", tmp_path / "images" / "link.jpg")
    result = split(tmp_path, by="random", val=0.3)
    text = "\n".join(result.lines)
    assert "1 picture cannot be used and is in no split, such as by" in text and "broken.jpg: " in text
    assert "lint" not in text, "there is no data.yaml that it could read"
    assert "1 path leads to a picture that is listed already" in text
    assert "1 picture cannot be named in a list" in text and "line\\nend.jpg" in text
    found = {os.path.basename(os.path.realpath(file)) for files in listed(result).values() for file in files}
    assert found == {*usual, *odd}
    assert all(leak.share == 0 for leak in result.leaks)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"by": "blocks"}, "--by blocks: one of block, group, random."),
        ({"val": 0.7, "test": 0.3}, "nothing is left for training"),
        ({"gap": "1 min"}, "--gap 1 min: frames such as 15, or seconds"),
        ({"gap": "0.5s"}, "count frames and have no times"),
        ({"by": "random", "gap": "3"}, "only --by block has gaps"),
        ({"by": "group", "group": "flight_(0"}, "no pattern"),
        ({"by": "group", "group": r"flight_\d"}, "with one group in brackets"),
        ({"by": "group", "group": r"night_(\d)"}, "does not match 210 of 210 pictures"),
        ({"by": "group", "test": 0.1}, "all 210 pictures are in 2 groups (flight_000, flight_001), and 3 splits need"),
        ({"group": "session"}, "add --by group"),
        ({"out": "nowhere/data.yaml"}, "there is no folder"),
        ({"out": "list.txt"}, "the name of a YAML file"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(copied: Path, options: dict[str, object], told: str) -> None:
    before = sorted(copied.rglob("*"))
    with pytest.raises(ConfigError) as error:
        split(copied, **options)
    assert told in str(error.value) and "\n" not in str(error.value)
    assert [path for path in sorted(copied.rglob("*")) if not path.name.endswith(".aigp-cache.npz")] == before


def test_what_is_there_is_not_replaced_unasked(copied: Path) -> None:
    split(copied, by="random")
    first = (copied / "data.yaml").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="is there already; give --out another name, or add --force"):
        split(copied, by="random", out=str(copied / "data.yaml"))
    split(copied, by="random", seed=9, out=str(copied / "data.yaml"), force=True)
    assert (copied / "data.yaml").read_text(encoding="utf-8") == first


def test_folders_without_enough_pictures(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no images"):
        split(tmp_path / "empty", by="random")
    noise(tmp_path, ["one.jpg"])
    with pytest.raises(ConfigError, match="1 picture is too few for 2 splits"):
        split(tmp_path, by="random")
    noise(tmp_path, ["one.jpg", "two.jpg"])
    assert split(tmp_path, by="random", val=0.01).counts == {"train": 1, "val": 1}


def test_a_hovering_camera_cannot_be_split(tmp_path: Path) -> None:
    """All frames show the same: no split of them is without near neighbours, and that is said."""
    noise(tmp_path, ["000.jpg"])
    for number in range(1, 60):
        shutil.copy(tmp_path / "images" / "000.jpg", tmp_path / "images" / f"{number:03d}.jpg")
    with pytest.raises(ConfigError, match="most pictures show nearly the same view"):
        split(tmp_path, by="block", gap="2")
