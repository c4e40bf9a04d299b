"""The policy's benchmarks at their smallest."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from helpers import REPO

FOLDER = REPO / "benchmarks" / "policy"


def script(name: str, monkeypatch: pytest.MonkeyPatch, *words: object) -> ModuleType:
    """A benchmark's module, which finds its neighbours and is told `words`."""
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    return importlib.import_module(name)


def test_dynamics_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Centimetres at most; single precision is not what they come from."""
    out = tmp_path / "out.json"
    assert script("dynamics_error", monkeypatch, "--flights", 8, "--json", out).main() == 0
    errors = {name: np.array(values) for name, values in json.loads(out.read_text()).items()}
    assert errors["float32"] == pytest.approx(errors["float64"], abs=2e-4)
    assert 1e-4 < errors["float64"].max() < 0.02
    assert f"| float32 | {errors['float32'].mean() * 1000:.2f} mm" in capsys.readouterr().out


def test_env_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every side is measured, and the ratio printed is that of the speeds written."""
    out = tmp_path / "out.json"
    words = ("--rounds", 1, "--seconds", 0.02, "--updates", 0, "--json", out)
    script("env_speed", monkeypatch, *words).main()
    speeds = json.loads(out.read_text())["speeds"]
    assert {"256 batched", "256 one by one", "1 alone", "1024 batched"} <= set(speeds)
    ratio = speeds["256 batched"][0] / speeds["256 one by one"][0]
    assert f"| {ratio:,.0f}× (target 40×) |" in capsys.readouterr().out


def test_learning_trains_no_seed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With all results there, it prints the table and says which seeds were good enough."""
    found = {
        "seed": 0, "seconds": 90.0, "steps": 1_500_000, "success": 0.95, "interval": [0.92, 0.97], "pass_rate": 0.99,
        "race_seconds": 20.0, "mean_lap": 6.5, "causes": {"finish": 243, "frame": 13},
        "gates_by_number": [{"gate": 0, "attempts": 9, "pass_rate": 0.9}],
    }  # fmt: skip
    folder = tmp_path / "closed"
    folder.mkdir()
    for name, success in (("seed0", 0.95), ("seed1", 0.89), ("follower", 1.0)):
        (folder / f"{name}.json").write_text(json.dumps({**found, "success": success}))
    module = script("learning", monkeypatch, "--task", "closed", "--seeds", 0, 1, "--out", tmp_path)
    assert module.main() == 1
    printed = capsys.readouterr().out
    assert "| seed 0 | 1.50M | 1.5 | 0.950 (0.920–0.970) | 0.9900 | 20.0 s | 6.50 s | finish 243, frame 13 |" in printed
    assert "1 of 2 seeds with at least 90%, within 6M steps." in printed
