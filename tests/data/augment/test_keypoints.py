"""Keypoints follow the pixels: coloured blobs on the corners of squares are found again where the labels say."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from ultralytics.data.augment import RandomFlip, RandomPerspective
from ultralytics.utils.instance import Instances as ReferenceInstances

from aigp_lightning.data.augment import AugmentConfig, Sample, TransformSpec
from aigp_lightning.data.augment.instances import Instances
from aigp_lightning.data.augment.mosaic import Geometry, MosaicAffine
from aigp_lightning.data.augment.pipeline import TrainPipeline
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.data.dataset import EvalDataset
from aigp_lightning.data.labels import parse_label_file
from aigp_lightning.data.records import ImageRecord
from aigp_lightning.data.samplers import EvalRequest
from aigp_lightning.errors import ConfigError

SIZE = 256
SHAPE = (192, 256)
COLOURS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)], np.uint8)
"""Of the top left, top right, bottom right and bottom left corner."""
LEFT_RIGHT, UP_DOWN = (1, 0, 3, 2), (3, 2, 1, 0)
STILL = AugmentConfig(
    translate=0, scale=0, hsv_h=0, hsv_s=0, hsv_v=0, fliplr=0, blur=0, median_blur=0, to_gray=0, clahe=0
)
MOVING = replace(STILL, translate=0.1, scale=0.3, degrees=8, shear=4)
RADIUS = 4


def squares(seed: int, shape: tuple[int, int] = SHAPE) -> Sample:
    """A dark picture of two squares whose corners are coloured blobs of 9×9 pixels."""
    rng = np.random.default_rng(seed)
    height, width = shape
    image = np.full((height, width, 3), 40, np.uint8)
    boxes, corners = [], []
    for column in range(2):
        side = int(rng.integers(50, 80))
        x = int(rng.integers(8, width // 2 - side - 8)) + column * width // 2
        y = int(rng.integers(8, height - side - 8))
        ring = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
        for (u, v), colour in zip(ring, COLOURS, strict=True):
            image[v - RADIUS : v + RADIUS + 1, u - RADIUS : u + RADIUS + 1] = colour
        boxes.append((x, y, x + side, y + side))
        corners.append([(u + 0.5, v + 0.5, 2) for u, v in ring])  # the middle of the pixel
    return Sample(
        image=image,
        bboxes=np.array(boxes, np.float32) + np.float32(0.5),
        cls=np.arange(2),
        keypoints=np.array(corners, np.float32),
        im_file=f"{seed}.png",
    )


def compare(image: np.ndarray, keypoints: np.ndarray, colours: Sequence[int]) -> int:
    """Hold visible keypoints against the blobs in a picture; returns how many whole blobs there were to compare with.

    Args:
        image: (H, W, 3) RGB.
        keypoints: (n, 4, 3) pixels.
        colours: for every place, which of `COLOURS` has to be there.
    """
    height, width = image.shape[:2]
    compared = 0
    for x, y, place in [(p[0], p[1], k) for row in keypoints for k, p in enumerate(row) if p[2] > 0]:
        reach = 10
        if not (reach < x < width - reach and reach < y < height - reach):
            continue
        left, top = int(x) - reach, int(y) - reach
        window = image[top : top + 2 * reach + 1, left : left + 2 * reach + 1].astype(int)
        near = np.abs(window - COLOURS[colours[place]]).max(2) < 128
        assert near.any(), f"no blob of colour {colours[place]} at keypoint {place}, {x:.1f} {y:.1f}"
        if near.sum() < 0.4 * (2 * RADIUS + 1) ** 2:  # cut by a seam
            continue
        rows, columns = np.nonzero(near)
        if min(rows.min(), columns.min()) == 0 or max(rows.max(), columns.max()) == 2 * reach:
            continue  # another blob reaches in
        found = columns.mean() + left + 0.5, rows.mean() + top + 0.5
        assert np.hypot(found[0] - x, found[1] - y) < 1
        compared += 1
    return compared


@pytest.mark.parametrize(
    ("config", "tiles", "colours", "least"),
    [
        (STILL, 1, (0, 1, 2, 3), 48),
        (MOVING, 1, (0, 1, 2, 3), 80),
        (MOVING, 4, (0, 1, 2, 3), 120),
        (replace(STILL, fliplr=1), 1, (1, 0, 3, 2), 48),
        (replace(STILL, flipud=1), 1, (3, 2, 1, 0), 48),
        (replace(STILL, fliplr=1, flipud=1), 1, (2, 3, 0, 1), 48),
        (replace(MOVING, fliplr=1, flipud=1), 4, (2, 3, 0, 1), 120),
    ],
    ids=["letterbox", "affine", "mosaic", "left-right", "upside-down", "both", "mosaic-both"],
)
def test_corners_are_where_and_what_the_labels_say(
    config: AugmentConfig, tiles: int, colours: tuple[int, ...], least: int
) -> None:
    """Within a pixel, and place 0 is the top left as seen: after a left-right flip the former top right."""
    pipeline = TrainPipeline(SIZE, config, LEFT_RIGHT, UP_DOWN)
    compared = 0
    for seed in range(20):
        samples = [squares(10 * seed + i) for i in range(tiles)]
        done = pipeline(samples[0], samples[1:], seed)
        assert len(done["keypoints"]) == len(done["bboxes"]) == len(done["cls"])
        compared += compare(done["image"], done["keypoints"], colours)
        seen = done["keypoints"][..., 2] > 0
        low, high = done["bboxes"][:, None, :2] - 1, done["bboxes"][:, None, 2:] + 1
        inside = ((done["keypoints"][..., :2] >= low) & (done["keypoints"][..., :2] <= high)).all(2)
        assert inside[seen].all()
        whole = done["keypoints"][seen.all(1)]
        if config.degrees == 0:  # the order is the picture's own: left of right, top above bottom
            assert (whole[:, 0, :2] < whole[:, 2, :2]).all()
            assert (whole[:, 3, 0] < whole[:, 1, 0]).all() and (whole[:, 3, 1] > whole[:, 1, 1]).all()
    assert compared >= least


@pytest.mark.parametrize(
    ("spec", "colours"),
    [
        (TransformSpec("albumentations.HorizontalFlip", {"p": 1.0}), (1, 0, 3, 2)),
        (TransformSpec("albumentations.VerticalFlip", {"p": 1.0}), (3, 2, 1, 0)),
        (TransformSpec("albumentations.RandomRotate90", {"p": 1.0}), (0, 1, 2, 3)),
        (
            TransformSpec("albumentations.RandomSizedCrop", {"min_max_height": [200, 230], "size": [SIZE, SIZE]}),
            (0, 1, 2, 3),
        ),
    ],
    ids=["left-right", "upside-down", "turn", "crop"],
)
def test_the_users_own_transforms_move_and_rename_corners(spec: TransformSpec, colours: tuple[int, ...]) -> None:
    """Mirrors rename by their own permutation; a quarter turn keeps the corner's name."""
    pipeline = TrainPipeline(SIZE, replace(STILL, extra=[spec]), LEFT_RIGHT, UP_DOWN)
    compared = 0
    for seed in range(12):
        done = pipeline(squares(seed), (), seed)
        compared += compare(done["image"], done["keypoints"], colours)
    assert compared >= 40


