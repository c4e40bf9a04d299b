"""Figures count in the epoch in which they were measured: rows, logged scalars, the best checkpoint, early stopping."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, OnExceptionCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from aigp_lightning.callbacks.best_checkpoint import BestCheckpoint, best_checkpoint_of, check_best_options
from aigp_lightning.callbacks.last_checkpoint import LastCheckpoint
from aigp_lightning.callbacks.monitoring import StopEarly
from aigp_lightning.callbacks.results import Results, read_rows
from aigp_lightning.callbacks.resumed_run import ResumedRun
from aigp_lightning.callbacks.users_callbacks import check_users_callbacks
from aigp_lightning.checkpoints.io import AtomicCheckpointIO
from aigp_lightning.errors import ConfigError


class Scripted(pl.LightningModule):
    """Each validation measures the next fitness of a list."""

    def __init__(self, fitness: Sequence[float]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.layer, self.coming = torch.nn.Linear(1, 1), list(fitness)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.manual_backward(self.layer(batch).sum())
        self.optimizers().step()  # type: ignore[union-attr]
        self.log("train/loss", float(self.current_epoch), on_step=False, on_epoch=True, batch_size=1)

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        """Nothing to compute."""

    def on_validation_epoch_end(self) -> None:
        if not self.trainer.sanity_checking:
            self.log_dict({"fitness": self.coming[0], "metrics/m": self.coming.pop(0)})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(torch.ones(4, 1))  # type: ignore[arg-type]

    val_dataloader = train_dataloader


def train(
    folder: Path, fitness: Sequence[float], *more: Callback, top: int = -1, patience: int = 9, **options: Any
) -> Any:
    """Train as the command line would, in a folder; returns the trainer."""
    store = AtomicCheckpointIO()
    best = BestCheckpoint(
        dirpath=folder / "weights", filename="{epoch}", monitor="fitness", mode="max", save_top_k=top,
        save_on_train_epoch_end=True,
    )  # fmt: skip
    stop = StopEarly("fitness", mode="max", patience=patience, check_on_train_epoch_end=True)
    resume = options.pop("ckpt_path", None)
    trainer = pl.Trainer(
        accelerator="cpu", default_root_dir=folder, plugins=[store], enable_progress_bar=False,
        enable_model_summary=False, logger=CSVLogger(folder, name="", version="csv"), log_every_n_steps=1,
        callbacks=[best, ResumedRun(), *more, Results(print_lines=False), stop, LastCheckpoint(store)], **options,
    )  # fmt: skip
    trainer.fit(Scripted(fitness), ckpt_path=resume)
    return trainer


def measured(folder: Path) -> list[str]:
    return [row.get("metrics/m", "") for row in read_rows(folder / "results.csv")]


def logged(folder: Path) -> list[tuple[int, float]]:
    """Epoch and value of every point of the metric that the logger has."""
    with (folder / "csv" / "metrics.csv").open(newline="") as file:
        return [(int(row["epoch"]), float(row["metrics/m"])) for row in csv.DictReader(file) if row["metrics/m"]]


def saved(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "weights").iterdir() if path.name != "last.ckpt")


def test_every_second_epoch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A row, a point, a saved checkpoint for epochs 2 and 4; a resumed run repeats no figure of before either."""
    options: dict[str, Any] = {"check_val_every_n_epoch": 2, "num_sanity_val_steps": 1}
    train(tmp_path, [0.5, 0.25], max_epochs=5, **options)
    assert measured(tmp_path) == ["", "0.5", "", "0.25", ""]
    assert logged(tmp_path) == [(1, 0.5), (3, 0.25)]
    assert saved(tmp_path) == ["epoch=1.ckpt", "epoch=3.ckpt"]
    again = train(tmp_path, [0.75], max_epochs=7, ckpt_path=tmp_path / "weights" / "last.ckpt", **options)
    assert measured(tmp_path) == ["", "0.5", "", "0.25", "", "0.75", ""]
    assert best_checkpoint_of(again).best_model_path == str(tmp_path / "weights" / "epoch=5.ckpt")  # type: ignore[union-attr]
    assert "nothing is validated" not in caplog.text


def test_several_times_an_epoch(tmp_path: Path) -> None:
    """The last validation of an epoch speaks for it, every one is a point, and an epoch is never cut short."""
    train(tmp_path, [0.75, 0.5, 0.125, 0.25, 1.0, 0.25], max_epochs=9, val_check_interval=0.5, patience=2, top=1)
    assert measured(tmp_path) == ["0.5", "0.25", "0.25"]
    assert logged(tmp_path) == [(0, 0.75), (0, 0.5), (1, 0.125), (1, 0.25), (2, 1.0), (2, 0.25)]
    assert saved(tmp_path) == ["epoch=0.ckpt"]


