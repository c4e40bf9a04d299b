"""An RF-DETR on two processes: no parameter without a gradient, the losses and the figures of one process."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import REPO
from launching import TWO, cli
from rfdetr_networks import OPTIONS, SIZE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")


def test_a_run_on_two_processes_is_that_on_one(
    scored_rfdetr: Path, tmp_path: Path, run_cli: Callable[..., int]
) -> None:
    """At a rate that changes nothing, so that validation is of the same weights, on which it scores.

    Of eight training images one has objects: of the two batches one has none at all, and of the other one process's
    share has none. Validated are groups of 8: of the last three of 11 images a process has two, the other one.
    """
    still = ("--model.optim.lr", 1e-12, "--model.optim.lr_encoder", 1e-12, "--data.augment.crop", 0)
    words = [
        *("fit", "--config", REPO / "configs" / "rfdetr.yaml", "--data.synthetic", "null", *OPTIONS, *still),
        *("--model.decoder_layers", 2, "--model.weights", scored_rfdetr / "best.pth"),
        *("--data.data_yaml", scored_rfdetr / "data.yaml", "--run.root", tmp_path / "runs", "--data.imgsz", SIZE),
        *(
            "--data.batch_size",
            4,
            "--data.workers",
            0,
            "--trainer.accelerator",
            "cpu",
            "--trainer.precision",
            "32-true",
        ),
        *("--trainer.enable_progress_bar", "false", "--trainer.logger", "false", "--media.routes.everything", "[]"),
        *("--trainer.max_epochs", 1, "--data.augment.fliplr", 0),
    ]
    assert run_cli(*words, "--run.name", "1", "--run.json", tmp_path / "1.json", "--trainer.devices", 1) == 0
    status, output = cli(*words, "--run.name", "2", "--run.json", tmp_path / "2.json", *TWO, cwd=tmp_path)
    assert status == 0, output
    one, two = (json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8")) for name in "12")
    assert one["images"] == two["images"] == 11
    assert 0.2 < one["metrics"]["metrics/mAP50-95(B)"] < 0.9
    assert two["metrics"] == pytest.approx(one["metrics"], rel=1e-5)
    for ours, theirs in zip(two["classes"], one["classes"], strict=True):
        assert ours.pop("class") == theirs.pop("class")
        assert ours == pytest.approx(theirs, rel=1e-5)
    (one, two) = (row(tmp_path / "runs" / "detect" / name) for name in "12")
    assert {"train/loss_bbox", "train/loss_giou", "val/loss", "val/loss_ce", "val/loss_bbox"} <= set(one)
    assert one["train/loss_bbox"] > 0
    # Without any label a process divides its loss of background by one, as the package does, and not by its share.
    assert 0 < two.pop("train/loss_ce") < one.pop("train/loss_ce")
    assert 0 < two.pop("train/loss") < one.pop("train/loss")
    assert two == pytest.approx(one, rel=1e-4)


def row(folder: Path) -> dict[str, float]:
    """The only row of results.csv."""
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        (found,) = csv.DictReader(file)
    return {key: float(value) for key, value in found.items() if key != "time"}
