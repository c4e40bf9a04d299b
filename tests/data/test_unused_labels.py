"""Labels and images that are there and are not used: each is said, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import lightning.pytorch  # noqa: F401  sets the rank, by which one process alone warns
import pytest
from PIL import Image

from aigp_lightning.cli.main import main
from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.images import label_path
from aigp_lightning.data.preparation import tell_common
from aigp_lightning.data.problems import BESIDE, MISPLACED, ORPHAN, OTHER_FORMAT
from aigp_lightning.data.records import ScanResult
from aigp_lightning.data.scan import scan_split
from aigp_lightning.errors import DataError

ROW = "0 0.5 0.5 0.2 0.2\n"
LABEL_ENDINGS = (".txt", ".xml", ".json")
CASE_COUNTS = not Path(__file__.upper()).exists()


def make(root: Path, *files: str, train: str = "images/train") -> Path:
    """Pictures and label files by their names; what is called otherwise gets a word of text."""
    for name in files:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix.lower() in LABEL_ENDINGS or name.startswith("labels/"):
            file.write_text(ROW, encoding="utf-8")
        else:
            Image.new("RGB", (16, 16)).save(file, "PPM" if file.suffix == ".ppm" else "JPEG")
    (root / "data.yaml").write_text(f"train: {train}\nval: {train}\nnames: [gate]\n", encoding="utf-8")
    return root / "data.yaml"


def scan(yaml: Path, **options: bool) -> ScanResult:
    return scan_split(read_data_yaml(yaml), "train", workers=1, progress=False, **options)  # type: ignore[arg-type]


def said(result: ScanResult, root: Path) -> list[tuple[str, str]]:
    assert not any(problem.fatal for problem in result.problems)
    return [(problem.kind, os.path.relpath(problem.file, root)) for problem in result.problems]


@pytest.mark.parametrize(
    ("files", "train", "expected"),
    [
        (["images/train/a.jpg", "labels/train/a.txt", "images/train/b/c.jpg", "images/train/b/c.txt"], "images/train",
         [(BESIDE, "images/train/b/c.txt")]),
        (["images/train/a.jpg", "labels/train/a.txt", "images/train/a.txt"], "images/train",
         [(BESIDE, "images/train/a.txt")]),
        (["images/train/a.jpg", "labels/train/a.TXT"], "images/train", [(MISPLACED, "labels/train/a.TXT")]),
        (["images/train/g A.jpg", "labels/train/G a.txt"], "images/train", [(MISPLACED, "labels/train/G a.txt")]),
        (["images/train/\u00fc.jpg", "labels/train/u\u0308.txt"], "images/train",
         [(MISPLACED, "labels/train/u\u0308.txt")]),
        (["images/train/a.jpg", "Labels/train/a.txt"], "images/train", [(MISPLACED, "Labels/train/a.txt")]),
        (["Images/train/a.jpg", "Labels/Train/a.txt"], "Images/train", [(MISPLACED, "Labels/Train/a.txt")]),
        (["images/train/a.jpg", "labels/a.txt"], "images/train", [(MISPLACED, "labels/a.txt")]),
        (["images/train/a.jpg", "labels/train/a.txt", "labels/train/b.txt", "labels/train/old/c.txt"], "images/train",
         [(ORPHAN, "labels/train/b.txt"), (ORPHAN, "labels/train/old/c.txt")]),
        (["images/train/a.jpg", "labels/train/a.jpg.txt"], "images/train", [(ORPHAN, "labels/train/a.jpg.txt")]),
        (["train/a.jpg", "train/a.txt", "train/b.txt", "train/c.jpg", "train/C.TXT"], "train",
         [(MISPLACED, "train/C.TXT"), (ORPHAN, "train/b.txt")]),
        (["images/train/a.jpg", "images/train/b.ppm", "images/train/c", "images/train/d.JPG_", "labels/train/a.txt"],
         "images/train", [
             ("image without a known ending", "images/train/c"),
             ("image without a known ending", "images/train/d.JPG_"),
             ("image ending .ppm is not read", "images/train/b.ppm"),
         ]),
        (["images/train/a.jpg", "images/train/b.dat", "labels/train/a.txt"], "images/train/*",
         [("image ending .dat is not read", "images/train/b.dat")]),
    ],
    ids=["half", "both", "TXT", "case of a name", "NFD", "Labels", "Images and Labels", "flat", "orphans",
         "double ending", "beside, no images folder", "endings", "glob"],
)  # fmt: skip
def test_what_is_not_used_is_said(
    tmp_path: Path, files: list[str], train: str, expected: list[tuple[str, str]]
) -> None:
    if not CASE_COUNTS:
        pytest.skip("here it is one and the same file")
    yaml = make(tmp_path, *files, train=train)
    first = scan(yaml)
    assert sorted(said(first, tmp_path)) == sorted(expected)
    assert said(scan(yaml), tmp_path) == said(first, tmp_path)
    with pytest.raises(DataError, match="strict is set"):
        scan(yaml, strict=True)


@pytest.mark.parametrize(
    ("files", "train", "lost"),
    [
        (["train/a.jpg", "train/b.jpg", "train/a.txt"], "train", "labels/b.txt"),
        (["train/a.jpg", "train/b.jpg", "train/a.txt"], "train", "labels/train/b.txt"),
        (["train/images/a.jpg", "train/images/b.jpg", "train/labels/a.txt"], "train/images", "labels/b.txt"),
        *(
            (["images/train/a.jpg", "images/train/b.jpg", "labels/train/a.txt"], "images/train", lost)
            for lost in (
                "label/train/b.txt", "labels_new/train/b.txt", "images/labels/train/b.txt", "images/train/labels/b.txt",
                "labels/train/b", "labels/train/b.label", "labels/train/b.txt ", "images/train/b.xml",
                "labels/train/b.json", "annotations/B.xml",
            )
        ),
    ],
)  # fmt: skip
def test_a_label_anywhere_in_the_data_set_is_found(tmp_path: Path, files: list[str], train: str, lost: str) -> None:
    """The image trains as a background; with a label of its own, the other file is nobody's business."""
    yaml = make(tmp_path, *files, lost, train=train)
    (problem,) = scan(yaml).problems
    assert os.path.relpath(problem.file, tmp_path) == lost
    assert problem.kind == (OTHER_FORMAT if lost.endswith(("xml", "json")) else MISPLACED)
    looked_for = label_path(str(tmp_path / files[1]))
    assert looked_for in problem.text
    Path(looked_for).write_text(ROW, encoding="utf-8")
    assert [found.kind for found in scan(yaml).problems if found.kind != ORPHAN] == []