def test_over_epochs_and_never(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        train(tmp_path, [0.5], max_epochs=3, val_check_interval=7, check_val_every_n_epoch=None)
        assert measured(tmp_path) == ["", "0.5", ""]
        assert "nothing is validated" not in caplog.text
        train(tmp_path / "never", [], max_epochs=2, limit_val_batches=0)
    assert "nothing is validated in this run: the last epoch counts as the best" in caplog.text
    assert measured(tmp_path / "never") == ["", ""]
    caplog.clear()
    with caplog.at_level("INFO"):
        train(tmp_path, [], max_epochs=4, limit_val_batches=0, ckpt_path=tmp_path / "weights" / "last.ckpt")
    assert "the best stays the one there is, of fitness 0.5," in caplog.text
    assert "the last epoch counts" not in caplog.text
    assert saved(tmp_path / "never") == []


def test_an_epoch_that_is_cut_short_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        train(tmp_path, [0.5], max_epochs=5, max_steps=6)
    assert measured(tmp_path) == ["0.5", ""]
    assert "epoch 2 ended after 2 of its 4 batches; weights/last.ckpt is of then" in caplog.text


def test_patience_counts_validated_epochs(tmp_path: Path) -> None:
    """Two without a better one are the epochs 4 and 6; a further start with a larger patience goes on from there."""
    options: dict[str, Any] = {"max_epochs": 9, "check_val_every_n_epoch": 2}
    train(tmp_path, [0.5, 0.25, 0.125], patience=2, **options)
    last = tmp_path / "weights" / "last.ckpt"
    train(tmp_path, [], patience=2, ckpt_path=last, **options)
    assert measured(tmp_path) == ["", "0.5", "", "0.25", "", "0.125"]
    train(tmp_path, [0.0625], patience=3, ckpt_path=last, **options)
    assert measured(tmp_path)[6:] == ["", "0.0625"]


@pytest.mark.parametrize("wrong", ["checkpoint", "early_stopping"])
def test_a_figure_that_nobody_measures(wrong: str, tmp_path: Path) -> None:
    other: Any = BestCheckpoint(monitor="recall") if wrong == "checkpoint" else StopEarly("recall")
    with pytest.raises(ConfigError, match=rf"--{wrong}.monitor recall: .*there are train/loss, fitness, metrics/m"):
        pl.Trainer(
            accelerator="cpu", max_epochs=1, logger=False, callbacks=[other], default_root_dir=tmp_path,
            enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=wrong == "checkpoint",
        ).fit(Scripted([0.5]))  # fmt: skip


class Breaks(Callback):
    """Looks for the other callbacks' checkpoint as soon as it is written, and fails in the third epoch."""

    def __init__(self, file: Path) -> None:
        self.file, self.seen = file, [False]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.seen.append(self.file.is_file())
        if trainer.current_epoch == 2:
            raise ZeroDivisionError


def test_checkpoint_callbacks_of_the_users_own(tmp_path: Path) -> None:
    """Theirs go by another figure, and stand first; ours are the run's best and last, and theirs outlive a failure."""
    kept = tmp_path / "kept"
    users = (
        ModelCheckpoint(kept, "worst", monitor="fitness", mode="min", enable_version_counter=False),
        OnExceptionCheckpoint(kept), EarlyStopping("fitness", patience=9), Breaks(kept / "worst.ckpt"),
    )  # fmt: skip
    with pytest.raises(ZeroDivisionError):
        train(tmp_path, [0.5, 0.75], *users, top=1, max_epochs=5)
    assert users[-1].seen == [False, False, True, True]  # type: ignore[attr-defined]
    names = [
        path.name for path in sorted(tmp_path.rglob("*")) if path.is_file() and path.parent.name in ("kept", "weights")
    ]
    assert names == ["on_exception.ckpt", "worst.ckpt", "epoch=1.ckpt", "last.ckpt"]
    epochs = {name: torch.load(next(tmp_path.rglob(name)), weights_only=True)["epoch"] for name in names}
    assert epochs == {"on_exception.ckpt": 2, "worst.ckpt": 0, "epoch=1.ckpt": 1, "last.ckpt": 1}


def test_the_run_s_own_is_the_best_whatever_stands_first() -> None:
    own = BestCheckpoint(monitor="fitness", mode="max")
    quiet: dict[str, Any] = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False}
    assert best_checkpoint_of(pl.Trainer(callbacks=[ModelCheckpoint(monitor="a"), own], **quiet)) is own
    theirs = ModelCheckpoint(monitor="a")
    assert best_checkpoint_of(pl.Trainer(callbacks=[theirs], **quiet)) is theirs


