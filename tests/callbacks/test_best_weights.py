"""`best.pt` in trainers and modules of the user's own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import nn
from ultralytics import YOLO

from aigp_lightning.callbacks.best_weights import BestWeights
from aigp_lightning.checkpoints.load import read_checkpoint
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.media.module_facts import metrics_of
from aigp_lightning.modules.detector import DetectorModule


class Noted(DetectorModule):
    """A user's own detector, which cannot be built without an argument."""

    def __init__(self, note: str, **options: Any) -> None:
        super().__init__(**options)
        self.note = note


def test_in_a_users_own_trainer(shapes: Path, tmp_path: Path) -> None:
    """Lightning's default checkpoint is still made, and read; a module that needs arguments is rebuilt without them."""
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, callbacks=[BestWeights()], default_root_dir=tmp_path,
        enable_progress_bar=False, use_distributed_sampler=False, num_sanity_val_steps=0, limit_train_batches=1,
        limit_val_batches=1, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Noted("mine"), datamodule=YoloDataModule(str(shapes), imgsz=64, batch_size=8, workers=0))
    (checkpoint,) = (tmp_path / "checkpoints").glob("*.ckpt")
    network = YOLO(str(tmp_path / "checkpoints" / "best.pt"))
    assert dict(network.names) == {0: "square", 1: "disc"}
    saved = read_checkpoint(checkpoint)["state_dict"]["network.model.0.conv.weight"]
    assert torch.equal(network.model.model[0].conv.weight, saved.half().float())


def test_metrics_that_are_no_module_are_found_as_well() -> None:
    module, figures = nn.Module(), SimpleNamespace(fitness=0.5)
    assert metrics_of(module) is None
    module.metrics = figures  # type: ignore[assignment]
    assert metrics_of(module) is figures
    part = nn.Module()
    module = nn.Module()
    module.metrics = part
    assert metrics_of(module) is part
