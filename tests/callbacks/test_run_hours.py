"""A run of so many hours: its length by Ultralytics' rule, its end within an epoch, one clock for all processes."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from aigp_lightning.callbacks.close_mosaic import CloseMosaic
from aigp_lightning.callbacks.resumed_run import ResumedRun
from aigp_lightning.callbacks.run_hours import HOUR, RunHours
from aigp_lightning.cli.resolve import planned_length
from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.yolo.optim import OptimConfig, ResolvedOptimizer
from aigp_lightning.modules.yolo.optimization import YoloOptimization
from aigp_lightning.modules.yolo.run_plan import RunPlan

QUIET: dict[str, Any] = {
    **{"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False, "logger": False},
    **{"enable_checkpointing": False, "limit_val_batches": 1, "num_sanity_val_steps": 0},
}


class Clock:
    """Seconds that pass when a batch is trained, or validated."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Model(BoringModel):
    """Every training batch takes ten seconds, every validation batch five; notes what it is told."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.planned, self.validated = clock, list[tuple[int, int]](), list[int]()

    def plan_anew(self, epochs: int) -> None:
        self.planned.append((self.current_epoch, epochs))

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.clock.now += 10
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.clock.now += 5
        self.validated.append(self.current_epoch)
        return super().validation_step(batch, batch_idx)


def fit(seconds: float, batches: int = 4, epochs: int = 100, path: Path | None = None, **more: Any) -> Any:
    clock = Clock()
    model, hours = Model(clock), RunHours(seconds / HOUR, clock)
    callbacks = [ResumedRun(), hours, *more.pop("callbacks", [])]
    trainer = Trainer(max_epochs=epochs, limit_train_batches=batches, callbacks=callbacks, **QUIET, **more)
    trainer.fit(model, ckpt_path=path, weights_only=False)
    return trainer, model, hours


def theirs(seconds: float, epoch_seconds: list[float]) -> list[int]:
    """The epochs that Ultralytics' trainer plans after each."""
    found, passed = [], 0.0
    for number, each in enumerate(epoch_seconds):
        passed += each
        found.append(math.ceil(seconds / (passed / (number + 1))))
    return found


