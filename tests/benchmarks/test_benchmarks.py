"""The benchmarks run as a stranger would run them, at their smallest."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean
from typing import Any

import lightning.pytorch as pl
import psutil
import pytest
import yaml
from forked_python import executable
from helpers import REPO

from aigp_lightning.data.data_yaml import read_data_yaml
from aigp_lightning.data.datamodule import YoloDataModule
from aigp_lightning.data.scan import scan_split
from aigp_lightning.modules.detector import DetectorModule

FOLDER = REPO / "benchmarks"


def run_script(name: str, *words: object, python: str | None = None) -> str:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [python or executable(), str(FOLDER / name), *map(str, words)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def benchmark(name: str) -> Any:
    """The module of a script, which finds its neighbours."""
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(FOLDER))


def test_throughput(shapes: Path, tmp_path: Path) -> None:
    """Both sides train on all 24 pictures; each is timed by its own file and by callbacks."""
    words = ["--data", shapes, "--imgsz", 32, "--batch", 12, "--epochs", 2, "--rounds", 1]
    words += ["--sides", "ours-thread", "theirs-thread", "--json", tmp_path / "out.json"]
    printed = run_script("throughput.py", *words)
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["failed"] == []
    runs = {run["side"]: run for run in result["runs"]}
    for run in runs.values():
        assert (run["images"], run["batch"], run["processes"], run["threads"]) == (24, 12, 1, 1)
        assert (len(run["epoch_s"]), len(run["train_s"]), len(run["cpu_s"])) == (1, 2, 2), "a file has no first time"
        assert run["epoch_s"][0] > run["train_s"][1] > 0, "validation and checkpoints belong to an epoch"
    alone = next(found for found in result["ratios"] if found["time"] == "train_s")
    assert alone["ratio"] == pytest.approx(runs["theirs-thread"]["train_s"][1] / runs["ours-thread"]["train_s"][1])
    assert f"| 12 | at one thread | {result['ratios'][0]['ratio']:.2f} " in printed


def test_throughput_compares_sides_of_a_batch() -> None:
    """Ratios are of medians over all rounds, and by round; what failed on one side has none."""
    throughput = benchmark("throughput")
    run = {"batch": 8, "images": 60}
    runs = [
        {**run, "side": "ours", "round": 0, "epoch_s": [3.0, 2.0], "train_s": [9.0, 1.0, 1.0]},
        {**run, "side": "ours", "round": 1, "epoch_s": [2.0, 2.0], "train_s": [9.0, 1.0, 1.0]},
        {**run, "side": "theirs", "round": 0, "epoch_s": [4.0, 4.0], "train_s": [8.0, 3.0, 3.0]},
        {**run, "side": "theirs", "round": 1, "epoch_s": [6.0, 6.0], "train_s": [8.0, 3.0, 3.0]},
        {**run, "side": "memory", "round": 0, "epoch_s": [1.0, 1.0], "train_s": [7.0, 0.8, 0.8]},
        {**run, "side": "memory", "batch": 16, "round": 0, "epoch_s": [1.0, 1.0], "train_s": [7.0, 0.8, 0.8]},
    ]
    found = throughput.ratios(runs, [8, 16], warmup=1)
    assert [(each["batch"], each["comparison"], each["time"]) for each in found] == [
        (8, "each as its users get it", "epoch_s"),
        (8, "each as its users get it", "train_s"),
        (8, "share of the step on data in memory", "train_s"),
    ]
    assert [each["ratio"] for each in found] == pytest.approx([30 / 12.5, 3.0, 0.8])
    assert [each["by_round"] for each in found] == [pytest.approx([25 / 15, 3.0]), pytest.approx([3.0, 3.0]), [0.8]]


def test_clock_repeats_a_batch(shapes: Path, tmp_path: Path) -> None:
    """An epoch on a batch in memory has as many steps as one from files, all of them on the same pictures."""
    clock, seen = benchmark("epoch_clock"), []

    class Noting(DetectorModule):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            seen.append(batch["im_file"])
            return super().training_step(batch, batch_idx)

    times = clock.EpochClock(str(tmp_path / "clock.json"), repeat=True)
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "limit_val_batches": 0}
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, callbacks=[times], enable_model_summary=False, use_distributed_sampler=False,
        default_root_dir=tmp_path, **options,
    )  # fmt: skip
    trainer.fit(Noting(), datamodule=YoloDataModule(str(shapes), imgsz=32, batch_size=8, workers=0))
    assert len(seen) == 6
    assert all(files == seen[0] for files in seen)
    found = json.loads((tmp_path / "clock.json").read_text())
    assert len(found["train_s"]) == len(found["cpu_s"]) == 2
    assert (found["images"], found["batch"], found["workers"], found["processes"]) == (24, 8, 0, 1)


def test_a_set_is_repeated(tmp_path: Path) -> None:
    """Pictures and labels come again under other names, as many as are asked for."""
    common = benchmark("common")
    made = common.synthetic(tmp_path / "gates", 2, 1, (160, 90))
    spec = read_data_yaml(common.repeated(made, tmp_path / "repeated", 5))
    records = scan_split(spec, "train", progress=False).records
    names = ["0000_000000", "0000_000001", "0001_000000", "0001_000001", "0002_000000"]
    assert [Path(record.im_file).stem for record in records] == names
    assert [len(record.cls) for record in records[2:4]] == [len(record.cls) for record in records[:2]]
    assert records[0].bboxes.tolist() == records[4].bboxes.tolist()


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    """A child that is not done in time is ended, and all that it has started with it."""
    common = benchmark("common")
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    with pytest.raises(SystemExit, match="not done after 1 s"):
        common.run([sys.executable, "-c", code], dict(os.environ), tmp_path / "log", 1)
    pid = int((tmp_path / "log").read_text())
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.02)


def test_accuracy_resumes(shapes: Path, tmp_path: Path) -> None:
    """A run that the JSON holds is not repeated; a missing one is trained, scored by Ultralytics and added."""
    settings = {"epochs": 1, "imgsz": 32, "batch": 12, "nbs": 12, "warmup_epochs": 0.0, "close_mosaic": 0}
    known = {"data": str(shapes.resolve()), "split": "val", "device": "cpu", **settings, "mAP50": 0.4, "minutes": 0.1}
    held = [{**known, "name": "shapes, val", "side": "ours", "seed": s, "mAP50-95": 0.3 + 0.02 * s} for s in (0, 1)]
    held += [{**known, "name": "shapes, val", "side": "ultralytics", "seed": 0, "mAP50-95": 0.25}]
    held += [{**held[0], "augment": {"scale": 0.1}, "mAP50-95": 0.9}, {**held[0], "ours_devices": "2", "mAP50-95": 0.9}]
    file = tmp_path / "accuracy.json"
    file.write_text(json.dumps({"runs": held}))
    options = [w for k, v in settings.items() for w in (f"--{k.replace('_', '-')}", v)]
    words = ["--data", shapes, "--seeds", 0, 1, *options, "--workers", 0, "--folder", tmp_path / "runs", "--json", file]
    printed = run_script("accuracy.py", *words, "--ours-devices", 1)
    result = json.loads(file.read_text())
    assert result["runs"][:5] == held
    assert [(r["side"], r["seed"]) for r in result["runs"][5:]] == [("ultralytics", 1)]
    new = result["runs"][5]
    assert 0 <= new["mAP50-95"] <= new["mAP50"] <= 1
    assert (tmp_path / "runs" / "shapes-val-ultralytics-1" / "ultralytics" / "weights" / "best.pt").is_file()
    found = result["verdicts"][0]
    assert found["mean"]["ours"] == pytest.approx(0.31)
    assert found["difference"] == pytest.approx(0.31 - mean([0.25, new["mAP50-95"]]))
    assert found["ours_no_lower"]
    assert "| shapes, val | ours | 0.4000 / 0.3000 | 0.4000 / 0.3200 | 0.4000 | 0.3100 | 0.0141 |" in printed


def test_accuracy_of_pose(tmp_path: Path) -> None:
    """Both sides train on corners; `--eval-split train` judges boxes and keypoints on the 12 training pictures."""
    settings = {"epochs": 1, "imgsz": 64, "batch": 6, "nbs": 6, "warmup_epochs": 0.0, "close_mosaic": 0}
    options = [w for k, v in settings.items() for w in (f"--{k.replace('_', '-')}", v)]
    words = ["--task", "pose", "--images", 12, "--eval-split", "train", "--seeds", 3, *options, "--threads", 1]
    words += ["--augment", "scale=0.25", "hsv_s=0", "--ours-precision", "bf16-mixed", "--ours-devices", 1]
    printed = run_script("accuracy.py", *words, "--workers", 0, "--folder", tmp_path, "--json", tmp_path / "out.json")
    result = json.loads((tmp_path / "out.json").read_text())
    assert [(r["side"], r["task"], r["seed"]) for r in result["runs"]] == [
        ("ours", "pose", 3),
        ("ultralytics", "pose", 3),
    ]
    for run in result["runs"]:
        for kind in "BP":
            assert 0 <= run[f"mAP50-95({kind})"] <= run[f"mAP50({kind})"] <= 1
        assert "mAP50" not in run, "is of detectors"
    for place, (found, key) in enumerate(zip(result["verdicts"], ("mAP50-95(B)", "mAP50-95(P)"), strict=True)):
        both = [run[key] for run in result["runs"]]
        assert (found["score"], found["spread"]) == (key, 0), place
        assert found["difference"] == pytest.approx(both[0] - both[1])
        assert found["ours_no_lower"] == (both[0] >= both[1])
        assert f"| {both[0]:.4f} | 0.0000 |" in printed
        assert f"({key} difference {found['difference']:+.4f}" in printed

    ours, theirs = (tmp_path / f"pose-gate-corners-train-{side}-3" for side in ("ours", "ultralytics"))
    config = (ours / "pose" / "ours" / "config.yaml").read_text(encoding="utf-8")
    lines = ("seed_everything: 3", "max_epochs: 1", "nbs: 6", "warmup_epochs: 0.0", "patience: 2", "seed: 3")
    for line in (*lines, "scale: 0.25", "hsv_s: 0.0"):
        assert line in config
    assert "12 images" in (ours / "ours.log").read_text(encoding="utf-8")
    chosen = yaml.safe_load((theirs / "ultralytics" / "args.yaml").read_text(encoding="utf-8"))
    assert (chosen["task"], chosen["model"]) == ("pose", "yolo11n-pose.yaml")
    assert {key: chosen[key] for key in (*settings, "scale", "hsv_s")} == {**settings, "scale": 0.25, "hsv_s": 0.0}
    assert "precision: bf16-mixed" in config


def test_accuracy_tells_tasks_apart() -> None:
    """Runs from before there was a choice are of detect; boxes and keypoints get a verdict each."""
    tables = benchmark("accuracy_tables")
    common = {"name": "gates, val", "data": "gates", "epochs": 9, "minutes": 1.0}
    old = [{**common, "side": side, "seed": 0, "mAP50": 0.5, "mAP50-95": 0.3} for side in tables.SIDES]
    posed = [
        {**common, "task": "pose", "side": side, "seed": seed, "mAP50-95(B)": box + seed / 100, "mAP50-95(P)": pose}
        for side, box, pose in (("ours", 0.295, 0.2), ("ultralytics", 0.3, 0.201))
        for seed in (0, 1)
    ]
    detect = tables.select([*old, *posed], {"data": "gates", "epochs": 9, "task": "detect", "seeds": [0, 1]})
    pose = tables.select([*old, *posed], {"data": "gates", "epochs": 9, "task": "pose", "seeds": [0, 1]})
    assert detect == {"ours": old[:1], "ultralytics": old[1:]}
    assert pose == {"ours": posed[:2], "ultralytics": posed[2:]}
    box, points = (tables.verdict(pose, key) for _, key in tables.keys("pose"))
    assert (box["score"], box["ours_no_lower"], points["score"], points["ours_no_lower"]) == (
        *("mAP50-95(B)", True),
        *("mAP50-95(P)", False),
    )
    assert (box["difference"], box["spread"]) == pytest.approx((-0.005, 0.01 / 2**0.5))
    assert (points["difference"], points["spread"]) == pytest.approx((-0.001, 0))


@pytest.mark.parametrize("name", ["detect", "pose", "obstacle"])
def test_accuracy_trains_what_our_yaml_says(name: str) -> None:
    """Model, data set and run folder of each task are those of its YAML, so that both sides train the same."""
    task = benchmark("accuracy_tables").TASKS[name]
    config = yaml.safe_load((FOLDER.parent / "configs" / task.config).read_text(encoding="utf-8"))
    module, _, cls = config["model"]["class_path"].rpartition(".")
    assert config["model"]["init_args"]["variant"] == task.model
    assert config["data"]["synthetic"]["task"] == name
    assert getattr(importlib.import_module(module), cls).task == task.kind


def test_both_sides_read_the_same_keypoints(tmp_path: Path) -> None:
    """All that a data.yaml says about keypoints is in the file for both sides."""
    common = benchmark("common")
    made = common.synthetic(tmp_path / "corners", 1, 1, (160, 90), "pose")
    source = made.with_name("more.yaml")
    extra = "kpt_oks_sigmas: [0.1, 0.2, 0.1, 0.2]\nskeleton: [[0, 2], [1, 3]]\n"
    source.write_text(made.read_text(encoding="utf-8") + extra, encoding="utf-8")
    ours = read_data_yaml(source)
    both = read_data_yaml(common.absolute_yaml(source, tmp_path / "elsewhere" / "data.yaml"))
    assert (both.keypoints, both.names, both.splits["train"]) == (ours.keypoints, ours.names, ours.splits["train"])
    assert both.keypoints is not None
    assert both.keypoints.flip_idx_vertical == (3, 2, 1, 0)
    assert both.keypoints.sigmas == (0.1, 0.2, 0.1, 0.2)
    assert both.keypoints.edges == ((0, 2), (1, 3))


def test_accuracy_refuses_a_data_set_of_another_size(tmp_path: Path) -> None:
    """The synthetic set of an earlier call is taken again only if it has as many pictures as were asked for."""
    accuracy = benchmark("accuracy")
    made = accuracy.synthetic(tmp_path / "gates", 2, 1, (160, 90))
    options = argparse.Namespace(task="detect", images=2)
    assert accuracy.synthetic_once(tmp_path / "gates", options) == made
    options.images = 20
    with pytest.raises(SystemExit, match="does not have 20 training pictures: remove it"):
        accuracy.synthetic_once(tmp_path / "gates", options)


def test_startup(tmp_path: Path) -> None:
    """`--help` imports nothing heavy, and answers sooner than the empty LightningCLI by an order of magnitude."""
    words = ["--parts", "help", "--rounds", 1, "--warmup", 0, "--json", tmp_path / "out.json"]
    printed = run_script("startup.py", *words, python=sys.executable)
    found = json.loads((tmp_path / "out.json").read_text())["help"]
    assert found["heavy_imports_of_help"] == []
    assert found["median"]["aigp_lightning --help"] < 0.1 * found["median"]["empty LightningCLI, fit --help"]
    assert f"ours / empty: {found['ratio']:.2f}" in printed


def test_startup_scan_and_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    startup, args = benchmark("startup"), argparse.Namespace(images=20, rounds=1, device="cpu")
    result = {"scan": startup.measure_scan(args, tmp_path), "checkpoint": startup.measure_checkpoint(args, tmp_path)}
    assert result["checkpoint"]["megabytes"] == pytest.approx(42, abs=3)
    startup.print_table({"machine": "here", **result})
    printed = capsys.readouterr().out
    assert "| scan of 20 pictures | seconds | of processor time |" in printed
    assert "two checkpoints of 4" in printed