@pytest.mark.parametrize("name", ["HorizontalFlip", "D4"])
def test_a_mirror_among_the_users_transforms_needs_its_permutation_at_the_start(name: str) -> None:
    """Also one that mirrors only sometimes, and not first in a worker; boxes alone need none."""
    config = replace(STILL, extra=[TransformSpec(f"albumentations.{name}", {"p": 0.1})])
    with pytest.raises(ConfigError, match=rf"albumentations\.{name}.*needs the permutation.*give flip_idx"):
        TrainPipeline(64, config, keypoints=True)
    TrainPipeline(64, config)
    TrainPipeline(64, config, LEFT_RIGHT, UP_DOWN)


def test_letterbox_of_validation_moves_corners_and_keeps_visibility(tmp_path: Path) -> None:
    """Points a hair outside, hidden and unlabelled ones keep what they are: metrics count them as Ultralytics does."""
    sample = squares(3, (200, 300))
    cv2.imwrite(str(tmp_path / "a.png"), sample["image"][..., ::-1])
    points = sample["keypoints"] / np.float32([300, 200, 1])
    points[0, 3] = (0, 0, 0)
    points[1, 1] = (1.005, 0.5, 2)
    points[1, 2, 2] = 1
    centre = (sample["bboxes"][:, :2] + sample["bboxes"][:, 2:]) / 2
    boxes = np.concatenate((centre, sample["bboxes"][:, 2:] - sample["bboxes"][:, :2]), 1) / [300, 200, 300, 200]
    record = ImageRecord(str(tmp_path / "a.png"), (200, 300), sample["cls"], boxes.astype(np.float32), points)
    item = EvalDataset([record], 240)[EvalRequest(0, (192, 256))]
    assert item["keypoints"][..., 2].tolist() == points[..., 2].tolist()
    np.testing.assert_allclose(item["keypoints"][1, 1, :2], [1.005 * 240 + 8, 0.5 * 160 + 16], atol=1e-3)
    ordinary = np.delete(item["keypoints"].reshape(-1, 3), (3, 5), 0)
    colours = np.delete(np.tile(np.arange(4), 2), (3, 5))
    for point, colour in zip(ordinary, colours.tolist(), strict=True):
        assert compare(item["image"], np.tile(point, (1, 4, 1))[:, :1], [colour]) == 1


