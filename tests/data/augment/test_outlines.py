"""Outlines follow the pixels as Ultralytics' do, and as the pixels themselves."""

from __future__ import annotations

from pathlib import Path
from random import Random

import cv2
import numpy as np
import pytest

from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.augment.flip import Flip
from aigp_lightning.data.augment.instances import Instances, concatenate
from aigp_lightning.data.augment.mosaic import MosaicAffine
from aigp_lightning.data.augment.pipeline import TrainPipeline
from aigp_lightning.data.polygons import Polygons, boxes_of_visible_parts, resampled
from aigp_lightning.data.scan import scan_split
from aigp_lightning.errors import DataError

SIZE = 160


def outlines(seed: int, count: int = 6, size: int = SIZE) -> np.ndarray:
    """Star-shaped outlines of different corners, (n, 1000, 2) pixels."""
    random = np.random.default_rng(seed)
    corners, counts = [], random.integers(3, 12, count)
    for number in counts.tolist():
        angle = np.sort(random.uniform(0, 2 * np.pi, number))
        reach = random.uniform(10, 30, number)[:, None]
        corners.append(random.uniform(30, size - 30, 2) + reach * np.column_stack((np.cos(angle), np.sin(angle))))
    return resampled(Polygons(np.concatenate(corners).astype(np.float32), counts))


def labels_of(segments: np.ndarray) -> Instances:
    boxes = np.concatenate((segments.min(1), segments.max(1)), 1)
    return Instances(boxes, np.arange(len(segments)), None, segments)


@pytest.mark.parametrize("least", [1000, 40])
def test_resampled_outlines_are_ultralytics_own(least: int) -> None:
    from ultralytics.utils.ops import resample_segments

    random = np.random.default_rng(0)
    counts = np.array([3, 4, 5, 17, 39, 40, 41, 999, 1000, 1001, 1500] if least == 1000 else [3, 39, 40, 38, 20])
    corners = [random.random((count, 2)).astype(np.float32) for count in counts.tolist()]
    size = max(counts) + 1 if max(counts) > least else least
    theirs = np.stack(resample_segments([each.copy() for each in corners], size))
    assert np.array_equal(resampled(Polygons(np.concatenate(corners), counts), least), theirs)


def test_boxes_of_visible_parts_are_ultralytics_own() -> None:
    from ultralytics.utils.ops import segment2box

    segments = np.concatenate([outlines(seed) * 2 - 120 for seed in range(8)])  # over all edges and corners, and out
    theirs = np.stack([segment2box(each, SIZE, SIZE) for each in segments])
    assert (theirs == 0).all(1).any() and ((theirs == 0) | (theirs == SIZE)).any(1).sum() > 10
    np.testing.assert_allclose(boxes_of_visible_parts(segments, SIZE, SIZE), theirs, atol=1e-3)


def test_a_picture_within_an_outline_is_its_box() -> None:
    around = resampled(Polygons(np.float32([[-50, -50], [300, -40], [290, 310], [-30, 300]]), np.array([4])))
    assert boxes_of_visible_parts(around, 100, 80).tolist() == [[0, 0, 100, 80]]


@pytest.mark.parametrize("seed", range(6))
def test_an_affine_moves_outlines_and_boxes_as_ultralytics_does(seed: int) -> None:
    from ultralytics.data.augment import RandomPerspective
    from ultralytics.utils.instance import Instances as Theirs

    affine = MosaicAffine(SIZE, degrees=40, translate=0.3, scale=0.5, shear=10)
    affine.set_random_state(np.random.default_rng(seed), Random(seed))
    geometry = affine.draw((SIZE, SIZE), mosaic=False)
    labels = labels_of(outlines(seed))
    params = affine.get_params_dependent_on_data({}, {"image": np.zeros((SIZE, SIZE, 3), np.uint8), "partners": ()})
    params["geometry"] = geometry
    ours = affine.apply_to_instances(labels, **params)

    theirs = RandomPerspective()
    matrix = np.vstack((geometry.matrix, (0, 0, 1))).astype(np.float32)
    assert labels.segments is not None
    given = Theirs(labels.bboxes.copy(), labels.segments.copy(), None, "xyxy", normalized=False)
    found = theirs.apply_instances(
        {"cls": labels.cls.copy(), "instances": given},
        {"M": matrix, "scale": geometry.gain, "size": (SIZE, SIZE), "orig_shape": (SIZE, SIZE)},
    )
    assert ours.cls.tolist() == found["cls"].tolist()
    np.testing.assert_allclose(ours.bboxes, found["instances"].bboxes, atol=0.02)
    np.testing.assert_allclose(ours.segments, found["instances"].segments, atol=0.02)


@pytest.mark.parametrize(
    "extra",
    [
        {"class_path": "albumentations.HorizontalFlip", "init_args": {"p": 1.0}},
        {"class_path": "albumentations.Affine", "init_args": {"rotate": (30, 30), "p": 1.0}},
    ],
)
def test_outlines_stay_on_the_pixels(extra: dict) -> None:
    segments = outlines(3, count=2)[:1]
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    cv2.fillPoly(picture, [segments[0].round().astype(np.int32)], (255, 255, 255))
    sample = {
        "image": picture, "bboxes": labels_of(segments).bboxes, "cls": np.zeros(1, np.int64),
        "keypoints": None, "im_file": "0.png", "segments": segments,
    }  # fmt: skip
    config = AugmentConfig(
        mosaic=0, degrees=20, hsv_h=0, hsv_s=0, hsv_v=0, flipud=1, blur=0, median_blur=0, to_gray=0, clahe=0,
        extra=[extra],
    )  # fmt: skip
    out = TrainPipeline(SIZE, config)(sample, [], seed=5)  # type: ignore[arg-type]
    white = out["image"][..., 0] > 200
    drawn = np.zeros((SIZE, SIZE), np.uint8)
    found = out["segments"]
    assert found is not None and len(found) == 1
    cv2.fillPoly(drawn, [found[0].round().astype(np.int32)], 1)
    assert (drawn.astype(bool) & white).sum() / (drawn.astype(bool) | white).sum() > 0.93
    high, wide = np.nonzero(white)
    np.testing.assert_allclose(out["bboxes"][0], (wide.min(), high.min(), wide.max(), high.max()), atol=2.5)


