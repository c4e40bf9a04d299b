"""The validation benchmark: both sides find the same, and a ratio over 1 says that ours is faster."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import REPO
from modules.test_validate_parity import build_case


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [str(REPO / "benchmarks"), *sys.path])
    return importlib.import_module("validation")


@pytest.mark.slow
@pytest.mark.usefixtures("offline_reference")
def test_both_sides_find_the_same(script: Any, tmp_path: Path) -> None:
    weights, data = build_case(tmp_path, rect=True)
    spec = {"imgsz": 96, "batch": 16, "workers": 0, "device": "cpu", "passes": 2, "folder": str(tmp_path / "runs")}
    spec |= {"weights": str(weights), "data": str(data)}
    sides = [script.work({**spec, "side": side}) for side in script.SIDES]
    assert sides[0]["images"] == 13
    assert all(len(side["seconds"]) == 2 and min(side["seconds"]) > 0 for side in sides)
    for key in script.METRICS:
        assert sides[0][key] == pytest.approx(sides[1][key], abs=2e-4)
        assert sides[0][key] > 0.02
    parts = script.work({**spec, "side": "parts"})
    assert tuple(parts) == script.PARTS
    assert 0 < parts["NMS"] < parts["forward"]


def test_tables(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = {"seconds": [2.0, 4.0], "cpu_seconds": [1.0]}, {"seconds": [6.0], "cpu_seconds": [3.0]}
    way = {"ours": ours, "ultralytics": theirs}
    result = {"machine": "2 cores", "images": 3, "imgsz": 64, "loop": way, "command": way, "parts_ms": {"forward": 1.5}}
    script.print_tables({**result, "found": {side: dict.fromkeys(script.METRICS, 0.25) for side in script.SIDES}})
    lines = capsys.readouterr().out.splitlines()
    assert "| from loader to table, wall | 3.00 | 6.00 | 2.00 |" in lines
    assert "| the whole command, processor | 1.00 | 3.00 | 3.00 |" in lines
    assert "| ultralytics | 0.25000 | 0.25000 |" in lines
    assert "| forward | 1.50 |" in lines


def test_commands_name_the_same_weights_pictures_and_batch(script: Any) -> None:
    spec = {"data": "d.yaml", "weights": "w.pt", "imgsz": 64, "batch": 16, "workers": 0, "device": "0"}
    typed = script.commands(spec)
    assert typed["ours"][typed["ours"].index("--data.batch_size") + 1] == "8", "validation takes twice as many"
    assert typed["ours"][-3:] == ["gpu", "--trainer.devices", "1"]
    assert "'batch': 16" in typed["ultralytics"][-1]
    assert "'device': '0'" in typed["ultralytics"][-1]
