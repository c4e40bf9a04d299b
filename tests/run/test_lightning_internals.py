"""Lightning still has the private names that this package relies on, and they do what it relies on."""

from __future__ import annotations

import importlib
import inspect
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from helpers import REPO
from lightning.pytorch.demos.boring_classes import BoringDataModule, BoringModel
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader, TensorDataset

from aigp_lightning.run import lightning_internals as internals

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}


def class_at(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_classes_still_have_the_methods_that_ours_override() -> None:
    lost = [
        f"{owner}.{name}" for owner, name in internals.INHERITED if not callable(getattr(class_at(owner), name, None))
    ]
    assert lost == []


def test_classes_still_set_the_attributes_that_ours_use() -> None:
    lost = []
    for owner, name in internals.INHERITED_ATTRIBUTES:
        sources = [inspect.getsource(one) for one in class_at(owner).__mro__ if one.__module__.startswith("lightning.")]
        if not any(f"self.{name}" in source for source in sources):
            lost.append(f"{owner}.{name}")
    assert lost == []


def test_a_method_that_is_overridden_is_still_called() -> None:
    """Were it called no more, ours would silently do nothing."""
    from lightning.pytorch.cli import LightningCLI

    source = inspect.getsource(LightningCLI)
    assert source.count("self._parse_ckpt_path()") == 1
    assert "self._run_subcommand(" in source


class Steps(pl.LightningModule):
    """Steps at every second batch, by hand, and logs at each."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        self.manual_backward(self.layer(batch[0]).sum())
        if batch_idx % 2:
            self.optimizers().step()  # type: ignore[union-attr]
        self.log("value", float(batch_idx), on_step=False, on_epoch=True)

    def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        self.log("x", 1.0)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_batches_stepped_is_the_step_of_logged_scalars(tmp_path: Path) -> None:
    class Seen(pl.Callback):
        def __init__(self) -> None:
            self.steps: list[int] = []

        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            self.steps.append(internals.batches_stepped(trainer))

    seen, data = Seen(), DataLoader(TensorDataset(torch.ones(4, 1)))
    logger = CSVLogger(tmp_path, name="", version="")
    trainer = pl.Trainer(max_epochs=2, logger=logger, callbacks=[seen], accelerator="cpu", log_every_n_steps=1,
                         enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)  # fmt: skip
    trainer.fit(Steps(), data)
    logged = [line.split(",") for line in (tmp_path / "metrics.csv").read_text().splitlines()]
    column = logged[0].index("step")
    assert [int(row[column]) for row in logged[1:]] == [step - 1 for step in seen.steps] == [3, 7]
    assert trainer.global_step == 4, "optimizer steps are others"


@pytest.mark.parametrize(
    ("interval", "every", "expected"),
    [
        (1.0, 1, [False, False]),
        (0.5, 1, [True, False, True, False]),
        (3, 1, [False, False]),
        (3, None, [False, False]),  # batches 3, 6 of two epochs of four
        (1, None, [True, True, True, False, True, True, True, False]),
    ],
)
def test_another_validation_of_the_epoch_is_foreseen(
    interval: float, every: int | None, expected: list[bool], tmp_path: Path
) -> None:
    class Seen(pl.Callback):
        def __init__(self) -> None:
            self.again: list[bool] = []

        def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            self.again.append(internals.validates_again(trainer))
            assert set(internals.logged_now(trainer)) == {"x"}

        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            assert set(internals.logged_now(trainer)) == {"value"}
            assert "x" in trainer.callback_metrics

    seen, data = Seen(), DataLoader(TensorDataset(torch.ones(4, 1)))
    trainer = pl.Trainer(max_epochs=2, val_check_interval=interval, check_val_every_n_epoch=every, callbacks=[seen],
                         accelerator="cpu", default_root_dir=tmp_path, num_sanity_val_steps=0, **QUIET)  # fmt: skip
    trainer.fit(Steps(), data, data)
    assert seen.again == expected


def test_a_module_knows_its_trainer_and_a_trainer_its_datamodule(tmp_path: Path) -> None:
    module, data = BoringModel(), BoringDataModule()
    assert internals.trainer_of(module) is None
    with pytest.raises(RuntimeError, match="not attached"):
        _ = module.trainer
    trainer = pl.Trainer(fast_dev_run=1, accelerator="cpu", default_root_dir=tmp_path, **QUIET)
    assert internals.is_trial(trainer)
    other = pl.Trainer(overfit_batches=0.5, accelerator="cpu", **QUIET)
    assert (internals.is_trial(other), internals.overfit_batches(other)) == (False, 0.5)
    assert internals.overfit_batches(trainer) == 0
    assert internals.datamodule_of(trainer) is None
    trainer.fit(module, data)
    assert internals.trainer_of(module) is trainer
    assert internals.datamodule_of(trainer) is data


def test_a_trainer_takes_another_folder(tmp_path: Path) -> None:
    trainer = pl.Trainer(accelerator="cpu", default_root_dir=tmp_path / "one", **QUIET)
    internals.set_default_root_dir(trainer, str(tmp_path / "other"))
    assert trainer.default_root_dir == str(tmp_path / "other")


def test_a_strategy_connects_with_the_timeout_that_it_was_given_late() -> None:
    strategy = DDPStrategy()
    internals.set_process_timeout(strategy, timedelta(minutes=7))
    assert "self._timeout" in inspect.getsource(DDPStrategy.setup_distributed)
    assert strategy._timeout == timedelta(minutes=7)


def test_a_strategy_wraps_with_options_that_it_was_given_late() -> None:
    strategy = DDPStrategy(bucket_cap_mb=3)
    internals.set_ddp_options(strategy, {"bucket_cap_mb": 512, "gradient_as_bucket_view": True})
    assert "**self._ddp_kwargs" in inspect.getsource(DDPStrategy._setup_model)
    assert strategy._ddp_kwargs == {"bucket_cap_mb": 3, "gradient_as_bucket_view": True}, "the user's own stays"


PRIVATE = re.compile(
    r"(?<!\bself)\.(_trainer|_default_root_dir|_batches_that_stepped|_timeout|_results|_data_connector|_ddp_kwargs)\b"
)


def test_private_names_of_a_trainer_stand_in_one_file() -> None:
    """What reaches into a trainer, a strategy, a loop or a module goes through `lightning_internals`."""
    found = []
    for path in sorted((REPO / "aigp_lightning").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        inherited = path.parent.name == "modules" and "self._trainer" in text
        if path.name != "lightning_internals.py" and (inherited or PRIVATE.search(text)):
            found.append(path.relative_to(REPO).as_posix())
    assert found == []
