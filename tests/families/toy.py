"""A whole family in some thirty statements: one object an image, from two convolutions. It lives in the tests alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from aigp_lightning.modules.base import BaseModule
from aigp_lightning.types import DetectionBatch, Prediction, StepOutput


class ToyModule(BaseModule):
    """Finds the first object of each image, by Lightning's automatic optimization.

    Args:
        width: channels of the network.
    """

    family = "toy"
    loss_names = ("place_loss", "class_loss")

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.width = width

    def build_network(self, names: Mapping[int, str] | None, description: Mapping[str, Any] | None = None) -> nn.Module:
        width, count = (description or {"width": self.width})["width"], len(names or {})
        layers = [nn.Conv2d(3, width, 3, 4), nn.ReLU(), nn.Conv2d(width, width, 3, 4), nn.ReLU()]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 4 + count))

    def network_description(self) -> dict[str, Any]:
        return {"width": self.width}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05)

    def compute_loss(self, batch: DetectionBatch) -> tuple[Tensor, dict[str, Tensor]]:
        output, images = self(batch["img"])[batch["batch_idx"]], max(len(batch["cls"]), 1)
        place = mse_loss(output[:, :4].sigmoid(), batch["bboxes"], reduction="sum") / images
        classes = cross_entropy(output[:, 4:], batch["cls"], reduction="sum") / images
        return place + classes, {"place_loss": place.detach(), "class_loss": classes.detach()}

    def evaluate(self, batch: DetectionBatch) -> StepOutput:
        return {"loss_items": self.compute_loss(batch)[1], "predictions": self.predict_batch(batch, self.conf)}

    def predict_batch(self, batch: DetectionBatch, conf: float) -> list[Prediction]:
        size = torch.tensor(batch["img"].shape[:1:-1], device=self.device).repeat(2)
        found = []
        for row in self(batch["img"]):
            (x, y, w, h), score = row[:4].sigmoid(), row[4:].softmax(0)
            box = torch.stack((x - w / 2, y - h / 2, x + w / 2, y + h / 2))[None] * size
            kept = score.max(0, keepdim=True).values >= conf
            found.append(Prediction(box[kept], score.max(0, keepdim=True).values[kept], score.argmax(0)[None][kept]))
        return found

    def forward(self, images: Tensor) -> Tensor:
        assert self.network is not None
        answer: Tensor = self.network(images)
        return answer
