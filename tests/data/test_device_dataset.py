"""`--data.augment_on device`, from a data.yaml to what the module gets: as with `cpu`, but for roundings of pixels."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from helpers import draw_corners, draw_squares
from PIL import Image

from aigp_lightning.callbacks.close_mosaic import CloseMosaic
from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.augment.on_device.jpeg import FileInBatch, decodable_size, decode_files, read_encoded
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.data.dataset import TrainDataset
from aigp_lightning.data.device_dataset import DeviceTrainDataset
from aigp_lightning.errors import ConfigError, RunError

CPU = torch.device("cpu")
PLAIN = AugmentConfig(clahe=0)  # in pictures as small as these it makes much of the smallest difference
MOTION_BLUR = {"class_path": "albumentations.MotionBlur", "init_args": {"p": 1.0}}


@pytest.fixture(scope="module")
def corners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of three shapes, with keypoints."""
    folder = tmp_path_factory.mktemp("corners")
    draw_corners(folder, "train", 12, seed=4)
    yaml = folder / "data.yaml"
    lines = "kpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 2]\nflip_idx_vertical: [3, 2, 1, 0]\n"
    yaml.write_text(f"train: images/train\nval: images/train\nnames: [gate]\n{lines}", encoding="utf-8")
    return yaml


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of three shapes."""
    folder = tmp_path_factory.mktemp("odd")
    draw_squares(folder, "train", 10, seed=3)
    yaml = folder / "data.yaml"
    yaml.write_text("train: images/train\nval: images/train\nnames: [square, disc]\n", encoding="utf-8")
    return yaml


def batches(data: YoloDataModule) -> list[dict[str, Any]]:
    """Batches of training as they arrive on the device."""
    return [data.transfer_batch_to_device(batch, CPU, 0) for batch in data.train_dataloader()]


def check_alike(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for key in one.keys() - {"img"}:
        same = torch.equal(one[key], other[key]) if isinstance(one[key], torch.Tensor) else one[key] == other[key]
        assert same, key
    assert one["img"].shape == other["img"].shape
    assert (one["img"].dtype, one["img"].stride()) == (other["img"].dtype, other["img"].stride())
    check_pixels(one["img"], other["img"])


def check_pixels(one: torch.Tensor, other: torch.Tensor) -> None:
    wrong = (one.int() - other.int()).abs().float()
    assert wrong.mean() < 1
    assert (wrong > 4).float().mean() < 0.03  # along the edges of a mosaic's pictures


@pytest.mark.parametrize("mosaic", [1.0, 0.5, 0.0])
def test_batches_of_boxes(odd: Path, mosaic: float) -> None:
    augment = replace(PLAIN, mosaic=mosaic, degrees=5, flipud=0.5)
    ours, theirs = (
        batches(YoloDataModule(str(odd), imgsz=64, batch_size=4, workers=0, augment=augment, augment_on=place))
        for place in ("device", "cpu")
    )
    assert [len(batch["img"]) for batch in ours] == [4, 4, 2]
    for one, other in zip(ours, theirs, strict=True):
        check_alike(one, other)


def test_batches_of_stretched_and_cropped_pictures(odd: Path) -> None:
    augment = replace(PLAIN, mosaic=0.3, crop=0.7)
    ours, theirs = (
        batches(YoloDataModule(
            str(odd), imgsz=96, batch_size=5, workers=0, augment=augment, augment_on=place, resize="stretch"
        ))
        for place in ("device", "cpu")
    )  # fmt: skip
    for one, other in zip(ours, theirs, strict=True):
        check_alike(one, other)
    alone = torch.cat([batch["img"] for batch in ours])[[len(each) == 1 for batch in ours for each in batch["sources"]]]
    assert len(alone) > 4
    assert (alone.float().std((2, 3)) > 5).all()


def test_batches_of_keypoints(corners: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(YoloDataModule, "pose", True)
    augment = replace(PLAIN, flipud=0.5, blur=0.2)
    ours, theirs = (
        batches(YoloDataModule(str(corners), imgsz=96, batch_size=6, workers=0, augment=augment, augment_on=place))
        for place in ("device", "cpu")
    )
    for one, other in zip(ours, theirs, strict=True):
        check_alike(one, other)
        assert one["keypoints"].shape[1:] == (4, 3)


def test_another_picture_takes_the_place_of_a_lost_one(tmp_path: Path) -> None:
    draw_squares(tmp_path, "train", 9, seed=3)
    yaml = tmp_path / "data.yaml"
    yaml.write_text("train: images/train\nval: images/train\nnames: [square, disc]\n", encoding="utf-8")
    both = [
        YoloDataModule(str(yaml), imgsz=64, batch_size=3, workers=0, augment=PLAIN, augment_on=place)
        for place in ("device", "cpu")
    ]
    for data in both:
        data.scan("train")
    (tmp_path / "images" / "train" / "004.png").unlink()
    made = [batches(data) for data in both]
    lost = {Path(each.im_file).name for batch in made[0] for each in batch.get("lost", [])}
    assert lost == {"004.png"}
    for one, other in zip(*made, strict=True):
        check_alike(one, other)


class Noting(pl.LightningModule):
    """A module that notes what it was given, as a module of ours does after the transfer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[dict[str, Any]] = []

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return {**batch, "img": batch["img"].float() / 255}

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.seen.append(batch)
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_a_run_with_workers_that_closes_the_mosaic(shapes: Path, tmp_path: Path) -> None:
    runs = []
    for place in ("device", "cpu"):
        data = YoloDataModule(str(shapes), imgsz=32, batch_size=4, workers=1, augment=PLAIN, augment_on=place)
        runs.append(module := Noting())
        pl.Trainer(
            max_epochs=2, accelerator="cpu", logger=False, callbacks=[CloseMosaic(1)], default_root_dir=tmp_path,
            limit_val_batches=0, limit_train_batches=2, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(module, data)  # fmt: skip
    assert [{len(each) for each in batch["sources"]} for batch in runs[0].seen] == [{4}, {4}, {1}, {1}]
    for one, other in zip(runs[0].seen, runs[1].seen, strict=True):
        assert one["sources"] == other["sources"]
        assert torch.equal(one["bboxes"], other["bboxes"])
        assert one["img"].dtype == torch.float32
        check_pixels(one["img"] * 255, other["img"] * 255)


def test_what_goes_to_a_spawned_worker_pickles(shapes: Path) -> None:
    loader = YoloDataModule(str(shapes), imgsz=32, batch_size=4, workers=0, augment_on="device").train_dataloader()
    requests = next(iter(loader.batch_sampler))  # type: ignore[arg-type]
    collate = pickle.loads(pickle.dumps(loader.collate_fn))
    here, there = (each(each.__self__.__getitems__(requests)) for each in (loader.collate_fn, collate))
    assert torch.equal(here["augment_inputs"]["pixels"], there["augment_inputs"]["pixels"])
    assert here["img"].shape == (4, 0, 32, 32)


def test_transforms_of_the_users_own_keep_all_on_the_processor(shapes: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = AugmentConfig(extra=[MOTION_BLUR])
    ours = YoloDataModule(str(shapes), imgsz=32, batch_size=4, workers=0, augment=own, augment_on="device")
    with caplog.at_level("INFO"):
        ours.setup("fit")
    assert "so all augmentation does; leave extra out to have the device do it" in caplog.text
    assert type(ours.train_dataloader().dataset) is TrainDataset
    theirs = YoloDataModule(str(shapes), imgsz=32, batch_size=4, workers=0, augment=own)
    for one, other in zip(batches(ours), batches(theirs), strict=True):
        assert torch.equal(one["img"], other["img"])


def test_on_a_processor_it_says_that_it_is_slower(shapes: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = YoloDataModule(str(shapes), imgsz=32, batch_size=4, workers=0, augment_on="device")
    with caplog.at_level("INFO"):
        data.setup("fit")
        data.setup("validate")
    assert caplog.text.count("--data.augment_on cpu is better here") == 1
    assert type(data.train_dataloader().dataset) is DeviceTrainDataset
    assert np.asarray(next(iter(data.val_dataloader()))["img"]).shape[1] == 3  # validation is as ever


def test_another_place_is_refused(shapes: Path) -> None:
    with pytest.raises(ConfigError, match=r"--data\.augment_on cuda: it is cpu or device\."):
        YoloDataModule(str(shapes), augment_on="cuda")


# ---- files that the device decodes -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine pictures: seven plain JPEGs of three sizes, one of them at the network's own; one turned by EXIF; a PNG."""
    folder = tmp_path_factory.mktemp("files")
    draw_squares(folder, "train", 9, seed=5)
    images = folder / "images" / "train"
    for number, file in enumerate(sorted(images.glob("*.png"))[:8]):
        size = [(120, 80), (100, 100), (64, 48)][number % 3]
        picture = Image.open(file).resize(size, Image.Resampling.BICUBIC)
        exif = Image.Exif()
        exif[0x0112] = 6 if number == 7 else 1
        picture.save(file.with_suffix(".jpg"), quality=95, exif=exif)
        file.unlink()
    yaml = folder / "data.yaml"
    yaml.write_text("train: images/train\nval: images/train\nnames: [square, disc]\n", encoding="utf-8")
    return yaml


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_decoded_on_the_device(files: Path, resize: str) -> None:
    """Here by torchvision's decoder for the processor: labels and places as ever, pixels as OpenCV decodes them."""
    places = ({"augment_on": "device", "decode_on": "device"}, {})
    augment = replace(PLAIN, crop=0.5)
    device, cpu = (
        YoloDataModule(str(files), imgsz=64, batch_size=9, workers=0, augment=augment, resize=resize, **place)
        for place in places
    )
    inputs = next(iter(device.train_dataloader()))["augment_inputs"]
    assert len(inputs["encoded"]) == 7  # each once, however many mosaics show it
    assert {file.full for file in inputs["encoded"]} == {(80, 120), (100, 100), (48, 64)}
    assert len(inputs["pixels"]) > 1  # parts of the turned picture and the PNG
    for one, other in zip(batches(device), batches(cpu), strict=True):
        check_alike(one, other)


def test_a_file_that_the_device_cannot_decode(files: Path) -> None:
    """The processor's decoder has a try, which forgives more; what it cannot do either ends the run with its name."""
    image = np.full((48, 64, 3), 90, np.uint8)
    good, whole = (cv2.imencode(end, image)[1].ravel() for end in (".jpg", ".png"))
    listed = [
        FileInBatch(0, len(good), (48, 64), (48, 64), "a.jpg"),
        FileInBatch(len(good), len(good) + len(whole), (48, 64), (48, 64), "b.jpg"),
    ]
    (pixels,) = decode_files(torch.from_numpy(np.concatenate((good, whole))), listed, CPU)
    assert (pixels.int() - 90).abs().max() <= 1
    broken = torch.from_numpy(np.concatenate((good, np.zeros_like(whole))))
    with pytest.raises(RunError, match=r"b\.jpg: cannot be decoded.*--data\.decode_on cpu another picture"):
        decode_files(broken, listed, CPU)


@pytest.mark.parametrize(
    ("mode", "options", "plain"),
    [
        ("RGB", {}, True),
        ("RGB", {"progressive": True, "subsampling": 0}, True),
        ("L", {}, False),
        ("CMYK", {}, False),
        ("RGB", {"keep_rgb": True}, False),
        *(("RGB", {"orientation": turn}, turn == 1) for turn in range(1, 9)),
    ],
)
def test_which_files_go_to_the_device(tmp_path: Path, mode: str, options: dict[str, Any], plain: bool) -> None:
    options, exif = dict(options), Image.Exif()
    if turn := options.pop("orientation", 0):
        exif[0x0112] = turn
    file = tmp_path / "0.jpg"
    Image.new(mode, (96, 72)).save(file, exif=exif, **options)
    found = read_encoded(str(file), imgsz=48)
    assert (None if found is None else (found.full, found.shape)) == (((72, 96), (36, 48, 3)) if plain else None)


def test_bytes_that_are_no_jpeg_go_to_no_device() -> None:
    code = cv2.imencode(".jpg", np.zeros((72, 96, 3), np.uint8))[1].tobytes()
    assert decodable_size(code) == (72, 96)
    exif = b"\xff\xe1" + (16).to_bytes(2, "big") + b"Exif\0\0" + bytes(8)
    assert decodable_size(code[:2] + exif + code[2:]) is None  # its orientation is not understood
    for length in range(0, 160):
        assert decodable_size(code[:length]) in (None, (72, 96))
    assert decodable_size(b"") is decodable_size(bytes(1000)) is decodable_size(b"\xff" * 1000) is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"decode_on": "device"}, r"add --data\.augment_on device"),
        ({"decode_on": "gpu"}, r"--data\.decode_on gpu: it is cpu or device"),
        (
            {"augment_on": "device", "decode_on": "device", "augment": AugmentConfig(extra=[MOTION_BLUR])},
            "leave one of the two out",
        ),
        (
            {"augment_on": "device", "decode_on": "device"},
            r"this run trains on the processor; use --data\.decode_on cpu",
        ),
    ],
)
def test_where_the_device_cannot_decode(shapes: Path, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        YoloDataModule(str(shapes), imgsz=32, batch_size=4, workers=0, **settings).setup("fit")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_a_gpu_decodes_the_same_pictures(files: Path, resize: str) -> None:
    data = YoloDataModule(
        str(files), imgsz=64, batch_size=9, workers=0, augment=replace(PLAIN, crop=0.5), augment_on="device",
        decode_on="device", resize=resize,
    )  # fmt: skip
    (batch,) = data.train_dataloader()
    here = data.transfer_batch_to_device(batch, CPU, 0)["img"]
    there = data.transfer_batch_to_device(batch, torch.device("cuda"), 0)["img"]
    assert there.is_cuda
    check_pixels(there.cpu(), here)
