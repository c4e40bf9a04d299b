"""Data sets of racing teams as they lie: labels beside the pictures, eight corners, a key that nobody reads."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pytest

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.images import label_path
from aigp_lightning.data.lint import lint
from aigp_lightning.data.scan import scan_split

EIGHT = (
    "path: C:\\Users\\pilot\\renders\ntrain: TrainingImages\nval: ValidationImages\nkpt_shape: [8, 3]\n"
    "sigmas: [0.025, 0.025, 0.025, 0.025, 0.025, 0.025, 0.025, 0.025]\nflip_idx: [1, 0, 3, 2, 5, 4, 7, 6]\n"
    "names:\n  0: gate\n"
)
INNER = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]])
"""Rows of corners: top left, top right, bottom left, bottom right."""


def gate_row(centre: tuple[float, float], side: float) -> str:
    """A label of a gate seen from ahead: box, opening, outer frame."""
    points = np.concatenate((INNER * side * 0.35, INNER * side * 0.5)) + centre
    rows = np.column_stack((points, np.full(8, 2)))
    return " ".join(["0", *(f"{value:.6f}" for value in (*centre, side, side)), *(f"{v:.6g}" for v in rows.ravel())])


def write_images(images: Path, labels: Path, count: int, suffix: str = ".png") -> None:
    noise = np.random.default_rng(count)
    images.mkdir(parents=True)
    labels.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture = noise.integers(0, 60, (48, 64, 3), dtype=np.uint8)
        cv2.rectangle(picture, (16, 8), (48, 40), (40, 90, 240), 4)
        cv2.imwrite(str(images / f"render.{number:03d}{suffix}"), picture)
        row = gate_row((0.5, 0.5), 0.3 + 0.01 * number)
        (labels / f"render.{number:03d}.txt").write_text(f"{row}\n", encoding="utf-8")


@pytest.fixture
def team_a(tmp_path: Path) -> Path:
    """Pictures and labels in the same folders; the path is replaced, as whoever brings the recipe has to."""
    for split, count in (("TrainingImages", 5), ("ValidationImages", 3)):
        write_images(tmp_path / "renders" / split, tmp_path / "renders" / split, count)
    yaml = tmp_path / "data.yaml"
    yaml.write_text(EIGHT.replace("C:\\Users\\pilot\\renders", "renders"), encoding="utf-8")
    return yaml


@pytest.fixture
def team_b(tmp_path: Path) -> Path:
    """The usual folders, with subfolders; `images` stands in the path twice, and only the last one counts."""
    root = tmp_path / "images" / "hand"
    for split, count in (("train/day", 4), ("val", 2)):
        write_images(root / "images" / split, root / "labels" / split, count, ".jpg")
    yaml = root / "data.yaml"
    text = (
        "train: images/train\nval: images/val\nkpt_shape: [8, 3]\nflip_idx: [1, 0, 3, 2, 5, 4, 7, 6]\nnames: [gate]\n"
    )
    yaml.write_text(text, encoding="utf-8")
    return yaml


@pytest.mark.parametrize("team", ["team_a", "team_b"])
def test_labels_are_found_where_ultralytics_finds_them(team: str, request: pytest.FixtureRequest) -> None:
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import img2label_paths

    spec = read_data_yaml(request.getfixturevalue(team))
    for split, count in (("train", {"team_a": 5, "team_b": 4}[team]), ("val", {"team_a": 3, "team_b": 2}[team])):
        ours = scan_split(spec, split, pose=True, progress=False)
        theirs = YOLODataset(
            img_path=list(spec.splits[split]), data={"names": spec.names, "kpt_shape": [8, 3]}, task="pose",
            augment=False,
        )  # fmt: skip
        assert [record.im_file for record in ours.records] == theirs.im_files
        assert [label_path(file) for file in theirs.im_files] == img2label_paths(theirs.im_files)
        assert (len(ours.records), ours.instances, ours.problems) == (count, count, [])
        for record, label in zip(ours.records, theirs.labels, strict=True):
            np.testing.assert_array_equal(record.bboxes, label["bboxes"])
            assert record.keypoints is not None
            np.testing.assert_array_equal(record.keypoints, label["keypoints"])


@pytest.mark.parametrize(
    "file",
    [
        "/renders/TrainingImages/a.b.png",
        "/renders/images/a.png",
        "/images/hand/images/train/day/a.jpg",
        "/images/hand/imagesB/a.jpg",
        "/a/images.v2/b.jpg",
        "/a/Images/b.jpg",
        "images/a.jpg",
    ],
)
def test_the_rule_is_that_of_ultralytics(file: str) -> None:
    from ultralytics.data.utils import img2label_paths

    expected = img2label_paths([file])[0]
    if not PurePosixPath(file).is_absolute():
        assert expected == "images/a.txt", "theirs sees no folder before it"
        return  # paths of a scan are absolute
    assert label_path(file) == expected


def test_sigmas_are_not_read_and_the_right_key_is_named(team_a: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line says so, with what counts instead: the same as in Ultralytics, which reads them as little."""
    from ultralytics.models.yolo.detect import DetectionValidator
    from ultralytics.models.yolo.pose import PoseValidator

    from aigp_lightning.modules.yolo.metrics import oks_sigmas

    spec = read_data_yaml(team_a)
    assert spec.doubts == (
        f"{team_a}:5: 'sigmas' is not read; did you mean 'kpt_oks_sigmas'? Ultralytics does not read it either: 0.125 "
        "counts for each of the 8 keypoints, in the loss and in the metrics",
    )
    assert spec.keypoints is not None
    assert spec.keypoints.sigmas is None
    monkeypatch.setattr(DetectionValidator, "init_metrics", lambda self, model: None)
    theirs = PoseValidator.__new__(PoseValidator)
    theirs.data = {"sigmas": [0.025] * 8, "kpt_shape": [8, 3], "names": spec.names}
    theirs.init_metrics(None)
    np.testing.assert_array_equal(oks_sigmas(spec.keypoints).numpy(), theirs.sigma.astype(np.float32))
    read = team_a.read_text(encoding="utf-8").replace("sigmas:", "kpt_oks_sigmas:")
    team_a.write_text(read, encoding="utf-8")
    spec = read_data_yaml(team_a)
    assert spec.doubts == ()
    assert spec.keypoints is not None
    assert spec.keypoints.sigmas == (0.025,) * 8


def test_rows_of_corners_are_no_ring(team_a: Path) -> None:
    """Nothing is drawn between them unasked, no vertical mirror is guessed, and nothing is found odd about them."""
    spec = read_data_yaml(team_a)
    assert spec.keypoints is not None
    assert (spec.keypoints.edges, spec.keypoints.flip_idx_vertical) == ((), None)
    records = scan_split(spec, "train", pose=True, progress=False).records
    assert lint("train", records, spec).problems == []


def test_a_path_of_another_machine_is_named(tmp_path: Path) -> None:
    from aigp_lightning.errors import DataError

    yaml = tmp_path / "data.yaml"
    yaml.write_text(EIGHT, encoding="utf-8")
    with pytest.raises(DataError, match=r"'path' leads to C:\\.*TrainingImages, a path of another machine"):
        scan_split(read_data_yaml(yaml), "train", pose=True, progress=False)
