"""The same twelve steps here and by the package's own training module: the same losses."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from rfdetr_networks import SIZE, packages_configs, packages_targets, tiny_module
from torch.utils.data import DataLoader

from aigp_lightning.modules.rfdetr.optim import OptimConfig
from aigp_lightning.modules.rfdetr.package import module_of_package, unchanged

EPOCHS, BATCHES = 4, 3
LOSSES = ("loss", "loss_ce", "loss_bbox", "loss_giou")


def batches() -> list[dict[str, Any]]:
    random = torch.Generator().manual_seed(5)
    found = []
    for number in range(BATCHES):
        boxes = number % 3 + 1  # and the second image of some has none
        found.append({
            "img": torch.randint(0, 256, (2, 3, SIZE, SIZE), dtype=torch.uint8, generator=random),
            "cls": torch.randint(0, 2, (boxes,), generator=random),
            "bboxes": torch.rand(boxes, 4, generator=random) * 0.3 + 0.3,
            "batch_idx": torch.arange(boxes) % 2,
        })  # fmt: skip
    return found


def same(items: list[Any]) -> Any:
    return items[0]


class Losses(Callback):
    def __init__(self) -> None:
        self.found: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.found.append({name: float(value) for name, value in outputs["loss_items"].items()})


def test_twelve_steps_have_the_packages_losses(tmp_path: Path) -> None:
    with unchanged():
        own = pytest.importorskip("rfdetr.training.module_model")
        import pytorch_lightning

    kwargs = {"lr_scheduler": "cosine", "lr_scheduler_kwargs": {"min_factor": 0.1}, "warmup_epochs": 1.0}
    kwargs |= {"train_log_on_step": True, "compact_train_metrics": False}
    model_config, train_config = packages_configs({"decoder_layers": 1}, epochs=EPOCHS, **kwargs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model_config.pretrain_weights = None
        models = module_of_package("rfdetr.models")
        built = models.build_model_from_config
        assert built is own.build_model_from_config
        theirs = own.RFDETRModelModule(model_config, train_config)
    optim = OptimConfig(warmup_epochs=1.0, schedule="cosine", min_factor=0.1)
    ours = tiny_module(fresh=True, decoder_layers=1, optim=optim)
    theirs.model.load_state_dict(ours.network.model.state_dict())
    before = ours.network.model.class_embed.weight.detach().clone()
    steps: list[dict[str, float]] = []

    class TheirLosses(pytorch_lightning.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            logged = trainer.callback_metrics
            steps.append({name: float(logged[f"train/{name}_step"]) for name in LOSSES})

    def converted(items: list[dict[str, Any]]) -> Any:
        batch, images = items[0], items[0]["img"].float() / 255
        mean, std = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
        images = (images - mean.view(3, 1, 1)) / std.view(3, 1, 1)
        mask = torch.zeros(images.shape[0], SIZE, SIZE, dtype=torch.bool)
        nested = module_of_package("rfdetr.utilities.tensors").NestedTensor(images, mask)
        return nested, packages_targets(batch)

    usual = {"max_epochs": EPOCHS, "accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    usual |= {"enable_progress_bar": False, "enable_model_summary": False, "default_root_dir": str(tmp_path)}
    # The package's masks are all zero here, as its square batches' are; its own module gets no validation.
    pytorch_lightning.Trainer(**usual, gradient_clip_val=0.1, callbacks=[TheirLosses()]).fit(
        theirs, DataLoader(batches(), batch_size=1, collate_fn=converted)
    )
    losses = Losses()
    trainer = pl.Trainer(**usual, callbacks=[losses])
    trainer.fit(ours, DataLoader(batches(), batch_size=1, collate_fn=same))
    assert len(losses.found) == len(steps) == EPOCHS * BATCHES
    for step, (mine, its) in enumerate(zip(losses.found, steps, strict=True)):
        for name in LOSSES:
            assert mine[name] == pytest.approx(its[name], abs=1e-3), f"{name} of step {step}"
    moved = (ours.network.model.class_embed.weight - before).abs().max().item()
    assert 3e-4 < moved < 1e-2  # twelve steps of about 1e-4
    for (name, one), other in zip(
        theirs.model.state_dict().items(), ours.network.model.state_dict().values(), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-3), name
