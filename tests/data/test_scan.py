"""Scanning a split: every problem with its place, the cache, and agreement with Ultralytics."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from aigp_lightning.data import file_stamps, scan_cache
from aigp_lightning.data.data_yaml import DataSpec, read_data_yaml
from aigp_lightning.data.records import ScanResult
from aigp_lightning.data.scan import scan_split
from aigp_lightning.errors import DataError

BOX = "0 0.5 0.5 0.2 0.1\n"


def save(file: Path, size: tuple[int, int] = (40, 24), label: str | None = None, **options) -> Path:
    """An image, and its label file where the last `images` folder says."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (9, 99, 199)).save(file, **options)
    if label is not None:
        at = Path(str(file).replace("/images/", "/labels/")).with_suffix(".txt")
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(label, encoding="utf-8")
    return file


def spec(root: Path, source: str = "images/train", extra: str = "") -> DataSpec:
    file = root / "data.yaml"
    file.write_text(f"train: {source}\nval: {source}\nnames: [gate, pillar]\n{extra}", encoding="utf-8")
    return read_data_yaml(file)


def scan(data: DataSpec, **options) -> ScanResult:
    return scan_split(data, "train", **{"progress": False, "workers": 2, **options})


def same(a: ScanResult, b: ScanResult) -> bool:
    """Whether two scans hold the same numbers and texts."""
    return (
        [(r.im_file, r.shape, r.cls.tolist(), r.bboxes.tolist()) for r in a.records]
        == [(r.im_file, r.shape, r.cls.tolist(), r.bboxes.tolist()) for r in b.records]
        and all(
            (x.keypoints is None) == (y.keypoints is None) and np.array_equal(x.keypoints, y.keypoints)
            for x, y in zip(a.records, b.records, strict=True)
        )
        and a.problems == b.problems
        and a.summary() == b.summary()
    )


