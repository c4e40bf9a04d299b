"""Precision, recall and average precision over images that count by weights, without going through detections.

Average precision looks at right detections alone: between two of them the envelope of the precision is constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.modules.metrics.image_results import ImageResults

GRID = np.linspace(0, 1, 1000)
"""Confidences at which Ultralytics' curves are computed."""
RECALLS = np.linspace(0, 1, 101)
"""Recalls at which it takes the precision, for the average."""
SMOOTHED = 0.1
"""Share of the confidences over which the mean F1 is smoothed before its maximum is sought."""
TINY = 1e-16

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class WeightedCurves:
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
    def prepare(cls, results: ImageResults, correct: NDArray[np.bool_], kept: Ints | None) -> WeightedCurves:
        """Sort what does not depend on the weights.

        Args:
            results: of a validation.
            correct: (d, thresholds) which of its detections are right.
            kept: ids of the classes that count; None: all.
        """
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
        """Return the four figures, means over the classes that have labels.

        Args:
            weights: (n,) of the images.
        """
        counted = weights[self.true_image]
        labels = np.bincount(self.true_class, counted, minlength=len(self.start) - 1).astype(np.float64)
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
        found = np.zeros((self.thresholds, len(labels)))
        if not len(self.segment):
            return found
        first, number, of_class, begin, offset = self._segments
        hits = np.concatenate(([0.0], np.cumsum(weighed[self.hit])))
        right = hits[1:] - hits[first][number]
        seen, truth = total[self.hit + 1] - total[begin], labels[of_class]
        precision = np.divide(right, seen, out=np.zeros_like(right), where=seen > 0)
        recall = np.divide(right, truth, out=np.zeros_like(right), where=truth > 0)
        envelope = np.maximum.accumulate((precision + offset)[::-1])[::-1] - offset
        reached = np.searchsorted(RECALLS, recall, side="left")
        before = np.concatenate(([0], reached[:-1]))
        before[first] = 0
        sums = np.add.reduceat((reached - before) * envelope, first) - envelope[first] / 2
        found.ravel()[self.segment[first]] = sums / (len(RECALLS) - 1)
        return found

    @cached_property
    def _segments(self) -> tuple[Ints, Ints, Ints, Ints, Floats]:
        """Places where the right detections of each threshold and class begin, and facts about each of them.

        Facts: number of its segment, its class, where that one's detections begin, and a number that falls by 2 from
        segment to segment.
        """
        change = np.diff(self.segment, prepend=-1) != 0
        number, of_class = np.cumsum(change) - 1, self.segment % (len(self.start) - 1)
        return np.flatnonzero(change), number, of_class, self.start[of_class], 2.0 * (number[-1] - number)

    @cached_property
    def _rank(self) -> Ints:
        """Number (d + 1,) of detections that are right at the first threshold, before each."""
        return np.concatenate(([0], np.cumsum(self.right)))

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
        counted = np.flatnonzero(weighed)
        begin, end = (np.searchsorted(counted, edges)[present, None] for edges in (self.start[:-1], self.start[1:]))
        place = np.searchsorted(counted, self._before[present], side="right") - 1
        left, beyond = place < begin, place + 1 >= end
        empty = begin == end
        if not len(counted):
            return np.zeros(left.shape), np.zeros(left.shape)
        one = counted[np.clip(place, 0, len(counted) - 1)]
        other = counted[np.clip(place + 1, 0, len(counted) - 1)]
        hits = np.concatenate(([0.0], np.cumsum(weighed[self.right])))
        base, rank = self.start[:-1][present, None], self._rank
        right, seen = hits[rank[one + 1]] - hits[rank[base]], total[one + 1] - total[base]
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