def test_unlabelled_points_stay_invisible() -> None:
    """Points at x = y = 0 without visibility land inside pictures, and are never called seen; hidden stays hidden."""
    pipeline = TrainPipeline(SIZE, replace(MOVING, fliplr=0.5), LEFT_RIGHT, UP_DOWN)
    total = 0
    for seed in range(30):
        samples = [squares(10 * seed + i) for i in range(4)]
        for sample in samples:
            sample["keypoints"][:, 2] = 0  # the bottom right corner
            sample["keypoints"][:, 0, 2] = 1
        done = pipeline(samples[0], samples[1:], seed)
        still = TrainPipeline(SIZE, MOVING, LEFT_RIGHT, UP_DOWN)(samples[0], samples[1:], seed)
        flipped = not np.array_equal(done["image"], still["image"])
        places = (3, 1) if flipped else (2, 0)
        visibility = done["keypoints"][..., 2]
        assert (visibility[:, places[0]] == 0).all()
        assert set(visibility[:, places[1]].tolist()) <= {0, 1}
        total += len(visibility)
    assert total > 60


def test_two_number_labels_move_alike(tmp_path: Path) -> None:
    """Without written visibility a point counts as seen (2) until it leaves the picture; one left of it never does."""
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.5 0.5 0.25 0.25 0.75 0.25 0.75 0.75 -0.005 0.75\n", encoding="utf-8")
    cls, _, points, problems = parse_label_file(tmp_path / "a.txt", 1, (4, 2))
    assert points is not None and problems == []
    sample = squares(0, (SIZE, SIZE))
    sample["bboxes"] = np.array([[64, 64, 192, 192]], np.float32)
    sample["cls"], sample["keypoints"] = cls, points * np.float32([SIZE, SIZE, 1])
    done = TrainPipeline(SIZE, replace(STILL, fliplr=1), LEFT_RIGHT, UP_DOWN)(sample, (), 0)
    assert done["keypoints"][0, :, 2].tolist() == [2, 2, 0, 2]
    np.testing.assert_allclose(done["keypoints"][0, [0, 1, 3], :2], [[64, 64], [192, 64], [64, 192]])


def run_mosaic(samples: list[Sample], geometry: Geometry, monkeypatch: pytest.MonkeyPatch) -> Instances:
    """Labels after this very mosaic."""
    transform = MosaicAffine(SIZE)
    monkeypatch.setattr(transform, "draw", lambda *_: geometry)
    first = samples[0]
    labels = Instances(first["bboxes"], first["cls"], first["keypoints"])
    return transform(image=first["image"], instances=labels, partners=samples[1:])["instances"]


def one_box(box: Sequence[float], keypoints: np.ndarray, number: int) -> Sample:
    """A grey square picture with one object."""
    image = np.full((SIZE, SIZE, 3), 99, np.uint8)
    return Sample(
        image=image,
        bboxes=np.array([box], np.float32),
        cls=np.array([number]),
        keypoints=keypoints.astype(np.float32),
        im_file=f"{number}.png",
    )


