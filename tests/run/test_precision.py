"""The precision that is taken where none is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import yaml
from fuzz.generators import TINY
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import MixedPrecision

from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.yolo.optim import OptimConfig
from aigp_lightning.run import precision
from aigp_lightning.run.precision import cpu_has_bfloat16, default_precision

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("gpu", "training", "gpu_has", "cpu_has", "expected"),
    [
        (True, True, True, False, "bf16-mixed"),
        (True, False, True, True, "bf16-mixed"),
        (True, True, False, True, "16-mixed"),
        (True, False, False, True, "16-mixed"),
        (False, True, False, True, "bf16-mixed"),
        (False, True, False, False, "32-true"),
        (False, False, False, True, "32-true"),
    ],
)
def test_each_machine(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, training: bool, gpu_has: bool, cpu_has: bool, expected: str
) -> None:
    monkeypatch.setattr(precision, "_gpu_has_bfloat16", lambda: gpu_has)
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: cpu_has)
    assert default_precision(gpu, training) == expected


def test_the_processor_is_asked() -> None:
    """Linux says what the processor of this machine has."""
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        pytest.skip("no /proc/cpuinfo")
    flags = path.read_text(encoding="utf-8").split()
    assert cpu_has_bfloat16() == ("avx512_bf16" in flags or "amx_tile" in flags)


class Seen(Callback):
    """The weights after the first step of a start, and the gradients that waited for it."""

    def __init__(self, save: bool) -> None:
        self.save, self.waited, self.losses = save, 0.0, list[float]()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if not self.losses:
            found = [p.grad for p in pl_module.parameters() if p.grad is not None]
            self.waited = float(torch.nn.utils.get_total_norm(found)) if found else 0.0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.losses.append(float(outputs["loss"]))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if self.save:
            trainer.save_checkpoint("a.ckpt")
            trainer.should_stop = True


def start(data_yaml: Path, plugin: MixedPrecision, first: bool) -> tuple[Seen, pl.Trainer]:
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")
    module = DetectorModule("tiny.yaml", optim=OptimConfig("AdamW", nbs=64, warmup_epochs=0))
    seen = Seen(save=first)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, use_distributed_sampler=False, limit_val_batches=0, limit_train_batches=2,
        callbacks=[seen], plugins=[plugin],
    )  # fmt: skip
    data = YoloDataModule(str(data_yaml), imgsz=32, batch_size=12, workers=0)
    trainer.fit(module, data, ckpt_path=None if first else "a.ckpt")
    return seen, trainer


def test_a_run_with_a_gradient_scaler_goes_on_without_one(shapes: Path) -> None:
    """As one of an earlier version on a GPU: the state of the scaler is left alone, gradients that wait lose it."""
    scale = 2.0**10
    start(shapes, MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale)), first=True)
    kept = torch.load("a.ckpt", weights_only=True)
    assert kept["MixedPrecision"]["scale"] == scale
    waiting = float(torch.nn.utils.get_total_norm(list(kept["pending_gradients"].values())))
    seen, trainer = start(shapes, MixedPrecision("bf16-mixed", "cpu"), first=False)
    assert waiting > 0
    assert seen.waited == pytest.approx(waiting / scale, rel=1e-4)
    assert all(loss == loss for loss in seen.losses)  # noqa: PLR0124  no nan
    assert len(seen.losses) == 2
    assert trainer.precision_plugin.state_dict() == {}
