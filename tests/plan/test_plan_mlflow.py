"""What `plan` says of MLflow: by its address it stays or leaves, by its routes it gets pictures, by its limit fewer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import REPO, small, tiny_network

OVERLAYS = ("--config", REPO / "configs" / "detector.yaml", "--config", REPO / "configs" / "logger" / "mlflow.yaml")
SHORT = ("--trainer.max_epochs", 2, "--media.max_images", 4, "--media.val_batches", 1, "--close_mosaic.epochs", 0)
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def plan(
    shapes: Path, tmp_path: Path, run_cli: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """What the plan of a tiny run with MLflow says of it, as JSON."""

    def planned(*options: object, status: int = 0) -> dict[str, Any]:
        capfd.readouterr()
        words = [*OVERLAYS, *small(shapes, tmp_path), *tiny_network(tmp_path), *SHORT]
        assert run_cli("plan", *words, *options, "--json") == status
        content: dict[str, Any] = json.loads(capfd.readouterr().out)
        return content

    return planned


def _mlflow(planned: dict[str, Any]) -> dict[str, Any]:
    return next(each for each in planned["destinations"] if each["name"] == "mlflow")


def test_a_folder_stays_and_is_not_made(plan: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    found = _mlflow(plan())
    assert (found["reach"], found["remote"]) == ("stays", False)
    assert found["pictures"] > 0
    assert not list(tmp_path.rglob("mlflow*"))


def test_a_server_is_remote_routed_and_limited(plan: Callable[..., dict[str, Any]]) -> None:
    server = ("--trainer.logger.tracking_uri", NOWHERE)
    routes = ("--media.routes.everything", "[file]", "--media.routes.val_pred", "[file,mlflow]")
    planned = plan(*server, *routes, "--media.max_mb", 0.001, status=1)
    found = _mlflow(planned)
    assert (found["reach"], found["remote"], found["pictures"]) == ("leaves", True, 2)
    assert {file["kind"] for file in planned["files"] if "mlflow" in file["destinations"]} == {"val_pred"}
    assert planned["over_budget"]
    assert {(each["destination"], each["kind"]) for each in planned["held_back"]} == {("mlflow", "val_pred")}
