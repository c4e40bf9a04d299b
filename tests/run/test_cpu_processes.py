"""How many processes and threads train on a CPU."""

from __future__ import annotations

import lightning.pytorch as pl
import pytest

from aigp_lightning.run.cpu_processes import PROCESS_MEMORY, CpuRun, process_count, thread_count
from aigp_lightning.run.distributed import tune_exchange

PLENTY = 256 * PROCESS_MEMORY
LONG = CpuRun(images=100_000, batch_size=16, imgsz=160)


@pytest.mark.parametrize(
    ("batch", "cores", "memory", "expected"),
    [
        (16, 2, PLENTY, 2),
        (16, 1, PLENTY, 1),
        (16, 3, PLENTY, 2),  # three would not share sixteen evenly
        (16, 64, PLENTY, 2),  # eight images each, for their batch norms
        (15, 8, PLENTY, 1),
        (17, 8, PLENTY, 1),
        (96, 11, PLENTY, 8),
        (64, 64, 3 * PROCESS_MEMORY, 2),
        (64, 64, PROCESS_MEMORY - 1, 1),
        (1, 64, PLENTY, 1),
    ],
)
def test_as_many_processes_as_cores_batch_and_memory_allow(batch: int, cores: int, memory: int, expected: int) -> None:
    run = CpuRun(LONG.images, batch, LONG.imgsz)
    assert process_count(run, cores, memory, "linux") == expected


def test_a_short_run_has_one_process() -> None:
    for images, imgsz in ((24 * 5, 96), (0, 640), (1_000, 160)):
        assert process_count(CpuRun(images, 16, imgsz), 8, PLENTY, "linux") == 1


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_processes_are_started_unasked_on_linux_alone(platform: str) -> None:
    assert process_count(LONG, 8, PLENTY, platform) == 1


def test_threads_are_for_large_batches_alone() -> None:
    assert thread_count(images=16, imgsz=160, cores=8) == 1
    assert thread_count(images=8, imgsz=1280, cores=8) == 8
    assert thread_count(images=8, imgsz=1280, cores=8, processes=16) == 1


def test_processes_exchange_gradients_in_one_piece_and_no_buffers() -> None:
    """As torch's wrapper takes it, in a group of one."""
    import torch
    import torch.distributed as dist
    from lightning.pytorch.strategies import DDPStrategy

    trainer = pl.Trainer(accelerator="cpu", devices=1, strategy="ddp", logger=False, enable_progress_bar=False)
    tune_exchange(trainer)
    assert isinstance(trainer.strategy, DDPStrategy)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        wrapped = trainer.strategy._setup_model(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)))
    finally:
        dist.destroy_process_group()
    assert wrapped.gradient_as_bucket_view
    assert wrapped.bucket_bytes_cap == 512 * 2**20
    assert not wrapped.broadcast_buffers
