"""Validation images one by one, with labels and predictions as data: W&B draws them, and its reader switches boxes.

`wandb.Image` shows such boxes in a run's pictures. `wandb.Table` would too, and logs an artifact with copies of the
pictures beside the row, so it is not used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.routing import FIRST_GIVEN_UP
from aigp_lightning.media.types import RenderJob

if TYPE_CHECKING:
    from aigp_lightning.media.detections import ImageDetections
    from aigp_lightning.media.plots.mosaic import Cell

LABELS, PREDICTIONS = "labels", "predictions"
"""Names of the two sets of boxes."""
SCORE = "confidence"
"""Name of the one score that a box has; W&B's reader filters by it."""
PLACE = re.compile(r"^[/~]|\\|\.\.|^[A-Za-z]:|[\x00-\x1f\x7f]")
"""Parts of paths, which keep a class name here. The audit's own pattern of places finds less than this one."""
LONGEST_NAME = 100
PLACES, SCORE_PLACES = 5, 4
"""Decimals of a box's sides and of a confidence: finer than a pixel of any picture here."""


def encode_boxes(
    boxes: NDArray[Any], labels: NDArray[Any], scores: NDArray[Any] | None, size: tuple[int, int],
    names: Mapping[int, str],
) -> bytes:  # fmt: skip
    """Encode boxes as the JSON that W&B keeps beside a picture.

    Args:
        boxes: (n, 4) xyxy, pixels of the picture. What is not finite or has no area in it is left out.
        labels: (n,) class ids.
        scores: (n,) confidence 0…1; None for ground truth.
        size: height and width of the picture, pixels.
        names: class names by id.

    Returns:
        The file's bytes. Sides are shares of the picture.

    Example:
        >>> encode_boxes(np.array([[0, 0, 40, 40.0]]), np.array([0]), None, (80, 80), {0: "gate"})[:66]
        b'{"box_data": [{"position": {"minX": 0.0, "maxX": 0.5, "minY": 0.0,'
    """
    height, width = size
    shares = np.asarray(boxes, np.float64).reshape(-1, 4) / (width, height, width, height)
    known = np.zeros(len(shares)) if scores is None else np.asarray(scores, np.float64)
    finite = np.asarray(np.isfinite(np.column_stack((shares, known))).all(1))
    shares = np.where(finite[:, None], shares, 0.0).clip(0, 1).round(PLACES)
    kept = finite & (shares[:, 2] > shares[:, 0]) & (shares[:, 3] > shares[:, 1])
    rows: list[dict[str, Any]] = []
    for row in np.flatnonzero(kept).tolist():
        left, top, right, bottom = shares[row].tolist()
        box: dict[str, Any] = {
            "position": {"minX": left, "maxX": right, "minY": top, "maxY": bottom},
            "class_id": int(labels[row]),
        }
        if scores is not None:
            box["scores"] = {SCORE: round(float(scores[row]), SCORE_PLACES)}
        rows.append(box)
    content = {
        "box_data": rows,
        "class_labels": {int(number): class_word(number, name) for number, name in names.items()},
    }
    return json.dumps(content).encode("utf-8")


def class_word(number: int, name: str) -> str:
    """Return the name of a class as it is given as data: one that could be a place on a disk, or a text, stays here.

    Example:
        >>> class_word(0, "gate"), class_word(3, "/home/eve/gates")
        ('gate', 'class 3')
    """
    return name if len(name) <= LONGEST_NAME and not PLACE.search(name) else f"class {number}"


def decode_boxes(data: bytes) -> dict[str, Any]:
    """Return boxes as `wandb.Image` takes them: JSON has no numbers as keys.

    Args:
        data: see `encode_boxes`.

    Example:
        >>> decode_boxes(encode_boxes(np.zeros((0, 4)), np.zeros(0), None, (8, 8), {0: "gate"}))
        {'box_data': [], 'class_labels': {0: 'gate'}}
    """
    content: dict[str, Any] = json.loads(data)
    return {**content, "class_labels": {int(number): name for number, name in content["class_labels"].items()}}


def table_job(
    number: int, file: str, truth: Callable[[], Cell], found: ImageDetections, names: Mapping[int, str]
) -> RenderJob:
    """Build the job for `val_table<number>.jpg`: an image as it is, and its boxes as data.

    Args:
        number: of the picture, from 0.
        file: the image.
        truth: gives it with its labels, pixels of the network's input; called in the drawing thread.
        found: what the model found in it, pixels of the network's input.
        names: class names by id.

    Example:
        >>> from aigp_lightning.media.detections import NOTHING
        >>> from aigp_lightning.media.plots.mosaic import Cell
        >>> cell = Cell(np.zeros((32, 32, 3), np.uint8), np.array([[0, 0, 16, 16]]), np.array([0]))
        >>> job = table_job(0, "a.jpg", lambda: cell, NOTHING, {0: "gate"})
        >>> job.name, job.draw(frozenset()).shape, sorted(job.attachments())
        ('val_table0.jpg', (32, 32, 3), ['labels', 'predictions'])
    """

    def draw(masked: frozenset[int]) -> NDArray[np.uint8]:
        from aigp_lightning.media.plots.mosaic import HIDDEN

        cell = truth()
        top, left, bottom, right = cell.window or (0, 0, *cell.image.shape[:2])
        part = np.ascontiguousarray(cell.image[top:bottom, left:right])
        return np.full_like(part, HIDDEN) if masked else part

    def boxes() -> dict[str, bytes]:
        cell = truth()
        top, left, bottom, right = cell.window or (0, 0, *cell.image.shape[:2])
        size, corner = (bottom - top, right - left), np.array([left, top, left, top], np.float32)
        return {
            LABELS: encode_boxes(cell.boxes - corner, cell.labels, None, size, names),
            PREDICTIONS: encode_boxes(found.boxes - corner, found.labels, found.scores, size, names),
        }

    place, key = 2 * FIRST_GIVEN_UP + number, f"table\0{file}"
    return RenderJob("val_table", f"val_table{number}.jpg", draw, ((file,),), place, key, attachments=boxes)