@pytest.mark.parametrize(
    ("folder", "expected"), [("old", "old/best.ckpt"), ("moved", "moved/best.ckpt"), ("another", "")]
)
def test_the_best_so_far_is_a_file_of_this_run(folder: str, expected: str, tmp_path: Path) -> None:
    """States of earlier versions have Lightning's name. In a folder without the file nothing was the best yet."""
    for name in ("old", "moved"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "best.ckpt").touch()
    old, score = str(tmp_path / "old" / "best.ckpt"), torch.tensor(0.5)
    before = ModelCheckpoint(tmp_path / "old", monitor="fitness", mode="max")
    before.best_model_path = before.kth_best_model_path = old
    before.best_model_score = before.kth_value = score
    before.best_k_models = {old: score}
    best = BestCheckpoint(tmp_path / folder, monitor="fitness", mode="max")
    checkpoint = {"callbacks": {before.state_key: before.state_dict()}}
    best.on_load_checkpoint(None, None, checkpoint)  # type: ignore[arg-type]
    best.load_state_dict(checkpoint["callbacks"][best.state_key])
    path = str(tmp_path / expected) if expected else ""
    assert best.best_model_path == path
    assert best.best_k_models == ({path: score} if path else {})


@pytest.mark.parametrize(("name", "value"), [("dirpath", "x"), ("save_last", True), ("save_weights_only", True)])
def test_options_that_the_run_decides(name: str, value: object) -> None:
    check_best_options({"dirpath": None, "save_last": False, "save_weights_only": False})
    with pytest.raises(ConfigError, match=f"--checkpoint.{name} {value}: "):
        check_best_options({name: value})


@pytest.mark.parametrize(
    ("name", "arguments", "logger", "told"),
    [
        ("LearningRateMonitor", {}, False, "needs a logger"),
        ("StochasticWeightAveraging", {"swa_lrs": 0.1}, True, "--ema"),
        ("GradientAccumulationScheduler", {"scheduling": {0: 2}}, True, "--model.optim.nbs"),
        ("LearningRateFinder", {}, True, "--model.optim has the rate"),
        ("ModelCheckpoint", {"dirpath": "run/weights"}, True, "keeps its own checkpoints"),
        ("OnExceptionCheckpoint", {"dirpath": "run/weights"}, True, "keeps its own checkpoints"),
        ("RichProgressBar", {}, None, "enable_progress_bar is false"),
    ],
)
def test_callbacks_that_cannot_work_are_refused(
    name: str, arguments: dict[str, Any], logger: bool | None, told: str, tmp_path: Path
) -> None:
    callback = getattr(pl.callbacks, name)(**arguments)
    options = type("Options", (), {"logger": logger, "enable_progress_bar": None if logger is not None else False})
    with pytest.raises(ConfigError, match=rf"(?s)^--trainer.callbacks.*{name}.*{told}"):
        check_users_callbacks([callback], options, Path("run/weights"), {})


def test_nothing_goes_on_unasked(tmp_path: Path) -> None:
    """Lightning resumes from the newest of these files once there is an `OnExceptionCheckpoint`."""
    options = type("Options", (), {"logger": True, "enable_progress_bar": None})
    callbacks = [OnExceptionCheckpoint(tmp_path), ModelCheckpoint(tmp_path / "kept", save_last=True)]
    check_users_callbacks(callbacks, options, Path("run/weights"), {})
    (tmp_path / "kept").mkdir()
    for left in (tmp_path / "on_exception.ckpt", tmp_path / "kept" / "last.ckpt"):
        left.touch()
        with pytest.raises(ConfigError, match=f"{left.name} is of an earlier run"):
            check_users_callbacks(callbacks, options, Path("run/weights"), {})
        check_users_callbacks(callbacks, options, Path("run/weights"), {}, beginning=False)
        check_users_callbacks(callbacks[1:], options, Path("run/weights"), {})
        left.unlink()


def test_callbacks_that_a_checkpoint_could_not_tell_apart() -> None:
    options = type("Options", (), {"logger": True, "enable_progress_bar": None})
    own = {"results": Results}
    two = [EarlyStopping("a", mode="min"), EarlyStopping("a", mode="max")]
    check_users_callbacks([*two, ModelCheckpoint("kept")], options, Path("run/weights"), own)
    for callbacks, told in (([*two, EarlyStopping("a")], "could not tell 2 of them apart"), ([Results()], "--results")):
        with pytest.raises(ConfigError, match=told):
            check_users_callbacks(callbacks, options, Path("run/weights"), own)
