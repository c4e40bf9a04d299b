"""A promotion killed at any of its steps: `latest` stays whole, and the next writer finishes or takes back the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
def test_killed_at_every_step() -> None:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # where waiting for the disk takes no time
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
        words = [sys.executable, str(TESTS / "killed_promotions.py"), folder]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)
    assert len(steps) == 7
    assert min(steps.values()) >= 15, steps  # otherwise the hook saw too little for the test to mean anything
    assert steps["a third"] >= 30
