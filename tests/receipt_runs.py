"""What the tests of receipts build: small runs with a real checkpoint, ledger, configuration and results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from aigp_lightning.media.ledger.ledger import Entry, Ledger
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, ImageResults, empty_results
from aigp_lightning.run.marker import write_run_file
from aigp_lightning.run.provenance import record_start
from aigp_lightning.store.gates import judge, parse_gate
from aigp_lightning.store.journal import Entry as JournalEntry
from aigp_lightning.store.journal import append_entries
from aigp_lightning.store.model_files import version_id
from aigp_lightning.store.receipt import FileFact, file_fact, write_receipt

MAP = "metrics/mAP50-95(B)"
METRICS = {MAP: 0.2985, "fitness": 0.2985, "metrics/recall(B)": None}
"""Those of `one_object`."""
POLICY_METRICS = {"success_rate": 0.75, "pass_rate": 0.9}
CONFIG: dict[str, Any] = {
    "seed_everything": 3,
    "trainer": {"max_epochs": 5, "logger": {"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": {}}},
    "model": {"class_path": "aigp_lightning.modules.detector.DetectorModule"},
    "data": {"data_yaml": "/home/somebody/gates/data.yaml", "seed": 4},
    "media": {"max_mb": None, "routes": {"everything": ["file", "wandb"]}, "private": ["/home/somebody/secret"]},
    "wandb": {"config": True},
}
LEAK = {
    "limit": 0.05, "split": "val", "other": "train", "pictures": 4, "near": 3, "share": 0.75, "cut_recordings": 1
}  # fmt: skip
"""A validation split of which three of four pictures have a near neighbour in training."""
PICTURE = Entry(
    "val_pred", "val_batch0_pred", "val_batch0_pred.jpg", "ab" * 32, 100, 9, 0, ["a.jpg"], "file", "written"
)


def make_run(run: Path, data: dict[str, Any] | None = None, data_yaml: Path | None = None) -> ImageResults:
    """A detector's run; returns its results, which are in its folder too."""
    (run / "weights").mkdir(parents=True)
    metadata = {"names": {0: "gate"}, "task": "detect", "family": "yolo", "network": {}}
    torch.save({"epoch": 1, "aigp": metadata, "state_dict": {}}, run / "weights" / "best.ckpt")
    config = CONFIG if data_yaml is None else {**CONFIG, "data": {"data_yaml": str(data_yaml), "seed": 4}}
    (run / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (run / "results.csv").write_text(f"epoch,time,{MAP}\n1,1,0.1\n2,2,0.25\n3,3,0.2\n", encoding="utf-8")
    write_run_file(run, split_leak=LEAK)
    record_start(run, {"seed_everything": 3, "data.seed": 4}, ["NVIDIA H100"], 2)
    add_to_ledger(run)
    results = one_object(str(run / "a.jpg"), about_of(run, data))
    results.save(run / RESULTS_FILE)
    return results


def one_object(file: str, about: dict[str, Any], keypoints: int = 0) -> ImageResults:
    """Results of an object whose box is found well enough at three of ten thresholds, without errors of keypoints."""
    one, box = np.zeros(1, np.int32), np.float32([[10, 10, 20, 20]])
    points, right = np.zeros((1, keypoints, 3), np.float32), np.arange(10)[None] < 3
    return replace(
        empty_results([file], about),
        found_image=one, found_label=one, found_score=np.float32([0.9]), found_box=box, found_points=points,
        correct=right, correct_pose=right[:, : 10 * bool(keypoints)], correct_mask=np.zeros((1, 0), np.bool_),
        match=one, true_image=one, true_label=one, true_box=box, true_points=points,
        corner_rows=np.zeros((1, 0), np.float32),
    )  # fmt: skip


def about_of(run: Path, data: dict[str, Any] | None = None) -> dict[str, Any]:
    known = data or {"split": "val", "sha256": "cd" * 32, "images": 11, "labels": 20}
    return {
        "task": "detect", "family": "yolo", "names": {"0": "gate"}, "keypoints": None,
        "settings": {"imgsz": 96, "conf": 0.001, "iou": 0.7, "max_det": 300, "resize": "letterbox"},
        "data": {"data_yaml": "/home/somebody/gates/data.yaml", **known},
        "model": {"file": "weights/best.ckpt", "sha256": file_fact(run / "weights" / "best.ckpt").sha256},
        "metrics": METRICS,
    }  # fmt: skip


def decision_of(files: Mapping[str, FileFact], metrics: Mapping[str, float | None], **changes: Any) -> dict[str, Any]:
    """A decision as `promote` makes it: two gates against a latest, one without."""
    gates = [parse_gate(f"{name} >= {limit}") for name in list(metrics)[:1] for limit in ("latest - 0.5", "0.01")]
    judged = judge(gates, metrics, dict.fromkeys(metrics, 0.125))
    return {
        "name": "gates", "version": version_id(files), "latest": "ab" * 8, "passed": judged.passed,
        "gates": judged.rows, "notes": ["on the same pictures"], "forced": None, **changes,
    }  # fmt: skip


def store_of(version: Path, receipt: dict[str, Any]) -> Path:
    """Move a version's files and its receipt to a store with a journal; returns the receipt's path."""
    decision = receipt["decision"]
    folder: Path = version.parent / "store" / "versions" / decision["version"]
    folder.parent.mkdir(parents=True)
    version.rename(folder)
    digest = write_receipt(folder / "receipt.json", receipt)
    entry = JournalEntry(
        "promoted", decision["name"], decision["version"], digest, decision["gates"], decision["forced"] or ""
    )
    append_entries(folder.parent.parent / "journal.jsonl", [entry], trim=False)
    return folder / "receipt.json"


def add_to_ledger(run: Path) -> None:
    """An epoch's line for the file, one that was sent, one that is unknown, one withheld."""
    ledger = Ledger(run / "media.jsonl")
    for key, destination, outcome in (
        ("a", "file", "written"), ("a", "wandb", "sent"), ("b", "wandb", "unknown"), ("c", "wandb", "withheld"),
    ):  # fmt: skip
        ledger.add(replace(PICTURE, key=key, destination=destination, outcome=outcome))  # type: ignore[arg-type]
    ledger.close()


def version_of(run: Path, folder: Path) -> dict[str, FileFact]:
    """A version of the store with two files of the run; returns their facts."""
    folder.mkdir(parents=True)
    (folder / "best.ckpt").write_bytes((run / "weights" / "best.ckpt").read_bytes())
    (folder / "best.onnx").write_bytes(b"a network")
    return {name: file_fact(folder / name) for name in ("best.ckpt", "best.onnx")}


def make_policy_run(run: Path, success: float = 0.75, episodes: int = 40, steps: int = 4096) -> None:
    """A policy's run with an evaluation of its best model."""
    best, judged = run / "best", run / "evaluation" / "best"
    best.mkdir(parents=True)
    judged.mkdir(parents=True)
    (best / "model.zip").write_bytes(b"a policy of %d" % steps)
    about = {"steps": steps, "evaluation": {"success": 1.0, "episodes": 8}}
    (best / "about.json").write_text(json.dumps(about), encoding="utf-8")
    config = {"env": {"id": "aigp/GateRace-v0", "kwargs": {}}, "eval_env": {"seed": 1000}}
    (run / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    versions = {"python": "3.11.7", "torch": "2.8.0", "time": "2026-11-28T00:00:00Z", "seeds": {"seed": 0}}
    (run / "versions.json").write_text(json.dumps(versions), encoding="utf-8")
    found = {
        "policy": str(best), "steps": steps, "env": "aigp/GateRace-v0", "starts": 7, "success": success,
        "kwargs": {"track": "/home/somebody/tracks/oval.json"}, "interval": [0.6, 0.86], "episodes": episodes,
        "pass_rate": 0.9, "best_lap": None,
    }  # fmt: skip
    (judged / "evaluation.json").write_text(json.dumps(found), encoding="utf-8")
