"""Precision, recall and average precision over images that count by weights, without going through detections.

Average precision looks at right detections alone: between two of them the envelope of the precision is constant.
"""

from __future__ import annotations

import itertools
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
AT_ONCE = 1 << 15
"""Detections, and points of the curves, that are looked at at once: arrays that stay in a processor's cache."""

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
        classes: (c,) ids of the classes.
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
    classes: Ints

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
            classes=known.astype(np.int64),
        )

    def compute(self, weights: Floats, curves: bool = True) -> tuple[dict[str, float], dict[str, Floats]]:
        """Return the figures, means over the classes that have labels, and mAP50 and mAP50-95 of each class.

        Args:
            weights: (n,) of the images.
            curves: compute precision and recall at the best F1 too, which takes most of the time.

        Returns:
            The means by name; and by name (c,) those of each class, 0 for a class without labels.
        """
        labels = self._labels(weights)
        present = labels > 0
        weighed = weights[self.image]
        total = np.concatenate(([0.0], np.cumsum(weighed)))
        average = np.where(present, self._average_precision(weighed, total, labels), 0.0)
        found = {}
        if curves:
            sides = self._at_best_f1(weighed, labels, present) if present.any() else (np.zeros(1), np.zeros(1))
            found = {name: float(side.mean()) for name, side in zip(("precision", "recall"), sides, strict=True)}
        counted = average[:, present] if present.any() else np.zeros((1, 1))
        found |= {"mAP50": float(counted[0].mean()), "mAP50-95": float(counted.mean())}
        return found, {"mAP50": average[0], "mAP50-95": average.mean(0)}

    def _labels(self, weights: Floats) -> Floats:
        """Return how many labelled objects of each class count, (c,)."""
        counted = weights[self.true_image]
        return np.bincount(self.true_class, counted, minlength=len(self.start) - 1).astype(np.float64)

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
    def _after(self) -> Ints:
        """Places (c, 1000) among all detections of the first one of the class that is less sure than each of GRID.

        The end of the class where there is none.
        """
        parts = [
            begin + np.searchsorted(-self.conf[begin:end], -GRID, side="right")
            for begin, end in zip(self.start[:-1], self.start[1:], strict=True)
        ]
        return np.array(parts, np.int64).reshape(-1, len(GRID))

    def _at_best_f1(self, weighed: Floats, labels: Floats, present: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Return precision and recall of the classes that have labels, where their mean F1 is best."""
        precision, recall = np.empty((2, int(present.sum()), len(GRID)))
        f1, row = np.zeros(len(GRID)), 0
        for first, last in self._blocks:
            rows = slice(row, row := row + int(present[first:last].sum()))
            precision[rows], recall[rows] = self._curves(weighed, labels, present, first, last)
            f1 += (2 * precision[rows] * recall[rows] / (precision[rows] + recall[rows] + TINY)).sum(0)
        best = int(_smooth(f1 / row).argmax())
        return precision[:, best], recall[:, best]

    @cached_property
    def _blocks(self) -> list[tuple[int, int]]:
        """First and last (exclusive) class of blocks that are small enough for the processor's cache."""
        ends, begin = [0], 0
        for number, end in enumerate(self.start[1:].tolist()):
            if number > ends[-1] and max(end - begin, (number + 1 - ends[-1]) * len(GRID)) > AT_ONCE:
                ends.append(number)
                begin = int(self.start[number])
        return list(itertools.pairwise([*ends, len(self.start) - 1]))

    def _curves(
        self, weighed: Floats, labels: Floats, present: NDArray[np.bool_], first: int, last: int
    ) -> tuple[Floats, Floats]:
        """Return precision and recall against confidence, (classes, 1000) each: lines between what counts.

        Of those from the first to before the last class that have labels.
        """
        present, start = present[first:last], self.start[first : last + 1]
        part = slice(start[0], start[-1])
        weighed = weighed[part]
        counted = np.flatnonzero(weighed)
        before = np.concatenate(([0], np.cumsum(weighed > 0)))
        edges = before[start - start[0]]
        surer = before[self._after[first:last][present] - start[0]]  # how many in this block come before
        begin, end = edges[:-1][present, None], edges[1:][present, None]
        if not len(counted):
            return np.zeros(surer.shape), np.zeros(surer.shape)
        lines = self._lines(weighed[counted], counted + start[0], edges, labels[first:last])
        conf, precision, recall, steep, rising = (np.take(each, np.maximum(surer - 1, 0)) for each in lines)
        conf -= GRID
        precision += conf * steep
        recall += conf * rising
        left, empty = surer <= begin, begin == end
        return np.where(empty, 0.0, np.where(left, 1.0, precision)), np.where(empty | left, 0.0, recall)

    def _lines(self, weight: Floats, counted: Ints, edges: Ints, labels: Floats) -> tuple[Floats, ...]:
        """Return the line from each detection that counts to the next one of its class, level after the last.

        Args:
            weight: (m,) how often each counts.
            counted: (m,) places among all detections.
            edges: where those of each class begin, and the end.
            labels: how many labelled objects of each class count.

        Returns:
            (m,) each: confidence, precision and recall at it, and how much both rise as confidence falls.
        """
        right, conf = self.right[counted], self.conf[counted]
        sizes = np.diff(edges)
        hits, seen = (np.concatenate(([0.0], np.cumsum(each))) for each in (weight * right, weight))
        hits, seen = (each[1:] - np.repeat(each[edges[:-1]], sizes) for each in (hits, seen))
        truth = np.repeat(np.where(labels > 0, labels, 1.0), sizes)
        precision, recall = hits / seen, hits / truth
        single = np.minimum(weight[1:], 1.0)  # the line to the next goes to the first of its copies
        more = single * right[1:]
        gap = conf[:-1] - conf[1:]
        level = gap <= 0  # equally sure; or the next one is of another class, below
        level[edges[(edges > 0) & (edges < len(conf))] - 1] = True
        gap[level] = np.inf
        steep, rising = np.zeros((2, len(conf)))
        steep[:-1] = ((hits[:-1] + more) / (seen[:-1] + single) - precision[:-1]) / gap
        rising[:-1] = more / truth[:-1] / gap
        return conf, precision, recall, steep, rising


def _smooth(values: Floats) -> Floats:
    """Return means over a window of the curve, whose ends go on, as in Ultralytics."""
    width = round(len(values) * SMOOTHED * 2) // 2 + 1
    ends = np.ones(width // 2)
    extended = np.concatenate((ends * values[0], values, ends * values[-1]))
    smoothed: Floats = np.convolve(extended, np.ones(width) / width, mode="valid")
    return smoothed
