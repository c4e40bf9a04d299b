"""Options of Ultralytics' recipes in one run: trained, kept in checkpoints, resumed, validated and predicted with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from helpers import UNDRAWN, small, tiny_network
from resume_runs import load

from aigp_lightning.cli.plan import open_numbers


def test_a_run_with_all_of_them(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    words = [
        *("fit", *small(shapes, tmp_path), "--data.imgsz", 64, "--run.name", "run", *UNDRAWN),
        *tiny_network(tmp_path),
        *("--data.rect_training", "true", "--data.fraction", "{train: 0.5, val: 4}", "--data.classes", "disc"),
        *("--data.batch_size", "auto", "--checkpoint_every.epochs", 1, "--trainer.max_epochs", 2),
    ]
    with caplog.at_level("INFO"):
        assert run_cli(*words) == 0
    folder = tmp_path / "detect" / "run"
    for line in (
        "--data.batch_size auto: a GPU's memory is measured, a CPU's is not: 16 images",
        "train: the first 12 of 24 images, as --data.fraction 0.5 says",
        "val: the first 4 of 11 images, as --data.fraction 4 says",
        "train: 12 of 24 labels are of the chosen classes, disc",
    ):
        assert line in caplog.messages
    assert not [line for line in caplog.messages if "mosaic closed" in line], "there was none to close"
    assert {path.name for path in (folder / "weights").glob("*.ckpt")} == {
        *("best.ckpt", "epoch1.ckpt", "epoch2.ckpt", "last.ckpt")
    }
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    assert config["data"]["batch_size"] == 16
    kept = load(folder / "weights" / "last.ckpt")["aigp"]["run"]["data"]
    assert (kept["fraction"], kept["classes"], kept["batch_size"]) == ({"train": 0.5, "val": 4}, ["disc"], 16)

    capfd.readouterr()
    assert run_cli(*words, "--ckpt_path", folder, "--run.hours", 0.001, "--data.classes", "[disc, square]") == 0
    said = capfd.readouterr().out
    assert "all 2 epochs are trained" not in said
    assert load(folder / "weights" / "last.ckpt")["epoch"] >= 2, "the hours go on where the epochs had ended"

    result = tmp_path / "found.json"
    checkpoint = folder / "weights" / "epoch2.ckpt"
    assert run_cli("validate", "--ckpt_path", checkpoint, "--run.json", result, "--trainer.accelerator", "cpu") == 0
    assert json.loads(result.read_text(encoding="utf-8"))["images"] == 4, "as in the run"


def test_a_plan_says_what_it_cannot_know() -> None:
    from types import SimpleNamespace as Values

    def config(hours: float | None, batch: object, every: int) -> Values:
        groups = {
            "run": Values(hours=hours),
            "data": Values(batch_size=batch),
            "checkpoint_every": Values(epochs=every),
        }
        return Values(trainer=Values(max_epochs=25), **groups)

    assert list(open_numbers(config(None, 16, 0), 16)) == []
    assert list(open_numbers(config(1.5, 0.7, 10), 16)) == [
        "--run.hours 1.5: how many epochs fit, only training tells; counted are 25",
        "--data.batch_size 0.7: chosen when training starts; counted with 16",
        "2 checkpoints stay, one every 10 epochs, each as large as weights/last.ckpt",
    ]
