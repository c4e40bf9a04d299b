"""Processes of a run on a CPU, from the command line."""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from helpers import small
from launching import cli

from aigp_lightning.cli.cpu_options import on_cpu, run_size, share_cpu
from aigp_lightning.data.synthetic.options import MakeDataOptions
from aigp_lightning.run.cores import cores

WORDS = ("fit", "--config", "a.yaml")


def config(data_yaml: str, **trainer: Any) -> Any:
    """Options of a run of 500 epochs on a CPU."""
    options = {
        **{"devices": "auto", "num_nodes": 1, "strategy": "auto", "accelerator": "cpu", "sync_batchnorm": False},
        **{"max_epochs": 500, "max_steps": -1, "limit_train_batches": None, "fast_dev_run": False},
        "overfit_batches": 0.0,
    }
    data = SimpleNamespace(data_yaml=data_yaml, synthetic=None, batch_size=16, imgsz=128)
    return SimpleNamespace(data=data, trainer=SimpleNamespace(**{**options, **trainer}))


def test_the_size_of_a_run_is_that_of_its_data(shapes: Path) -> None:
    assert run_size(config(str(shapes))).images == 24 * 500
    assert run_size(config(str(shapes), limit_train_batches=1)).images == 16 * 500
    assert run_size(config(str(shapes), limit_train_batches=0.5)).images == 12 * 500
    assert run_size(config(str(shapes), max_steps=3)).images == 48
    assert run_size(config(str(shapes), fast_dev_run=True)).images == 0
    assert run_size(config(str(shapes), overfit_batches=2)).images == 0
    assert run_size(config("nowhere.yaml")).images == 0


def test_a_data_set_that_will_be_made_counts() -> None:
    wanted = config("datasets/{task}/data.yaml")
    wanted.data.synthetic = MakeDataOptions(train=100)
    assert run_size(wanted).images == 100 * 500


@pytest.mark.skipif(not sys.platform.startswith("linux") or cores() < 2, reason="one process is the default here")
def test_cores_are_shared_where_nothing_else_is_said(shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["program", *WORDS])
    open_one = config(str(shapes))
    assert share_cpu(open_one, WORDS) == open_one.trainer.devices == 2
    assert open_one.trainer.strategy == "ddp"
    for said in ({"devices": 1}, {"num_nodes": 2}, {"strategy": "ddp_spawn"}, {"accelerator": "gpu"}):
        other = config(str(shapes), **said)
        assert share_cpu(other, WORDS) == 1
        assert other.trainer.devices == said.get("devices", "auto")
    assert share_cpu(config(str(shapes), sync_batchnorm=True), WORDS) == 1


def test_a_program_that_calls_the_verb_has_one_process(shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning would start that program again, and not the verb."""
    monkeypatch.setattr(sys, "argv", ["their_program.py"])
    assert share_cpu(config(str(shapes)), WORDS) == 1


def test_a_started_process_goes_by_the_number_that_the_first_one_chose(
    shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    child = config(str(shapes))
    assert share_cpu(child, WORDS) == child.trainer.devices == 3


def test_the_accelerator_is_looked_up() -> None:
    import torch

    assert on_cpu("cpu")
    assert not on_cpu("gpu")
    assert on_cpu("auto") == (not torch.cuda.is_available() and not torch.backends.mps.is_available())


@pytest.mark.skipif(not sys.platform.startswith("linux") or cores() < 2, reason="one process is the default here")
def test_a_run_trains_on_all_cores_unasked(shapes: Path, tmp_path: Path) -> None:
    """Long enough by its plan for several processes, and ended by the clock."""
    words = [*small(shapes, tmp_path / "runs"), "--data.imgsz", 64, "--data.workers", 1, "--data.batch_size", 16]
    status, output = cli(
        "fit", *words, "--trainer.max_epochs", 999, "--trainer.max_time", "00:00:00:01", cwd=tmp_path
    )  # fmt: skip
    assert status == 0, output
    assert re.search(r"^2 training processes, one thread each", output, re.MULTILINE), output
    assert "Initializing distributed" not in output
    folder = tmp_path / "runs" / "detect" / "gates"
    assert list(csv.DictReader((folder / "results.csv").open(encoding="utf-8")))
    written = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    assert written["trainer"]["devices"] == "auto", "another machine decides for itself"
