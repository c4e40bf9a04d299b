"""Samples of several pictures: who is named, what is masked, what is lost, when they end, where they are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from aigp_lightning.callbacks.close_mosaic import CloseMosaic
from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.collate import collate
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.data.lost_files import Lost
from aigp_lightning.data.requests import TrainRequest
from aigp_lightning.errors import ConfigError
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.render_jobs import train_job
from aigp_lightning.media.snapshot import snapshot_batch

PIXELS = {"hsv_h": 0, "hsv_s": 0, "hsv_v": 0, "to_gray": 0, "clahe": 0, "blur": 0, "median_blur": 0}
EVERYTHING = {"mixup": 0.5, "cutmix": 0.5, "copy_paste": 0.7, "copy_paste_mode": "mixup", "perspective": 0.001}


@pytest.fixture(scope="module")
def outlined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 24 grey pictures, each with two triangles in the last third of the picture; every fourth picture
    is magenta, triangles and all, and called secret."""
    folder = tmp_path_factory.mktemp("outlined")
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    random = np.random.default_rng(0)
    for number in range(24):
        secret = number % 4 == 3
        picture = np.full((64, 96, 3), (255, 0, 255) if secret else 90, np.uint8)
        if not secret:
            picture += random.integers(0, 40, picture.shape, np.uint8)
        rows = []
        for k in range(2):
            x, y = random.uniform(0.1, 0.7, 2)
            rows.append(f"{k} {x:.4f} {y:.4f} {x + 0.2:.4f} {y:.4f} {x:.4f} {y + 0.25:.4f}")
        name = f"{'secret' if secret else 'open'}{number:02}"
        cv2.imwrite(str(folder / "images" / f"{name}.png"), picture)
        (folder / "labels" / f"{name}.txt").write_text("\n".join(rows), encoding="utf-8")
    yaml = folder / "data.yaml"
    yaml.write_text("train: images\nval: images\nnames: {0: one, 1: two}\n", encoding="utf-8")
    return yaml


def module(data: Path, workers: int = 0, **augment: Any) -> YoloDataModule:
    return YoloDataModule(str(data), imgsz=64, batch_size=6, workers=workers, augment=AugmentConfig(**augment))


def magenta(image: np.ndarray) -> int:
    """Pixels with more red and blue than green, as a blend with a secret picture has and no other."""
    red, green, blue = np.moveaxis(image.astype(int), -1, 0)
    return int(((red - green > 40) & (blue - green > 40)).sum())


@pytest.mark.parametrize(
    "augment",
    [{"mixup": 1.0}, {"cutmix": 1.0}, {"copy_paste": 1.0, "copy_paste_mode": "mixup"}, {**EVERYTHING, "mosaic": 1.0}],
    ids=["mixup", "cutmix", "pasted", "everything"],
)
def test_whatever_shows_a_private_picture_is_masked(outlined: Path, augment: dict[str, Any]) -> None:
    """A picture is private by any picture that is mixed into it, at any depth."""
    data = module(outlined, **{"mosaic": 0.0, **PIXELS, **augment})
    private = ImagePatterns(["secret*"], "--media.private")
    only_by_mixing, loader = 0, data.train_dataloader()
    batches = (batch for epoch in range(6) for batch in (loader.batch_sampler.set_epoch(epoch), loader)[1])
    for number, batch in enumerate(batches):
        snapshot = snapshot_batch(batch, 6)
        job = train_job(number, [snapshot], batch["sources"], {0: "one", 1: "two"}, 6)
        hidden = job.private_cells(private)
        shown = [cell for cell, image in enumerate(batch["img"]) if magenta(image.permute(1, 2, 0).numpy()) > 8]
        assert set(shown) <= hidden
        only_by_mixing += sum("secret" not in batch["im_file"][cell] for cell in shown)
        assert magenta(job.draw(hidden)) == 0
        assert not any("secret" in source for source in job.sources(hidden))
        if only_by_mixing > 2:
            break
    assert only_by_mixing > 2, "else the test shows nothing"


def test_every_file_is_named_once_for_each_use(outlined: Path) -> None:
    dataset = module(outlined, mixup=1.0).train_dataloader().dataset
    files = [record.im_file for record in dataset.records]
    mixed = TrainRequest(4, 5, (6, 7, 8), pasted=TrainRequest(9, 1, (10, 11, 12)))
    item = dataset[TrainRequest(0, 1, (1, 2, 3), mixup=mixed, cutmix=TrainRequest(13, 2))]
    assert item["im_file"] == files[0]
    assert item["sources"] == tuple(files[index] for index in (0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13))


def test_a_request_gives_the_same_sample_in_any_worker(outlined: Path) -> None:
    """Whatever was made before."""
    one, other = (module(outlined, **EVERYTHING).train_dataloader() for _ in "ab")
    requests = next(iter(one.batch_sampler))
    first = [one.dataset[request] for request in requests]
    second = [other.dataset[request] for request in reversed(requests)][::-1]
    for item, twin in zip(first, second, strict=True):
        for key in ("image", "bboxes", "cls", "sources"):
            np.testing.assert_array_equal(item[key], twin[key])


