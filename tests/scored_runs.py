"""Runs of detectors with results by which one is better than another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from receipt_runs import about_of, make_run

from aigp_lightning.evaluation.weighted_metrics import metrics_of
from aigp_lightning.modules.base import BaseModule
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE, ImageResults, empty_results

IMAGES = 40
DATA = {"split": "val", "sha256": "cd" * 32, "images": IMAGES, "labels": IMAGES}


class Dot(BaseModule):
    """A family of one weight, without files of its own; `dot_family` makes it known."""

    family = "dot"

    def build_network(self, names, description=None):
        return torch.nn.Linear(1, 1, bias=False)

    def network_description(self):
        return {}


def write_dot(path: Path, weight: float) -> None:
    """Write the checkpoint of such a model."""
    module = Dot()
    module.set_network(module.build_network({0: "gate"}), {0: "gate"})
    torch.nn.init.constant_(module.network.weight, weight)
    content = {"epoch": 1, "state_dict": module.state_dict()}
    module.on_save_checkpoint(content)
    torch.save(content, path)


def make_scored(run: Path, right: int) -> Path:
    """A detector's run whose recorded results find an object in so many of the pictures."""
    make_run(run)
    write_dot(run / "weights" / "best.ckpt", float(right))
    scored(run, right).save(run / RESULTS_FILE)
    return run


def scored(run: Path, right: int) -> ImageResults:
    numbers, fine = np.arange(IMAGES, dtype=np.int32), np.arange(IMAGES) < right
    boxes = np.tile(np.float32([10, 10, 20, 20]), (IMAGES, 1))
    zeros = np.zeros(IMAGES, np.int32)
    names = [f"/home/somebody/gates/images/val/{number:03d}.png" for number in numbers]
    results = replace(
        empty_results(names, about_of(run, DATA)),
        found_image=numbers, found_label=zeros, found_box=boxes, true_image=numbers, true_label=zeros, true_box=boxes,
        found_score=np.linspace(0.9, 0.5, IMAGES, dtype=np.float32), found_points=np.zeros((IMAGES, 0, 3), np.float32),
        correct=np.tile(fine[:, None], (1, 10)), correct_pose=np.zeros((IMAGES, 0), np.bool_),
        correct_mask=np.zeros((IMAGES, 0), np.bool_),
        match=np.where(fine, numbers, -1).astype(np.int32), true_points=np.zeros((IMAGES, 0, 3), np.float32),
        corner_rows=np.zeros((IMAGES, 0), np.float32), shapes=np.full((IMAGES, 2), 96, np.int32),
    )  # fmt: skip
    return replace(results, about={**results.about, "metrics": metrics_of(results)})
