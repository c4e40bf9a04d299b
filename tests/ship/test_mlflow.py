"""Pictures and scalars of a run handed over to MLflow later, into a folder of the run."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kept_run import EPOCHS, STEPS, contents, differences, identities, lines_of

from aigp_lightning.files import write_atomic
from aigp_lightning.logfiles.folders import logger_folders
from aigp_lightning.logfiles.mlflow_store import read_stored_run

TO = ("--to", "mlflow")


def test_its_artifacts_are_the_ledgers_pictures(
    run: Path, run_cli: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """In two calls, the first of which is killed; they go into one run, and a third has nothing to do."""
    ship_and_die(run, 5)
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


def test_a_kill_while_it_is_opened_leaves_no_second_run(run: Path, run_cli: Callable[..., int]) -> None:
    from mlflow.tracking import MlflowClient

    from aigp_lightning.ship.selection import Selection
    from aigp_lightning.ship.sending import send_shipment
    from aigp_lightning.ship.shipment import plan_shipment

    child = os.fork()
    if not child:
        try:  # in a process of its own, which dies when the run is there and its parameters are to be sent
            MlflowClient.log_batch = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
            send_shipment(plan_shipment(run, "mlflow", Selection(), write=True), None, print)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    (noted,) = logger_folders(run, "mlflow")
    assert run_cli("ship", run, *TO, "--kind", "results") == 0
    assert logger_folders(run, "mlflow") == [noted]
    assert len(list((run / "mlflow").glob("*/*/artifacts"))) == 1


def test_the_noted_place_wins_over_the_variable(
    run: Path, run_cli: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def plan() -> dict[str, Any]:
        capsys.readouterr()
        assert run_cli("ship", run, *TO, "--kind", "results", "--plan", "--json", "-") == 0
        return dict(json.loads(capsys.readouterr().out))

    elsewhere = "http://me:secret@127.0.0.1:9/mlflow"
    assert run_cli("ship", run, *TO, "--kind", "results", "--no-scalars") == 0
    here = plan()
    assert (here["reach"], here["goes_on"], here["verdicts"]) == ("stays", True, {"has": 1})
    assert here["address"] == str(run / "mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", elsewhere)
    assert plan() == here
    known = json.loads((run / "run.json").read_text())
    known["loggers"][0] |= {"server": "http://127.0.0.1:9/***", "folder": "http://127.0.0.1:9/***"}
    write_atomic(run / "run.json", json.dumps(known).encode())
    there = plan()
    assert (there["reach"], there["address"]) == ("leaves", "http://127.0.0.1:9/***"), "its password is in the variable"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert run_cli("ship", run, *TO, "--plan") == 2
    assert "MLflow run is on http://127.0.0.1:9/***; set MLFLOW_TRACKING_URI" in capsys.readouterr().err


def test_a_configured_place_wins_over_the_variable(
    run: Path, run_cli: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    arguments = {"save_dir": "{run_folder}/board"}
    content["trainer"]["logger"] = [{"class_path": "lightning.pytorch.loggers.MLFlowLogger", "init_args": arguments}]
    write_atomic(run / "config.yaml", yaml.safe_dump(content).encode())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert run_cli("ship", run, *TO, "--plan") == 0
    told = "".join(capsys.readouterr().out.split())
    assert f"MLflow:anewrunin{run / 'board'}." in told


def ship_and_die(run: Path, pictures: int) -> None:
    """Ship in a process of its own, which is killed when it has stored so many pictures and not noted the last one."""
    from aigp_lightning.ship.selection import Selection
    from aigp_lightning.ship.sending import send_shipment
    from aigp_lightning.ship.shipment import plan_shipment

    child = os.fork()
    if not child:
        try:
            shipment = plan_shipment(run, "mlflow", Selection(kinds=("val_pred",)), write=True)
            client: Any = getattr(shipment.destination.logger, "experiment")  # noqa: B009  opens it
            store, left = client.log_artifact, [pictures]

            def store_or_die(*words: Any) -> None:
                store(*words)
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

            client.log_artifact = store_or_die
            send_shipment(shipment, None, print, lambda count: None)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