def test_flips_mirror_outlines() -> None:
    labels = labels_of(outlines(1))
    flipped = Flip(axis=0, p=1.0)(image=np.zeros((SIZE, SIZE, 3), np.uint8), instances=labels)["instances"]
    assert labels.segments is not None
    np.testing.assert_array_equal(flipped.segments[..., 0], SIZE - labels.segments[..., 0])
    np.testing.assert_array_equal(flipped.segments[..., 1], labels.segments[..., 1])
    np.testing.assert_allclose(flipped.bboxes, labels_of(flipped.segments).bboxes, atol=1e-4)


def test_joined_outlines_have_the_points_of_the_longest() -> None:
    short, long = labels_of(outlines(1, 2)), labels_of(outlines(2, 1))
    long.segments = np.repeat(long.segments, 2, 1)
    joined = concatenate([short, long], [(0, 0), (10, 20)])
    assert joined.segments is not None and joined.segments.shape == (3, 2000, 2)
    np.testing.assert_allclose(joined.segments[2], long.segments[0] + [10, 20], atol=1e-4)
    with pytest.raises(ValueError, match="outlines"):
        concatenate([short, Instances(long.bboxes, long.cls, None)], [(0, 0), (0, 0)])


def write_split(folder: Path, rows: list[str]) -> None:
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    for number, row in enumerate(rows):
        cv2.imwrite(str(folder / f"images/{number}.png"), np.zeros((40, 60, 3), np.uint8))
        (folder / f"labels/{number}.txt").write_text(row, encoding="utf-8")
    (folder / "data.yaml").write_text("train: images\nval: images\nnames: [gate, tree]\n", encoding="utf-8")


TRIANGLE, QUAD = "0 0.1 0.1 0.5 0.1 0.5 0.5", "1 0.2 0.2 0.6 0.2 0.6 0.6 0.2 0.6"
LIKE_KEYPOINTS = "0 0.5 0.5 0.4 0.4 0.4 0.4 0.6 0.6"
"""Read as a box and two keypoints where nobody says what it is."""


def test_a_scan_keeps_outlines_where_asked_for_and_recalls_them(tmp_path: Path) -> None:
    from aigp_lightning.data.data_yaml import read_data_yaml

    write_split(tmp_path, [f"{TRIANGLE}\n{QUAD}\n{TRIANGLE}", "", LIKE_KEYPOINTS])
    spec = read_data_yaml(tmp_path / "data.yaml")
    for from_cache in (False, True):
        found = scan_split(spec, "train", outlines="all", progress=False)
        assert found.from_cache is from_cache
        assert [record.polygons.counts.tolist() for record in found.records if record.polygons] == [[3, 4], [], [4]]
        assert found.records[0].polygons is not None
        assert found.records[0].polygons.points[3:].tolist() == np.float32(QUAD.split()[1:]).reshape(-1, 2).tolist()
        assert [problem.kind for problem in found.problems] == ["duplicate row"]
    plain = scan_split(spec, "train", progress=False)
    assert not plain.from_cache and plain.records[0].polygons is None  # another cache


def test_boxes_among_outlines_are_refused_or_all_are_boxes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from aigp_lightning.data.data_yaml import read_data_yaml

    write_split(tmp_path, [TRIANGLE, "0 0.5 0.5 0.2 0.2\n1 0.25 0.25 0.2 0.2"])
    spec = read_data_yaml(tmp_path / "data.yaml")
    with pytest.raises(DataError, match=r"2 of 3 objects in 'val' are boxes without an outline, the first in .*1\.txt"):
        scan_split(spec, "val", outlines="all", progress=False)
    found = scan_split(spec, "val", outlines="any", progress=False)
    assert [record.polygons for record in found.records] == [None, None]
    assert [len(record.cls) for record in found.records] == [1, 2]
    assert sum("all outlines are left out" in message for message in caplog.messages) <= 1


def test_a_damaged_cache_of_outlines_is_scanned_again(tmp_path: Path) -> None:
    from aigp_lightning.data import scan_cache
    from aigp_lightning.data.data_yaml import read_data_yaml

    write_split(tmp_path, [TRIANGLE])
    spec = read_data_yaml(tmp_path / "data.yaml")
    first = scan_split(spec, "val", outlines="all", progress=False)
    assert first.cache_file is not None
    with np.load(first.cache_file) as archive:
        content = dict(archive)
    content["corner_counts"] = np.array([4])
    np.savez(first.cache_file, **content)
    second = scan_split(spec, "val", outlines="all", progress=False)
    assert not second.from_cache and second.records[0].polygons is not None
    assert second.records[0].polygons.counts.tolist() == [3]
    assert scan_cache.load(first.cache_file, "0" * 64, 1, 2, None, outlines=True) is None
