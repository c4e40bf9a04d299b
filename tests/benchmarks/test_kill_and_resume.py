"""The benchmark that kills runs: it finds nothing lost, and would find it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from forked_python import executable
from helpers import REPO

sys.path.insert(0, str(REPO / "benchmarks"))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


def test_a_run_killed_under_torchrun_loses_nothing(tmp_path: Path) -> None:
    """The worker gets SIGKILL, torchrun starts it again by itself."""
    script = REPO / "benchmarks" / "faults" / "kill_and_resume.py"
    words = ["--kills", "1", "--way", "torchrun", "--seed", "5", "--folder", str(tmp_path / "k")]
    done = subprocess.run(
        [executable(), str(script), *words], capture_output=True, text=True, timeout=600, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kills" in done.stdout
    assert "Lost or doubled: nothing." in done.stdout
    assert "| torchrun | KILL |" in done.stdout


def test_what_is_lost_or_doubled_is_found(finished: Path, tmp_path: Path) -> None:
    from faults.compare_runs import differences

    straight = finished.parent
    for name in ("rows", "picture", "weights"):
        shutil.copytree(straight, tmp_path / name)
    assert [line for line in differences(straight, tmp_path / "rows", finished.name) if "W&B" not in line] == []
    results = tmp_path / "rows" / finished.name / "results.csv"
    results.write_bytes(b"".join(results.read_bytes().splitlines(keepends=True)[:-1]))
    assert any(line.startswith("results.csv: lost: 1") for line in differences(straight, results.parents[1], "shapes"))
    (tmp_path / "picture" / finished.name / "val_batch0_pred.jpg").unlink()
    found = differences(straight, tmp_path / "picture", finished.name)
    assert any(line.startswith("files: lost: 1") for line in found)
    assert any(line.startswith("audit: file val_batch0_pred.jpg") for line in found)
    weights = tmp_path / "weights" / finished.name / "weights"
    shutil.copy(weights / "best.ckpt", weights / "last.ckpt")
    # another test's start in this folder, which was refused, may have left an event file with nothing in it
    events = max((weights.parent / "tensorboard").glob("events*"), key=lambda path: path.stat().st_size)
    shutil.copy(events, events.with_name(events.name + "9"))
    (weights / ".best.ckpt.next").write_bytes(b"")
    found = differences(straight, tmp_path / "weights", finished.name)
    assert any(line.startswith("TensorBoard: too much") for line in found)
    assert any(line.startswith("files: too much or other: 1: ('weights/.best.ckpt.next'") for line in found)