def test_a_label_that_is_a_link_to_nowhere_sets_the_image_aside(tmp_path: Path) -> None:
    yaml = make(tmp_path, "images/train/a.jpg", "images/train/b.jpg", "labels/train/a.txt")
    (tmp_path / "labels/train/b.txt").symlink_to(tmp_path / "unmounted/b.txt")
    result = scan(yaml)
    assert [(p.kind, p.text, p.fatal) for p in result.problems] == [("missing label", "the link leads nowhere", True)]
    assert result.counts == {"images": 2, "backgrounds": 0, "set_aside": 1, "instances": 1}


def test_images_of_the_same_name_have_labels_of_their_own(tmp_path: Path) -> None:
    """Backgrounds beside labels of other splits, other sets, a model's boxes, notes: nothing is said."""
    yaml = make(
        tmp_path, "images/train/a.jpg", "images/train/b.jpg", "labels/train/a.txt", "images/val/b.jpg",
        "labels/val/b.txt", "images/val/b.xml", "more/images/b.jpg", "more/labels/b.txt", "more/labels/b.json",
        "runs/predict/labels/b.txt", "flat/b.jpg", "flat/b.txt",
    )  # fmt: skip
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/b.md").write_text("five words are in here", encoding="utf-8")
    assert said(scan(yaml), tmp_path) == []


def test_images_that_share_a_label_file_are_named(tmp_path: Path) -> None:
    result = scan(make(tmp_path, "images/train/a.jpg", "images/train/a.jpeg", "labels/train/a.txt"))
    assert said(result, tmp_path) == [("label file of two images", "labels/train/a.txt")]
    assert result.problems[0].text == "a.jpeg and a.jpg have it both; rename all but one and give each its own"
    assert "  1 label file belongs to more than one image: read for each" in result.summary().splitlines()


