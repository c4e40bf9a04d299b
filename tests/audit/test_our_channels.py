"""The audit finds every side channel where this project's own logger puts it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aigp_lightning.audit.check import audit
from aigp_lightning.loggers.config import arguments_of, resolve_loggers
from aigp_lightning.loggers.record import record_loggers
from aigp_lightning.loggers.wandb import ResilientWandbLogger
from aigp_lightning.loggers.wandb_extras import send_extras
from aigp_lightning.loggers.wandb_options import SENDS, WandbOptions


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    import wandb

    wandb.finish()
    wandb.teardown()


@pytest.mark.parametrize("channel", ["config", "command", "machine", "git", "host", "requirements", "code", "console"])
def test_each_channel_is_told_alone(channel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noted as on, it is no difference; noted as off, all of it is one."""
    import wandb

    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    (tmp_path / "a.txt").write_text("a")
    for words in (("init", "-q"), ("add", "a.txt"), (*identity, "commit", "-q", "-m", "a")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    (tmp_path / "a.txt").write_text("b")
    monkeypatch.setattr(sys, "orig_argv", ["python", "train.py"])
    run, options = tmp_path / "run", WandbOptions(**{"config": False, channel: True})
    run.mkdir()
    (run / "results.csv").write_text("epoch\n1\n")
    entry = {"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": {"project": "p", "save_dir": str(run)}}
    configured = resolve_loggers(entry, run, options)
    logger = ResilientWandbLogger(**arguments_of(configured))
    send_extras(logger.experiment, options, {"data": {"imgsz": 640}})
    record_loggers(run, [logger], configured, options)
    print("something")
    logger.log_metrics({"a": 1.0, "none": float("nan")}, 3)
    wandb.finish()
    wandb.teardown()  # its process still writes for a moment
    result = audit(run)
    rows = {row.name: row for row in result.side_channels}
    patch = {"patch"} if channel == "git" else set()
    assert {name for name, row in rows.items() if row.handed} == {channel, "telemetry", *patch}
    assert {name for name, row in rows.items() if row.on} == {channel, *patch}
    assert result.findings == []
    content = json.loads((run / "run.json").read_text())
    assert content["loggers"][0]["channels"] == [channel]
    content["loggers"][0]["channels"] = [name for name in SENDS if name != channel]
    (run / "run.json").write_text(json.dumps(content))
    findings = audit(run).findings
    assert {finding.what for finding in findings} == {"switched off"}
    assert {finding.message.partition(":")[0] for finding in findings} == {channel, *patch}
    assert all(f"it was switched off (wandb.{channel})" in finding.message for finding in findings)
