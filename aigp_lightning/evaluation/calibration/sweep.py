"""Figures at every combination of thresholds of a grid, by array operations; the network does not run again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.evaluation.calibration.counts import corner_errors, usable_poses
from aigp_lightning.evaluation.calibration.evidence import Evidence, pose_errors
from aigp_lightning.evaluation.calibration.grid import Grid
from aigp_lightning.evaluation.calibration.rule import FIGURES, Values

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


def sweep(evidence: Evidence, grid: Grid, columns: Sequence[int], keypoints: Sequence[int]) -> dict[str, Values]:
    """Compute all figures at every combination.

    Args:
        evidence: of all frames.
        grid: the combinations.
        columns: number of each of the grid's overlaps among those of the evidence.
        keypoints: number of each of the grid's confidences of keypoints among those.

    Returns:
        By name an array of the grid's shape; NaN where a figure cannot be had.
    """
    figures = {name: np.full(grid.shape, np.nan) for name in FIGURES}
    for place, column in enumerate(columns):
        for name, values in _of_boxes(evidence, grid, column).items():
            figures[name][:, :, place] = values[:, None, None]
        for number, keypoint in enumerate(keypoints):
            _of_keypoints(figures, (place, number), evidence, grid, (column, keypoint))
    return figures


def _of_boxes(evidence: Evidence, grid: Grid, column: int) -> dict[str, Array]:
    """Return the figures of boxes at each confidence, (c,) each."""
    found, labelled, empty = evidence.found, evidence.labelled, evidence.empty
    member, right = found.member[:, column], evidence.match[:, column] >= 0
    of_labelled = member & labelled[found.frame]
    counts = {
        "right": _surer(evidence, grid, member & right),
        "found": _surer(evidence, grid, of_labelled),
        "alarms": _surer(evidence, grid, member & empty[found.frame]),
        "duplicates": _surer(evidence, grid, of_labelled & ~right & evidence.on_object),
    }
    objects = float(evidence.frames.objects[labelled].sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "precision": counts["right"] / counts["found"],
            "recall": counts["right"] / np.float64(objects),
            "f1": 2 * counts["right"] / (counts["found"] + objects) if objects else np.full(len(grid.conf), np.nan),
            "false_alarms": counts["alarms"] / np.float64(empty.sum()),
            "duplicates": counts["duplicates"] / np.float64(objects),
        }


def _surer(evidence: Evidence, grid: Grid, rows: NDArray[np.bool_]) -> Array:
    """Count those of some detections that are surer than each confidence, (c,)."""
    return _counts_above(evidence.found.score[rows], grid, evidence.found.inclusive).astype(np.float64)


def _counts_above(scores: NDArray[np.float32], grid: Grid, inclusive: bool) -> Indices:
    """Count scores above each confidence of a grid, (c,)."""
    limits = np.array(grid.conf, np.float32)
    below = np.searchsorted(np.sort(scores), limits, side="left" if inclusive else "right")
    return np.asarray(len(scores) - below, np.int64)


def _of_keypoints(
    figures: dict[str, Values], place: tuple[int, int], evidence: Evidence, grid: Grid, numbers: tuple[int, int]
) -> None:
    """Fill in the figures of poses and corners at one overlap and one confidence of keypoints.

    Args:
        figures: to be filled in.
        place: of the overlap and the confidence of keypoints in the grid.
        evidence: of all frames.
        grid: the combinations.
        numbers: of the two among those of the evidence.
    """
    overlap, number = place
    column, keypoint = numbers
    found, inclusive = evidence.found, evidence.found.inclusive
    if found.points.shape[1] and len(evidence.frames.image):
        away, row = corner_errors(evidence, column, evidence.keypoint_conf[keypoint])
        medians = _medians(away, found.score[row], grid, inclusive)
        figures["corner_px"][:, number, overlap] = medians[:, None]
    if evidence.poses is None:
        return
    poses, frames = evidence.poses, float(evidence.counted.sum())
    errors = pose_errors(poses, evidence.match, column, keypoint)
    for last, limit in enumerate(grid.reprojection_px):
        fine = usable_poses(evidence, limit, column, keypoint)
        row = poses.row[fine]
        surest = np.full(len(evidence.frames), -np.inf, np.float32)
        np.maximum.at(surest, found.frame[row], found.score[row])
        usable = _counts_above(surest, grid, inclusive)
        figures["usable"][:, number, overlap, last] = usable / frames if frames else np.nan
        for name, values in zip(("position_m", "rotation_deg"), errors, strict=True):
            known = np.isfinite(values[fine])
            medians = _medians(values[fine][known], found.score[row[known]], grid, inclusive)
            figures[name][:, number, overlap, last] = medians


def _medians(values: Array, scores: NDArray[np.float32], grid: Grid, inclusive: bool) -> Array:
    """Return the median of the values whose scores are above each confidence of a grid, (c,)."""
    ordered = values[np.argsort(-scores, kind="stable")]
    counts = _counts_above(scores, grid, inclusive).tolist()
    known = {count: float(np.median(ordered[:count])) if count else np.nan for count in set(counts)}
    return np.array([known[count] for count in counts])