def test_points_cut_off_with_their_tile_are_invisible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four tiles of 256 round (160, 160) on a canvas of 512, halved: known places for all 16 corners.

    Each tile has a box from 60 to 200, whose corners are keypoints. The upper left tile loses its first 96 pixels on
    both axes, and the object its three outer corners.
    """
    ring = np.array([[[60, 60, 2], [200, 60, 2], [200, 200, 1], [60, 200, 2]]], float)
    samples = [one_box((60, 60, 200, 200), ring, number) for number in range(4)]
    labels = run_mosaic(samples, Geometry((160, 160), np.array(((0.5, 0, 0), (0, 0.5, 0))), 0.5), monkeypatch)
    assert labels.cls.tolist() == [0, 1, 2, 3]
    assert labels.keypoints is not None
    assert labels.keypoints[..., 2].tolist() == [[0, 0, 1, 0], [0, 0, 1, 2], [0, 2, 1, 0], [2, 2, 1, 2]]
    corners = (np.array([[-96, -96], [160, -96], [-96, 160], [160, 160]])[:, None] + ring[0, :, :2]) / 2
    np.testing.assert_allclose(labels.keypoints[..., :2], corners.clip(0, 256))
    np.testing.assert_allclose(labels.bboxes[0], [0, 0, 52, 52])


def test_points_beyond_their_own_picture_do_not_show_on_the_next_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label may reach 1 % beyond its picture; over the seam there is another picture."""
    ring = np.array([[[200, 100, 2], [258, 100, 2], [258, 180, 2], [200, 180, 2]]], float)
    samples = [one_box((200, 100, 258, 180), ring, number) for number in range(4)]
    labels = run_mosaic(samples, Geometry((256, 256), np.array(((0.5, 0, 0), (0, 0.5, 0))), 0.5), monkeypatch)
    assert labels.keypoints is not None
    assert labels.keypoints[..., 2].tolist() == [[2, 0, 0, 2]] * 4
    np.testing.assert_allclose(labels.bboxes[:, 2], [128, 256, 128, 256])


def test_dropped_objects_take_their_keypoints_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of the mosaic's picture goes with its corners; the others keep their own."""
    ring = np.array([[[60, 60, 2], [200, 60, 2], [200, 200, 2], [60, 200, 2]]], float)
    samples = [one_box((60, 60, 200, 200), ring, number) for number in range(4)]
    matrix = np.array(((1.0, 0, -256), (0, 1.0, -100)))  # only tiles 1 and 3 are right of 256
    labels = run_mosaic(samples, Geometry((256, 256), matrix, 1.0), monkeypatch)
    assert labels.cls.tolist() == [1, 3]
    assert labels.keypoints is not None
    assert labels.keypoints[:, 2].tolist() == [[200, 100, 2], [200, 256, 0]]


# ---- Ultralytics


def reference(keypoints: np.ndarray, box: Sequence[float]) -> ReferenceInstances:
    segments = np.zeros((0, 1000, 2), np.float32)
    box_array = np.array([box], np.float32)
    return ReferenceInstances(box_array, segments, keypoints.copy(), bbox_format="xyxy", normalized=False)


def test_upside_down_keeps_top_left_top_left_and_ultralytics_does_not() -> None:
    """It uses the left-right permutation for both: its place 0 is then a corner at the bottom."""
    sample = squares(0, (SIZE, SIZE))
    ours = TrainPipeline(SIZE, replace(STILL, flipud=1), LEFT_RIGHT, UP_DOWN)(sample, (), 0)
    rows = ours["keypoints"]
    assert (rows[:, 0, :2] < rows[:, 2, :2]).all()
    labels = {"img": sample["image"], "instances": reference(sample["keypoints"][:1], sample["bboxes"][0].tolist())}
    theirs = RandomFlip(1.0, "vertical", list(LEFT_RIGHT))(labels)["instances"].keypoints
    assert (theirs[:, 0, :2] > theirs[:, 2, :2]).all()
    np.testing.assert_allclose(np.sort(theirs[0, :, :2], 0), np.sort(rows[0, :, :2], 0))


def test_the_rule_of_visibility_is_ultralytics() -> None:
    """On the border counts as inside; hidden and unlabelled points stay so; what left is clipped to the border."""
    points = np.array(
        [[[0, 0, 2], [100, 80, 2], [100.01, 50, 2], [-0.01, 50, 1], [50, 81, 0], [50, 40, 0]]], np.float32
    )
    theirs = reference(points, (0, 0, 50, 50))
    theirs.clip(100, 80)
    ours = Instances(np.array([[0, 0, 50, 50]], np.float32), np.zeros(1, np.int64), points.copy()).clipped(100, 80)
    np.testing.assert_array_equal(ours.keypoints, theirs.keypoints)
    matrix = np.array(((1.0, 0, 3), (0, 1, -2), (0, 0, 1)))
    warped = RandomPerspective(size=(100, 80)).apply_keypoints(points.copy(), matrix, (100, 80))
    moved = Instances(np.array([[0, 0, 50, 50]], np.float32), np.zeros(1, np.int64), points).moved(matrix[:2])
    np.testing.assert_array_equal(moved.clipped(100, 80).keypoints[..., 2], warped[..., 2])  # type: ignore[index]


