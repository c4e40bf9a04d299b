"""Lightning's options: what cannot work is refused by name, with what to take instead; what can is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from aigp_lightning.cli.callback_options import check_callback_options, check_callbacks
from aigp_lightning.cli.trainer_options import RULES, check_lightning_options, check_trainer_options
from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.detector import DetectorModule

REFUSED: list[tuple[str, Any, str]] = [
    ("accelerator", "gpuu", "there is no such accelerator"),
    ("accelerator", "tpu", "PyTorch finds none on this machine"),
    ("strategy", "dpp", "there is no such strategy"),
    ("strategy", "fsdp", "each process holds a whole model here"),
    ("devices", 0, "a number of devices"),
    ("devices", -2, "a number of devices"),
    ("devices", "0", "a number of devices"),
    ("devices", "two", "a number of devices"),
    ("devices", [], "a number of devices"),
    ("devices", [1, 1], "a number of devices"),
    ("devices", 99999999999, "a number of devices"),
    ("num_nodes", 0, "1 or more"),
    ("max_epochs", -1, "the schedule is laid out over the whole run"),
    ("max_epochs", None, "the schedule is laid out over the whole run"),
    ("min_epochs", -1, "0 or more"),
    ("max_steps", 0, "1 or more optimizer steps; -1"),
    ("max_steps", -2, "1 or more optimizer steps; -1"),
    ("min_steps", -1, "0 or more"),
    ("max_time", "half a day", "DD:HH:MM:SS"),
    ("max_time", "00:00:00:00", "DD:HH:MM:SS"),
    ("max_time", {"hour": 1}, "DD:HH:MM:SS"),
    ("limit_train_batches", 0, "nothing would be trained"),
    ("limit_train_batches", 1.5, "from 0.0 to 1.0"),
    ("limit_val_batches", -1, "from 0.0 to 1.0"),
    ("limit_test_batches", float("nan"), "from 0.0 to 1.0"),
    ("limit_predict_batches", -0.1, "from 0.0 to 1.0"),
    ("val_check_interval", 0, "above 0.0"),
    ("val_check_interval", 0.0, "above 0.0"),
    ("val_check_interval", 1.5, "above 0.0"),
    ("val_check_interval", "soon", "DD:HH:MM:SS"),
    ("check_val_every_n_epoch", 0, "1 or more epochs"),
    ("num_sanity_val_steps", -2, "-1 for all"),
    ("log_every_n_steps", -1, "0 or more"),
    ("enable_checkpointing", False, "--checkpoint.save_top_k 0"),
    ("use_distributed_sampler", True, "Leave it false"),
    ("barebones", True, "--trainer.profiler simple"),
    ("reload_dataloaders_every_n_epochs", 1, "Leave it 0"),
    ("default_root_dir", "x", "--run.root and --run.name"),
    ("model_registry", "mine", "`export`"),
    ("accumulate_grad_batches", 0, "1 or more"),
    ("accumulate_grad_batches", 2, "Take --model.optim.nbs."),
    ("gradient_clip_val", float("nan"), "0 or more"),
    ("gradient_clip_val", 1.0, "Take --model.optim.clip_norm."),
    ("gradient_clip_algorithm", "norm", "Take --model.optim.clip_norm."),
]
TAKEN: list[tuple[str, Any]] = [
    *(("accelerator", name) for name in ("auto", "cpu")),
    *(("strategy", name) for name in ("auto", "ddp", "ddp_spawn", {"class_path": "mine.Strategy"})),
    *(("devices", value) for value in ("auto", 1, 2, "2", "0,1", [0, 1], -1)),
    *(("max_steps", value) for value in (-1, 5)),
    *(("max_time", value) for value in (None, "00:12:00:00", {"hours": 12})),
    *(("limit_train_batches", value) for value in (None, 1, 0.5, 1.0)),
    *(("limit_val_batches", value) for value in (None, 0, 0.0, 3)),
    *(("val_check_interval", value) for value in (None, 1, 0.5, 1.0, 250, "00:01:00:00", {"minutes": 5})),
    *(("check_val_every_n_epoch", value) for value in (None, 1, 5)),
    *(("num_sanity_val_steps", value) for value in (None, -1, 0, 2)),
    ("accumulate_grad_batches", 1),
    ("gradient_clip_val", None),
]


@pytest.mark.parametrize(("option", "value", "told"), REFUSED, ids=str)
def test_what_cannot_work_is_refused_with_what_to_take(option: str, value: Any, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_trainer_options({option: value}, "fit", DetectorModule.replaced_options)
    said = str(refused.value)
    assert said.startswith(f"--trainer.{option} ") and told in said and "\n" not in said


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"min_epochs": 3, "max_epochs": 1}, "--trainer.min_epochs 3 and --trainer.max_epochs 1: a run ends with"),
        (
            {"overfit_batches": 2, "limit_train_batches": 3},
            "--trainer.overfit_batches 2 and --trainer.limit_train_batches 3: overfit_batches sets limit_train_batches",
        ),
        (
            {"overfit_batches": 0.5, "limit_val_batches": 0},
            "--trainer.overfit_batches 0.5 and --trainer.limit_val_batches 0: overfit_batches sets limit_val_batches",
        ),
    ],
)
def test_options_that_make_each_other_void(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_trainer_options(given, "fit", {})
    assert str(refused.value).startswith(told)
    check_trainer_options(given, "validate", {})
    check_trainer_options({"min_epochs": 1, "max_epochs": 1, "overfit_batches": 0.0, "limit_val_batches": 0}, "fit", {})


def test_every_rule_is_tried() -> None:
    assert {rule.option for rule in RULES} <= {option for option, _, _ in REFUSED}


def test_what_can_work_is_left_alone() -> None:
    for option, value in TAKEN:
        check_trainer_options({option: value}, "fit", DetectorModule.replaced_options)
    check_trainer_options({"accumulate_grad_batches": 4, "gradient_clip_val": 1.0}, "fit", {})  # another family's


def test_a_trainings_options_do_not_keep_a_model_from_being_measured() -> None:
    for_training = {"max_epochs": -1, "accumulate_grad_batches": 4, "enable_checkpointing": False, "max_steps": 0}
    check_trainer_options(for_training, "validate", DetectorModule.replaced_options)
    with pytest.raises(ConfigError, match=r"--trainer\.devices 0"):
        check_trainer_options({"devices": 0}, "validate", {})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"seed_everything": -1}, "--seed_everything -1: a number from 0 to 4294967295."),
        ({"optimizer": {"class_path": "torch.optim.SGD"}}, "--optimizer: .* --model.optim.name"),
        ({"lr_scheduler": {"class_path": "StepLR"}}, "--lr_scheduler: .* --model.optim.cos_lr"),
        ({"trainer": {"callbacks": [{"class_path": "lightning.pytorch.callbacks.BatchSizeFinder"}]}}, "batch_size"),
        ({"checkpoint": {"mode": "up", "filename": "best"}}, "--checkpoint.mode up: min or max."),
    ],
)
def test_the_other_groups_of_lightnings(given: dict[str, Any], told: str) -> None:
    config = {"seed_everything": 0, "trainer": {}, **given}
    with pytest.raises(ConfigError, match=told):
        check_lightning_options(config, "fit", {}, [name for name in given if name == "checkpoint"])


@pytest.mark.parametrize(
    ("group", "options", "told"),
    [
        ("early_stopping", {"patience": -1}, "--early_stopping.patience -1: a number from 0"),
        ("early_stopping", {"min_delta": float("nan")}, "--early_stopping.min_delta nan: a number that is finite"),
        ("checkpoint", {"save_top_k": -2}, "--checkpoint.save_top_k -2: a number from -1"),
        ("checkpoint", {"every_n_epochs": 0}, "--checkpoint.every_n_epochs 0: a number from 1"),
        ("checkpoint", {"filename": "last"}, "--checkpoint.filename last: a plain name"),
        ("checkpoint", {"filename": "../best"}, "--checkpoint.filename ../best: a plain name"),
        ("checkpoint", {"filename": None}, "--checkpoint.filename null: a plain name"),
        ("checkpoint", {"filename": "best-{epoch"}, "--checkpoint.filename best-{epoch: braces hold names of metrics"),
        ("checkpoint", {"dirpath": "x"}, "--checkpoint.dirpath: weights go to the run folder"),
    ],
)
def test_values_of_callbacks(group: str, options: dict[str, Any], told: str) -> None:
    fine = {"mode": "max", "filename": "best"}
    check_callback_options(group, fine)
    with pytest.raises(ConfigError) as refused:
        check_callback_options(group, {**fine, **options})
    assert str(refused.value).startswith(told)


def test_callbacks_of_the_users_are_left_alone() -> None:
    for name in ("lightning.pytorch.callbacks.LearningRateMonitor", "mine.EMA", "lightning.pytorch.callbacks.Timer"):
        check_callbacks({"class_path": name})
    check_callbacks(None)
