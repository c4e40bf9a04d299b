"""The plan of a run holds whatever the batch is: steps, rates, losses that anneal, extensions."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import yaml
from fuzz.generators import TINY
from lightning.pytorch.callbacks import Callback
from yolo_networks import GAINS, NAMES

from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.errors import ConfigError, UserError, WeightsError
from aigp_lightning.modules.detector import DetectorModule
from aigp_lightning.modules.run_length import PLAN, Extension
from aigp_lightning.modules.yolo.build import build_model
from aigp_lightning.modules.yolo.loss import begin_epoch
from aigp_lightning.modules.yolo.optim import OptimConfig, ResolvedOptimizer
from aigp_lightning.modules.yolo.run_plan import WAITING, ResumedRun, RunPlan
from aigp_lightning.modules.yolo.schedule import Schedule

SGD = ResolvedOptimizer("SGD", 0.01, 0.9, 0.1)


def schedule(cos: bool = False, batches: int = 5, *extensions: Extension) -> Schedule:
    return Schedule.plan(OptimConfig(name="SGD", cos_lr=cos), SGD, 10, batches, 16, extensions)


@pytest.mark.parametrize("cos", [False, True])
def test_an_extension_makes_no_step(cos: bool) -> None:
    """The rate goes on at that of the epoch before, falls to `lrf`, and is what it was before the extension."""
    plain, longer = schedule(cos), schedule(cos, 5, Extension(6, 12), Extension(12, 20), Extension(12, 30))
    factors = [longer.factor(epoch) for epoch in range(31)]
    assert factors[:6] == [plain.factor(epoch) for epoch in range(6)]
    assert factors[6] == factors[5]
    assert factors[12] == pytest.approx(factors[11], rel=1e-12)
    assert all(before >= after for before, after in pairwise(factors))
    assert factors[30] == pytest.approx(0.01)
    half = (1 - math.cos(math.pi / 2)) / 2 if cos else 0.5
    assert factors[9] == pytest.approx(factors[5] + half * (0.01 - factors[5]))
    assert schedule(cos, 5, Extension(10, 12)).factor(10) == plain.factor(9)


def test_warm_up_goes_on_at_the_same_share_of_an_epoch() -> None:
    """Twice the batches an epoch: the rate is that of half the iteration; the end of warm-up may be passed over."""
    few, many = schedule(batches=4), schedule(batches=8)
    for epoch, batch in ((0, 0), (1, 2), (2, 3)):
        assert many.rate(0.01, "bias", epoch, 2 * batch) == pytest.approx(few.rate(0.01, "bias", epoch, batch))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01, momentum=0.85)
    assert many.apply(optimizer, 4, 0) == 4
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.937)


def test_annealing_losses_go_on() -> None:
    """Ultralytics keeps how far they are in the object alone; an extension leaves their end where it was."""
    straight, resumed = (build_model({**TINY, "end2end": True}, NAMES, GAINS, epochs=4) for _ in range(2))
    weights = []
    for epoch in range(5):
        begin_epoch(straight, epoch, 4)
        straight.criterion = straight.criterion or straight.init_criterion()
        weights.append(straight.criterion.o2m)
    assert weights == pytest.approx([0.8, 0.8 - 0.7 / 3, 0.8 - 1.4 / 3, 0.1, 0.1])
    begin_epoch(resumed, 2, 4)
    assert (resumed.criterion.o2m, resumed.criterion.o2o) == (weights[2], 1 - weights[2])


class Watch(Callback):
    """Notes at which batches there is a step, and what waits when training begins."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self.gradients: dict[str, torch.Tensor] = {}

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if not self.steps and not self.gradients:
            self.gradients = {n: p.grad.clone() for n, p in pl_module.named_parameters() if p.grad is not None}

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.steps.append((trainer.current_epoch, trainer.fit_loop.epoch_loop.batch_idx))


def train(shapes: Path, epochs: int, batch: int, lr0: float = 0.01, extend: bool = False, **how: Any) -> pl.Trainer:
    """A network of three layers; a step is due after 32 images."""
    Path("tiny.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")
    module = DetectorModule("tiny.yaml", optim=OptimConfig("SGD", lr0=lr0, nbs=32, warmup_epochs=0))
    module.extend = extend
    data = YoloDataModule(str(shapes), imgsz=32, batch_size=batch, workers=0)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=epochs, logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, use_distributed_sampler=False, num_sanity_val_steps=0, limit_val_batches=0,
        callbacks=how.pop("callbacks", [Watch()]), **how,
    )  # fmt: skip
    trainer.fit(module, data, ckpt_path=how.get("default_root_dir") and "a.ckpt")
    return trainer


