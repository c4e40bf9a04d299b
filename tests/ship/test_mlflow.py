"""Pictures and scalars of a run handed over to MLflow later, into a folder of the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kept_run import EPOCHS, STEPS, contents, differences, identities, lines_of

from aigp_lightning.logfiles.folders import logger_folders
from aigp_lightning.logfiles.mlflow_store import read_stored_run

TO = ("--to", "mlflow")


def test_its_artifacts_are_the_ledgers_pictures(
    run: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """In two calls, which go into one run; a third has nothing to do."""
    assert run_cli("ship", run, *TO, "--kind", "val_pred", "--no-scalars") == 0
    assert run_cli("ship", run, *TO) == 0
    (noted,) = logger_folders(run, "mlflow")
    assert noted.folder is not None
    stored = read_stored_run(noted.folder)
    found = sorted((picture.key, picture.epoch, picture.sha256) for picture in stored.pictures)
    assert found == identities(lines_of(run, "file", "written")) == identities(lines_of(run, "mlflow"))
    assert stored.values == {"epoch": EPOCHS, "train/box_loss": EPOCHS, "metrics/mAP50B": EPOCHS}
    rows = (noted.folder.parent / "metrics" / "train" / "box_loss").read_text().splitlines()
    steps = [STEPS * (epoch + 1) - 1 for epoch in range(EPOCHS)]
    assert [int(row.split()[2]) for row in rows] == steps
    assert differences(run) == []
    before = contents(run)
    assert run_cli("ship", run, *TO) == 0
    assert "there is nothing to hand over" in capsys.readouterr().out
    assert contents(run) == before