def test_what_is_there_twice_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """By lint each image with status 1: listed twice, or in two splits, by another path."""
    yaml = make(tmp_path, *(f"images/train/{n}.jpg" for n in "ab"), *(f"labels/train/{n}.txt" for n in "ab"))
    (tmp_path / "images/val").mkdir()
    (tmp_path / "images/val/a.jpg").symlink_to(tmp_path / "images/train/a.jpg")
    make(tmp_path, "images/val/c.jpg", "labels/val/a.txt", "labels/val/c.txt")
    text = "train: [images/train, images/train/b.jpg]\nval: images/val\nnames: [gate]\n"
    yaml.write_text(text, encoding="utf-8")
    assert main(["lint", str(yaml)]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert "  1 image is listed more than once: kept" in lines
    at = lines.index("1 image is in two splits: kept")
    assert lines[at + 1] == (
        f"  {tmp_path}/images/train/a.jpg image in two splits: it is in train and val; leave it in one of them"
    )
    spec = read_data_yaml(yaml)
    with caplog.at_level("INFO"):
        tell_common({s: scan_split(spec, s, workers=1, progress=False) for s in ("train", "val")})
    assert "warning: 1 image is in more than one of train, val, so what is measured there" in caplog.text
    yaml.write_text(text.replace(", images/train/b.jpg", "").replace("images/val\n", "images/val/c.jpg\n"), "utf-8")
    assert main(["lint", str(yaml), "--leak-limit", "1"]) == 0  # all pictures of `make` are the same


def test_what_belongs_to_others_is_not_said(tmp_path: Path) -> None:
    """Labels of other splits and of images that no split lists, notes, lists of classes, an empty file, a link."""
    files = [f"images/{name}.jpg" for name in ("a", "b", "val/a", "train2/a")]
    labels = [f"labels/{name}.txt" for name in ("a", "b", "val/a", "train2/a")]
    yaml = make(tmp_path, *files, *labels, "images/classes.txt", train="train.txt")
    (tmp_path / "train.txt").write_text("./images/a.jpg\n", encoding="utf-8")
    (tmp_path / "labels/notes.txt").write_text("a word or two about these five files", encoding="utf-8")
    (tmp_path / "labels/classes.txt").write_text("gate\n", encoding="utf-8")
    (tmp_path / "images/a.txt").symlink_to(tmp_path / "labels/a.txt")
    (tmp_path / "images/more.json").write_text("{}", encoding="utf-8")
    assert said(scan(yaml), tmp_path) == []
    beside = make(tmp_path / "flat", "a.jpg", "a.txt", train=".")
    for name in ("empty.txt", "readme.txt"):
        (tmp_path / "flat" / name).write_text(
            "" if name == "empty.txt" else "Five words are in here.", encoding="utf-8"
        )
    assert said(scan(beside), tmp_path) == []


def test_a_file_system_without_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There `a.TXT` is the file that is looked for: hard links stand in for it."""
    yaml = make(tmp_path, "images/train/a.jpg", "labels/train/a.txt")
    os.link(tmp_path / "labels/train/a.txt", tmp_path / "labels/train/a.TXT")
    (tmp_path / "Labels").symlink_to(tmp_path / "labels", target_is_directory=True)
    assert said(scan(yaml), tmp_path) == []


def test_more_endings_are_read(tmp_path: Path) -> None:
    """By their content, whatever the ending."""
    names = ("a.jfif", "b.JFIF", "c.gif", "d.jpe")
    yaml = make(tmp_path, *(f"images/train/{n}" for n in names), *(f"labels/train/{n[0]}.txt" for n in names))
    result = scan(yaml)
    assert [Path(record.im_file).name for record in result.records] == list(names)
    assert (result.instances, result.problems) == (4, [])


def test_lint_says_so_and_ends_with_1(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    yaml = make(
        tmp_path, "images/train/a.jpg", "images/train/b.jpg", "images/train/b.txt", "labels/train/a.txt",
        *(f"labels/train/lost{number}.txt" for number in range(7)), "images/train/x.ppm",
    )  # fmt: skip
    assert main(["lint", str(yaml), "--split", "train"]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "train: 2 images, 1 backgrounds, 0 set aside, 1 instances"
    assert "  1 image has a label file beside it that is not the one looked for: not used" in lines
    assert "  7 label files have no image: not used" in lines
    assert "    … and 2 more" in lines
    assert "  image ending .ppm is not read: 1 in 1 file, left out" in lines


def test_lint_ends_with_1_where_no_image_has_a_label(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", str(make(tmp_path, "images/train/a.jpg")), "--split", "train"]) == 1
    assert "no image has a label; the first was looked for at" in capfd.readouterr().out


def test_lint_has_the_option_of_fit(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    yaml = make(tmp_path, "images/train/a.jpg", "images/train/b.jpg", "labels/train/a.txt", "labels/train/b.txt")
    (tmp_path / "labels/train/a.txt").write_text("0 0.9 0.5 0.4 0.4\n", encoding="utf-8")
    expected = {
        "clip": "  1 box in 1 image reaches out of the picture: clipped",
        "drop": "  1 object in 1 image reaches out of the picture: dropped",
        "error": "  coordinate out of range: 1 in 1 file, set aside",
    }
    for outside, line in expected.items():
        assert main(["lint", str(yaml), "--split", "train", "--outside", outside]) == 1
        assert line in capfd.readouterr().out.splitlines()