# ---- what the data set must say for flips


@pytest.fixture
def pose_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., YoloDataModule]:
    """Make a data module for a pose model, from lines about keypoints."""
    for folder in ("images", "labels"):
        (tmp_path / folder / "train").mkdir(parents=True)
    for number in range(4):
        sample = squares(number)
        cv2.imwrite(str(tmp_path / f"images/train/{number}.png"), sample["image"][..., ::-1])
        scale = np.array([SHAPE[1], SHAPE[0]])
        low, high = sample["bboxes"][:, :2] / scale, sample["bboxes"][:, 2:] / scale
        points = sample["keypoints"] / [*scale, 1]
        rows = np.concatenate((np.zeros((2, 1)), (low + high) / 2, high - low, points.reshape(2, -1)), 1)
        np.savetxt(tmp_path / f"labels/train/{number}.txt", rows, "%.7g")

    def make(lines: str, pose: bool = True, **augment: float) -> YoloDataModule:
        text = f"train: images/train\nval: images/train\nnames: [gate]\nkpt_shape: [4, 3]\n{lines}"
        (tmp_path / "data.yaml").write_text(text, encoding="utf-8")
        monkeypatch.setattr(YoloDataModule, "pose", pose)
        config = replace(STILL, mosaic=0.0, **augment)
        return YoloDataModule(str(tmp_path / "data.yaml"), imgsz=SIZE, batch_size=4, workers=0, augment=config)

    return make


@pytest.mark.parametrize(("augment", "colours"), [({"fliplr": 1}, LEFT_RIGHT), ({"flipud": 1}, UP_DOWN)])
def test_loader_flips_by_both_permutations(
    pose_set: Callable[..., YoloDataModule], augment: dict[str, float], colours: tuple[int, ...]
) -> None:
    data = pose_set("flip_idx: [1, 0, 3, 2]\nflip_idx_vertical: [3, 2, 1, 0]\n", **augment)
    (batch,) = data.train_dataloader()
    compared = 0
    for index in range(4):
        points = batch["keypoints"][batch["batch_idx"] == index].numpy() * [SIZE, SIZE, 1]
        compared += compare(batch["img"][index].permute(1, 2, 0).numpy(), points, colours)
    assert compared >= 12


def test_without_a_permutation_there_is_no_flip_but_a_warning(
    pose_set: Callable[..., YoloDataModule], caplog: pytest.LogCaptureFixture
) -> None:
    """It names the file and the line to add; the user's own configuration stays what it was."""
    data = pose_set("", fliplr=1)
    caplog.set_level("INFO")
    loader = data.train_dataloader()
    assert re.search(r"data\.yaml: no 'flip_idx'.*add 'flip_idx: \[1, 0, 3, 2\]', which fits", caplog.text)
    assert data.augment.fliplr == 1
    (batch,) = loader
    points = batch["keypoints"].numpy()
    assert len(points) == 8
    for index in range(4):
        mine = points[batch["batch_idx"].numpy() == index] * [SIZE, SIZE, 1]
        assert compare(batch["img"][index].permute(1, 2, 0).numpy(), mine, (0, 1, 2, 3)) >= 2


def test_upside_down_without_a_permutation_is_an_error_at_the_start(pose_set: Callable[..., YoloDataModule]) -> None:
    with pytest.raises(
        ConfigError, match=r"data\.yaml: --data\.augment\.flipud 0\.5 .*flip_idx_vertical: \[3, 2, 1, 0\]"
    ):
        pose_set("", flipud=0.5).train_dataloader()


def test_a_detector_on_a_pose_set_flips_boxes(pose_set: Callable[..., YoloDataModule]) -> None:
    """No permutation is needed, and there are no keypoints in its batches."""
    (batch,) = pose_set("", pose=False, fliplr=1, flipud=1).train_dataloader()
    assert "keypoints" not in batch
    assert batch["bboxes"].shape == (8, 4)
    assert bool((batch["img"] != 114).any())
