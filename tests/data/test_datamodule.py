"""From a data.yaml to batches: the contract of a batch, decodes, mosaic closing, spawned workers, clear errors."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from helpers import draw_squares

from aigp_lightning.callbacks.close_mosaic import CloseMosaic
from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.data.loaders import make_loader
from aigp_lightning.data.lost_files import Lost
from aigp_lightning.data.requests import TrainRequest
from aigp_lightning.data.synthetic.options import MakeDataOptions
from aigp_lightning.errors import ConfigError, UserError

NAMES = "names: {0: square, 1: disc}\n"


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of three shapes; the first five have no labels."""
    folder = tmp_path_factory.mktemp("data") / "odd"
    draw_squares(folder, "train", 10, seed=3)
    for number in range(5):
        (folder / "labels" / "train" / f"{number:03d}.txt").unlink()
    yaml = folder / "data.yaml"
    yaml.write_text(f"train: images/train\nval: images/train\n{NAMES}", encoding="utf-8")
    return yaml


def original_boxes(batch: dict[str, Any], index: int) -> np.ndarray:
    """Boxes of one image of a batch, (n, 4) xyxy in pixels of the file, by its `ratio_pad`."""
    height, width = batch["img"].shape[2:]
    rows = batch["bboxes"][batch["batch_idx"] == index].numpy() * [width, height, width, height]
    corners = np.concatenate((rows[:, :2] - rows[:, 2:] / 2, rows[:, :2] + rows[:, 2:] / 2), axis=1)
    (gain_h, gain_w), (left, top) = batch["ratio_pad"][index]
    return (corners - [left, top, left, top]) / [gain_w, gain_h, gain_w, gain_h]


def file_boxes(im_file: str, shape: tuple[int, int]) -> np.ndarray:
    """The same from the label file."""
    label = Path(im_file.replace("images", "labels")).with_suffix(".txt")
    if not label.exists():
        return np.zeros((0, 4))
    rows = np.loadtxt(label, ndmin=2)[:, 1:] * [shape[1], shape[0], shape[1], shape[0]]
    return np.concatenate((rows[:, :2] - rows[:, 2:] / 2, rows[:, :2] + rows[:, 2:] / 2), axis=1)


def check_contract(batch: dict[str, Any], most: int) -> None:
    images = len(batch["img"])
    assert 0 < images <= most
    assert batch["img"].dtype == torch.uint8
    assert batch["img"].shape[1] == 3
    assert batch["cls"].dtype == batch["batch_idx"].dtype == torch.int64
    assert batch["bboxes"].dtype == torch.float32
    assert batch["bboxes"].shape == (len(batch["cls"]), 4)
    assert batch["batch_idx"].shape == batch["cls"].shape
    assert bool((batch["bboxes"] >= 0).all() and (batch["bboxes"] <= 1).all())
    assert bool((batch["bboxes"][:, 2:] > 0).all())
    assert batch["batch_idx"].tolist() == sorted(batch["batch_idx"].tolist())
    assert all(0 <= index < images for index in batch["batch_idx"].tolist())
    assert len(batch["im_file"]) == len(batch["ori_shape"]) == len(batch["ratio_pad"]) == images
    assert [sources[0] for sources in batch["sources"]] == batch["im_file"]


@pytest.mark.parametrize("task", ["detect", "pose", "obstacle"])
def test_one_overlay_gives_each_task_its_own_data(task: str) -> None:
    data = YoloDataModule("datasets/{task} {run}/data.yaml", synthetic=MakeDataOptions(task=task))
    assert data.data_yaml == f"datasets/{task} {{run}}/data.yaml"


def test_a_task_that_nobody_named() -> None:
    with pytest.raises(
        ConfigError, match=r"--data.data_yaml is quick-\{task\}/data.yaml.* there is no --data.synthetic"
    ):
        YoloDataModule("quick-{task}/data.yaml")


