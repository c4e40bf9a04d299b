"""What Lightning's limits make of our loaders: the same images each epoch, no batch of one, no limit of nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.data.samplers import TrainBatchSampler
from aigp_lightning.data.trainer_limits import check_batch, check_limits
from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.detector import DetectorModule

QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
    "enable_model_summary": False, "num_sanity_val_steps": 0,
}  # fmt: skip


class Watcher(pl.LightningModule):
    """Trains nothing, and remembers the images of every step."""

    def __init__(self, least: int = 1) -> None:
        super().__init__()
        self.layer, self.least = torch.nn.Linear(1, 1), least
        self.trained: list[tuple[int, set[str], int]] = []
        self.validated: list[tuple[int, int]] = []

    def least_images(self, imgsz: int) -> int:
        return self.least

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> torch.Tensor:
        self.trained.append(
            (self.current_epoch, {Path(n).stem for s in batch["sources"] for n in s}, len(batch["img"]))
        )
        return self.layer(torch.ones(1, 1)).sum()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.validated.append((self.current_epoch, len(batch["im_file"])))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(shapes: Path, least: int = 1, size: int = 4, imgsz: int = 64, **options: Any) -> Watcher:
    module = Watcher(least)
    data = YoloDataModule(
        str(shapes), imgsz=imgsz, batch_size=size, workers=0, augment=AugmentConfig(mosaic=1.0), rect=False
    )
    pl.Trainer(max_epochs=2, reload_dataloaders_every_n_epochs=1, **QUIET, **options).fit(module, data)
    return module


@pytest.mark.parametrize(("wanted", "batches", "validations"), [(2, 2, 2), (0.34, 2, 1)])
def test_overfitting_takes_the_same_images_each_epoch(
    wanted: float, batches: int, validations: int, shapes: Path
) -> None:
    """24 images in batches of 4, 11 in groups of 8; partners of mosaics are among the same images."""
    module = fit(shapes, overfit_batches=wanted)
    expected = [{f"{number:03d}" for number in range(4 * end)} for end in range(1, batches + 1)]
    for epoch in (0, 1):
        steps = [images for at, images, _ in module.trained if at == epoch]
        assert len(steps) == batches
        for images, allowed in zip(steps, expected, strict=True):
            assert len(images) > 3 and images <= allowed
        assert len([at for at, _ in module.validated if at == epoch]) == validations


def test_no_batch_has_fewer_images_than_the_network_needs(shapes: Path) -> None:
    """24 images in batches of 23 leave one over, which gets a second one beside it."""
    sizes = [[size for epoch, _, size in fit(shapes, least=least, size=23).trained if not epoch] for least in (1, 2)]
    assert sizes == [[23, 1], [23, 2]]
    with pytest.raises(ConfigError, match=r"--data.batch_size 1: at --data.imgsz 64 .* Take --data.batch_size 2 or"):
        fit(shapes, least=2, size=1)


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("images", [1, 2, 5, 13])
def test_shares_without_a_batch_of_one(images: int, world: int) -> None:
    """All images come, every process has as many, and the number of batches is what it was."""
    samplers = [
        [TrainBatchSampler(images, 4, 0, rank, world, 0, 0.0, least=least) for rank in range(world)] for least in (1, 2)
    ]
    shares = [list(sampler) for sampler in samplers[1]]
    assert len({tuple(map(len, share)) for share in shares}) == 1
    assert min(len(batch) for batch in shares[0]) >= 2
    assert {request.index for share in shares for batch in share for request in batch} == set(range(images))
    assert [len(share) for share in shares] == [len(sampler) for sampler in samplers[0]]


def test_a_detector_says_how_many_images_it_needs() -> None:
    """With 32 pixels a side torch's batch norm refuses one image, and takes two."""
    module = DetectorModule("yolo11n")
    assert (module.least_images(32), module.least_images(64)) == (2, 1)
    module.set_network(module.build_network({0: "gate"}))
    assert (module.least_images(32), module.least_images(64)) == (2, 1)
    for images in (1, 2):
        batch = module.example_batch(images=images, imgsz=32, crowd=1, device=torch.device("cpu"))
        if images < module.least_images(32):
            with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
                module.compute_loss(batch)
        else:
            assert module.compute_loss(batch)[0].isfinite()


@pytest.mark.parametrize(
    ("batch", "processes", "imgsz", "scale", "told"),
    [
        (1, 1, 32, 0.0, "batch_size 1: at --data.imgsz 32 the last layers .* Take --data.batch_size 2 or a larger --d"),
        (1, 1, 64, 0.5, "at --data.imgsz 64, which --model.multi_scale 0.5 makes smaller in some batches, the la"
         "st layers .*Take --data.batch_size 2, a smaller --model.multi_scale or a larger --data.imgsz."),
        (2, 2, 32, 0.0, "batch_size 2 is 1 in each of 2 processes: at .*batch_size 4, fewer processes or a larger --d"),
    ],
)  # fmt: skip
def test_a_batch_of_one_cell_names_its_cause(batch: int, processes: int, imgsz: int, scale: float, told: str) -> None:
    """By the module's own answers; the batch that it advises is taken."""
    module = DetectorModule("yolo11n", multi_scale=scale)
    asked = processes, imgsz, module.least_images(imgsz), module.smaller_by
    with pytest.raises(ConfigError, match=told) as refused:
        check_batch(batch, *asked)
    check_batch(int(str(refused.value).rpartition("Take --data.batch_size ")[2].split()[0].rstrip(",")), *asked)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"limit_train_batches": 0}, "limit_train_batches 0: nothing would be trained"),
        ({"limit_train_batches": 0.1}, r"limit_train_batches 0.1 of 6 batches is less than one; take 0.167 or more"),
        ({"overfit_batches": 0.1}, r"overfit_batches 0.1 of 6 batches is less than one"),
        ({"limit_val_batches": 0.4}, r"limit_val_batches 0.4 of 2 batches is less than one; take 0.5 or more"),
        ({"val_check_interval": 7}, r"val_check_interval 7: an epoch has 6 batches.*check_val_every_n_epoch null"),
        ({"val_check_interval": 3, "limit_train_batches": 0.34}, "val_check_interval 3: an epoch has 2 batches"),
    ],
)
def test_limits_that_leave_nothing_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check_limits(pl.Trainer(**QUIET, **options), {"train": 6, "val": 2})


@pytest.mark.parametrize(
    "options",
    [
        {"limit_val_batches": 0},
        {"val_check_interval": 9, "limit_val_batches": 0},
        {"val_check_interval": 6},
        {"val_check_interval": 70, "check_val_every_n_epoch": None},
        {"limit_train_batches": 500},
    ],
)
def test_limits_that_leave_something_are_left_alone(options: dict[str, Any]) -> None:
    trainer = pl.Trainer(**QUIET, **options)
    before = trainer.limit_val_batches
    check_limits(trainer, {"train": 6, "val": 2})
    assert trainer.limit_val_batches == before
