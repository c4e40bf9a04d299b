"""Which batch fits a GPU, told after one did not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers import small

from aigp_lightning.run.oom_advice import largest_fitting_batch, measure_memory

MIB = 2**20


@pytest.mark.parametrize(
    ("points", "room", "below", "images"),
    [
        ([(1, 300), (2, 400), (4, 600)], 1050, 64, 8),  # 200 and 100 an image
        ([(1, 300), (2, 400), (4, 600)], 1050, 8, 7),  # eight were tried in vain
        ([(1, 300), (2, 400)], 250, 64, 0),  # not even one
        ([(1, 300), (2, 400)], 350, 64, 1),
        ([(1, 300)], 1000, 64, 1),  # no line through one point: what was tried
        ([(1, 300), (2, 300)], 1000, 64, 2),  # flat: no more is known
        ([], 1000, 64, 0),
    ],
)
def test_the_line_through_measured_batches(points: list[tuple[int, int]], room: int, below: int, images: int) -> None:
    assert largest_fitting_batch([(n, size * MIB) for n, size in points], room * MIB, below) == images


def test_measuring_ends_where_memory_does() -> None:
    used = [0]

    def train(images: int) -> None:
        if images > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        used[0] = 200 + 100 * images

    def peak() -> int:
        most, used[0] = used[0], 0
        return most

    assert measure_memory(train, peak) == [(1, 300), (2, 400), (4, 600)]


@pytest.mark.parametrize("task", ["detect", "pose"])
def test_the_stand_in_is_a_batch_that_can_be_trained_on(task: str, shapes: Path, corners: Path) -> None:
    from aigp_lightning.data.datamodule import YoloDataModule
    from aigp_lightning.modules.detector import DetectorModule
    from aigp_lightning.modules.pose import PoseModule

    module = DetectorModule() if task == "detect" else PoseModule()
    data = YoloDataModule(str(shapes if task == "detect" else corners), imgsz=64, batch_size=4, workers=0)
    if task == "pose":
        module.setup_from_data(data)
    module.set_network(module.build_network(dict(data.names)))
    batch = module.example_batch(3, data.imgsz, 2, torch.device("cpu"))
    loss, _ = module.compute_loss(batch)
    assert batch["img"].shape == (3, 3, 64, 64)
    assert len(batch["cls"]) == 3 * 2, "two objects are the most in an image"
    assert float(loss.detach()) > 0


def test_the_stand_in_is_as_large_as_any_batch_of_several_sizes() -> None:
    """An RF-DETR trains at sizes around the one asked for; what does not fit is the largest."""
    from rfdetr_networks import tiny_module

    module = tiny_module(multi_scale="normal")
    batch = module.example_batch(1, 64, 2, torch.device("cpu"))
    loss, _ = module.compute_loss(batch)
    assert batch["img"].shape == (1, 3, 192, 192)
    assert float(loss.detach()) > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_real_gpu_says_what_fits(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    """With a small share of its memory: the batch that is named then trains."""
    words = [*small(shapes, tmp_path), "--trainer.accelerator", "gpu", "--trainer.max_epochs", 1, "--data.imgsz", 640]
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.5 * 2**30 / total, 1.0))
    try:
        assert run_cli("fit", *words, "--data.batch_size", 24) == 1
        said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(said) == 1
        batch = int(said[0].partition("Try --data.batch_size ")[2].split()[0])
        assert 1 <= batch < 24
        assert run_cli("fit", *words, "--data.batch_size", batch) == 0
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
