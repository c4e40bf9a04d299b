"""A small run with real pictures, a real ledger, real event files and real W&B folders, started twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from audit_run import EPOCHS, Builder, draw, stop_wandb

from aigp_lightning.logfiles.wandb_run import wandb_folders


@pytest.fixture(scope="session")
def clean_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs, the second by a resumed run: two event files, two W&B folders, one ledger."""
    run = tmp_path_factory.mktemp("rüns") / "detect" / "gates 1"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("wandb: {config: true}\n", encoding="utf-8")
    (run / "results.csv").write_text("epoch,time\n1,2\n2,4\n", encoding="utf-8")
    for epoch in range(EPOCHS):
        builder = Builder(run)
        builder.epoch(epoch)
        if epoch == EPOCHS - 1:
            curve = draw(run / "PR_curve.png", 7)
            shutil.copy(curve, run / f"history/epoch{epoch:04d}" / curve.name)
            builder.note(curve, epoch, "file", "written")
            builder.to_wandb([curve], epoch)
            builder.note(curve, epoch, "wandb", "sent")
            builder.writer.add_text("hparams", "lr 0.1")
        builder.close()
    ids = [path.name.rpartition("-")[2] for path in wandb_folders(run)]
    (run / "run.json").write_text(json.dumps({"wandb_run_id": ids[0], "wandb_run_id:2": ids[1]}), encoding="utf-8")
    return run


@pytest.fixture
def run(clean_run: Path, tmp_path: Path) -> Path:
    """A copy to tamper with."""
    copy = tmp_path / "runs" / "gates 1"
    shutil.copytree(clean_run, copy, symlinks=True)
    return copy


@pytest.fixture
def wandb_stops() -> Iterator[None]:
    """Leave no W&B run behind."""
    yield
    stop_wandb()
