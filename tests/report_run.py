"""Run folders for the tests of `report`: real pictures and a real ledger, without a training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from aigp_lightning.media.ledger.ledger import Entry, Ledger
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, ImageResults

CONFIG: dict[str, Any] = {
    "seed_everything": 0,
    "trainer": {"max_epochs": 3, "logger": False},
    "model": {"class_path": "Model", "init_args": {"weights": "/home/somebody/models/start.pt", "lr": 0.01}},
    "data": {"data_yaml": "/home/somebody/data/gates.yaml", "imgsz": 96},
    "run": {"name": "a", "root": "/home/somebody/runs"},
    "media": {"private": None, "private_action": "mask"},
    "ckpt_path": None,
}
STREET, HOME = "/home/somebody/data/images/val/street.jpg", "/home/somebody/data/images/val/home/kitchen.jpg"


def noise(seed: int, side: int = 64, suffix: str = ".jpg") -> bytes:
    """The bytes of a small picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return bytes(cv2.imencode(suffix, pixels)[1].tobytes())


class RunBuilder:
    """A run folder that pictures are put into, each with its lines in the ledger."""

    def __init__(self, folder: Path, **options: dict[str, Any]) -> None:
        self.run = folder
        folder.mkdir(parents=True)
        config = {
            key: {**value, **options.get(key, {})} if isinstance(value, dict) else value
            for key, value in CONFIG.items()
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        (folder / "run.json").write_text(json.dumps({"program": "aigp_lightning"}), encoding="utf-8")
        self.ledger = Ledger(folder / "media.jsonl")

    def note(
        self, file: str, data: bytes, epoch: int, destination: str, sources: Sequence[str], outcome: str = ""
    ) -> None:
        """Add a line; epochs count from 0, as in ledgers."""
        sizes = {"sha256": sha256(data).hexdigest(), "bytes": len(data), "step": epoch * 10, "epoch": epoch}
        outcome = outcome or ("written" if destination == "file" else "sent")
        entry = Entry(
            "val_pred", Path(file).stem, file, **sizes, sources=list(sources), destination=destination, outcome=outcome
        )  # type: ignore[arg-type]
        self.ledger.add(entry)

    def picture(self, name: str, data: bytes, epoch: int, sources: Sequence[str] = (), history: bool = True) -> None:
        """Write a picture as a run does."""
        (self.run / name).write_bytes(data)
        if history:
            kept = self.run / f"history/epoch{epoch:04d}" / name
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(data)
        self.note(name, data, epoch, "file", sources)

    def masked(self, name: str, data: bytes, epoch: int, sources: Sequence[str]) -> None:
        """Write the masked variant, which W&B gets."""
        (self.run / "masked").mkdir(exist_ok=True)
        (self.run / "masked" / name).write_bytes(data)
        self.note(f"masked/{name}", data, epoch, "wandb", sources)

    def scalars(self, epochs: int) -> None:
        """Write `results.csv`."""
        rows = [f"{number},{number}.5,{1 / number:.4f},{number / 10:.2f},nan" for number in range(1, epochs + 1)]
        head = "epoch,time,train/box_loss,  metrics/mAP50(B),val/box_loss"
        (self.run / "results.csv").write_text("\n".join([head, *rows, ""]), encoding="utf-8")

    def checkpoint(self, epoch: int = 1, **more: Any) -> None:
        """Save a best checkpoint of an epoch, from 0, and results of it unless others are there."""
        import torch

        about = {"names": {0: "gate", 1: "drone"}, "task": "detect", "network": {}, "last_step": 7, "family": "yolo"}
        path = self.run / "weights" / "best.ckpt"
        path.parent.mkdir(exist_ok=True)
        torch.save({"state_dict": {}, "epoch": epoch, "aigp": {**about, **more}}, path)

    def results(self, files: Sequence[str], of: bytes | None = None) -> ImageResults:
        """Write results: of each file a gate found, a drone missed and a false alarm; the last one has no errors."""
        digest = sha256((self.run / "weights/best.ckpt").read_bytes() if of is None else of).hexdigest()
        results = results_of(files, digest)
        results.save(self.run / RESULTS_FILE)
        return results


def results_of(files: Sequence[str], digest: str = "0" * 64) -> ImageResults:
    """Results of some images: in each a gate that is found, a drone that is missed, and a false alarm.

    The last image has neither the drone nor the false alarm.
    """
    count = len(files)
    doubled = np.repeat(np.arange(count), 2)[:-1].astype(np.int32)
    found, true = len(doubled), len(doubled)
    first = np.arange(found) % 2 == 0
    box = np.where(first[:, None], [10, 10, 30, 30], [50, 50, 60, 60]).astype(np.float32)
    true_box = np.where(first[:, None], [11, 10, 31, 30], [70, 10, 90, 40]).astype(np.float32)
    table = [{"class": "all", "images": count, "instances": true, "mAP50": 0.5, "mAP50-95": 0.25}]
    about = {
        "task": "detect", "family": "yolo", "names": {"0": "gate", "1": "drone"}, "keypoints": None, "bands": None,
        "settings": {}, "data": {}, "model": {"file": "best.ckpt", "sha256": digest},
        "metrics": {"metrics/mAP50(B)": 0.5}, "table": table,
    }  # fmt: skip
    return ImageResults(
        tuple(files),
        np.tile(np.int32([90, 120]), (count, 1)),
        doubled,
        np.where(first, 0, 1).astype(np.int32),
        np.where(first, 0.9, 0.6).astype(np.float32),
        box,
        np.zeros((found, 0, 3), np.float32),
        np.repeat(first[:, None], 10, 1),
        np.zeros((found, 0), np.bool_),
        np.zeros((found, 0), np.bool_),
        np.where(first, np.arange(found), -1).astype(np.int32),
        doubled,
        np.where(first, 0, 1).astype(np.int32),
        true_box,
        np.zeros((true, 0, 3), np.float32),
        np.zeros((true, 0), np.float32),
        about,
    )


def picture_id(data: bytes) -> str:
    """The id by which a report names a picture."""
    return f"m{sha256(data).hexdigest()[:20]}"
