"""Rates, momentum, accumulation and averaging follow Ultralytics' trainer iteration by iteration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest

from aigp_lightning.callbacks.ema import EMA
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.yolo.optim import OptimConfig

EPOCHS, BATCH, NBS = 4, 5, 16  # 24 images: 5 batches an epoch, the last one short; steps run over the epochs' ends


class Recorder(pl.Callback):
    """Notes what the optimizer was set to at every batch."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        groups = trainer.optimizers[0].param_groups
        self.rows.append((*[(g["lr"], g.get("momentum")) for g in groups], trainer.global_step))


def reference_rows(data: Path, folder: Path, optimizer: str, cos: bool) -> list[tuple[Any, ...]]:
    from ultralytics.models.yolo.detect import DetectionTrainer

    rows: list[tuple[Any, ...]] = []

    def note(trainer: Any) -> None:
        groups = trainer.optimizer.param_groups
        rows.append((*[(g["lr"], g.get("momentum")) for g in groups], trainer.ema.updates))

    settings = {
        **{"model": "yolo11n.yaml", "data": str(data), "epochs": EPOCHS, "batch": BATCH, "imgsz": 32, "nbs": NBS},
        **{"optimizer": optimizer, "cos_lr": cos, "device": "cpu", "project": str(folder), "plots": False},
        **{"val": False, "save": False, "workers": 0, "warmup_epochs": 1.6, "amp": False, "verbose": False},
    }
    trainer = DetectionTrainer(overrides=settings)
    trainer.add_callback("on_train_batch_end", note)
    trainer.final_eval = lambda: None
    trainer.validate = lambda: ({}, 0.0)
    trainer.train()
    return rows


@pytest.mark.usefixtures("offline_reference")
@pytest.mark.parametrize(("optimizer", "cos"), [("SGD", False), ("auto", True)])
def test_every_iteration_equals_ultralytics(optimizer: str, cos: bool, shapes: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    trainer = pl.Trainer(
        max_epochs=EPOCHS, accelerator="cpu", logger=False, callbacks=[recorder, EMA()], default_root_dir=tmp_path,
        limit_val_batches=0, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    module = DetectorModule(optim=OptimConfig(name=optimizer, cos_lr=cos, nbs=NBS, warmup_epochs=1.6))
    trainer.fit(module, YoloDataModule(str(shapes), imgsz=32, batch_size=BATCH, workers=0))

    theirs = reference_rows(shapes, tmp_path, optimizer, cos)
    assert len(recorder.rows) == len(theirs) == EPOCHS * 5
    for ours_row, their_row in zip(recorder.rows, theirs, strict=True):
        assert ours_row[-1] == their_row[-1], "optimizer steps so far"
        for (lr, momentum), (their_lr, their_momentum) in zip(ours_row[:-1], their_row[:-1], strict=True):
            assert lr == pytest.approx(their_lr, rel=1e-9)
            assert momentum == (None if their_momentum is None else pytest.approx(their_momentum, rel=1e-9))
