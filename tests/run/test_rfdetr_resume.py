"""A run of an RF-DETR that was stopped goes on as if it had not been; what cannot go on says so in a line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch
from helpers import REPO, small
from resume_runs import StopAfter, check_complaint, differing, load, rows
from rfdetr_networks import OPTIONS

from aigp_lightning.modules.rfdetr.multi_scale import multi_scale_sizes

SAME = (
    "state_dict",
    "current_model_state",
    "averaging_state",
    "optimizer_states",
    "aigp",
    "random_state",
    "global_step",
)


def options(gates: Path, root: Path) -> list[object]:
    """3 batches of 2 images an epoch, a step every 2: the last step of an epoch is of one batch."""
    return [
        *("fit", "--config", REPO / "configs" / "rfdetr.yaml", "--data.synthetic", "null", *small(gates, root)),
        *(*OPTIONS, "--model.multi_scale", "normal", "--model.optim.schedule", "cosine", "--data.imgsz", 64),
        *("--data.batch_size", 2, "--trainer.limit_train_batches", 3, "--trainer.limit_val_batches", 1),
        *("--trainer.precision", "32-true", "--model.freeze_encoder", "true"),
        *("--model.optim.lr", 0.001, "--model.optim.warmup_epochs", 1, "--trainer.accumulate_grad_batches", 2),
        *("--trainer.max_epochs", 3, "--trainer.logger", "false", "--run.name", "run", "--ema.decay", 0.5),
        *("--media.routes.everything", "[]", "--media.routes.train_batch", "[file]", "--media.max_images", 4),
    ]


def copy(run: Path, place: Path) -> None:
    """Copy a run's folders; its weights, which are replaced and never changed, are the same files."""
    shutil.copytree(
        run, place, copy_function=lambda a, b: (os.link if Path(a).stat().st_size > 1e6 else shutil.copy)(a, b)
    )


@pytest.fixture(scope="module")
def stopped(gates: Path, tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., int]) -> Path:
    """The root of a run of three epochs that was stopped after two."""
    root = tmp_path_factory.mktemp("stopped")
    stop = f'{{"class_path": "{StopAfter.__module__}.StopAfter", "init_args": {{"epochs": 2}}}}'
    with pytest.raises(SystemExit):
        run_cli(*options(gates, root), "--trainer.callbacks+", stop)
    assert [row["epoch"] for row in rows(root / "detect" / "run")] == ["1", "2"]
    return root


def test_a_resumed_run_equals_one_that_never_stopped(
    stopped: Path, gates: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    """Weights, averages, optimizer and figures bit for bit; and the mosaic shows images at the size that was drawn."""
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    assert run_cli(*options(gates, straight)) == 0
    copy(stopped, resumed)
    torch.manual_seed(99)
    assert run_cli(*options(gates, resumed), "--ckpt_path", "last") == 0
    one, two = (root / "detect" / "run" for root in (straight, resumed))
    assert [row["epoch"] for row in rows(two)] == ["1", "2", "3"]
    assert rows(two) == rows(one)
    theirs, ours = (load(folder / "weights" / "last.ckpt") for folder in (one, two))
    for part in SAME:
        assert differing(ours[part], theirs[part], part) == []
    assert ours["global_step"] == 6
    best = [load(folder / "weights" / "best.ckpt")["state_dict"] for folder in (one, two)]
    assert differing(*best) == []
    rates = [0.001 * 2 / 3, 0.001 * 0.75, 0.001 * 0.0669873]  # at the last batch: warm-up, then half a cosine
    assert [float(row["lr/head"]) for row in rows(one)] == pytest.approx(rates, rel=1e-4)
    sides = {cv2.imread(str(one / f"train_batch{number}.jpg")).shape[1] // 2 for number in range(3)}
    assert sides <= set(multi_scale_sizes("nano", 64, expanded=False))
    assert len(sides) > 1


KEPT = {
    "model.groups": ("3", "2"),
    "model.queries": ("40", "30"),
    "model.multi_scale": ("off", "normal"),
    "model.drop_path": ("0.1", "0.0"),
    "model.freeze_encoder": ("false", "true"),
    "model.gains.giou": ("3.0", "2.0"),
    "model.optim.lr": ("0.5", "0.001"),
    "model.optim.schedule": ("step", "cosine"),
    "data.resize": ("letterbox", "stretch"),
    "data.imgsz": ("96", "64"),
}
"""Options that a resumed run keeps, with another value and their own."""


def test_options_that_a_resumed_run_keeps(
    stopped: Path, gates: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    """All in one line, with the values that it goes on with."""
    others = [word for name, (other, _) in KEPT.items() for word in (f"--{name}", other)]
    assert run_cli(*options(gates, stopped), "--ckpt_path", "last", *others) == 2
    told = capfd.readouterr().err
    check_complaint(told, stopped, "not what the run was begun with")
    for name, (other, own) in KEPT.items():
        assert f"--{name} {other} (was {own})" in told
    assert run_cli(*options(gates, stopped), "--ckpt_path", "last", "--trainer.max_epochs", 4) == 2
    check_complaint(capfd.readouterr().err, Path(), "add --extend, to train 4")


def test_another_batch_is_taken_up_and_the_run_extended(
    stopped: Path, gates: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    """The cosine goes on at the rate where it was and falls over the epochs left, whatever the batches are now."""
    copy(stopped, tmp_path / "runs")
    words = (*options(gates, tmp_path / "runs"), "--ckpt_path", "last", "--data.batch_size", 4)
    assert run_cli(*words, "--trainer.max_epochs", 4, "--extend") == 0
    (taken,) = [line for line in capfd.readouterr().out.splitlines() if line.startswith("taken up from epoch 3 on: ")]
    assert "--data.batch_size 4 (was 2)" in taken
    folder = tmp_path / "runs" / "detect" / "run"
    rates = [float(row["lr/head"]) for row in rows(folder)]
    # At the last batch of an epoch: of three batches, and then of two.
    half = 0.001 * 0.5  # the cosine over epochs 2 and 3, after one epoch of two
    assert rates[:2] == pytest.approx([0.001 * 2 / 3, 0.001 * 0.75], rel=1e-4)
    assert rates[2:] == pytest.approx([half * 0.853553, half * 0.146447], rel=1e-4)
    assert load(folder / "weights" / "last.ckpt")["aigp"]["plan"]["extensions"] == [[2, 4]]
