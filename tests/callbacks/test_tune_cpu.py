"""The number of threads of a process on a CPU."""

from __future__ import annotations

from collections.abc import Iterator

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringDataModule, BoringModel

from aigp_lightning.callbacks.tune_cpu import TuneCpu
from aigp_lightning.run.cores import cores


class Sized(BoringDataModule):
    """Data that say of what size they are."""

    def __init__(self, batch_size: int, imgsz: int) -> None:
        super().__init__()
        self.batch_size, self.imgsz = batch_size, imgsz


class Threads(pl.Callback):
    """Notes with how many threads a batch is trained."""

    seen = 0

    def on_train_batch_start(self, *_: object) -> None:
        self.seen = torch.get_num_threads()


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("imgsz", "omp", "expected"),
    [(64, "8", 1), (64, "", 1), (1280, "1", 1), (1280, "", cores()), (1280, "0", cores()), (1280, "²", cores())],
)
def test_a_run_computes_with_as_many_threads_as_pay(
    imgsz: int, omp: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", omp)
    torch.set_num_threads(2)
    note = Threads()
    trainer = pl.Trainer(
        accelerator="cpu", devices=1, fast_dev_run=1, callbacks=[TuneCpu(), note], enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(BoringModel(), datamodule=Sized(8, imgsz))
    assert note.seen == expected