@pytest.fixture
def messy(tmp_path) -> DataSpec:
    """Two good images, a background, a mended one and six that must be set aside."""
    images = tmp_path / "images" / "train"
    save(images / "a.jpg", label=BOX + "1 0.25 0.25 0.1 0.1\n")
    save(images / "b.png", (30, 50), label=BOX)
    save(images / "background.png")
    save(images / "mended.png", label=BOX + BOX + "1 0.5 0.5 0 0.1\n")
    save(images / "bad_label.png", label="5 0.5 0.5 0.2 0.1\n" + BOX + "0 nan 0 0 0\n")
    save(images / "both.png", (5, 5), label="x\n")
    save(images / "small.png", (9, 40))
    (images / "empty.jpg").touch()
    (images / "cut.jpg").write_bytes((images / "a.jpg").read_bytes()[:-20])
    (images / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    return spec(tmp_path)


def test_every_problem_has_its_place(messy):
    result = scan(messy)
    images, labels = messy.root / "images" / "train", messy.root / "labels" / "train"
    assert [(p.file, p.line, p.kind, p.fatal) for p in result.problems] == [
        (str(labels / "bad_label.txt"), 1, "class out of range", True),
        (str(labels / "bad_label.txt"), 3, "not finite", True),
        (str(images / "both.png"), None, "image too small", True),
        (str(labels / "both.txt"), 1, "wrong column count", True),
        (str(images / "cut.jpg"), None, "truncated image", True),
        (str(images / "empty.jpg"), None, "unreadable image", True),
        (str(images / "gone.jpg"), None, "missing image", True),
        (str(labels / "mended.txt"), 2, "duplicate row", False),
        (str(labels / "mended.txt"), 3, "zero size", False),
        (str(images / "small.png"), None, "image too small", True),
    ]
    assert result.counts == {"images": 10, "backgrounds": 1, "set_aside": 6, "instances": 4}
    assert [(Path(r.im_file).name, r.shape, r.cls.tolist()) for r in result.records] == [
        ("a.jpg", (24, 40), [0, 1]),
        ("b.png", (50, 30), [0]),
        ("background.png", (24, 40), []),
        ("mended.png", (24, 40), [0]),
    ]


def test_summary_names_totals_and_places(messy):
    lines = scan(messy).summary().splitlines()
    assert lines[0] == "train: 10 images, 1 backgrounds, 6 set aside, 4 instances"
    assert "  image too small: 2 in 2 files, set aside" in lines
    assert "  duplicate row: 1 in 1 file, mended" in lines
    labels = messy.root / "labels" / "train"
    assert f"    {labels}/bad_label.txt:1 class out of range: class 5, but the data set has 2 (0 to 1)" in lines


def test_summary_cuts_long_lists_but_the_file_has_all(tmp_path):
    save(tmp_path / "images/train/a.png", label=BOX)
    save(tmp_path / "images/train/b.png", label="7 0.5 0.5 0.2 0.1\n" * 9)
    result = scan(spec(tmp_path))
    lines = result.summary().splitlines()
    assert "  class out of range: 9 in 1 file, set aside" in lines
    assert lines[-1] == "    … and 4 more"
    result.write_problems(tmp_path / "run" / "problems.txt")
    label = tmp_path / "labels/train/b.txt"
    assert (tmp_path / "run" / "problems.txt").read_text(encoding="utf-8").splitlines() == [
        f"{label}:{n} class out of range: class 7, but the data set has 2 (0 to 1)" for n in range(1, 10)
    ]


def test_strict_makes_bad_files_an_error_but_not_mended_ones(messy, tmp_path):
    with pytest.raises(DataError, match=r"(?s)strict is set.*6 set aside.*bad_label\.txt:1 class out of range"):
        scan(messy, strict=True)
    save(tmp_path / "fine/images/train/a.png", label=BOX + BOX)
    assert scan(spec(tmp_path / "fine"), strict=True).instances == 1


def test_no_usable_image_is_an_error(tmp_path):
    save(tmp_path / "images/train/a.png", label="7 0 0 0 0\n")
    with pytest.raises(DataError, match=r"(?s)no usable image in 'train'.*a\.txt:1 class out of range"):
        scan(spec(tmp_path))


def test_what_reaches_out_is_counted_with_places(tmp_path):
    """As labels of close gates do."""
    for number in range(3):
        save(tmp_path / f"images/train/{number}.png", label=BOX + "1 0.9 0.5 0.4 0.4\n" * (number > 0))
    result = scan(spec(tmp_path))
    assert result.counts == {"images": 3, "backgrounds": 0, "set_aside": 0, "instances": 5}
    assert result.summary().splitlines()[1:] == [
        "  2 boxes in 2 images reach out of the picture: clipped",
        *(
            f"    {tmp_path}/labels/train/{n}.txt:2 box partly out of the picture: its box reaches to 1.1"
            for n in (1, 2)
        ),
    ]
    assert same(result, scan(spec(tmp_path)))
    dropped, aside = scan(spec(tmp_path), outside="drop"), scan(spec(tmp_path), outside="error")
    assert (dropped.instances, dropped.set_aside) == (3, 0)
    assert "  2 objects in 2 images reach out of the picture: dropped" in dropped.summary()
    assert (aside.instances, aside.set_aside) == (1, 2)
    with pytest.raises(DataError, match="strict is set"):
        scan(spec(tmp_path), outside="error", strict=True)


def test_only_backgrounds_say_where_labels_were_looked_for(tmp_path):
    save(tmp_path / "images/train/a.png")
    assert f"the first was looked for at {tmp_path}/labels/train/a.txt" in scan(spec(tmp_path)).summary()


def test_linked_images_folder_finds_labels_where_the_link_is(tmp_path):
    save(tmp_path / "store" / "a.png")
    (tmp_path / "set" / "images").mkdir(parents=True)
    (tmp_path / "set" / "images" / "train").symlink_to(tmp_path / "store", target_is_directory=True)
    (tmp_path / "set" / "labels" / "train").mkdir(parents=True)
    (tmp_path / "set" / "labels" / "train" / "a.txt").write_text(BOX)
    (record,) = scan(spec(tmp_path / "set")).records
    assert record.im_file == str(tmp_path / "set/images/train/a.png")
    assert record.cls.tolist() == [0]


def test_images_twice_in_the_path(tmp_path):
    root = tmp_path / "images" / "set"
    save(root / "images" / "train" / "a.png")
    (root / "labels" / "train").mkdir(parents=True)
    (root / "labels" / "train" / "a.txt").write_text(BOX)
    assert scan(spec(root)).instances == 1


def test_image_listed_twice_is_there_twice_and_reported_once(tmp_path):
    save(tmp_path / "images/a.png", label=BOX)
    save(tmp_path / "images/b.png", label="9 0 0 0 0\n")
    (tmp_path / "train.txt").write_text("./images/a.png\n./images/b.png\n./images/a.png\n./images/b.png\n")
    result = scan(spec(tmp_path, "train.txt"))
    assert [Path(r.im_file).name for r in result.records] == ["a.png", "a.png"]
    assert [p.kind for p in result.problems] == [*["image listed more than once"] * 2, "class out of range"]
    assert result.counts == {"images": 4, "backgrounds": 0, "set_aside": 2, "instances": 2}


def test_records_pickle_for_workers(messy):
    copy = pickle.loads(pickle.dumps(scan(messy)))
    assert same(copy, scan(messy))


# ---- cache


def test_second_scan_recalls_the_same_report(messy, tmp_path):
    first, second = scan(messy), scan(messy)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert second.cache_file == tmp_path / "labels" / "train" / "train.aigp-cache.npz"
    assert same(first, second)


def test_keypoints_are_recalled(tmp_path):
    save(tmp_path / "images/train/a.png", label="0 0.5 0.5 0.2 0.1 0.1 0.2 2 0.3 0.4 0\n")
    data = spec(tmp_path, extra="kpt_shape: [2, 3]\n")
    first, second = scan(data, pose=True), scan(data, pose=True)
    assert second.from_cache
    assert second.records[0].keypoints.tolist() == np.float32([[[0.1, 0.2, 2], [0, 0, 0]]]).tolist()
    assert same(first, second)
    boxes = scan(data)
    assert not boxes.from_cache
    assert boxes.records[0].keypoints is None
    assert boxes.instances == 1


def change_label(root: Path) -> None:
    (root / "labels/train/b.txt").write_text(BOX + "1 0.1 0.1 0.1 0.1\n")


def touch_label(root: Path) -> None:
    os.utime(root / "labels/train/b.txt", ns=(1, 1))


def add_label(root: Path) -> None:
    (root / "labels/train/background.txt").write_text(BOX)


def remove_label(root: Path) -> None:
    (root / "labels/train/b.txt").unlink()


def add_image(root: Path) -> None:
    save(root / "images/train/new.png")


def remove_image(root: Path) -> None:
    (root / "images/train/b.png").unlink()


def change_image(root: Path) -> None:
    save(root / "images/train/b.png", (60, 60))


@pytest.mark.parametrize(
    "change", [change_label, touch_label, add_label, remove_label, add_image, remove_image, change_image]
)
def test_any_change_of_files_scans_again(messy, tmp_path, change):
    scan(messy)
    change(tmp_path)
    result = scan(messy)
    assert not result.from_cache
    assert same(result, scan(messy))


def replace(file: Path, content: bytes) -> None:
    """Other content of the same length, with the same time of change, as a new version of a set has it."""
    before = file.stat()
    assert len(content) == before.st_size
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_file_replaced_with_the_same_size_and_time_is_seen(messy, tmp_path):
    """Also an image; and where the file's own time has not moved on, its content tells."""
    scan(messy)
    replace(tmp_path / "labels/train/b.txt", BOX.replace("0.5 0.5", "0.1 0.4").encode())
    changed = scan(messy)
    assert not changed.from_cache and changed.records[1].bboxes[0, 0] == np.float32(0.1)
    image = tmp_path / "images/train/b.png"
    content = bytearray(image.read_bytes())
    content[41:50] = bytes(9)
    replace(image, bytes(content))
    assert scan(messy).set_aside == 7


def test_files_that_had_just_changed_are_known_by_content(messy, tmp_path, monkeypatch):
    """Until a clock's grain has passed: then their times tell again, and they are not read any more."""
    stopped = SimpleNamespace(st_size=0, st_mtime_ns=0, st_ctime_ns=time.time_ns())

    def stat(file: str) -> SimpleNamespace:
        return SimpleNamespace(**{**vars(stopped), "st_size": os.stat(file).st_size})

    def clock(later: float) -> None:
        now = stopped.st_ctime_ns + int(later * 1e9)
        monkeypatch.setattr(file_stamps, "time", SimpleNamespace(time_ns=lambda: now))

    monkeypatch.setattr(file_stamps, "os", SimpleNamespace(stat=stat, path=os.path, name="posix"))
    clock(0.1)
    scan(messy)
    assert scan(messy).from_cache
    (tmp_path / "labels/train/b.txt").write_text(BOX.replace("0.5 0.5", "0.1 0.4"), encoding="utf-8")
    changed = scan(messy)
    assert not changed.from_cache and changed.records[1].bboxes[0, 0] == np.float32(0.1)
    clock(9)
    read = []
    monkeypatch.setattr(file_stamps, "_content", lambda file, old=file_stamps._content: read.append(file) or old(file))
    assert scan(messy).from_cache and read
    read.clear()
    assert scan(messy).from_cache and not read


def test_a_cache_that_names_no_files_of_the_set_is_not_used(messy):
    """Places are numbers in our own list: a stranger's cache cannot have any file read."""
    first = scan(messy)
    for places in (b'{"-1": ""}', b'{"99": ""}', b'{"/dev/zero": ""}', b"[]"):
        rewrite(first.cache_file, contents=np.frombuffer(places, np.uint8))
        assert not scan(messy).from_cache


def test_other_settings_scan_again(messy, tmp_path, monkeypatch):
    scan(messy)
    assert not scan(messy, single_cls=True).from_cache
    assert scan(messy).from_cache
    assert not scan(messy, outside="drop").from_cache
    assert not scan(messy).from_cache
    more = read_data_yaml(tmp_path / "data.yaml").__class__(
        messy.file, messy.root, {i: str(i) for i in range(6)}, messy.splits
    )
    assert not scan(more).from_cache
    scan(messy)
    monkeypatch.setattr(scan_cache, "VERSION", scan_cache.VERSION + 1)
    assert not scan(messy).from_cache


def rewrite(file: Path, **changes: np.ndarray) -> None:
    with np.load(file) as data:
        arrays = {**dict(data), **changes}
    np.savez(file, **arrays)


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: f.write_bytes(b""),
        lambda f: f.write_bytes(b"PK\3\4 nonsense"),
        lambda f: f.write_bytes(f.read_bytes()[: f.stat().st_size // 2]),
        lambda f: f.write_bytes(f.read_bytes().replace(b"float32", b"float99").replace(b"<f4", b"<f3")),
        lambda f: f.write_bytes(pickle.dumps({"digest": 1})),
        lambda f: rewrite(f, cls=np.full(4, 9, np.int64)),
        lambda f: rewrite(f, cls=np.zeros(3, np.int64)),
        lambda f: rewrite(f, bboxes=np.full((4, 4), np.nan, np.float32)),
        lambda f: rewrite(f, count=np.full(10, -1, np.int64)),
        lambda f: rewrite(f, shape=np.zeros((10, 2), np.int64)),
        lambda f: rewrite(f, problems=np.frombuffer(b"[[1, 2, 3]]", np.uint8)),
        lambda f: rewrite(f, problems=np.array([{"a": 1}], dtype=object)),
    ],
)
def test_damaged_cache_is_rebuilt(messy, damage):
    first = scan(messy)
    damage(first.cache_file)
    second = scan(messy)
    assert not second.from_cache
    assert same(first, second)
    assert scan(messy).from_cache


def test_read_only_labels_use_the_cache_folder(messy, tmp_path, monkeypatch):
    """A folder in the place of the cache file cannot be replaced, whoever asks."""
    (tmp_path / "labels/train/train.aigp-cache.npz").mkdir()
    run = tmp_path / "runs" / "one"
    first, second = scan(messy, cache_dir=run), scan(messy, cache_dir=run)
    assert second.from_cache
    assert second.cache_file == run / "train.aigp-cache.npz"
    assert same(first, second)
    assert sorted(os.listdir(tmp_path / "labels/train")) == sorted(
        ["bad_label.txt", "a.txt", "b.txt", "both.txt", "mended.txt", "train.aigp-cache.npz"]
    )


def test_no_place_for_a_cache_is_no_error(tmp_path):
    """All backgrounds: there is no labels folder."""
    save(tmp_path / "images/train/a.png")
    result = scan(spec(tmp_path))
    assert (result.cache_file, result.backgrounds) == (None, 1)
    assert not (tmp_path / "labels").exists()


# ---- agreement with Ultralytics


def check_against_ultralytics(data: DataSpec, task: str, **options) -> None:
    """Same files in the same order, with the very same numbers."""
    YOLODataset = pytest.importorskip("ultralytics.data.dataset").YOLODataset
    kpt = {"kpt_shape": list(data.kpt_shape)} if data.kpt_shape else {}
    theirs = YOLODataset(
        img_path=list(data.splits["train"]), data={"names": data.names, **kpt}, task=task, augment=False, **options
    )
    ours = scan(data, pose=task == "pose", **options).records
    assert [r.im_file for r in ours] == theirs.im_files
    for a, b in zip(ours, theirs.labels, strict=True):
        assert a.shape == b["shape"]
        np.testing.assert_array_equal(a.cls, b["cls"][:, 0])
        np.testing.assert_array_equal(a.bboxes, b["bboxes"])
        if task == "pose":
            # Where no visibility is written, Ultralytics takes 1 for a point that is there, we 2: seen, and not hidden.
            # Of a point that is not there, Ultralytics keeps the numbers, which mean nothing.
            seen = np.where(data.kpt_shape[1] == 2, 2, 1)
            there = b["keypoints"][..., 2:] > 0
            np.testing.assert_array_equal(a.keypoints, b["keypoints"] * there * np.float32([1, 1, seen]))


def rows(rng: np.random.Generator, n: int, extra: int = 0) -> str:
    """Boxes in the picture, and polygons."""
    values = np.hstack((rng.uniform(0.3, 0.7, (n, 2)), rng.uniform(0.01, 0.6, (n, 2 + extra))))
    return "".join(f"{rng.integers(2)} {' '.join(f'{v:.{rng.integers(3, 17)}g}' for v in r)}\n" for r in values)


def test_boxes_agree_with_ultralytics(tmp_path):
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[274] = 6
    for i, name in enumerate(["b.jpg", "a/z.png", "a.b/c.webp", "a1.jpeg", "Tor ünï 门.JPG", "z.bmp", "t.tif"]):
        save(tmp_path / "images/train" / name, (40 + i, 24), rows(rng, i * 3))
    save(tmp_path / "images/train/turned.jpg", (50, 20), rows(rng, 2), exif=exif)
    save(tmp_path / "images/train/none.jpg")
    save(tmp_path / "images/train/tolerated.jpg", label="0 1.005 -0.005 0.01 0.005\n0 0.9 0.5 0.219 1.01\n")
    save(tmp_path / "images/train/aside.jpg", label="0 120 0.5 0.1 1.01\n")
    check_against_ultralytics(spec(tmp_path), "detect")


def test_single_class_agrees_with_ultralytics(tmp_path):
    save(tmp_path / "images/train/a.jpg", label="7 0.5 0.5 0.1 0.1\n1 0.5 0.5 0.1 0.1\n")
    data = spec(tmp_path)
    check_against_ultralytics(DataSpec(data.file, data.root, {0: "x"}, data.splits), "detect", single_cls=True)


def test_polygons_agree_with_ultralytics(tmp_path):
    rng = np.random.default_rng(1)
    for i in range(4):
        save(tmp_path / f"images/train/{i}.png", label=rows(rng, 3, 4) + rows(rng, 2, 10))
    check_against_ultralytics(spec(tmp_path), "detect")


@pytest.mark.parametrize("numbers", [2, 3])
def test_keypoints_agree_with_ultralytics(tmp_path, numbers):
    rng = np.random.default_rng(2)
    for i in range(4):
        points = rng.uniform(-0.009, 1, (3, 4, numbers))
        if numbers == 3:
            points[..., 2] = rng.integers(0, 3, (3, 4))
        label = "".join(
            f"1 0.5 0.5 0.{j + 1} 0.2 {' '.join(map(repr, p.ravel().tolist()))}\n" for j, p in enumerate(points)
        )
        save(tmp_path / f"images/train/{i}.png", label=label)
    data = spec(tmp_path, extra=f"kpt_shape: [4, {numbers}]\n")
    check_against_ultralytics(data, "pose")
    check_against_ultralytics(data, "detect")


def gate(rng: np.random.Generator, shape: tuple[int, int, int] | None) -> str:
    """A row of a gate: its box and corners, without visibility, with 0 or 1, or, for None, a polygon."""
    size = rng.uniform(0.05, 0.4, 2)
    centre = rng.uniform(size / 2, 1 - size / 2)
    corners = centre + size * (np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) + rng.normal(0, 0.02))
    if shape is None:
        points = np.vstack((corners, centre + size * (-0.6, 0)))[: rng.integers(4, 6)]
        return f"0 {' '.join(f'{v:.6f}' for v in points.ravel())}\n"
    if shape[2]:
        corners = np.hstack((corners, rng.integers(0, 2, (4, 1))))
    return f"0 {' '.join(f'{v:g}' for v in (*centre, *size, *corners.ravel()))}\n"


