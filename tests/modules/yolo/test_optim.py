"""Optimizer and schedule, each held against Ultralytics' own trainer in this process."""

from __future__ import annotations

import inspect
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ultralytics.cfg import get_cfg
from ultralytics.engine.trainer import BaseTrainer

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.yolo.build import class_logit_parameters
from aigp_lightning.modules.yolo.optim import (
    OptimConfig,
    ResolvedOptimizer,
    build_optimizer,
    nominal_steps,
    resolve_optimizer,
    scaled_decay,
)
from aigp_lightning.modules.yolo.schedule import Schedule

pytestmark = pytest.mark.usefixtures("one_thread")


def their_trainer(config: OptimConfig, nc=2) -> SimpleNamespace:
    arguments = get_cfg(overrides={
        "optimizer": config.name, "lr0": config.lr0, "lrf": config.lrf, "momentum": config.momentum,
        "warmup_epochs": config.warmup_epochs, "warmup_momentum": config.warmup_momentum,
        "warmup_bias_lr": config.warmup_bias_lr, "cos_lr": config.cos_lr, "nbs": config.nbs,
        "weight_decay": config.weight_decay,
    })  # fmt: skip
    return SimpleNamespace(args=arguments, data={"nc": nc})


def build_theirs(trainer, model, config, decay, iterations) -> torch.optim.Optimizer:
    return BaseTrainer.build_optimizer(
        trainer, model, config.name, config.lr0, config.momentum, decay=decay, iterations=iterations
    )


def assert_same_groups(mine, theirs, model):
    of = {id(parameter): name for name, parameter in model.named_parameters()}
    assert type(mine) is type(theirs)
    assert len(mine.param_groups) == len(theirs.param_groups)
    for ours, expected in zip(mine.param_groups, theirs.param_groups, strict=True):
        assert [of[id(p)] for p in ours["params"]] == [of[id(p)] for p in expected["params"]]
        # `fused` is which kernel does the same arithmetic: ours on a CPU, theirs on a GPU only
        apart = {"params", "fused"}
        assert {k: ours[k] for k in ours.keys() - apart} == {k: expected[k] for k in expected.keys() - apart}


@pytest.mark.parametrize("name", ["AdamW", "SGD", "MuSGD", "adam", "RMSprop", "NAdam"])
def test_optimizer_groups(built, name):
    """Members in their order, rate, momentum, decay and every other setting of each group."""
    config = OptimConfig(name=name, lr0=0.02, momentum=0.9)
    theirs = build_theirs(their_trainer(config), built, config, 0.0004, 100)
    mine = build_optimizer(built, resolve_optimizer(config, 2, 100), 0.0004, class_logit_parameters(built))
    assert_same_groups(mine, theirs, built)
    assert sum(len(group["params"]) for group in mine.param_groups) == len(list(built.parameters()))


@pytest.mark.parametrize("steps", [10_000, 10_001])
@pytest.mark.parametrize("nc", [1, 80])
def test_auto_choice(built, steps, nc):
    config = OptimConfig()
    trainer = their_trainer(config, nc)
    theirs = build_theirs(trainer, built, config, 0.0005, steps)
    choice = resolve_optimizer(config, nc, steps)
    assert choice.name == trainer.args.optimizer == ("MuSGD" if steps > 10_000 else "AdamW")
    assert (choice.lr, choice.warmup_bias_lr) == (trainer.args.lr0, trainer.args.warmup_bias_lr)
    assert_same_groups(build_optimizer(built, choice, 0.0005, class_logit_parameters(built)), theirs, built)


def test_unknown_optimizer():
    with pytest.raises(ConfigError, match=r"--model\.optim\.name Lion: no such optimizer; known are Adam"):
        resolve_optimizer(OptimConfig(name="Lion"), 2, 100)


def warmup_lines() -> str:
    """The lines of Ultralytics' training loop that set rates, momentum and accumulation at an iteration."""
    source = inspect.getsource(BaseTrainer._do_train)
    start = source.index("if nw and ni <= nw:")
    indent = source[source.rindex("\n", 0, start) + 1 : start]
    return textwrap.dedent(indent + source[start : source.index("# Forward", start)].rstrip())


