"""The table of `gpu.sh`: what was measured, and what was left out."""

from __future__ import annotations

import json
import subprocess
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
    other = {
        "machine": "one GPU",
        "sides": [{"ratio": 3.0, "seconds": [1]}],
        "ratios": {"both": 1.5, "scan": [2.0, 1.5, 2.5]},
    }
    other |= {"loop": {"ours": {"seconds": [1.0, 2.0, 9.0]}, "ultralytics": {"seconds": [6.0, 5.0]}}}
    other |= {"ratio_by_round": [1.0, 2.0, 3.0], "batch": 8}
    (tmp_path / "validation.json").write_text(json.dumps(other))
    compared = {"batch": 16, "comparison": "against the package's own trainer", "time": "cpu_s", "ratio": 1.02}
    package = {"machine": "one GPU", "model": "rf-detr-nano", "ratios": [compared], "failed": []}
    (tmp_path / "throughput-rfdetr-package.json").write_text(json.dumps(package))
    parts = [
        ("throughput-rfdetr-package", "done", 50),
        ("throughput-yolo11n", "done", 80),
        ("where-yolo11n", "done", 20),
        ("validation", "done", 9),
    ]
    parts += [("startup", "not there: benchmarks/startup.py", 0)]
    (tmp_path / "parts.tsv").write_text("".join("\t".join(map(str, part)) + "\n" for part in parts))
    assert table(tmp_path).splitlines() == [
        "one GPU",
        "",
        "| part | what | figure | target |",
        "|---|---|---|---|",
        "| throughput-rfdetr-package | batch 16, against the package's own trainer, its processor time | 1.02 | 1.0 |",
        "| throughput-rfdetr-package | done | 50 s | |",
        "| throughput-yolo11n | batch 64, each as its users get it, whole epochs | 1.85 | 1.8 |",
        "| throughput-yolo11n | batch 256, theirs | out of memory |  |",
        "| throughput-yolo11n | done | 80 s | |",
        "| where-yolo11n | batch 64, step: backward 62 %, forward 38 % | 8.000 ms an image |  |",
        "| where-yolo11n | done | 20 s | |",
        "| validation | sides 0 ratio | 3.00 |  |",
        "| validation | ratios both | 1.50 |  |",
        "| validation | ratios scan | 2.00 (1.50 to 2.50) |  |",
        "| validation | loop, seconds: Ultralytics / ours | 2.75 | 3 (1.5 on a CPU) |",
        "| validation | done | 9 s | |",
        "| startup | not there: benchmarks/startup.py | 0 s | |",
    ]


def test_scripts_can_be_read() -> None:
    """The shell's grammar; `gpu.sh` itself is run by hand, with `--device cpu --quick`."""
    for name in ("gpu.sh", "wheels.sh"):
        done = subprocess.run(
            ["bash", "-n", str(REPO / "benchmarks" / name)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), name


def test_a_script_gets_the_options_that_it_has(tmp_path: Path) -> None:
    """A part whose script has not all the options is run with those that it has."""
    text = (REPO / "benchmarks" / "gpu.sh").read_text(encoding="utf-8")
    function = text[text.index("known() {") : text.index("# part NAME")]
    (tmp_path / "script.py").write_text(
        'add_argument("--batch")\nfor name in ("batches",): add_argument(f"--{name}")\n'
    )
    call = 'known script.py --batch 4 8 --imgsz 64 --quick --batches 2; printf "%s " "${words[@]}"'
    done = subprocess.run(["bash", "-uc", function + call], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "--batch 4 8 --batches 2 "
