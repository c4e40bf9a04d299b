"""The benchmark of RF-DETR's training, at its smallest."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from forked_python import executable
from helpers import REPO

FOLDER = REPO / "benchmarks"


@pytest.fixture
def common(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    import common

    return common


def test_both_sides_read_the_same_files(common: Any, tmp_path: Path) -> None:
    """Pictures and labels lie as the package's trainer wants them, and our own reader finds as many objects."""
    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.scan import scan_split

    made = common.synthetic(tmp_path / "gates", 3, 2, (160, 90))
    there = common.split_folders(made, tmp_path / "both")
    listed = {str(file.relative_to(tmp_path / "both")) for file in (tmp_path / "both").rglob("*.*")}
    pictures = {f"train/images/{n:06}.jpg" for n in range(3)} | {f"valid/images/{n:06}.jpg" for n in range(2)}
    assert pictures | {"data.yaml"} <= listed
    assert yaml.safe_load(there.read_text(encoding="utf-8"))["nc"] == 1
    for split in ("train", "val"):
        found, known = (scan_split(read_data_yaml(file), split, progress=False).records for file in (there, made))
        assert [record.bboxes.tolist() for record in found] == [record.bboxes.tolist() for record in known]


def test_both_sides_train_the_same_network(common: Any, tmp_path: Path) -> None:
    """The package's settings make the network that our options make: as many parameters, the same names."""
    pytest.importorskip("rfdetr")
    import rfdetr_throughput

    from aigp_lightning.modules.rfdetr import RFDETRModule
    from aigp_lightning.modules.rfdetr.package import module_of_package, unchanged

    made = common.split_folders(common.synthetic(tmp_path / "gates", 1, 1, (160, 90)), tmp_path / "both")
    spec = {"variant": "nano", "tiny": True, "multi_scale": "normal", "imgsz": 64, "batch": 2, "epochs": 3}
    spec |= {"workers": 0, "device": "cpu", "data": str(made), "folder": str(tmp_path)}
    with unchanged():
        model, training = rfdetr_throughput.their_settings(spec)
        theirs = module_of_package("rfdetr.models").build_model_from_config(model, training)
    module = RFDETRModule("nano", multi_scale="normal", **rfdetr_throughput.TINY)
    module.imgsz = 64
    ours = module.build_network({0: "gate"}).model.state_dict()
    assert {name: value.shape for name, value in theirs.state_dict().items()} == {k: v.shape for k, v in ours.items()}
    assert (training.batch_size, training.epochs, training.expanded_scales) == (2, 3, False)
    assert (training.clip_max_norm, training.use_ema, training.ema_decay) == (0.1, True, 0.993)


def test_rfdetr_throughput(tmp_path: Path) -> None:
    """Both sides train on all five pictures, in one thread, and are timed."""
    pytest.importorskip("hotcoco")
    words = ["--tiny", "--imgsz", 64, "--batch", 1, "--images", 5, "--val", 1, "--picture", 160, 90, "--epochs", 2]
    words += ["--rounds", 1, "--threads", 1, "--workers", 0, "--multi-scale", "off", "--json", tmp_path / "out.json"]
    command = [executable(), str(FOLDER / "rfdetr_throughput.py"), *map(str, words)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert result["failed"] == []
    for run in result["runs"]:
        known = (run["images"], run["batch"], run["processes"], run["threads"], run["workers"], run["precision"])
        assert known == (5, 1, 1, 1, 0, "32-true")
        assert (len(run["train_s"]), len(run["cpu_s"]), len(run["epoch_s"])) == (2, 2, 1)
    sides = {run["side"]: run for run in result["runs"]}
    alone = next(each for each in result["ratios"] if each["time"] == "train_s")
    assert alone["ratio"] == pytest.approx(sides["theirs"]["train_s"][1] / sides["ours"]["train_s"][1])
    assert f"| training alone | {alone['ratio']:.2f} | {alone['ratio']:.2f} |" in done.stdout
