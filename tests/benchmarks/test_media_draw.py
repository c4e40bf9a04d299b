"""The drawing benchmark runs as a stranger would run it, at its smallest."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from statistics import median

import pytest
from forked_python import executable
from helpers import REPO

SCRIPT = REPO / "benchmarks" / "media_draw.py"


def run_script(*words: object) -> str:
    command = [executable(), str(SCRIPT), *map(str, words)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("photographs", [False, True])
def test_media_draw(shapes: Path, tmp_path: Path, photographs: bool) -> None:
    """Both sides write a picture of the same size, and the printed ratio is that of the rounds."""
    given = ["--images", shapes.parent / "images" / "train"] if photographs else []
    words = [*given, "--sizes", 64, "--rounds", 3, "--warmup", 1, "--json", tmp_path / "out.json"]
    printed = run_script(*words)
    result = json.loads((tmp_path / "out.json").read_text())
    (found,) = result["sizes"]
    assert {name: picture[:2] for name, picture in found["pictures"].items()} == {
        "ours": [256, 256],
        "ultralytics": [256, 256],
    }
    assert all(picture[2] > 5000 for picture in found["pictures"].values()), "boxes and names, whatever the images"
    ours, theirs = (found["seconds"][name] for name in ("ours", "ultralytics"))
    assert len(ours) == len(theirs) == 3 and min(ours + theirs) > 0
    assert found["ratio"] == pytest.approx(median(one / other for one, other in zip(ours, theirs, strict=True)))
    assert f"64 px, time ours / ultralytics: {found['ratio']:.2f}" in printed
    assert "1 threads, cpu" in printed and "| 16 of 64 px | ours | 256x256 |" in printed


def test_media_draw_without_images(tmp_path: Path) -> None:
    """An empty folder is said to be one."""
    command = [executable(), str(SCRIPT), "--images", str(tmp_path), "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 1 and "no images in" in done.stderr
