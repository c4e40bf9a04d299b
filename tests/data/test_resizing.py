"""`--data.resize stretch`: Pillow's pixels in every sample, labels and predictions that find their way back."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from helpers import draw_corners, draw_squares
from PIL import Image

from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.cache_file import cache_on_disk
from aigp_lightning.data.cache_fill import Pictures
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.data.images import read_image
from aigp_lightning.data.picture_cache import PictureCache
from aigp_lightning.data.predict_batches import PredictBatchSampler
from aigp_lightning.data.resizing import LETTERBOX, STRETCH, Resizing
from aigp_lightning.data.sample_sets import evaluation_set
from aigp_lightning.data.sources import open_sources
from aigp_lightning.errors import ConfigError
from aigp_lightning.media.detections import in_original
from aigp_lightning.modules.metrics.corners import HEAD, corner_rows
from aigp_lightning.types import Prediction

SIDE = 64
STILL = AugmentConfig(
    mosaic=0, translate=0, scale=0, hsv_h=0, hsv_s=0, hsv_v=0, fliplr=0, blur=0, median_blur=0, to_gray=0, clahe=0
)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures: of three shapes, and the first a JPEG of twice the input's size, which is decoded at half else."""
    folder = tmp_path_factory.mktemp("odd")
    draw_squares(folder, "train", 10, seed=3)
    first = folder / "images" / "train" / "000.png"
    Image.open(first).resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC).save(first.with_suffix(".jpg"))
    first.unlink()
    yaml = folder / "data.yaml"
    yaml.write_text("train: images/train\nval: images/train\nnames: [square, disc]\n", encoding="utf-8")
    return yaml


def by_pillow(file: str, side: int = SIDE) -> np.ndarray:
    """The picture as torchvision's `functional.resize` makes it of one of Pillow's."""
    return np.asarray(Image.fromarray(read_image(file)).resize((side, side), Image.Resampling.BILINEAR))


def data_of(yaml: Path, **options: Any) -> YoloDataModule:
    options = {"imgsz": SIDE, "batch_size": 2, "workers": 0, "augment": STILL, "resize": "stretch", **options}
    return YoloDataModule(str(yaml), **options)


def by_file(batches: Any) -> dict[str, tuple[np.ndarray, np.ndarray, Any]]:
    """Pixels (H, W, 3), boxes (n, 4) as fractions, and `ratio_pad`, in the order of the batches."""
    found: dict[str, tuple[np.ndarray, np.ndarray, Any]] = {}
    for batch in batches:
        for place, file in enumerate(batch["im_file"]):
            image = batch["img"][place].permute(1, 2, 0).numpy().copy()
            found[file] = image, batch["bboxes"][batch["batch_idx"] == place].numpy(), batch["ratio_pad"][place]
    return found


def check_stretched(found: dict[str, tuple[np.ndarray, np.ndarray, Any]], side: int = SIDE) -> None:
    """Pixels are Pillow's, and boxes as fractions are those of the label files."""
    assert len(found) == 10
    for file, (image, boxes, _) in found.items():
        np.testing.assert_array_equal(image, by_pillow(file, side))
        label = Path(file.replace("images", "labels")).with_suffix(".txt")
        np.testing.assert_allclose(boxes, np.loadtxt(label, ndmin=2)[:, 1:], atol=1e-5)


@pytest.mark.parametrize("side", [SIDE, 160])
def test_training_and_validation_see_pillows_pixels(odd: Path, side: int) -> None:
    """Whether pictures shrink or grow; the box of a square is as wide in the picture as it is high."""
    data = data_of(odd, imgsz=side)
    check_stretched(by_file(data.train_dataloader()), side)
    validated = by_file(data.val_dataloader())
    check_stretched(validated, side)
    for file, (_, _, ratio_pad) in validated.items():
        height, width = read_image(file).shape[:2]
        assert ratio_pad == ((side / height, side / width), (0.0, 0.0))
    pictures = data.pictures("val")
    for place, file in enumerate(pictures.files):
        np.testing.assert_array_equal(pictures[place]["image"], validated[file][0])


def test_pixels_are_averaged() -> None:
    """Columns of 0, 90, 0, 90 …: a resize that skips pixels would make them all alike, and one of the two."""
    image = np.tile(np.array([0, 90], np.uint8)[None, :, None], (128, 64, 3))
    item = STRETCH.evaluated(image, "a.png", SIDE, (SIDE, SIDE))
    assert abs(item["image"][:, 1:-1].astype(int) - 45).max() <= 1


