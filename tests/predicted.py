"""What tests of `predict` share: pictures and videos of a bright rectangle, and a module that finds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import DataLoader

from aigp_lightning.callbacks.predictions import PredictionWriter
from aigp_lightning.data.collate import collate
from aigp_lightning.data.predict_batches import PredictBatchSampler
from aigp_lightning.data.sources import open_sources
from aigp_lightning.types import DetectionBatch, Prediction

BOX = (100.0, 60.0, 300.0, 180.0)  # in every picture of `paint`, its own pixels
NAMES = {0: "gate", 3: "Säule"}


class Finder(pl.LightningModule):
    """Finds the bright rectangle of `paint`, and in dark pictures nothing."""

    names = NAMES

    def __init__(self, keypoints: bool = False) -> None:
        super().__init__()
        self.keypoints = keypoints

    def predict_step(self, batch: DetectionBatch, batch_idx: int) -> list[Prediction]:
        return [self._find(image) for image in batch["img"]]

    def _find(self, image: torch.Tensor) -> Prediction:
        rows, columns = torch.nonzero(image.float().amin(0) > 170, as_tuple=True)
        if not len(rows):
            return Prediction(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
        box = torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()[None]
        points = torch.tensor([[[*box[0, :2].tolist(), 0.75], [-1000.0, 5.0, 0.125]]]) if self.keypoints else None
        return Prediction(box, torch.tensor([0.875]), torch.tensor([3]), points)


class Data(pl.LightningDataModule):
    def __init__(self, source: str | list[str], imgsz: int = 320, workers: int = 0) -> None:
        super().__init__()
        self.source, self.imgsz, self.workers = source, imgsz, workers
        self.break_later: list[Path] = []
        self.vid_stride = 1

    def predict_dataloader(self) -> DataLoader[Any]:
        dataset = open_sources(self.source, self.imgsz, vid_stride=self.vid_stride)
        for path in self.break_later:
            path.write_bytes(b"broken since")
        rank, world = self.trainer.global_rank, self.trainer.world_size
        batches: Any = PredictBatchSampler(dataset, 2, rank, world)
        return DataLoader(dataset, batch_sampler=batches, collate_fn=collate, num_workers=self.workers)  # type: ignore[arg-type]


def paint(path: Path, found: bool = True, height: int = 300, width: int = 400) -> str:
    image = np.full((height, width, 3), 30, np.uint8)
    if found:
        left, top, right, bottom = (int(side) for side in BOX)
        image[top:bottom, left:right] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return str(path)


def make_video(path: Path, frames: int = 3, fps: float = 25.0) -> Path:
    """Write a video of the bright rectangle; each frame has a grey level of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (400, 300))
    left, top, right, bottom = (int(side) for side in BOX)
    for number in range(frames):
        image = np.full((300, 400, 3), 10 * number, np.uint8)
        image[top:bottom, left:right] = 255
        writer.write(image)
    writer.release()
    return path


def predict(tmp_path: Path, data: Data, module: pl.LightningModule | None = None, **options: Any) -> Path:
    writer = PredictionWriter(**options)
    trainer = pl.Trainer(
        accelerator="cpu", default_root_dir=tmp_path / "run", logger=False, callbacks=[writer],
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.predict(module or Finder(), data, return_predictions=False)
    return tmp_path / "run" / "predictions"


def read(path: Path) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image[..., ::-1]
