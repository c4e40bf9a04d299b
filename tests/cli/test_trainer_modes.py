"""Lightning's options in whole runs: a trial run, validations that are rare, the user's callbacks beside the run's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers import REPO, small

from aigp_lightning.callbacks.results import read_rows
from aigp_lightning.cli.trainer_modes import check_trainer_modes
from aigp_lightning.errors import ConfigError


def check(verb: str = "fit", ckpt_path: str | None = None, **options: Any) -> None:
    defaults = {"precision": None, "barebones": False, "enable_checkpointing": None, "fast_dev_run": False}
    config = {"trainer": SimpleNamespace(**{**defaults, **options}), "ckpt_path": ckpt_path}
    check_trainer_modes(SimpleNamespace(**config, get=config.get), verb)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        *(({"precision": value}, f"precision {value}") for value in ("16-true", "bf16-true", "64-true", 64, "64")),
        ({"precision": "transformer-engine"}, "Take 32-true, or 16-mixed or bf16-mixed"),
        ({"barebones": True}, "--trainer.fast_dev_run true"),
        ({"enable_checkpointing": False}, "--trainer.fast_dev_run true"),
        ({"fast_dev_run": 2, "ckpt_path": "last"}, "leave --ckpt_path out"),
    ],
)
def test_modes_without_a_run(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as raised:
        check(**options)
    assert "\n" not in str(raised.value)


def test_modes_with_a_run() -> None:
    for precision in (None, "32-true", 32, "16-mixed", "bf16-mixed", 16, "bf16"):
        check(precision=precision, fast_dev_run=True)
    check("validate", "x.ckpt", enable_checkpointing=False, fast_dev_run=True)


def test_a_trial_run_leaves_nothing(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With a W&B logger; a run of the same name that would be resumed stays as it is."""
    monkeypatch.setenv("AIGP_WANDB", "1")
    run = tmp_path / "detect" / "gates"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    status = run_cli(
        *("fit", *small(shapes, tmp_path), "--config", REPO / "configs" / "logger" / "wandb-offline.yaml"),
        *("--media.routes.everything", "[]", "--data.imgsz", 64, "--data.batch_size", 2),
        *("--trainer.fast_dev_run", "true", "--run.resume", "always", "--trainer.max_epochs", 3),
    )
    out = capfd.readouterr().out
    assert status == 0
    assert "fast_dev_run: training and validation went through. Nothing was kept, logged or sent." in out
    assert "best weights" not in out and "run folder" not in out and "not written" not in out
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "detect", "detect/gates", "detect/gates/run.json",
    ]  # fmt: skip


def test_rare_validations_and_the_user_s_own_callbacks(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    """Another checkpoint callback, by another figure and first in the list, and an early stopping by it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    named = "lightning.pytorch.callbacks"
    status = run_cli(
        *("fit", *small(shapes, tmp_path / "runs"), "--trainer.max_epochs", 3, "--trainer.overfit_batches", 1),
        *("--trainer.check_val_every_n_epoch", 2, "--data.imgsz", 64, "--model.optim.nbs", 4, "--data.batch_size", 4),
        *("--media.routes.everything", "[]"),
        *("--trainer.callbacks", f"{named}.ModelCheckpoint", "--trainer.callbacks.monitor", "val/box_loss"),
        *("--trainer.callbacks.dirpath", tmp_path / "kept", "--trainer.callbacks.filename", "theirs"),
        *("--trainer.callbacks+", f"{named}.EarlyStopping", "--trainer.callbacks.monitor", "val/box_loss"),
        *("--trainer.callbacks+", f"{named}.LearningRateMonitor"),
    )
    out = capfd.readouterr().out
    run = tmp_path / "runs" / "detect" / "gates"
    assert status == 0
    rows = read_rows(run / "results.csv")
    figures = [key for key in rows[0] if key.startswith(("metrics/", "val/"))]
    assert len(figures) == 7
    assert [[bool(row[key]) for key in figures] for row in rows] == [[False] * 7, [True] * 7, [False] * 7]
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert {key: [event.step for event in events.Scalars(key)] for key in figures} == {key: [1] for key in figures}
    assert f"best weights: {run / 'weights' / 'best.pt'}\n" in out
    assert [line.split("  ")[0] for line in out.splitlines() if "not validated" in line] == ["epoch 1/3", "epoch 3/3"]
    names = sorted(path.name for path in (run / "weights").iterdir())
    assert names == ["best.ckpt", "best.pt", "last.ckpt"]
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["theirs.ckpt"]
    epochs = {
        name: torch.load(run / "weights" / name, weights_only=True)["epoch"] for name in names if name != "best.pt"
    }
    assert epochs == {"best.ckpt": 1, "last.ckpt": 2}
    assert torch.load(run / "weights" / "best.pt", weights_only=False)["epoch"] == 1