def test_validation_is_the_same_whatever_rect_and_processes(odd: Path) -> None:
    """All squares, and in the order of the data set, which rectangles are not."""
    loaded = [by_file(data_of(odd, rect=rect).val_dataloader()) for rect in (True, False)]
    files = [str(file) for file in sorted((odd.parent / "images" / "train").iterdir())]
    assert [*map(os.path.realpath, loaded[0])] == [*map(os.path.realpath, files)]
    assert list(loaded[0]) == list(loaded[1])
    for one, other in zip(loaded[0].values(), loaded[1].values(), strict=True):
        assert one[0].shape == (SIDE, SIDE, 3)
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    records = data_of(odd).scan("val").records

    def requests(rank: int, world_size: int, rect: bool) -> list[list[Any]]:
        made = evaluation_set(records, SIDE, 2, rect, rank=rank, world_size=world_size, resizing=STRETCH)
        return list(made[1])

    alone = requests(0, 1, rect=True)
    assert [request.index for batch in alone for request in batch] == list(range(10))
    for world in (2, 3):
        shares = [requests(rank, world, rect=False) for rank in range(world)]
        for number, batch in enumerate(alone):
            mine = [request for share in shares for request in share[number]]
            assert sorted(mine, key=lambda request: request.index) == batch


IN_MEMORY = pytest.mark.skipif(sys.platform not in ("linux", "win32"), reason="memory without a name")


@pytest.mark.parametrize("place", [pytest.param("ram", marks=IN_MEMORY), "disk"])
def test_cached_pictures_are_stretched(odd: Path, place: Any) -> None:
    data = data_of(odd, cache=place)
    data.setup("fit")
    assert data._pictures is not None
    assert data._pictures.missing() == 0
    assert set(map(tuple, data._pictures.layout.shapes.tolist())) == {(SIDE, SIDE)}
    check_stretched(by_file(data.train_dataloader()))
    data.teardown("fit")


