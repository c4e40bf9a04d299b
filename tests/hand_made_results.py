"""Results of a validation made by hand: objects side by side, and what a model made of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from aigp_lightning.modules.metrics.corner_report import DISTANCE, FOUND, HEAD, POSITION, ROTATION, WHOLE, row_width
from aigp_lightning.modules.metrics.image_results import ImageResults, empty_results

SIDE = 20.0
"""Sides of an object where nothing else is said, pixels."""
Object = tuple[int, float]
"""An object's class and the confidence with which it is found; 0: it is missed."""


def results_of(
    pictures: Sequence[Sequence[Object]],
    false_alarms: Sequence[Sequence[Object]] = (),
    names: dict[int, str] | None = None,
    side: float = SIDE,
    **about: Any,
) -> ImageResults:
    """Results in which every detection fits its object exactly; false alarms lie below all objects.

    Args:
        pictures: objects of each picture.
        false_alarms: detections of no object, of each picture.
        names: class names by id.
        side: of all objects and detections, pixels.
        about: more about the results.
    """
    names = {0: "gate", 1: "tree"} if names is None else names
    files = [f"{number:03d}.png" for number in range(len(pictures))]
    kept = {"task": "detect", "family": "yolo", "names": {str(key): name for key, name in names.items()}, **about}
    true, found = [], []
    for image, objects in enumerate(pictures):
        first = len(true)
        rows = [(image, label, place, 0, -1, 1.0) for place, (label, _) in enumerate(objects)]
        true.extend(rows)
        mine = [(image, label, place, 0, first + place, score) for place, (label, score) in enumerate(objects) if score]
        wrong = false_alarms[image] if image < len(false_alarms) else ()
        mine += [(image, label, place, 1, -1, score) for place, (label, score) in enumerate(wrong)]
        found.extend(sorted(mine, key=lambda row: -row[5]))
    right = np.array([row[4] >= 0 for row in found], bool)
    return replace(
        empty_results(files, kept),
        shapes=np.full((len(files), 2), 640, np.int32),
        found_image=_column(found, 0, np.int32), found_label=_column(found, 1, np.int32),
        found_score=_column(found, 5, np.float32), found_box=_boxes(found, side),
        found_points=np.zeros((len(found), 0, 3), np.float32),
        correct=np.repeat(right[:, None], 10, 1), correct_pose=np.zeros((len(found), 0), bool),
        correct_mask=np.zeros((len(found), 0), bool),
        match=_column(found, 4, np.int32),
        true_image=_column(true, 0, np.int32), true_label=_column(true, 1, np.int32), true_box=_boxes(true, side),
        true_points=np.zeros((len(true), 0, 3), np.float32), corner_rows=np.zeros((len(true), 0), np.float32),
    )  # fmt: skip


def with_corners(results: ImageResults, error: float, distance: Sequence[float], metres: float = 0.1) -> ImageResults:
    """The same results of a pose model: all four corners of what is found are off by `error` pixels.

    Args:
        results: of `results_of`.
        error: of each corner, pixels.
        distance: of each object, metres.
        metres: error of its position; that of its rotation is ten times as many degrees.
    """
    rows = np.full((len(results.true_image), row_width(4)), np.nan, np.float32)
    found = np.isin(np.arange(len(rows)), results.match)
    rows[:, FOUND], rows[:, WHOLE], rows[:, DISTANCE] = found, 1, distance
    rows[found, POSITION], rows[found, ROTATION] = metres, 10 * metres
    rows[found, HEAD : HEAD + 4], rows[found, HEAD + 4 :] = error, 1
    about = {**results.about, "task": "pose", "bands": [5.0, 10.0], "keypoints": ["tl", "tr", "br", "bl"]}
    return replace(
        results, corner_rows=rows, correct_pose=results.correct.copy(), about=about,
        found_points=np.ones((len(results.found_image), 4, 3), np.float32),
        true_points=np.ones((len(rows), 4, 3), np.float32),
    )  # fmt: skip


def _column(rows: list[Any], number: int, kind: Any) -> np.ndarray:
    return np.array([row[number] for row in rows], kind)


def _boxes(rows: list[Any], side: float) -> np.ndarray:
    """Boxes by the place in their row: objects in the first row, false alarms in the second."""
    corners = [(row[2] * 2 * side, row[3] * 2 * side) for row in rows]
    boxes = [(x, y, x + side, y + side) for x, y in corners]
    return np.array(boxes, np.float32).reshape(-1, 4)