@pytest.mark.parametrize("rect", [True, False])
@pytest.mark.parametrize("imgsz", [64, 160])
def test_validation_batches(odd: Path, rect: bool, imgsz: int) -> None:
    """Boxes go back to the file's pixels, whether pictures shrink or grow; backgrounds are images without boxes."""
    data = YoloDataModule(str(odd), imgsz=imgsz, batch_size=2, workers=0, rect=rect)
    seen = []
    for batch in data.val_dataloader():
        check_contract(batch, most=4)
        for index, im_file in enumerate(batch["im_file"]):
            shape = cv2.imread(im_file).shape[:2]
            assert batch["ori_shape"][index] == shape
            np.testing.assert_allclose(original_boxes(batch, index), file_boxes(im_file, shape), atol=0.5)
            seen.append(im_file)
        if not rect:
            assert batch["img"].shape[2:] == (imgsz, imgsz)
    assert len(seen) == len(set(seen)) == 10


def test_a_batch_without_any_label(odd: Path) -> None:
    data = YoloDataModule(str(odd), imgsz=64, batch_size=2, workers=0, rect=False)
    batch = next(iter(data.val_dataloader()))
    check_contract(batch, most=4)
    assert batch["bboxes"].shape == (0, 4)
    assert batch["cls"].shape == (0,)


@pytest.mark.parametrize("mosaic", [1.0, 0.0])
def test_training_batches(odd: Path, mosaic: float) -> None:
    data = YoloDataModule(str(odd), imgsz=64, batch_size=4, workers=0, augment=AugmentConfig(mosaic=mosaic))
    batches = list(data.train_dataloader())
    assert [len(batch["img"]) for batch in batches] == [4, 4, 2]
    for batch in batches:
        check_contract(batch, most=4)
        assert batch["img"].shape[2:] == (64, 64)
        assert {len(sources) for sources in batch["sources"]} == {4 if mosaic else 1}


def test_a_sample_costs_about_one_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mosaic partners come from the buffer."""
    from aigp_lightning.data import training_images

    (tmp_path / "images").mkdir()
    for number in range(200):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), np.full((16, 16, 3), number, np.uint8))
    yaml = tmp_path / "data.yaml"
    yaml.write_text(f"train: images\nval: images\n{NAMES}", encoding="utf-8")
    data = YoloDataModule(str(yaml), imgsz=32, batch_size=4, workers=0)
    loader, decoded, read = data.train_dataloader(), [], training_images.read_bytes
    monkeypatch.setattr(training_images, "read_bytes", lambda path: decoded.append(path) or read(path))
    for epoch in range(2):
        decoded.clear()
        loader.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]
        assert sum(len(batch["img"]) for batch in loader) == 200
        assert 150 < len(decoded) < 1.1 * 200


def test_partners_do_not_push_a_sample_out_of_the_buffer_before_it_is_made(shapes: Path) -> None:
    """The oldest image there, asked for with partners that are not."""
    data = YoloDataModule(str(shapes), imgsz=32, batch_size=1, workers=0)
    dataset = data.train_dataloader().dataset
    for index in range(dataset.capacity):
        dataset[TrainRequest(index=index, seed=index)]
    others = tuple(range(dataset.capacity, dataset.capacity + 3))
    made = dataset[TrainRequest(index=0, seed=5, partners=others)]
    assert made["sources"] == tuple(dataset.records[index].im_file for index in (0, *others))
    assert list(dataset.buffer)[-4:] == [0, *others]


class Tiny(pl.LightningModule):
    """A module that trains nothing much, and notes what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, list[str], list[int], torch.Tensor]] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        lengths = [len(sources) for sources in batch["sources"]]
        self.seen.append((self.current_epoch, batch["im_file"], lengths, batch["img"]))
        return self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def fit_tiny(data: Path, folder: Path, epochs: int, close: int, workers: int = 2) -> Tiny:
    module = Tiny()
    pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, callbacks=[CloseMosaic(close)], default_root_dir=folder,
        limit_val_batches=0, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    ).fit(module, YoloDataModule(str(data), imgsz=32, batch_size=4, workers=workers))  # fmt: skip
    return module


