"""A model whose answers are prepared: its network looks up what it returns by the grey of a picture.

Everything around the network is real: files, resizing, suppression, labels, checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import lightning
import numpy as np
import torch
from torch import Tensor, nn

from aigp_lightning.boxes import xywh_to_xyxy
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.families import CLASSES
from aigp_lightning.modules.pose import PoseModule
from aigp_lightning.modules.registry import register
from aigp_lightning.types import DetectionBatch, Keypoints, Prediction

FAMILY = "prepared"
WIDTH, HEIGHT, PAD = 160, 90, 3
"""Pictures are this large; resized to an input of 160 × 96 they have three rows of grey above and below."""
GATE = ("tl", "tr", "br", "bl")


class Lookup(nn.Module):
    """From images to the rows of the table at their middle's grey; counts how often it is asked."""

    table: Tensor
    calls = 0

    def __init__(self, pictures: int, channels: int, anchors: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(pictures, channels, anchors))
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        Lookup.calls += len(images)
        middle = images[:, 0, images.shape[2] // 2, images.shape[3] // 2]
        return self.table[(middle * 255).round().long()]


class PreparedPose(PoseModule):
    """A keypoint model with a table in place of its network."""

    family = FAMILY

    def build_network(self, names: Any, description: Mapping[str, Any] | None = None) -> nn.Module:
        assert description is not None
        self.keypoints = self.keypoints or Keypoints(4, 3, GATE)
        return Lookup(*description["table"])

    def network_description(self) -> dict[str, Any]:
        return {"table": list(self.network.table.shape)}  # type: ignore[union-attr]

    def set_network(self, network: nn.Module, names: Mapping[int, str] | None = None) -> None:
        BaseModule.set_network(self, network, names)

    def outputs(self, batch: DetectionBatch) -> Any:
        return self.network(batch["img"])  # type: ignore[misc]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        BaseModule.on_load_checkpoint(self, checkpoint)


class PreparedDetector(PreparedPose):
    """The same without keypoints."""

    task = "detect"

    def build_network(self, names: Any, description: Mapping[str, Any] | None = None) -> nn.Module:
        assert description is not None
        return Lookup(*description["table"])

    @property
    def wants_keypoints(self) -> bool:
        return False

    def build_metrics(self) -> Any:
        return BaseModule.build_metrics(self)

    def _predictions(self, rows: list[Any]) -> Any:
        return super(PoseModule, self)._predictions(rows)


class PreparedQueries(PreparedDetector):
    """A detector that suppresses no boxes, as one with queries."""

    family = "queries"

    def __init__(self, variant: str = "", **options: Any) -> None:
        super().__init__("yolo11n-pose", **options)
        self.max_det = self.inference.max_det
        del self.inference

    def predict_batch(self, batch: DetectionBatch, conf: float) -> list[Prediction]:
        rows = self.outputs(batch)[:, :5].transpose(1, 2)
        rows = [each[each[:, 4] >= conf] for each in rows]
        rows = [each[each[:, 4].argsort(descending=True)] for each in rows]
        return [Prediction(xywh_to_xyxy(each[:, :4]), each[:, 4], torch.zeros(len(each)).long()) for each in rows]

    def checkpoint_options(self) -> dict[str, Any]:
        return BaseModule.checkpoint_options(self)


@dataclass
class Found:
    """A detection that is prepared: box and corners in pixels of the picture."""

    score: float
    box: Sequence[float]
    corners: Any = None
    confidence: Sequence[float] = (1.0, 1.0, 1.0, 1.0)


@dataclass
class Picture:
    """A picture: what is found in it, and the boxes and corners that are labelled; None is not labelled."""

    found: list[Found] = field(default_factory=list)
    boxes: Sequence[Sequence[float]] | None = ()
    corners: Sequence[Any] = ()


@contextmanager
def families() -> Iterator[None]:
    """Make the classes known to the registry for a test."""
    register(FAMILY, "pose", lambda: PreparedPose)
    register(FAMILY, "detect", lambda: PreparedDetector)
    register("queries", "detect", lambda: PreparedQueries)
    try:
        yield
    finally:
        for key in ((FAMILY, "pose"), (FAMILY, "detect"), ("queries", "detect")):
            CLASSES.pop(key, None)


def write_model(
    path: Path, pictures: Sequence[Picture], pose: bool, data_yaml: Path | None = None, queries: bool = False
) -> Path:
    """Write a checkpoint whose answers are those of the pictures, by their numbers."""
    module: PreparedPose = PreparedPose() if pose else PreparedQueries() if queries else PreparedDetector()
    anchors = max(1, *(len(picture.found) for picture in pictures))
    channels = 5 + 12 * pose
    module.set_network(module.build_network({0: "gate"}, {"table": [len(pictures), channels, anchors]}), {0: "gate"})
    table = module.network.table  # type: ignore[union-attr]
    for number, picture in enumerate(pictures):
        for place, found in enumerate(picture.found):
            left, top, right, bottom = found.box
            column = [(left + right) / 2, (top + bottom) / 2 + PAD, right - left, bottom - top, found.score]
            if pose:
                corners = np.asarray(found.corners, np.float64).reshape(4, 2) + np.array([0, PAD])
                column += np.column_stack((corners, found.confidence)).ravel().tolist()
            table[number, :, place] = torch.tensor(column)
    of_lightning = {"pytorch-lightning_version": lightning.__version__, "global_step": 0, "callbacks": {}}
    content: dict[str, Any] = {**of_lightning, "state_dict": module.state_dict(), "epoch": 0}
    module.on_save_checkpoint(content)
    data = {"imgsz": WIDTH, "rect": True, **({"data_yaml": str(data_yaml)} if data_yaml else {})}
    content["aigp"]["run"] = {**content["aigp"].get("run", {}), "data": data}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def write_pictures(folder: Path, pictures: Sequence[Picture], pose: bool) -> Path:
    """Write the pictures as a data set, its validation split; returns the data.yaml."""
    images, labels = folder / "images" / "val", folder / "labels" / "val"
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(images / f"{number:03d}.png"), np.full((HEIGHT, WIDTH, 3), number, np.uint8))
        if picture.boxes is None:
            continue
        rows = []
        for place, (left, top, right, bottom) in enumerate(picture.boxes):
            box = [(left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT]
            box += [(right - left) / WIDTH, (bottom - top) / HEIGHT]
            points: list[float] = []
            if pose:
                corners = np.asarray(picture.corners[place], np.float64).reshape(4, 2) / (WIDTH, HEIGHT)
                points = np.column_stack((corners, np.full(4, 2))).ravel().tolist()
            rows.append(" ".join(["0", *(f"{value:.9f}" for value in (*box, *points))]))
        (labels / f"{number:03d}.txt").write_text("\n".join(rows), encoding="utf-8")
    text = "train: images/val\nval: images/val\nnames: {0: gate}\n"
    text += "kpt_shape: [4, 3]\nflip_idx: [1, 0, 3, 2]\n" if pose else ""
    (folder / "data.yaml").write_text(text, encoding="utf-8")
    return folder / "data.yaml"
