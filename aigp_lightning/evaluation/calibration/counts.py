"""What is counted at one combination of thresholds, frame by frame, and the figures that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.evaluation.calibration.evidence import Evidence, pose_errors
from aigp_lightning.evaluation.calibration.grid import Combination
from aigp_lightning.evaluation.calibration.rule import FIGURES

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
COUNTED = ("right", "found", "objects", "alarms", "empty", "duplicates", "usable", "counted")
"""Counts of a frame: right detections, detections in labelled frames, labelled objects, detections in a frame without
objects, whether it is one, further detections on objects, whether a pose can be had, and whether one may be."""
ERRORS = ("position_m", "rotation_deg", "corner_px")
"""Figures that are medians."""


@dataclass(frozen=True)
class Counts:
    """What is counted at a combination.

    Attributes:
        by_frame: (n, 8) of each frame, in the order of `COUNTED`.
        errors: by the name of a median the errors that it is of, and the frames that they are in.
    """

    by_frame: Array
    errors: dict[str, tuple[Array, Indices]]

    def figures(self, weights: Array | None = None) -> dict[str, float]:
        """Return the figures; NaN where one cannot be had.

        Args:
            weights: (n,) how often each frame counts; None: once.
        """
        times = np.ones(len(self.by_frame)) if weights is None else weights
        found = dict(zip(COUNTED, (times @ self.by_frame).tolist(), strict=True))
        medians = {name: weighted_median(values, times[frame]) for name, (values, frame) in self.errors.items()}
        return {**dict.fromkeys(FIGURES, np.nan), **shares(found), **medians}


def shares(counts: dict[str, float]) -> dict[str, float]:
    """Return the figures that are one count by another, NaN where that is none.

    Args:
        counts: by the names of `COUNTED`.

    Example:
        >>> counts = dict.fromkeys(COUNTED, 0.0) | {"right": 3, "found": 4, "objects": 6}
        >>> found = shares(counts)
        >>> found["precision"], found["recall"], round(found["f1"], 3)
        (0.75, 0.5, 0.6)
    """

    def share(one: str, other: str) -> float:
        return counts[one] / counts[other] if counts[other] else float("nan")

    pairs = counts["found"] + counts["objects"]
    return {
        "usable": share("usable", "counted"),
        "precision": share("right", "found"),
        "recall": share("right", "objects"),
        "f1": 2 * counts["right"] / pairs if counts["objects"] and pairs else float("nan"),
        "false_alarms": share("alarms", "empty"),
        "duplicates": share("duplicates", "objects"),
    }


def weighted_median(values: Array, weights: Array) -> float:
    """Return the median of values that count several times each; NaN without any.

    Args:
        values: (n,) numbers.
        weights: (n,) how often each counts.

    Example:
        >>> weighted_median(np.array([1.0, 5.0, 2.0]), np.array([1.0, 1.0, 0.0]))
        3.0
    """
    kept = weights > 0
    if not kept.any():
        return float("nan")
    order = np.argsort(values[kept], kind="stable")
    ordered, total = values[kept][order], np.cumsum(weights[kept][order])
    half = total[-1] / 2
    low = int(np.searchsorted(total, half * (1 - 1e-12), side="left"))
    high = int(np.searchsorted(total, half * (1 + 1e-12), side="right"))
    return float((ordered[low] + ordered[min(high, len(ordered) - 1)]) / 2)


def count_at(evidence: Evidence, combination: Combination, column: int, keypoint: int) -> Counts:
    """Count at one combination.

    Args:
        evidence: of all frames.
        combination: the thresholds.
        column: number of its overlap among those of the evidence.
        keypoint: number of its confidence of keypoints among those.
    """
    frames, found = evidence.frames, evidence.found
    kept = found.above(combination.conf) & found.member[:, column]
    match = evidence.match[:, column]
    labelled, empty = evidence.labelled, evidence.empty

    def of_frames(rows: NDArray[np.bool_]) -> Array:
        return np.bincount(found.frame[rows], minlength=len(frames)).astype(np.float64)

    spurious = kept & (match < 0) & evidence.on_object & labelled[found.frame]
    usable, errors = np.zeros(len(frames)), dict[str, tuple[Array, Indices]]()
    if evidence.poses is not None:
        poses = evidence.poses
        fine = usable_poses(evidence, combination.reprojection_px, column, keypoint) & kept[poses.row]
        usable[found.frame[poses.row[fine]]] = 1
        for name, values in zip(ERRORS, pose_errors(poses, evidence.match, column, keypoint), strict=False):
            known = fine & np.isfinite(values)
            errors[name] = values[known], found.frame[poses.row[known]]
    if found.points.shape[1] and len(frames.image):
        away, row = corner_errors(evidence, column, evidence.keypoint_conf[keypoint])
        errors["corner_px"] = away[kept[row]], found.frame[row[kept[row]]]
    objects = np.where(labelled, frames.objects, 0).astype(np.float64)
    columns = (
        of_frames(kept & (match >= 0)), of_frames(kept & labelled[found.frame]), objects,
        of_frames(kept & empty[found.frame]), empty, of_frames(spurious), usable,
        evidence.counted if evidence.poses is not None else np.zeros(len(frames)),
    )  # fmt: skip
    return Counts(np.column_stack(columns).astype(np.float64), errors)


def usable_poses(evidence: Evidence, reprojection_px: float | None, column: int, keypoint: int) -> NDArray[np.bool_]:
    """Return which poses are usable, (p,): of objects, and in frames that nobody has labelled of any detection.

    Args:
        evidence: of all frames, with poses.
        reprojection_px: largest reprojection error; None: no limit.
        column: number of the overlap of suppression.
        keypoint: number of the confidence of keypoints.
    """
    poses, found = evidence.poses, evidence.found
    assert poses is not None
    error = poses.reprojection[:, keypoint]
    good = error <= (np.inf if reprojection_px is None else reprojection_px)  # NaN is no pose
    real = (evidence.match[poses.row, column] >= 0) | ~evidence.frames.labelled[found.frame[poses.row]]
    return np.asarray(good & real & found.member[poses.row, column])


def corner_errors(evidence: Evidence, column: int, keypoint_conf: float | None) -> tuple[Array, Indices]:
    """Return how far off the corners are that are seen and labelled, pixels, and the detections that they are of.

    Args:
        evidence: of all frames, with keypoints.
        column: number of the overlap of suppression.
        keypoint_conf: lowest confidence of a keypoint that counts as seen.
    """
    row = np.flatnonzero(evidence.match[:, column] >= 0)
    true = evidence.frames.points[evidence.match[row, column]]
    away = np.linalg.norm(evidence.found.points[row, :, :2] - true[..., :2], axis=2)
    there = evidence.seen(keypoint_conf)[row] & (true[..., 2] > 0) & np.isfinite(away)
    return away[there], np.repeat(row, there.sum(1))
