"""Charts of every logger count epochs, as its pictures do; a W&B run has one row of figures an epoch."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import pytest

from aigp_lightning.logfiles.logged import logged_scalars
from aigp_lightning.logfiles.wandb_run import read_wandb_run, wandb_folders
from aigp_lightning.loggers.config import arguments_of, resolve_loggers
from aigp_lightning.loggers.epoch_axis import EpochAxis
from aigp_lightning.loggers.epoch_rows import RowsByEpoch
from aigp_lightning.loggers.tensorboard import ResilientTensorBoardLogger
from aigp_lightning.loggers.wandb import ResilientWandbLogger, open_run
from aigp_lightning.loggers.wandb_closing import finish_wandb
from aigp_lightning.loggers.wandb_options import WandbOptions, public_values


def opened(folder: Path, options: WandbOptions) -> ResilientWandbLogger:
    entry = {"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": {"save_dir": str(folder)}}
    arguments = arguments_of(resolve_loggers(entry, folder, options))
    board = open_run(ResilientWandbLogger(**arguments), arguments, folder, options, {})
    assert isinstance(board, ResilientWandbLogger)
    return board


def test_a_run_at_wandb_has_one_row_an_epoch_and_counts_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    words = {"tags": ["night"], "group": "seeds", "job_type": "finetune", "notes": "eight corners"}
    board = opened(tmp_path, WandbOptions(config=False, **words))  # type: ignore[arg-type]
    for epoch, step in ((0, 3), (1, 7)):
        board.log_metrics({"val/box_loss": 2.0 - epoch, "epoch": epoch}, step)
        board.log_metrics({"train/box_loss": 3.0 - epoch, "epoch": epoch}, step)
    board.log_metrics({"val/box_loss": 0.5, "epoch": 1}, 7)  # a second validation of the epoch: a row of its own
    board.summarize({"best/epoch": 1, "best/metrics/mAP50(B)": 0.75})
    board.finalize("success")
    finish_wandb()
    (folder,) = wandb_folders(tmp_path)
    run = read_wandb_run(folder)
    rows = [{key: row[key] for key in row if not key.startswith("_")} for row in run.history]
    assert rows == [
        {"epoch": 0, "trainer/global_step": 3, "val/box_loss": 2.0, "train/box_loss": 3.0},
        {"epoch": 1, "trainer/global_step": 7, "val/box_loss": 1.0, "train/box_loss": 2.0},
        {"epoch": 1, "trainer/global_step": 7, "val/box_loss": 0.5},
    ]
    assert {key: run.summary[key] for key in ("best/epoch", "best/metrics/mAP50(B)")} == {
        "best/epoch": 1,
        "best/metrics/mAP50(B)": 0.75,
    }
    assert run.labels == {"tags": ["night"], "run_group": "seeds", "job_type": "finetune", "notes": "eight corners"}


def test_a_copy_begins_empty() -> None:
    rows = RowsByEpoch()
    rows.add({"val/loss": 0.5, "epoch": 0}, 3)
    copy = pickle.loads(pickle.dumps(rows))
    assert copy.pop() is None
    assert copy.add({"val/loss": 0.5, "epoch": 0}, 3) == []
    assert rows.pop() is not None


def test_rows_of_an_earlier_version_are_not_sent_again() -> None:
    rows = RowsByEpoch()
    rows.add({"val/loss": 0.5, "epoch": 0}, 3)
    rows.add({"train/loss": 0.7, "epoch": 0}, 3)
    row = rows.pop()
    assert row is not None
    assert rows.pop() is None
    val, train = frozenset({"val/loss", "epoch"}), frozenset({"train/loss", "epoch"})
    assert row.without(Counter({(val, 3): 1, (train, 3): 1})) == {}
    assert row.without(Counter({(val | train, 3): 1})) == {}
    assert row.without(Counter({(val, 3): 1})) == {"train/loss": 0.7, "epoch": 0}
    assert row.without(Counter({(val, 2): 1})) == {"val/loss": 0.5, "train/loss": 0.7, "epoch": 0}


def test_a_variable_that_an_option_outdoes_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_TAGS", "day")
    entry = {"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": {"save_dir": str(tmp_path)}}
    arguments = arguments_of(resolve_loggers(entry, tmp_path, WandbOptions(tags=["night", "fast"])))
    assert arguments["tags"] == ["night", "fast"]
    assert "WANDB_TAGS has no effect, the configuration says tags night,fast; --wandb.tags" in capsys.readouterr().err


def test_what_the_logger_itself_says_wins_over_the_group(tmp_path: Path) -> None:
    entry = {
        "class_path": "lightning.pytorch.loggers.WandbLogger",
        "init_args": {"save_dir": str(tmp_path)},
        "dict_kwargs": {"tags": ["mine"]},
    }
    assert arguments_of(resolve_loggers(entry, tmp_path, WandbOptions(tags=["night"])))["tags"] == ["mine"]


def test_options_of_pictures_are_in_the_config_and_not_where_they_go() -> None:
    media = {
        "val_batches": 3,
        "val_select": "worst",
        "private": ["a/*"],
        "val_files": "b",
        "sign": "mykey",
        "conf": 0.3,
    }
    routes = {"everything": ["file", "wandb"], "curves": None}
    optim = {"model": {"init_args": {"optim": {"name": "AdamW", "lr0": 0.01}, "name": "secret-project"}}}
    assert public_values(optim, frozenset()) == {"model": {"optim": {"name": "AdamW", "lr0": 0.01}}}
    found = public_values({"media": {**media, "routes": routes}}, frozenset())
    assert found == {"media": {"val_batches": 3, "val_select": "worst", "conf": 0.3}}


def test_scalars_of_tensorboard_are_at_their_epoch(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = ResilientTensorBoardLogger(save_dir=str(tmp_path), name="tensorboard", version="")
    for epoch, step in ((0, 30), (1, 60)):
        logger.log_metrics({"val/loss": 2.0 - epoch, "epoch": epoch}, step)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("val/loss")] == [(0, 2.0), (1, 1.0)]


def test_a_folder_that_counts_steps_goes_on_so_and_one_of_epochs_as_well() -> None:
    metrics = {"val/loss": 0.5, "epoch": 2}
    assert EpochAxis([(29, 0), (59, 1)]).place(metrics, 89) == 89
    assert EpochAxis([(29, 0)]).place(metrics, 89) == 89
    assert EpochAxis([(0, 0), (1, 1)]).place(metrics, 89) == 2
    assert EpochAxis([(0, 0), (1, 1), (30, 1), (45, 1)]).place(metrics, 89) == 2  # two of metrics that count steps
    assert EpochAxis([(10, 10), (11, 11)]).place(metrics, 89) == 2  # resumed in a new folder
    assert EpochAxis([(10, 10)]).place(metrics, 89) == 2  # and killed after one epoch


def test_a_logger_that_joined_late_and_was_resumed_after_one_epoch_counts_epochs(tmp_path: Path) -> None:
    for epoch, step in ((10, 329), (11, 359)):
        logger = ResilientTensorBoardLogger(save_dir=str(tmp_path), name="tensorboard", version="", skip_logged=True)
        logger.log_metrics({"val/loss": 1.0, "epoch": epoch}, step)
        logger.finalize("success")
    assert logged_scalars(tmp_path).points == {(name, step): 1 for name in ("val/loss", "epoch") for step in (10, 11)}


def test_what_comes_several_times_an_epoch_counts_steps_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    axis = EpochAxis()
    with caplog.at_level("INFO"):
        places = [axis.place({"mine/loss": 1.0, "epoch": epoch}, step) for epoch, step in ((0, 1), (0, 2), (1, 3))]
    assert places == [0, 2, 3]
    assert sum("mine/loss is logged several times an epoch" in message for message in caplog.messages) == 1
    assert axis.place({"val/loss": 1.0, "epoch": 1}, 3) == 1