@pytest.mark.parametrize(("epochs", "close"), [(4, 2), (2, 2), (2, 0)])
def test_mosaic_closes_on_time_with_workers_alive(epochs: int, close: int, shapes: Path, tmp_path: Path) -> None:
    """From the very first sample of the epoch, although workers prefetch; also where that epoch is the first."""
    for epoch, _, lengths, _ in fit_tiny(shapes, tmp_path, epochs, close).seen:
        assert set(lengths) == {1 if close and epoch >= epochs - close else 4}, f"epoch {epoch}"


def test_epochs_differ_and_runs_repeat(shapes: Path, tmp_path: Path) -> None:
    runs = [fit_tiny(shapes, tmp_path, epochs=2, close=1).seen for _ in range(2)]
    for (epoch, files, _, pixels), (twin_epoch, twin_files, _, twin_pixels) in zip(*runs, strict=True):
        assert (epoch, files) == (twin_epoch, twin_files)
        assert torch.equal(pixels, twin_pixels)
    first, second = ([files for at, files, _, _ in runs[0] if at == epoch] for epoch in range(2))
    assert first != second
    assert sorted(sum(first, [])) == sorted(sum(second, []))  # noqa: RUF017  six short lists


def test_datasets_travel_to_spawned_workers(shapes: Path) -> None:
    """Windows and macOS spawn: what goes to a worker pickles, and makes the same samples there."""
    data = YoloDataModule(str(shapes), imgsz=32, batch_size=4, workers=0)
    loader = data.train_dataloader()
    requests = next(iter(loader.batch_sampler))  # type: ignore[arg-type]
    copy = pickle.loads(pickle.dumps(loader.dataset))
    for request in requests:
        np.testing.assert_array_equal(copy[request]["image"], loader.dataset[request]["image"])
    spawning = torch.utils.data.DataLoader(
        loader.dataset, batch_sampler=loader.batch_sampler, num_workers=1, collate_fn=loader.collate_fn,
        worker_init_fn=loader.worker_init_fn, multiprocessing_context=multiprocessing.get_context("spawn"),
    )  # fmt: skip
    for here, there in zip(loader, spawning, strict=True):
        assert torch.equal(here["img"], there["img"])
        assert torch.equal(here["bboxes"], there["bboxes"])


def test_label_table_holds_every_label_of_a_split(odd: Path) -> None:
    data = YoloDataModule(str(odd), workers=0)
    cls, boxes = data.label_table("train")
    files = sorted((odd.parent / "labels" / "train").glob("*.txt"))
    rows = np.concatenate([np.loadtxt(file, ndmin=2) for file in files])
    assert (cls.dtype, boxes.dtype, len(rows)) == (np.int64, np.float32, 10)
    np.testing.assert_array_equal(cls, rows[:, 0])
    np.testing.assert_allclose(boxes, rows[:, 1:], atol=1e-6)


def test_label_table_of_a_split_without_labels(tmp_path: Path) -> None:
    (tmp_path / "images" / "bare").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "images" / "bare" / "0.png"), np.zeros((32, 32, 3), np.uint8))
    yaml = tmp_path / "data.yaml"
    yaml.write_text(f"train: images/bare\nval: images/bare\n{NAMES}", encoding="utf-8")
    cls, boxes = YoloDataModule(str(yaml), workers=0).label_table("val")
    assert (cls.shape, boxes.shape) == ((0,), (0, 4))