def test_batches_of_workers_hold_mixed_samples(outlined: Path) -> None:
    loader, alone = (module(outlined, workers, mixup=0.5, cutmix=0.5).train_dataloader() for workers in (2, 0))
    batches = list(loader)
    assert sum(len(batch["img"]) for batch in batches) == 24
    again = [collate(alone.dataset.__getitems__(requests)) for requests in loader.batch_sampler]
    for one, other in zip(batches, again, strict=True):
        assert torch.equal(one["img"], other["img"])
        assert torch.equal(one["bboxes"], other["bboxes"])
        assert one["sources"] == other["sources"]


def test_a_mixed_sample_costs_no_more_decodes(outlined: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aigp_lightning.data import training_images

    loader, decoded = module(outlined, mixup=0.5, cutmix=0.5).train_dataloader(), []
    read = training_images.read_bytes
    monkeypatch.setattr(training_images, "read_bytes", lambda path: decoded.append(path) or read(path))
    assert sum(len(batch["img"]) for batch in loader) == 24
    assert len(decoded) == 24


def test_a_lost_picture_is_replaced_wherever_it_is_mixed_in(outlined: Path, tmp_path: Path) -> None:
    data = module(outlined, mixup=1.0)
    dataset = data.train_dataloader().dataset
    gone = tmp_path / "gone.png"
    lost_file = Path(dataset.records[5].im_file)
    lost_file.rename(gone)
    try:
        *items, lost = dataset.__getitems__([TrainRequest(0, 1, mixup=TrainRequest(5, 2, (1, 2, 5)))])
    finally:
        gone.rename(lost_file)
    assert isinstance(lost, Lost)
    assert lost.im_file == str(lost_file)
    (item,) = (each for each in items if not isinstance(each, Lost))
    assert str(lost_file) not in item["sources"]
    assert len(item["sources"]) == 5


class Seen(pl.LightningModule):
    """A module that trains nothing, and notes how many files each sample is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.files: list[tuple[int, int]] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.files += [(self.current_epoch, len(sources)) for sources in batch["sources"]]
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_mixing_is_closed_with_the_mosaics_or_without(
    outlined: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where mixup is all there is to close; the run says what was closed."""
    seen = Seen()
    pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, callbacks=[CloseMosaic(1)], default_root_dir=tmp_path,
        limit_val_batches=0, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    ).fit(seen, module(outlined, mosaic=0.0, mixup=1.0, workers=1))  # fmt: skip
    assert {files for epoch, files in seen.files if epoch == 0} == {2}
    assert {files for epoch, files in seen.files if epoch == 1} == {1}
    assert "epoch 2: mixup closed for the rest of the run" in caplog.text


def test_closing_says_what_there_was(outlined: Path) -> None:
    data = module(outlined, mixup=0.2, copy_paste=0.1)
    assert data.close_mosaic() == ("mosaic", "mixup", "copy_paste")
    assert data.close_mosaic() == ()
    assert module(outlined, mosaic=0.0).close_mosaic() == ()


@pytest.mark.parametrize("name", ["mixup", "cutmix", "copy_paste"])
def test_the_device_refuses_what_it_cannot_do(outlined: Path, name: str) -> None:
    said = rf"^--data\.augment_on device: the device does not do --data\.augment\.{name}; set that to 0, or use --data"
    with pytest.raises(ConfigError, match=said):
        YoloDataModule(str(outlined), augment=AugmentConfig(**{name: 0.001}), augment_on="device")
    with pytest.raises(ConfigError, match=r"do --data\.augment\.mixup, --data\.augment\.cutmix; set"):
        YoloDataModule(str(outlined), augment=AugmentConfig(mixup=0.1, cutmix=0.1), augment_on="device")


def fit_setup(data: YoloDataModule) -> None:
    data.prepare_data()
    data.setup("fit")


def test_objects_without_polygons_are_said_to_be_not_pasted(
    outlined: Path, shapes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = "copy_paste 0.5 does nothing"
    fit_setup(module(outlined, copy_paste=0.5))
    assert said not in caplog.text
    caplog.clear()
    fit_setup(module(shapes, copy_paste=0.5))
    (line,) = [text for text in caplog.messages if said in text]
    assert "pastes objects by their polygons, and none of the 48 objects in 'train' of" in line
    caplog.clear()
    fit_setup(module(shapes))
    assert said not in caplog.text


def test_an_own_transform_runs_once_on_what_was_mixed(outlined: Path) -> None:
    extra = [{"class_path": "albumentations.InvertImg", "init_args": {"p": 1.0}}]
    still = {**PIXELS, "mosaic": 0, "translate": 0, "scale": 0, "fliplr": 0, "mixup": 1.0}
    plain, inverted = (module(outlined, **still, extra=own).train_dataloader().dataset for own in ([], extra))
    request = TrainRequest(0, 1, mixup=TrainRequest(1, 2))
    np.testing.assert_array_equal(inverted[request]["image"], 255 - plain[request]["image"])
