"""Rectangular training batches: Ultralytics' order, shapes and pixels, and the same ones on several processes."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.augment.mosaic import MosaicAffine
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.data.rect_batches import RectBatchSampler
from aigp_lightning.errors import ConfigError

SHAPES = [(96, 96), (40, 96), (96, 40), (64, 96), (96, 64), (50, 100), (96, 72), (33, 96), (90, 45), (72, 90), (96, 95)]
STILL: dict[str, Any] = {
    **dict.fromkeys(("translate", "scale", "hsv_h", "hsv_s", "hsv_v", "fliplr"), 0.0),
    **dict.fromkeys(("blur", "median_blur", "to_gray", "clahe"), 0.0),
}
THEIRS: dict[str, Any] = {key: 0.0 for key in STILL if key not in ("blur", "median_blur", "to_gray", "clahe")}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven pictures of as many shapes, each with a box."""
    folder = tmp_path_factory.mktemp("rect") / "odd"
    noise = np.random.default_rng(0)
    for split in ("images", "labels"):
        (folder / split).mkdir(parents=True)
    for number, shape in enumerate(SHAPES):
        picture = cv2.resize(noise.integers(0, 255, (6, 6, 3), dtype=np.uint8), shape[::-1])
        cv2.imwrite(str(folder / "images" / f"{number:02d}.png"), picture)
        (folder / "labels" / f"{number:02d}.txt").write_text(f"{number % 2} 0.5 0.4 0.6 0.5\n", encoding="utf-8")
    yaml = folder / "data.yaml"
    yaml.write_text("train: images\nval: images\nnames: [a, b]\n", encoding="utf-8")
    return yaml


def data_of(yaml: Path, **more: Any) -> YoloDataModule:
    options = {"imgsz": 96, "batch_size": 4, "workers": 0, "rect_training": True, "augment": AugmentConfig(**STILL)}
    return YoloDataModule(str(yaml), **{**options, **more})


def test_batches_are_those_of_ultralytics(odd: Path) -> None:
    """Order, shapes, pixels and boxes, of its own dataset and loader."""
    from ultralytics.cfg import get_cfg
    from ultralytics.models.yolo.detect import DetectionTrainer

    cfg = get_cfg(overrides={"imgsz": 96, "rect": True, "mosaic": 1.0, "augmentations": [], **THEIRS})
    told = SimpleNamespace(args=cfg, device=torch.device("cpu"), data={"names": {0: "a", 1: "b"}, "channels": 3})
    told.args.workers = 0
    told.model = SimpleNamespace(stride=torch.tensor([32.0]))
    told.build_dataset = lambda *args: DetectionTrainer.build_dataset(told, *args)
    theirs = list(DetectionTrainer.get_dataloader(told, str(odd.parent / "images"), 4, -1, "train"))
    ours = list(data_of(odd).train_dataloader())
    assert [tuple(batch["img"].shape) for batch in ours] == [tuple(batch["img"].shape) for batch in theirs]
    assert len({batch["img"].shape[2:] for batch in ours}) == 3
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["im_file"] == list(other["im_file"])
        np.testing.assert_allclose(mine["img"].int(), other["img"].int(), atol=1)
        height, width = mine["img"].shape[2:]
        size = np.array([width, height, width, height])
        np.testing.assert_allclose(mine["bboxes"] * size, other["bboxes"] * size, atol=0.5)
        assert mine["cls"].tolist() == other["cls"][:, 0].tolist()


def test_a_draw_lands_where_that_of_ultralytics_does() -> None:
    from ultralytics.data.augment import RandomPerspective

    options = {"degrees": 9.0, "translate": 0.2, "scale": 0.4, "shear": 3.0}
    for seed in range(5):
        random.seed(seed)
        image, output = np.zeros((60, 90, 3), np.uint8), (64, 96)
        drawn = RandomPerspective(**options, size=(96, 96)).get_params({"img": image, "rect_shape": output})
        ours, stream = MosaicAffine(96, **options), random.Random(seed)
        for _ in range(2):
            stream.random()  # its perspective of none
        ours.set_random_state(np.random.default_rng(0), stream)
        geometry = ours.draw((60, 90), mosaic=False, output=output)
        np.testing.assert_allclose(geometry.matrix, drawn["M"][:2], rtol=1e-4, atol=1e-3)
        assert drawn["size"] == output[::-1]
        assert geometry.output == output


def batches(shapes: list[tuple[int, int]], rank: int = 0, world: int = 1, epoch: int = 0, **more: Any) -> list[Any]:
    sampler = RectBatchSampler(shapes, 4 // world, 7, 96, rank=rank, world_size=world, **more)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_several_processes_share_the_batches_of_one() -> None:
    alone = batches(SHAPES)
    shares = [batches(SHAPES, rank, 2) for rank in range(2)]
    for whole, *parts in zip(alone, *shares, strict=True):
        assert {(each.index, each.shape) for each in whole} == {
            (each.index, each.shape) for part in parts for each in part
        }
        assert len({len(part) for part in parts}) == 1, "as many steps, of as many images"
    assert len(alone) == len(RectBatchSampler(SHAPES, 4, 7, 96)) == 3


def test_the_order_stays_and_the_seeds_change() -> None:
    first, later = batches(SHAPES), batches(SHAPES, epoch=3)
    assert [[each.index for each in batch] for batch in first] == [[each.index for each in batch] for batch in later]
    assert [each.seed for each in first[0]] != [each.seed for each in later[0]]
    assert batches(SHAPES, epoch=3) == later, "a resumed run goes on with the same"
    assert not any(each.partners for batch in first for each in batch)


def test_pictures_of_one_shape_are_shuffled() -> None:
    """As by Ultralytics, which gives the order up only where the rectangles differ."""
    same = [(60, 96)] * 9
    orders = [[each.index for batch in batches(same, epoch=epoch) for each in batch] for epoch in range(2)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(9))
    assert {each.shape for batch in batches(same) for each in batch} == {(64, 96)}
    assert [each.index for batch in batches(same, shuffle=False) for each in batch] == list(range(9))


def test_a_last_batch_is_filled_up_from_its_own_rectangle() -> None:
    parts = [batches(SHAPES[:9], rank, 2, least=2) for rank in range(2)]
    assert [[len(batch) for batch in part] for part in parts] == [[2, 2, 2]] * 2
    assert len({each.index for part in parts for each in part[-1]}) == 1


def test_no_mosaic_closes_that_was_not_open(odd: Path) -> None:
    assert data_of(odd, augment=AugmentConfig(mosaic=1.0)).close_mosaic() == ()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"resize": "stretch"}, "--data.resize stretch"),
        ({"augment": AugmentConfig(crop=0.5)}, "--data.augment.crop 0.5"),
        ({"augment_on": "device"}, "--data.augment_on device"),
    ],
)
def test_what_makes_squares_is_refused(odd: Path, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=f"--data.rect_training true: {why} makes squares"):
        data_of(odd, **options)