class Save(Callback):
    """Saves at the end of the first epoch, and before that within it; then stops."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:
            trainer.save_checkpoint("within.ckpt")

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        trainer.save_checkpoint("a.ckpt")
        trainer.should_stop = True


def watched(trainer: pl.Trainer) -> Watch:
    return next(each for each in trainer.callbacks if isinstance(each, Watch))  # type: ignore[attr-defined]


def test_what_waits_is_counted_in_images(shapes: Path) -> None:
    """24 images wait when the epoch ends; a resumed run steps after 32, whatever its batch, and decays by that."""
    train(shapes, 4, 8, callbacks=[Save()])
    kept = torch.load("a.ckpt", weights_only=True)
    assert kept["aigp"][WAITING] == 24
    before = kept["state_dict"]
    same, larger, smaller = (train(shapes, 4, batch, default_root_dir=".") for batch in (8, 12, 4))
    assert watched(same).steps == [(1, 0), (2, 1), (3, 2)]
    assert watched(larger).steps == [(1, 0), (2, 1)], "accumulates 3 batches of 12: 24 + 12, then 36 images"
    assert watched(smaller).steps == [(1, 1), (2, 3), (3, 5)]
    for trainer, decay in ((same, 0.0005), (larger, 0.0005 * 36 / 32), (smaller, 0.0005)):
        gradients = watched(trainer).gradients
        assert gradients.keys() == kept["pending_gradients"].keys()
        assert all(torch.equal(gradients[name], kept["pending_gradients"][name]) for name in gradients)
        after = trainer.lightning_module.state_dict()
        moved = [name for name in gradients if ".model.0." in name or ".cv3." in name]  # some boxes' hardly have any
        assert len(moved) > 10
        assert [name for name in moved if torch.equal(before[name], after[name])] == []
        groups = trainer.optimizers[0].param_groups
        assert [group["weight_decay"] for group in groups] == pytest.approx([decay, 0, 0])
        assert groups[0]["lr"] == pytest.approx(0.01 * (0.25 * 0.99 + 0.01))

    for epochs, lr0, extend, error in ((5, 0.01, False, "max_epochs 5"), (4, 0.02, False, r"optim\.lr0 0\.02 \(was")):
        with pytest.raises(ConfigError, match=error):
            train(shapes, epochs, 8, lr0, extend, default_root_dir=".")
    longer = train(shapes, 5, 8, extend=True, default_root_dir=".")
    assert longer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.01 * (0.25 * 0.99 + 0.01))
    Path("within.ckpt").replace("a.ckpt")
    with pytest.raises(WeightsError, match="within an epoch"):
        train(shapes, 4, 8, default_root_dir=".")


def checkpoint(**ours: Any) -> dict[str, Any]:
    """As an earlier version wrote it after 3 of 8 epochs of 5 batches; the last step was at its second last batch."""
    loop: dict[str, Any] = {"epoch_progress": {"current": {"ready": 3, "processed": 3}}}
    loop["epoch_loop.batch_progress"] = {"current": {"ready": 5}, "is_last_batch": True}
    rate = 0.01 * (0.75 * 0.99 + 0.01)
    groups = [{"lr": rate, "initial_lr": 0.01, "param_group": "weight"}]
    return {"loops": {"fit_loop": loop}, "optimizer_states": [{"param_groups": groups}], "aigp": ours}


def test_checkpoints_of_earlier_versions() -> None:
    """What waits is taken from Lightning's own counts, the plan from the rates; what is not known is not guessed."""
    resumed = ResumedRun.read(checkpoint(last_step=12))
    assert resumed.waiting_batches == 2
    assert resumed.waiting_images(batches=5, batch_size=8) == 16
    with pytest.raises(ConfigError, match=r"--data\.batch_size 4: an earlier version"):
        resumed.waiting_images(batches=10, batch_size=4)
    known = ResumedRun.read(checkpoint(last_step=12, run={"data": {"batch_size": 8}, "trainer": {"max_epochs": 8}}))
    assert known.waiting_images(batches=10, batch_size=4) == 16
    assert ResumedRun.read(checkpoint(last_step=14)).waiting_images(batches=10, batch_size=4) == 0
    with pytest.raises(
        ConfigError, match=r"Resume without --extend, with the --trainer\.max_epochs of the first start"
    ):
        resumed.check_length(12, extend=True)
    replace(resumed, epochs=8).check_length(12, extend=True)  # known from the run's config.yaml
    config = OptimConfig(name="SGD", warmup_epochs=0)
    resumed.check_rates(RunPlan(8, SGD).schedule(config, 5, 8))
    with pytest.raises(ConfigError, match=r"0\.007525 after epoch 3, and would have been 0\.00802"):
        resumed.check_rates(RunPlan(10, SGD).schedule(config, 5, 8))
    with pytest.raises(ConfigError, match="--extend: an earlier version"):
        resumed.check_length(9, extend=True)
    with pytest.raises(ConfigError, match="trained 3 epochs already"):
        resumed.check_length(2, extend=True)


@pytest.mark.parametrize(
    "plan", [7, {}, {**RunPlan(4, SGD).state(), "extensions": [[5, 9]]}, {**RunPlan(4, SGD).state(), "epochs": "x"}]
)
def test_a_plan_that_was_changed_is_refused(plan: Any) -> None:
    assert RunPlan.read(RunPlan(4, SGD, (Extension(4, 6),)).state()) == RunPlan(4, SGD, (Extension(4, 6),))
    with pytest.raises(UserError, match="damaged"):
        ResumedRun.read(checkpoint(**{PLAN: plan}))
