"""Makes curves, matrices and results of the usual shape, to weigh pictures that only a finished run could draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.modules.metrics.false_alarms import FALSE_ALARMS
from aigp_lightning.types import CornerErrors, Curves

POINTS = 1000
CORNERS = (
    *(f"corners/error_px_{figure}" for figure in ("mean", "median")),
    *(f"corners/visible_{what}" for what in ("accuracy", "top_left", "top_right", "bottom_right", "bottom_left")),
    *(f"gate/{what}_{figure}" for what in ("position_m", "rotation_deg") for figure in ("median", "mean")),
)
"""Columns like those that gate keypoints add to the results."""


def example_curves(prefix: str, names: Mapping[int, str], cls: NDArray[Any]) -> Curves:
    """Make curves of a half-trained model for the classes that have labels.

    Args:
        prefix: of the files.
        names: class names by id.
        cls: (N,) class ids of the split's labels.
    """
    present = np.unique(cls).astype(int).tolist()
    x = np.linspace(0, 1, POINTS, dtype=np.float32)
    skill = np.linspace(0.5, 0.9, len(present), dtype=np.float32)[:, None]
    wobble = 0.01 * np.sin(40 * x)
    recall = np.clip(skill * (1 - x**4) + wobble, 0, 1)
    precision = np.clip(1 - (1 - skill) * (1 - x) ** 2 + wobble, 0, 1)
    pr = np.clip(1 - (x / skill) ** 6 + wobble, 0, 1)
    f1 = 2 * precision * recall / (precision + recall + 1e-9)
    rows = [row.astype(np.float32) for row in (precision, recall, f1, pr, pr.mean(1))]
    return Curves(prefix, tuple(names[index] for index in present), x, *rows)


def example_matrix(names: Mapping[int, str], cls: NDArray[Any]) -> NDArray[np.int64]:
    """Make (nc + 1, nc + 1) counts [predicted, true]: of every class most found, some missed."""
    classes = len(names)
    counts = np.bincount(cls.astype(int), minlength=classes)[:classes]
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    matrix[range(classes), range(classes)] = counts * 4 // 5
    matrix[classes, :classes] = counts - counts * 4 // 5
    matrix[:classes, classes] = counts // 10
    return matrix


def example_corner_errors(gates: int) -> CornerErrors:
    """Make errors of a half-trained model for so many gates: most near, the near ones less precise in pixels."""
    random = np.random.default_rng(0)
    distance = random.uniform(1.5**0.5, 30**0.5, gates) ** 2
    error = random.lognormal(np.log(1 + 12 / distance), 0.6)
    return CornerErrors(distance.astype(np.float32), error.astype(np.float32), (5.0, 10.0, 20.0))


def example_rows(
    losses: Sequence[str], prefixes: Sequence[str], epochs: int, corners: bool = False, alarms: bool = False
) -> list[dict[str, Any]]:
    """Make rows of `results.csv` for a run.

    Args:
        losses: names of the loss components.
        prefixes: of the curves.
        epochs: of the run.
        corners: with errors of gate keypoints.
        alarms: with false alarms in pictures without labels.
    """
    kinds = [{"Pose": "P", "Mask": "M", "Box": "B", "": "B"}[prefix] for prefix in prefixes]
    metrics = [f"metrics/{name}({kind})" for kind in kinds for name in ("precision", "recall", "mAP50", "mAP50-95")]
    metrics += [FALSE_ALARMS] * alarms
    random = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for epoch in range(epochs):
        progress = 1 - np.exp(-3 * (epoch + 1) / epochs)
        noise = random.normal(0, 0.02)
        row: dict[str, Any] = {"epoch": epoch + 1, "time": epoch + 1.0}
        row.update({f"train/{name}": 3 - 2 * progress + noise for name in losses})
        row.update(dict.fromkeys(metrics, 0.8 * progress + noise))
        row.update({f"val/{name}": 3.2 - 2 * progress - noise for name in losses})
        row.update(dict.fromkeys(CORNERS if corners else (), 9 - 6 * progress + noise))
        row.update({f"lr/pg{group}": 0.01 * (1 - epoch / epochs) for group in range(3)})
        rows.append(row)
    return rows
