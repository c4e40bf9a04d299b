"""What the import of the package sets before heavy libraries read it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from helpers import REPO

SWITCHES = {
    "YOLO_OFFLINE": "true", "NO_ALBUMENTATIONS_UPDATE": "1", "ORT_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true", "OMP_WAIT_POLICY": "PASSIVE",
}  # fmt: skip
SHOW = f"import json, os, aigp_lightning; print(json.dumps([os.environ.get(name) for name in {list(SWITCHES)}]))"


def switches(**given: str) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    environment |= {"PYTHONPATH": str(REPO), **given}
    shown = subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=True)
    return list(json.loads(shown.stdout))


def test_switches_are_set_at_import() -> None:
    assert switches() == list(SWITCHES.values())


def test_the_users_own_values_win() -> None:
    values = ("false", "0", "0", "false", "ACTIVE")
    given = dict(zip(SWITCHES, values, strict=True))
    assert switches(**given) == list(given.values())
