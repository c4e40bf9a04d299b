"""Sizes of training batches, held against Ultralytics' trainer on the same draws."""

from __future__ import annotations

import random
from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch
import yaml
from fuzz.generators import TINY
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader
from ultralytics.models.yolo.detect.train import DetectionTrainer
from yolo_networks import NAMES, labelled_batch

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.yolo.multi_scale import batch_draw, drawn_size, fraction_of, resized, size_limits

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(("imgsz", "fraction", "shape"), [(64, 0.5, (64, 64)), (96, 1.0, (64, 96)), (640, 0.3, (2, 2))])
def test_as_ultralytics(imgsz, fraction, shape):
    seen = set()
    images = torch.randint(0, 256, (1, 3, *(shape if imgsz < 640 else (64, 64))), dtype=torch.uint8)
    for seed in range(12):
        trainer = SimpleNamespace(
            args=SimpleNamespace(multi_scale=fraction, imgsz=imgsz), stride=32, device=torch.device("cpu")
        )
        random.seed(seed)
        theirs = DetectionTrainer.preprocess_batch(trainer, {"img": images.clone()})["img"]
        size = drawn_size(imgsz, fraction, 32, random.Random(seed))
        ours = resized(images.float() / 255, size, 32)
        assert torch.equal(ours, theirs)
        assert max(ours.shape[2:]) == size
        seen.add(size)
    low, high = size_limits(imgsz, fraction, 32)
    assert len(seen) > 2
    assert low <= min(seen)
    assert max(seen) <= high


def test_limits_are_what_can_be_drawn():
    drawn = {drawn_size(96, 0.5, 32, random.Random(seed)) for seed in range(200)}
    assert (min(drawn), max(drawn)) == size_limits(96, 0.5, 32) == (32, 160)
    assert size_limits(640, 0.0, 32) == (640, 640)


def test_words_and_ranges():
    assert [fraction_of(each) for each in (True, False, 0.25, 0)] == [0.5, 0.0, 0.25, 0.0]
    with pytest.raises(ConfigError, match=r"--model\.multi_scale 1\.5: a number from 0 to 1"):
        fraction_of(1.5)


def test_memory_and_least_batch_go_by_the_extremes():
    module = DetectorModule(multi_scale=0.5)
    assert module.example_batch(1, 64, 2, torch.device("cpu"))["img"].shape[-1] == 96
    assert (module.least_images(64), module.least_images(128)) == (2, 1)
    assert DetectorModule().least_images(64) == 1


class Seen(Callback):
    """Notes the sizes of batches as callbacks, and pictures among them, get them."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.sizes.append(batch["img"].shape[-1])


class Data(pl.LightningDataModule):
    """Three batches an epoch."""

    names, imgsz, seed, batch_size, train_images = NAMES, 64, 5, 3, 9

    def train_dataloader(self):
        batches = [labelled_batch(3, number) for number in range(3)]
        batches = [{**each, "img": (each["img"] * 255).byte()} for each in batches]
        return DataLoader(batches, batch_size=None)


def test_a_run_draws_by_seed_epoch_and_batch(tmp_path):
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")
    seen = Seen()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(accelerator="cpu", max_epochs=2, callbacks=[seen], enable_model_summary=False, **quiet)
    trainer.fit(DetectorModule(str(tmp_path / "tiny.yaml"), multi_scale=True), Data())
    expected = [drawn_size(64, 0.5, 32, batch_draw(5, epoch, batch)) for epoch in range(2) for batch in range(3)]
    assert seen.sizes == expected
    assert len(set(expected)) > 1