def test_a_cache_is_of_one_way_to_resize(odd: Path, tmp_path: Path) -> None:
    """Of square pictures, which have the same size either way: neither takes the other's file, even by its name."""
    records = [record for record in data_of(odd).scan("train").records if record.shape[0] == record.shape[1]]
    assert len(records) == 4

    def cached(resizing: Resizing) -> list[np.ndarray]:
        cache: PictureCache = cache_on_disk(Pictures(records, SIDE, resizing), [tmp_path], threads=1)
        return [np.array(cache.get(number)) for number in range(4)]

    letterboxed = cached(LETTERBOX)
    (tmp_path / "train-64.aigp-pictures").rename(tmp_path / "train-64-stretch.aigp-pictures")
    for _ in range(2):  # made, and read again
        for record, one, other in zip(records, cached(STRETCH), letterboxed, strict=True):
            np.testing.assert_array_equal(one, by_pillow(record.im_file))
            assert (one != other).any()
    for one, other in zip(cached(LETTERBOX), letterboxed, strict=True):
        np.testing.assert_array_equal(one, other)
    found = sorted(path.name for path in tmp_path.glob("*pictures"))
    assert found == ["train-64-stretch.aigp-pictures", "train-64.aigp-pictures"]


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_a_crop_is_square_in_the_picture_on_disk(tmp_path: Path, resize: str) -> None:
    """Red grows with x in the picture, green with y, both by one level a pixel: so they do in a crop of it."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    y, x = np.mgrid[:120, :240].astype(np.uint8)
    for number in range(8):
        Image.fromarray(np.stack((x, y, y), 2)).save(tmp_path / "images" / f"{number}.png")
        (tmp_path / "labels" / f"{number}.txt").write_text("0 0.5 0.5 0.9 0.9\n")
    yaml = tmp_path / "data.yaml"
    yaml.write_text("train: images\nval: images\nnames: [gate]\n", encoding="utf-8")
    sides = []
    for batch in data_of(yaml, imgsz=192, augment=replace(STILL, crop=1.0), resize=resize).train_dataloader():
        image = batch["img"].permute(0, 2, 3, 1).numpy().astype(float)[:, 8:-8, 8:-8]
        steps = np.diff(image, axis=2)[..., 0].mean((1, 2)), np.diff(image, axis=1)[..., 1].mean((1, 2))
        np.testing.assert_allclose(*steps, rtol=0.02)
        sides += (steps[0] * 192).tolist()
    assert all(0.63 < side / 120 < 1.01 for side in sides)
    assert max(sides) - min(sides) > 10


def test_predictions_are_stretched_and_go_back(tmp_path: Path) -> None:
    """Pictures of several shapes, and a video, in batches of one square shape; a box goes back by both gains."""
    sizes = {"a.png": (300, 400), "b.png": (90, 200), "c.png": (128, 64)}
    for name, size in sizes.items():
        image = np.random.default_rng(1).integers(0, 255, (*size, 3), np.uint8)
        image[size[0] // 4 : size[0] // 2, size[1] // 2 : size[1] * 3 // 4] = 255
        cv2.imwrite(str(tmp_path / name), image)
    writer = cv2.VideoWriter(str(tmp_path / "d.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (96, 48))
    for _ in range(3):
        writer.write(np.full((48, 96, 3), 90, np.uint8))
    writer.release()
    dataset = open_sources(str(tmp_path), SIDE, STRETCH)
    assert list(PredictBatchSampler(dataset, 8)) == [[0, 1, 2], [3, 4, 5]]
    for place, (name, size) in enumerate(sizes.items()):
        item = dataset[place]
        np.testing.assert_array_equal(item["image"], by_pillow(str(tmp_path / name)))
        box = torch.tensor([[SIDE / 2, SIDE / 4, SIDE * 3 / 4, SIDE / 2]])  # of the white part in the network's input
        points = torch.tensor([[[SIDE / 2, SIDE / 4, 0.5]]])
        found = in_original(
            Prediction(box, torch.ones(1), torch.zeros(1, dtype=torch.int64), points), item["ori_shape"],
            item["ratio_pad"],
        )  # fmt: skip
        height, width = size
        np.testing.assert_allclose(found.boxes, [[width / 2, height / 4, width * 3 / 4, height / 2]], rtol=1e-5)
        assert found.keypoints is not None
        np.testing.assert_allclose(found.keypoints, [[[width / 2, height / 4, 0.5]]], rtol=1e-5)
    assert dataset[4]["image"].shape == (SIDE, SIDE, 3)
    assert (dataset[4]["ori_shape"], dataset[4]["ratio_pad"]) == ((48, 96), ((SIDE / 48, SIDE / 96), (0.0, 0.0)))


def test_corners_are_measured_in_pixels_of_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictions three pixels to the right and four down in the picture, whatever its sides became."""
    draw_corners(tmp_path, "train", 6, seed=4)
    yaml = tmp_path / "data.yaml"
    yaml.write_text(
        "train: images/train\nval: images/train\nnames: [gate]\nkpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 2]\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(YoloDataModule, "pose", True)
    measured = 0
    for batch in data_of(yaml, imgsz=160).val_dataloader():
        predictions = []
        for place, ((gain_h, gain_w), _) in enumerate(batch["ratio_pad"]):
            mine = batch["batch_idx"] == place
            centres, sizes = (batch["bboxes"][mine] * 160).split(2, 1)
            points = batch["keypoints"][mine] * torch.tensor([160, 160, 0.4])
            points[..., :2] += torch.tensor([3 * gain_w, 4 * gain_h])
            boxes = torch.cat((centres - sizes / 2, centres + sizes / 2), 1)
            count = len(boxes)
            predictions.append(Prediction(boxes, torch.ones(count), torch.zeros(count, dtype=torch.int64), points))
        away = corner_rows(predictions, batch, camera=None)[:, HEAD : HEAD + 4]
        labelled = batch["keypoints"][..., 2].numpy() > 0
        np.testing.assert_allclose(away[labelled], 5, atol=1e-3)
        measured += int(labelled.sum())
    assert measured > 10


def test_only_two_ways_are_known(odd: Path) -> None:
    for wrong in ("squash", "", None, "Stretch"):
        with pytest.raises(ConfigError) as refused:
            YoloDataModule(str(odd), resize=wrong)  # type: ignore[arg-type]
        assert str(refused.value) == f"--data.resize {wrong}: it is letterbox or stretch."
    assert YoloDataModule(str(odd)).resizing is LETTERBOX


def test_a_checkpoint_carries_it(odd: Path) -> None:
    assert data_of(odd).checkpoint_options()["resize"] == "stretch"
    assert YoloDataModule(str(odd)).checkpoint_options()["resize"] == "letterbox"