def test_workers_start_after_opencv_used_its_threads(shapes: Path) -> None:
    """Its thread pool does not survive a fork: a worker that reconfigured it would wait forever."""
    cv2.setNumThreads(4)
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (0, 0), 9)
    loader = YoloDataModule(str(shapes), imgsz=32, batch_size=8, workers=2).train_dataloader()
    loader.timeout = 30
    assert sum(len(batch["img"]) for batch in loader) == 24


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"data_yaml": "nowhere/data.yaml"}, ["nowhere", "data.yaml"]),
        ({"imgsz": 100}, ["--data.imgsz", "100", "32", "96"]),
        ({"imgsz": 0}, ["--data.imgsz", "0", "32"]),
        ({"batch_size": 0}, ["--data.batch_size", "0"]),
        ({"workers": -1}, ["--data.workers", "-1"]),
        ({"source": None}, ["--data.source"]),
    ],
)
def test_errors_name_the_option(settings: dict[str, Any], words: list[str], shapes: Path) -> None:
    with pytest.raises(UserError) as error:
        data = YoloDataModule(**{"data_yaml": str(shapes), "workers": 0, **settings})
        data.train_dataloader()
        data.predict_dataloader()
    for word in words:
        assert word in str(error.value)


def test_an_empty_split_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "images" / "val").mkdir(parents=True)
    yaml = tmp_path / "data.yaml"
    yaml.write_text(f"train: images/val\nval: images/val\n{NAMES}", encoding="utf-8")
    with pytest.raises(UserError, match="val"):
        YoloDataModule(str(yaml), workers=0).val_dataloader()


def test_a_batch_must_divide_by_the_processes(shapes: Path) -> None:
    data = YoloDataModule(str(shapes), batch_size=7, workers=0)
    strategy = SimpleNamespace(broadcast=lambda value: value)
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        world_size=2, lightning_module=None, strategy=strategy, default_root_dir="."
    )
    with pytest.raises(UserError, match=r"--data\.batch_size 7.*2"):
        data.setup("fit")


def test_a_data_set_that_another_machine_made_meanwhile_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aigp_lightning.data import synthetic as gates
    from aigp_lightning.data.synthetic import MakeDataOptions

    def late(options: MakeDataOptions, progress: bool) -> Path:
        first = gates.writer.make_data(options, False)
        times.append(first.stat().st_mtime_ns)
        return gates.writer.make_data(options, progress)

    times: list[int] = []
    monkeypatch.setattr(gates, "make_data", late)
    yaml = tmp_path / "datasets" / "gates" / "data.yaml"
    synthetic = MakeDataOptions(train=2, val=1, test=0, imgsz=(64, 64), workers=1)
    data = YoloDataModule("datasets/gates/data.yaml", workers=0, synthetic=synthetic)
    data.prepare_data()
    assert data.train_images == 2
    assert yaml.stat().st_mtime_ns == times[0], "the first one's stays"
    assert [path.name for path in yaml.parent.parent.iterdir()] == ["gates"]


def test_a_key_that_nearly_is_a_known_one_is_said_once(
    shapes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    yaml = tmp_path / "data.yaml"
    yaml.write_text(
        f"path: '{shapes.parent}'\ntrain: images/train\nval: images/val\nnames: [no, 007]\nsigma: 1\n", encoding="utf-8"
    )
    data = YoloDataModule(str(yaml), workers=0)
    with caplog.at_level("INFO"):
        data.prepare_data()
        data.prepare_data()
    assert data.names == {0: "no", 1: "007"}
    assert [line for line in caplog.messages if "did you mean" in line] == [
        f"warning: {yaml}:5: 'sigma' is not read; did you mean 'kpt_oks_sigmas'?"
    ]


class _Threads:
    """Says how many threads its process uses."""

    def __getitems__(self, indices: list[int]) -> list[Any]:
        found = cv2.getNumThreads(), torch.get_num_threads(), os.environ["OPENBLAS_NUM_THREADS"]
        return [Lost("a.png", repr(found))]


def test_workers_have_one_thread() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        (batch,) = make_loader(_Threads(), [[0]], workers=1, seed=0)
    finally:
        torch.set_num_threads(before)
    assert batch["lost"][0].why == "(1, 1, '1')"
