"""One kernel for a whole optimizer step, under the 16-bit scaler too, and checkpoints that know none."""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import yaml
from fuzz.generators import TINY
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import MixedPrecision
from sync_watch import SyncWatch
from torch import nn

from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.yolo.optim import OptimConfig, ResolvedOptimizer, build_optimizer

pytestmark = pytest.mark.usefixtures("one_thread")

LR, MOMENTUM = 0.01, 0.9


class Scaled(MixedPrecision):
    """The gradient scaler of 16-mixed, on a CPU and without the 16 bits, so that figures can be compared."""

    def __init__(self, scale: float) -> None:
        super().__init__("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale))

    def forward_context(self) -> Any:
        return torch.autocast("cpu", enabled=False)


class Moved(Callback):
    """How far the weights moved in the first step, the gradient seen before it, and what the step asked."""

    def __init__(self) -> None:
        self.watch = SyncWatch()

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.before = [p.detach().clone() for p in pl_module.parameters()]
        self.gradient = float(
            torch.nn.utils.get_total_norm([p.grad for p in pl_module.parameters() if p.grad is not None])
        )
        self.watch.__enter__()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.watch.__exit__(None, None, None)
        moved = [a - b.detach() for a, b in zip(self.before, pl_module.parameters(), strict=True)]
        self.moved = float(torch.nn.utils.get_total_norm(moved))
        self.momentum = [s["momentum_buffer"] for s in trainer.optimizers[0].state.values() if "momentum_buffer" in s]


def one_step(data_yaml: Path, name: str, scale: float | None) -> tuple[Moved, pl.Trainer]:
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")
    torch.manual_seed(0)
    optim = OptimConfig(name, lr0=LR, momentum=MOMENTUM, weight_decay=0, nbs=4, warmup_epochs=0, clip_norm=0.001)
    module, watch = DetectorModule("tiny.yaml", optim=optim), Moved()
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
        limit_train_batches=1, limit_val_batches=0, enable_checkpointing=False, use_distributed_sampler=False,
        callbacks=[watch], plugins=[] if scale is None else [Scaled(scale)],
    )  # fmt: skip
    trainer.fit(module, YoloDataModule(str(data_yaml), imgsz=32, batch_size=4, workers=0))
    return watch, trainer


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_a_scaled_step_clips_and_asks_nothing(shapes: Path, name: str) -> None:
    """What is clipped is the true gradient; the step moves the weights as far as without a scale."""
    scaled, trainer = one_step(shapes, name, 1024.0)
    plain, _ = one_step(shapes, name, None)
    assert all(group["fused"] for group in trainer.optimizers[0].param_groups)
    assert scaled.gradient == pytest.approx(plain.gradient, rel=1e-4)
    assert plain.gradient > 1
    assert scaled.moved == pytest.approx(plain.moved, rel=1e-3)
    if name == "SGD":
        assert scaled.moved == pytest.approx(LR * (1 + MOMENTUM) * 0.001, rel=1e-3)
    assert set(scaled.watch.found) <= {"aten.lift_fresh"}  # the rates are logged after an epoch's last batch


def test_an_overflow_leaves_weights_and_momentum(shapes: Path) -> None:
    watch, trainer = one_step(shapes, "SGD", 2.0**127)
    assert math.isinf(watch.gradient) or math.isnan(watch.gradient)
    assert watch.moved == 0
    assert len(watch.momentum) > 10
    assert not any(each.any() for each in watch.momentum)
    assert trainer.precision_plugin.scaler.get_scale() == 2.0**126  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["AdamW", "Adam", "SGD"])
def test_states_without_the_kernel_are_taken_up(name: str) -> None:
    """As of a checkpoint of an earlier version on a GPU; the next step is the same."""
    model: Any = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    model.model = [nn.Module()]
    resolved = ResolvedOptimizer(name, LR, MOMENTUM, 0.0)
    settings: dict[str, Any] = {"lr": LR, "betas": (MOMENTUM, 0.999)} if name != "SGD" else {
        "lr": LR, "momentum": MOMENTUM, "nesterov": True
    }  # fmt: skip
    earlier = deepcopy(model)
    groups = build_optimizer(earlier, resolved, 0.0005).param_groups
    kept = ("params", "weight_decay", "param_group")
    old = getattr(torch.optim, name)([{key: group[key] for key in kept} for group in groups], **settings)
    random = torch.Generator().manual_seed(0)
    gradients = [[torch.randn(p.shape, generator=random) for p in earlier.parameters()] for _ in range(2)]
    for p, gradient in zip(earlier.parameters(), gradients[0], strict=True):
        p.grad = gradient.clone()
    old.step()
    model.load_state_dict(earlier.state_dict())
    new = build_optimizer(model, resolved, 0.0005)
    new.load_state_dict(deepcopy(old.state_dict()))
    assert [group["fused"] for group in new.param_groups] == [True] * 3
    for parameters, optimizer in ((earlier, old), (model, new)):
        for p, gradient in zip(parameters.parameters(), gradients[1], strict=True):
            p.grad = gradient.clone()
        optimizer.step()
    for ours, theirs in zip(model.parameters(), earlier.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)