@pytest.mark.parametrize("shape", [(4, 2, 0), (4, 3, 1)], ids=["x y", "visibility 0 or 1"])
def test_keypoints_without_kpt_shape_are_refused_for_the_whole_set(tmp_path, shape):
    """Read as polygons, every box would be another one, and nothing would say so."""
    rng = np.random.default_rng(3)
    for i in range(6):
        save(tmp_path / f"images/train/{i}.png", label="".join(gate(rng, shape) for _ in range(i % 3 + 1)))
    save(tmp_path / "images/train/background.png")
    result = scan(spec(tmp_path))
    assert result.counts == {"images": 7, "backgrounds": 1, "set_aside": 6, "instances": 0}
    assert {(p.kind, p.line, p.text) for p in result.problems} == {
        (
            "keypoints without kpt_shape",
            1,
            f"the rows look like a box and 4 keypoints; add 'kpt_shape: [4, {shape[1]}]' to data.yaml",
        )
    }
    assert same(scan(spec(tmp_path)), result)
    told = scan(spec(tmp_path, extra=f"kpt_shape: [4, {shape[1]}]\n"))
    assert (told.set_aside, told.instances) == (0, 12)


def test_a_polygon_that_looks_like_keypoints_is_one_among_polygons(tmp_path):
    rng = np.random.default_rng(4)
    for i in range(4):
        save(tmp_path / f"images/train/{i}.png", label=gate(rng, None))
    save(tmp_path / "images/train/odd.png", label=gate(rng, (4, 2, 0)))
    result = scan(spec(tmp_path))
    assert (result.instances, result.problems) == (5, [])


def test_lists_agree_with_ultralytics(tmp_path):
    save(tmp_path / "other/images/b.png", label=BOX)
    save(tmp_path / "images/a.png", label=BOX)
    (tmp_path / "train.txt").write_text(f"./images/a.png\n{tmp_path}/other/images/b.png\n./images/a.png\n")
    check_against_ultralytics(spec(tmp_path, "[train.txt, images]"), "detect")
