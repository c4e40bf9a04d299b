"""The table of `gpu.sh`: what was measured, and what was left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import REPO


def test_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part that was done gives its ratios; every other says why it has none."""
    monkeypatch.syspath_prepend(str(REPO / "benchmarks"))
    from gpu_table import table

    ratio = {"batch": 64, "comparison": "each as its users get it", "time": "epoch_s", "ratio": 1.846}
    failed = [{"batch": 256, "side": "theirs", "reason": "out of memory"}]
    content = {"machine": "one GPU", "model": "yolo11n", "ratios": [ratio], "failed": failed}
    (tmp_path / "throughput-yolo11n.json").write_text(json.dumps(content))
    stages = {"forward": [3.0, 2.0], "backward": [5.0, 2.0]}
    where = {"machine": "one GPU", "batch": 64, "parts": {"step": {"stages": stages}}}
    (tmp_path / "where-yolo11n.json").write_text(json.dumps(where))
    other = {"machine": "one GPU", "sides": [{"ratio": 3.0, "seconds": [1]}], "ratio_by_round": [1.0, 2.0]}
    (tmp_path / "validation.json").write_text(json.dumps(other))
    parts = [("throughput-yolo11n", "done", 80), ("where-yolo11n", "done", 20), ("validation", "done", 9)]
    parts += [("startup", "not there: benchmarks/startup.py", 0)]
    (tmp_path / "parts.tsv").write_text("".join("\t".join(map(str, part)) + "\n" for part in parts))
    assert table(tmp_path).splitlines() == [
        "one GPU",
        "",
        "| part | what | figure | target |",
        "|---|---|---|---|",
        "| throughput-yolo11n | batch 64, each as its users get it, whole epochs | 1.85 | 1.8 |",
        "| throughput-yolo11n | batch 256, theirs | out of memory |  |",
        "| throughput-yolo11n | done | 80 s | |",
        "| where-yolo11n | batch 64, step: backward 62 %, forward 38 % | 8.000 ms an image |  |",
        "| where-yolo11n | done | 20 s | |",
        "| validation | sides 0 ratio | 3.00 |  |",
        "| validation | done | 9 s | |",
        "| startup | not there: benchmarks/startup.py | 0 s | |",
    ]