def pipeline_lines() -> str:
    """The lines that set accumulation and decay from the batch size, and count the iterations."""
    source = inspect.getsource(BaseTrainer._build_train_pipeline)
    start, end = source.index("self.accumulate = "), source.index("self.optimizer = ")
    indent = source[source.rindex("\n", 0, start) + 1 : start]
    return textwrap.dedent(indent + source[start:end].rstrip())


RUNS = [(6, 13, 4), (6, 13, 7), (3, 5, 16), (1, 4, 8), (10, 3, 24), (2, 2, 100), (5, 7, 1), (4, 31, 3), (2, 154, 11)]
"""Epochs, batches, batch size; in the last run accumulation passes exactly half way between two numbers."""


@pytest.mark.parametrize(("epochs", "batches", "batch_size"), RUNS)
@pytest.mark.parametrize("cos", [False, True])
@pytest.mark.parametrize(("name", "warmup"), [("SGD", 3.0), ("auto", 3.0), ("MuSGD", 0.7), ("AdamW", 0.0)])
def test_schedule_at_every_iteration(epochs, batches, batch_size, cos, name, warmup):
    """Ultralytics' own lines run beside ours over a whole run: rates, momentum and accumulation are equal."""
    config = OptimConfig(name=name, cos_lr=cos, warmup_epochs=warmup, warmup_bias_lr=0.05)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    model.model = [torch.nn.Module()]  # where Ultralytics looks for a head
    images = batches * batch_size
    trainer = their_trainer(config)
    trainer.epochs, trainer.batch_size, trainer.optimizer = epochs, batch_size, None
    loader = type("Loader", (list,), {"dataset": range(images)})(range(batches))
    trainer.train_loader, trainer.args.time = loader, None
    names = {"self": trainer, "math": __import__("math"), "np": np}
    exec(pipeline_lines(), names)
    decay = names["weight_decay"]
    trainer.optimizer = build_theirs(trainer, model, config, decay, names["iterations"])
    BaseTrainer._setup_scheduler(trainer)
    trainer.scheduler.last_epoch = -1
    nw, acc0 = BaseTrainer._get_warmup_iterations(trainer, batches), trainer.accumulate

    assert names["iterations"] == nominal_steps(images, epochs, config, batch_size)
    assert decay == pytest.approx(scaled_decay(config, batch_size), rel=1e-12)
    choice = resolve_optimizer(config, 2, names["iterations"])
    mine = build_optimizer(model, choice, decay)
    schedule = Schedule.plan(config, choice, epochs, batches, batch_size)
    lines = compile(warmup_lines(), "warmup", "exec")
    for epoch in range(epochs):
        trainer.scheduler.step()
        for batch in range(batches):
            exec(
                lines,
                {"self": trainer, "np": np, "nw": nw, "ni": batch + batches * epoch, "epoch": epoch, "acc0": acc0},
            )
            assert schedule.apply(mine, epoch, batch) == trainer.accumulate
            for ours, theirs in zip(mine.param_groups, trainer.optimizer.param_groups, strict=True):
                assert ours["lr"] == pytest.approx(theirs["lr"], rel=1e-12, abs=1e-15)
                assert ours.get("momentum", 0) == pytest.approx(theirs.get("momentum", 0), rel=1e-12)
                assert ours.get("betas") == theirs.get("betas")


def test_schedule_needs_no_state():
    """A resumed run is where it was, whatever the optimizer's rates say."""
    config = OptimConfig(name="SGD")
    schedule = Schedule.plan(config, ResolvedOptimizer("SGD", 0.01, 0.9, 0.1), 10, 5, 16)
    rates = []
    for start in (0, 33):
        optimizer = build_optimizer(torch.nn.Conv2d(1, 1, 1), ResolvedOptimizer("SGD", 0.01, 0.9, 0.1), 0.0)
        for group in optimizer.param_groups:
            group["initial_lr"] = 0.01
            group["lr"] = 123.0
        for iteration in range(start, 35):
            schedule.apply(optimizer, iteration // 5, iteration % 5)
        rates.append([group["lr"] for group in optimizer.param_groups])
    assert rates[0] == rates[1] == pytest.approx([0.01 * (1 - 0.6 * 0.99)] * 3)
