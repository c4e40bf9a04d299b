"""The audit finds every side channel where this project's own logger puts it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aigp_lightning.audit.side_channels import side_channels
from aigp_lightning.logfiles.wandb_run import read_wandb_run
from aigp_lightning.loggers.config import resolve_loggers
from aigp_lightning.loggers.wandb import send_extras
from aigp_lightning.loggers.wandb_options import WandbOptions


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    import wandb

    wandb.finish()
    wandb.teardown()


@pytest.mark.parametrize("channel", ["config", "command", "machine", "git", "host", "requirements", "code"])
def test_each_channel_is_told_alone(channel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    (tmp_path / "a.txt").write_text("a")
    for words in (("init", "-q"), ("add", "a.txt"), (*identity, "commit", "-q", "-m", "a")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    (tmp_path / "a.txt").write_text("b")
    monkeypatch.setattr(sys, "orig_argv", ["python", "train.py"])
    options = WandbOptions(**{"config": False, channel: True})
    logger = {"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": {}}
    settings = resolve_loggers(logger, tmp_path, options)["dict_kwargs"]["settings"]
    run = wandb.init(mode="offline", dir=tmp_path / "w", project="p", settings=settings)
    send_extras(run, options, {"data": {"imgsz": 640}})
    folder = Path(run.dir).parent
    run.log({"a": 1})
    wandb.finish()
    wandb.teardown()  # its process still writes for a moment
    rows = {row.name: row for row in side_channels([read_wandb_run(folder)])}
    handed = {name for name, row in rows.items() if row.handed}
    assert handed == {channel, "telemetry"} | ({"patch"} if channel == "git" else set())
