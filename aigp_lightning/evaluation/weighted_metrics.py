"""The metrics of results whose images count by weights, by Ultralytics' definitions; an image of weight 2 counts twice.

Nothing here goes through detections one by one. What does not depend on the weights is sorted once (`WeightedMetrics`),
so that a thousand draws of a bootstrap take seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.modules.metrics.corner_report import HEAD, POSITION, ROTATION
from aigp_lightning.modules.metrics.image_results import ImageResults

GRID = np.linspace(0, 1, 1000)
"""Confidences at which Ultralytics' curves are computed."""
RECALLS = np.linspace(0, 1, 101)
"""Recalls at which it takes the precision, for the average."""
SMOOTHED = 0.1
"""Share of the confidences over which the mean F1 is smoothed before its maximum is sought."""
TINY = 1e-16
FITNESS = "fitness"
BOX, POSE = "B", "P"
LOWER = ("corners/error", "gate/")
"""Beginnings of the names of figures of which less is better."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def metrics_of(
    results: ImageResults, weights: Floats | None = None, classes: Sequence[int] | None = None
) -> dict[str, float]:
    """Compute metrics over images that count by weights.

    Precision and recall are at the confidence at which the classes' mean F1 is best, as in Ultralytics.

    Args:
        results: of a validation.
        weights: (n,) how often each image counts, 0 or more; None: once.
        classes: ids of the classes that count; None: all. Classes without labels never do.

    Returns:
        `metrics/precision(B)`, `metrics/recall(B)`, `metrics/mAP50(B)`, `metrics/mAP50-95(B)`, with keypoints the same
        with `(P)`, and `fitness`; with keypoints `corners/error_px_mean` and `_median`, and of gates
        `gate/position_m_median` and `_mean` and the same of `gate/rotation_deg`. Errors that nothing is known about are
        left out.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> metrics_of(empty_results(["a.jpg"], {"task": "detect"}))["metrics/mAP50(B)"]
        0.0
    """
    return WeightedMetrics(results, classes).compute(weights)


def is_lower_better(metric: str) -> bool:
    """True if less of a figure is better, as of errors.

    Args:
        metric: its name.

    Example:
        >>> is_lower_better("gate/position_m_median"), is_lower_better("metrics/mAP50(B)")
        (True, False)
    """
    return metric.startswith(LOWER)


class WeightedMetrics:
    """Results prepared once, for metrics by any number of weights.

    Args:
        results: of a validation.
        classes: see `metrics_of`.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> sorted(WeightedMetrics(empty_results(["a.jpg"], {"task": "detect"})).compute())[:2]
        ['fitness', 'metrics/mAP50(B)']
    """

    def __init__(self, results: ImageResults, classes: Sequence[int] | None = None) -> None:
        self.images = len(results.files)
        kept = None if classes is None else np.asarray(list(classes), np.int64)
        self._sets = {BOX: _Curves.prepare(results, results.correct, kept)}
        if results.correct_pose.shape[1]:
            self._sets[POSE] = _Curves.prepare(results, results.correct_pose, kept)
        self._errors = _prepare_errors(results, kept)

    def compute(self, weights: Floats | None = None) -> dict[str, float]:
        """Compute the metrics; see `metrics_of`.

        Args:
            weights: (n,) of the images.
        """
        weighed = np.ones(self.images) if weights is None else np.asarray(weights, np.float64)
        found: dict[str, float] = {}
        for letter, curves in self._sets.items():
            found |= {f"metrics/{name}({letter})": value for name, value in curves.compute(weighed).items()}
        found[FITNESS] = sum(found[f"metrics/mAP50-95({letter})"] for letter in self._sets)
        for name, errors in self._errors.items():
            found |= errors.compute(name, weighed)
        return found


@dataclass(frozen=True)
class _Curves:
    """Detections sorted by class, the surest first, and the right ones among them.

    Attributes:
        image: (d,) of each detection.
        conf: (d,) its confidence.
        right: (d,) whether it is right at the first threshold.
        start: (c + 1,) where the detections of each class begin.
        true_image: (t,) of each labelled object.
        true_class: (t,) which of the c classes it is.
        hit: (h,) places of right detections among all, by threshold, then class.
        segment: (h,) threshold · c + class of each.
        thresholds: how many there are.
    """

    image: Ints
    conf: Floats
    right: NDArray[np.bool_]
    start: Ints
    true_image: Ints
    true_class: Ints
    hit: Ints
    segment: Ints
    thresholds: int

    @classmethod
    def prepare(cls, results: ImageResults, correct: NDArray[np.bool_], kept: Ints | None) -> _Curves:
        """Sort what does not depend on the weights."""
        objects = np.ones(len(results.true_label), np.bool_) if kept is None else np.isin(results.true_label, kept)
        known, true_class = np.unique(results.true_label[objects], return_inverse=True)
        surest = np.argsort(-results.found_score)  # as Ultralytics sorts, also among equals
        labels = results.found_label[surest]
        place = np.searchsorted(known, labels)
        mine = place < len(known)
        mine[mine] = known[place[mine]] == labels[mine]
        order = np.flatnonzero(mine)
        order = order[np.argsort(place[order], kind="stable")]
        number, rows = place[order], surest[order]
        right = correct[rows]
        threshold, hit = np.nonzero(right.T)
        return cls(
            image=results.found_image[rows].astype(np.int64),
            conf=results.found_score[rows].astype(np.float64),
            right=right[:, 0],
            start=np.searchsorted(number, np.arange(len(known) + 1)),
            true_image=results.true_image[objects].astype(np.int64),
            true_class=true_class.astype(np.int64),
            hit=hit,
            segment=threshold * len(known) + number[hit],
            thresholds=correct.shape[1],
        )

    def compute(self, weights: Floats) -> dict[str, float]:
        """Return the four figures, means over the classes that have labels."""
        labels = np.bincount(self.true_class, weights[self.true_image], minlength=len(self.start) - 1)
        present = labels > 0
        if not present.any():
            return dict.fromkeys(("precision", "recall", "mAP50", "mAP50-95"), 0.0)
        weighed = weights[self.image]
        total = np.concatenate(([0.0], np.cumsum(weighed)))
        average = self._average_precision(weighed, total, labels)[:, present]
        precision, recall = self._at_best_f1(weighed, total, labels, present)
        return {
            "precision": float(precision.mean()),
            "recall": float(recall.mean()),
            "mAP50": float(average[0].mean()),
            "mAP50-95": float(average.mean()),
        }

    def _average_precision(self, weighed: Floats, total: Floats, labels: Floats) -> Floats:
        """Return the average precision, (thresholds, classes).

        Between two right detections the envelope of the precision is constant, and at the 101 recalls it is that of
        the first right detection beyond: those alone are looked at.
        """
        classes, segment = len(labels), self.segment
        found = np.zeros((self.thresholds, classes))
        if not len(segment):
            return found
        first = np.flatnonzero(np.diff(segment, prepend=-1))
        number, of_class = np.cumsum(np.diff(segment, prepend=segment[0]) != 0), segment % classes
        hits = np.concatenate(([0.0], np.cumsum(weighed[self.hit])))
        right = hits[1:] - hits[first][number]
        seen = total[self.hit + 1] - total[self.start[of_class]]
        precision = np.divide(right, seen, out=np.zeros_like(right), where=seen > 0)
        recall = np.divide(right, labels[of_class], out=np.zeros_like(right), where=labels[of_class] > 0)
        last = number[-1]
        envelope = np.maximum.accumulate((precision + 2.0 * (last - number))[::-1])[::-1] - 2.0 * (last - number)
        reached = np.searchsorted(RECALLS, recall, side="left")
        before = np.concatenate(([0], reached[:-1]))
        before[first] = 0
        sums = np.add.reduceat((reached - before) * envelope, first) - envelope[first] / 2
        found.ravel()[segment[first]] = sums / (len(RECALLS) - 1)
        return found

    @cached_property
    def _before(self) -> Ints:
        """Places (c, 1000) among all detections of the last one of the class that is at least as sure as each of GRID.

        One less than the class's first where there is none.
        """
        parts = [
            begin + np.searchsorted(-self.conf[begin:end], -GRID, side="right") - 1
            for begin, end in zip(self.start[:-1], self.start[1:], strict=True)
        ]
        return np.array(parts, np.int64).reshape(-1, len(GRID))

    def _at_best_f1(
        self, weighed: Floats, total: Floats, labels: Floats, present: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """Return precision and recall of the classes that have labels, where their mean F1 is best."""
        precision, recall = self._curves(weighed, total, labels, present)
        f1 = 2 * precision * recall / (precision + recall + TINY)
        best = int(_smooth(f1.mean(0)).argmax())
        return precision[:, best], recall[:, best]

    def _curves(
        self, weighed: Floats, total: Floats, labels: Floats, present: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """Return precision and recall against confidence, (classes, 1000) each: lines between what counts."""
        counted = np.flatnonzero(weighed > 0)
        begin, end = (np.searchsorted(counted, edges)[present, None] for edges in (self.start[:-1], self.start[1:]))
        place = np.searchsorted(counted, self._before[present], side="right") - 1
        left, beyond = place < begin, place + 1 >= end
        empty = begin == end
        if not len(counted):
            return np.zeros(left.shape), np.zeros(left.shape)
        one = counted[np.clip(place, 0, len(counted) - 1)]
        other = counted[np.clip(place + 1, 0, len(counted) - 1)]
        hits = np.concatenate(([0.0], np.cumsum(weighed * self.right)))
        base = self.start[:-1][present, None]
        right, seen = hits[one + 1] - hits[base], total[one + 1] - total[base]
        single = np.minimum(weighed[other], 1.0)  # the line to the next goes to the first of its copies
        next_right, next_seen = right + single * self.right[other], seen + single
        share = np.divide(self.conf[one] - GRID, gap := self.conf[one] - self.conf[other], where=gap > 0,
                          out=np.zeros_like(gap))  # fmt: skip
        share[beyond] = 0.0
        truth = labels[present, None]
        recall = right / truth + share * (next_right - right) / truth
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = right / seen + share * (next_right / next_seen - right / seen)
        return np.where(empty, 0.0, np.where(left, 1.0, precision)), np.where(empty | left, 0.0, recall)


def _smooth(values: Floats) -> Floats:
    """Return means over a window of the curve, whose ends go on, as in Ultralytics."""
    width = round(len(values) * SMOOTHED * 2) // 2 + 1
    ends = np.ones(width // 2)
    extended = np.concatenate((ends * values[0], values, ends * values[-1]))
    smoothed: Floats = np.convolve(extended, np.ones(width) / width, mode="valid")
    return smoothed


@dataclass(frozen=True)
class _Errors:
    """Known errors, rising, and the image of each."""

    values: Floats
    image: Ints

    @classmethod
    def prepare(cls, values: NDArray[np.float32], image: NDArray[np.int32]) -> _Errors:
        """Sort the known ones among errors (t,) or (t, K) of objects."""
        known = ~np.isnan(values)
        images = np.broadcast_to(image.reshape(-1, *(1,) * (values.ndim - 1)), values.shape)[known]
        found = values[known].astype(np.float64)
        order = np.argsort(found, kind="stable")
        return cls(found[order], images[order].astype(np.int64))

    def compute(self, name: str, weights: Floats) -> Mapping[str, float]:
        """Return mean and median; nothing where no error is known."""
        weighed = weights[self.image]
        total = np.cumsum(weighed)
        if not len(total) or total[-1] <= 0:
            return {}
        half = total[-1] / 2
        middle = np.searchsorted(total, half, side="left"), np.searchsorted(total, half, side="right")
        median = self.values[np.minimum(middle, len(total) - 1)].mean()
        return {f"{name}_mean": float(weighed @ self.values / total[-1]), f"{name}_median": float(median)}


def _prepare_errors(results: ImageResults, kept: Ints | None) -> dict[str, _Errors]:
    """Return the errors of keypoints and gates by the names of their figures; none for detectors."""
    if not results.corner_rows.shape[1]:
        return {}
    chosen = slice(None) if kept is None else np.isin(results.true_label, kept)
    rows, image = results.corner_rows[chosen], results.true_image[chosen]
    count = (rows.shape[1] - HEAD) // 2
    columns = {"gate/position_m": POSITION, "gate/rotation_deg": ROTATION}
    found = {"corners/error_px": _Errors.prepare(rows[:, HEAD : HEAD + count], image)}
    return found | {name: _Errors.prepare(rows[:, column], image) for name, column in columns.items()}
