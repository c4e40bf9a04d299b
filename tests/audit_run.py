"""What the audit's tests build runs with: real pictures, a real ledger, real event files, real W&B folders."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from aigp_lightning.media.ledger.ledger import Entry, Ledger

PRIVATE_SETTINGS = {
    "x_disable_machine_info": True,
    "console": "off",
    "x_save_requirements": False,
    "save_code": False,
    "host": "redacted",
    "program": "train",
}
EPOCHS = 2
ONE_EPOCH = (
    "--trainer.max_epochs", 1, "--media.val_batches", 1, "--media.train_batches", 1, "--media.routes.curves", "[]",
    "--media.routes.confusion_matrix", "[]", "--media.routes.results", "[]",
)  # fmt: skip
"""Options of a real run with one mosaic of each kind and no charts."""
SOURCES = ["data/images/val/a.jpg", "data/images/val/ü b.jpg"]
SIZE = (48, 32)


def draw(path: Path, seed: int) -> Path:
    """A small picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


def start_wandb(run: Path, **settings: Any) -> Any:
    """Begin an offline W&B run in a run folder."""
    import wandb

    return wandb.init(
        mode="offline",
        dir=str(run),
        project="aigp",
        config={"data": {"imgsz": 96}, "lr": 0.1},
        settings=wandb.Settings(silent=True, **settings),
    )


def stop_wandb() -> None:
    """Finish whatever W&B run there is."""
    import wandb

    wandb.finish()
    wandb.teardown()


class Builder:
    """Hands pictures over and writes the ledger, as the media callback does."""

    def __init__(self, run: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.run = run
        self.ledger = Ledger(run / "media.jsonl")
        self.writer = SummaryWriter(str(run / "tensorboard"))
        self.wandb = start_wandb(run, **PRIVATE_SETTINGS)

    def note(self, path: Path, epoch: int, destination: str, outcome: str, reason: str = "") -> None:
        data = path.read_bytes()
        file = path.relative_to(self.run).as_posix()
        sizes = {"sha256": sha256(data).hexdigest(), "bytes": len(data), "step": epoch * 10, "epoch": epoch}
        sources = SOURCES[:1] if "batch1" in file or "masked" in file else SOURCES
        self.ledger.add(
            Entry(
                "val_pred",
                path.stem,
                file,
                **sizes,
                sources=sources,
                destination=destination,
                outcome=outcome,
                reason=reason,
            )  # type: ignore[arg-type]
        )

    def tensorboard(self, path: Path, epoch: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        data = path.read_bytes()
        image = Summary.Image(encoded_image_string=data, width=SIZE[0], height=SIZE[1], colorspace=3)
        summary = Summary(value=[Summary.Value(tag=path.stem, image=image)])
        self.writer._get_file_writer().add_summary(summary, epoch)

    def to_wandb(self, paths: list[Path], epoch: int) -> None:
        import wandb

        row = {path.stem: wandb.Image(str(path)) for path in paths}
        self.wandb.log({**row, "epoch": epoch, "trainer/global_step": epoch * 10})

    def epoch(self, epoch: int) -> None:
        """Labels stay the same; predictions change, and W&B gets them masked; the second mosaic is over budget."""
        labels = draw(self.run / "val_batch0_labels.jpg", 1)
        predictions = draw(self.run / "val_batch0_pred.jpg", 100 + epoch)
        masked = draw(self.run / "masked" / "val_batch0_pred.jpg", 200 + epoch)
        second = draw(self.run / "val_batch1_pred.jpg", 300 + epoch)
        for path in (labels, predictions, second):
            shutil.copy(path, draw(self.run / f"history/epoch{epoch:04d}" / path.name, 0))
            self.note(path, epoch, "file", "written")
            self.tensorboard(path, epoch)
            self.note(path, epoch, "tensorboard", "sent")
        self.to_wandb([labels, masked], epoch)
        self.note(labels, epoch, "wandb", "sent")
        self.note(masked, epoch, "wandb", "sent")
        self.note(second, epoch, "wandb", "withheld", "budget")
        self.wandb.log({"metrics/mAP50(B)": 0.5, "epoch": epoch})
        self.writer.add_scalar("metrics/mAP50(B)", 0.5, epoch)

    def close(self) -> None:
        self.ledger.close()
        self.writer.close()
        stop_wandb()


def append_record(file: Path, record: Any) -> None:
    """Add a record to a W&B run file, in chunks that keep to its blocks of 32 KiB, as W&B's own writer does."""
    import struct
    import zlib

    data, out, at, first = record.SerializeToString(), b"", file.stat().st_size, True
    while first or data:
        left = 32768 - (at + len(out)) % 32768
        if left < 7:
            out += bytes(left)
            continue
        part, data = data[: left - 7], data[left - 7 :]
        kind = 1 if first and not data else 2 if first else 3 if data else 4
        out += struct.pack("<IHB", zlib.crc32(bytes([kind]) + part), len(part), kind) + part
        first = False
    with file.open("ab") as target:
        target.write(out)