def test_the_run_ends_with_its_time_and_is_planned_by_its_pace(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        trainer, model, hours = fit(200)  # epochs of 45 s: four, and 20 s of a fifth
    assert theirs(200, [45.0] * 4) == [5] * 4
    assert model.planned == [(0, 5), (4, 6)], "in the end there is one more, with which more hours would go on"
    assert trainer.max_epochs == 6
    assert trainer.global_step == 4 * 4 + 2, "stopped after an optimizer step, within the epoch"
    assert model.validated == [0, 1, 2, 3, 4], "and what was trained is validated"
    assert hours.seconds == 4 * 45 + 20 + 5
    assert "at this pace 5 epochs" in caplog.text
    assert "--run.hours 0.0555556 are over: the run ends with epoch 5" in caplog.text


def test_epochs_that_take_longer_are_fewer() -> None:
    class Slower(Model):
        def on_train_epoch_start(self) -> None:
            self.clock.now += 30 * self.current_epoch

    clock = Clock()
    model = Slower(clock)
    trainer = Trainer(max_epochs=100, limit_train_batches=4, callbacks=[RunHours(400 / HOUR, clock)], **QUIET)
    trainer.fit(model)
    expected = theirs(400, [45.0 + 30 * number for number in range(4)])
    assert expected == [9, 7, 6, 5]
    assert model.planned[:-1] == list(enumerate(expected))
    assert (trainer.current_epoch, trainer.global_step) == (5, 4 * 4 + 1), "the fifth began after 360 s, and took 120"


def test_a_stop_waits_for_the_optimizer_step() -> None:
    trainer, _, _ = fit(55, batches=8, accumulate_grad_batches=4)
    assert trainer.fit_loop.epoch_loop.batch_idx + 1 == 8, "due after six batches, the next step comes after eight"
    assert trainer.global_step == 2


def test_mosaics_close_by_the_plan() -> None:
    closing = CloseMosaic(2)
    seen = []

    class Watch(CloseMosaic):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
            seen.append(closing.closes(trainer, trainer.current_epoch))

    fit(200, callbacks=[Watch(0)])
    assert seen == [False, False, False, True, True]


def test_all_starts_count_together(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.ckpt"
    trainer, _, _ = fit(200)
    trainer.save_checkpoint(path)
    kept = torch.load(path, weights_only=False)["callbacks"]["RunHours"]
    assert kept == {"seconds": 205.0, "first": 0}
    with caplog.at_level("INFO"):
        again, _, _ = fit(200, path=path)
    assert again.global_step == trainer.global_step
    assert "--run.hours counts all starts together and is used up; nothing was trained" in caplog.text
    more, model, hours = fit(300, path=path)
    assert more.global_step > trainer.global_step
    assert model.planned[0] == (5, math.ceil(300 / ((205 + 45) / 6)))
    assert hours.seconds >= 300


def test_one_clock_decides_and_is_rarely_asked() -> None:
    """The second process's clock is far ahead; both do what the first one says, which is not asked after every step."""
    said: list[tuple[bool, int]] = []

    def steps(rank: int) -> tuple[int, int]:
        """Steps until the end, and questions."""
        clock, asked = Clock(), 0

        def broadcast(value: tuple[bool, int]) -> tuple[bool, int]:
            nonlocal asked
            asked += 1
            if rank == 0:
                said.append(value)
            return said[asked - 1]

        trainer: Any = SimpleNamespace(
            global_step=0, current_epoch=0, world_size=2, should_stop=False,
            strategy=SimpleNamespace(broadcast=broadcast),
        )  # fmt: skip
        hours, module = RunHours(100 / HOUR, clock), BoringModel()
        hours.on_train_start(trainer, module)
        clock.now += 90 * rank
        hours.on_train_epoch_start(trainer, module)
        while not trainer.should_stop:
            clock.now += 0.25
            trainer.global_step += 1
            hours.on_train_batch_end(trainer, module, None, None, trainer.global_step - 1)
        return trainer.global_step, asked

    first, second = steps(0), steps(1)
    assert first == second
    assert 400 <= first[0] <= 402, "within a step or two of 100 s"
    assert first[1] < 40


def test_the_schedule_is_that_of_ultralytics_after_planning_anew() -> None:
    """Its learning rates, and its warm-up, which leaves the last epoch alone."""
    from ultralytics.engine.trainer import BaseTrainer

    for cosine in (False, True):
        config = OptimConfig(cos_lr=cosine)
        ours = YoloOptimization(config)
        ours.plan, ours._batch_size = RunPlan(100, ResolvedOptimizer("SGD", 0.01, 0.9, 0.0)), 16
        ours.schedule = ours.plan.schedule(config, 10, 16)
        for epochs in (37, 5, 3, 2):
            ours.plan_anew(epochs)
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.01)
            args = SimpleNamespace(cos_lr=cosine, lrf=0.01, warmup_epochs=3.0)
            told: Any = SimpleNamespace(args=args, epochs=epochs, optimizer=optimizer)
            BaseTrainer._setup_scheduler(told)
            for epoch in range(epochs + 1):
                assert ours.schedule.factor(epoch) == pytest.approx(told.lf(epoch), abs=1e-12)
            assert ours.schedule.warmup == BaseTrainer._get_warmup_iterations(told, 10)
            assert ours.anneal_epochs == epochs, "losses anneal over the new length, as by `args.epochs`"
        assert RunPlan.read(ours.plan.state()) == ours.plan, "a resumed run has it"


def test_a_resumed_run_begins_with_the_plan_that_it_had() -> None:
    plan = {"epochs": 37, "extensions": []}
    assert planned_length({"aigp": {"plan": plan, "run": {"trainer": {"max_epochs": 9}}}}, 100) == 37
    assert planned_length({"aigp": {"run": {"trainer": {"max_epochs": 9}}}}, 100) == 9
    assert planned_length({"aigp": {}}, 100) == 100


def test_no_time_is_refused() -> None:
    for hours in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match=r"--run.hours"):
            RunHours(hours)
