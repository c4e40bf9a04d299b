"""The cost benchmark runs as a stranger would run it, at its smallest."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from forked_python import executable
from helpers import REPO


def test_media_cost(shapes: Path, tmp_path: Path) -> None:
    """One side draws, the other nothing; the printed ratio is that of the rounds."""
    options = "--data.imgsz 32 --data.workers 0 --trainer.limit_train_batches 1 --trainer.limit_val_batches 1"
    words = ["--data", shapes, "--epochs", 1, "--rounds", 1, "--threads", 1, "--options", options]
    command = [executable(), REPO / "benchmarks" / "media_cost.py", *words, "--json", tmp_path / "out.json"]
    done = subprocess.run([*map(str, command)], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads((tmp_path / "out.json").read_text())
    (drawn,), (none,) = result["seen"]["pictures"], result["seen"]["none"]
    assert none["lines"] == 0
    assert drawn["lines"] == 2 * (1 + 2 + 2 + 4 + 2 + 1), (
        "batch, labels, mosaics, curves, matrices, results; each twice"
    )
    assert result["ratio"] == pytest.approx(drawn["wall"] / none["wall"])
    assert f"{result['ratio']:.3f} wall" in done.stdout
    assert drawn["drawing"] > 0.05 > none["drawing"]
    assert drawn["tensorboard"] > none["tensorboard"] > 0
    assert result["share"] == pytest.approx((drawn["drawing"] + drawn["tensorboard"]) / drawn["wall"])
