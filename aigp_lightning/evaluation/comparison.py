"""Two models on the same pictures: every difference with its 95 % bootstrap interval.

A is the reference and B the candidate; a difference is B − A. Recall, precision and false alarms at one confidence are
of objects and detections by the piece, see `outcomes`. The precision of a band of distance is not defined, since a
false alarm has no distance; that of a size is, see `parts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.evaluation.bootstrap import Difference, Differences, difference, differences
from aigp_lightning.evaluation.by_size import SIZES, of_size, within_size
from aigp_lightning.evaluation.comparable import align
from aigp_lightning.evaluation.comparison_row import Row, Span
from aigp_lightning.evaluation.distance_bands import distance_bands
from aigp_lightning.evaluation.keypoint_rows import has_one_camera, keypoint_rows
from aigp_lightning.evaluation.outcomes import RIGHT, Outcomes, outcomes_at
from aigp_lightning.evaluation.paired_draws import PairedDraws
from aigp_lightning.modules.metrics.image_results import ImageResults
from aigp_lightning.modules.metrics.result_settings import INFERENCE, MASKS, differing_settings

MAIN = "metrics/mAP50-95"
"""Metrics by which the best weights are chosen, of boxes `(B)`, keypoints `(P)` and masks `(M)`."""
FIGURES = ("metrics/precision", "metrics/recall", "metrics/mAP50", MAIN)
SAME_SETTINGS = ("imgsz", *INFERENCE, *MASKS, "rect", "precision")
"""Settings of an evaluation of which a difference is told."""
MEAN_PRECISIONS = ("metrics/mAP50", MAIN)
NOT_KNOWN = Span(None, None, None, None)


@dataclass(frozen=True)
class Options:
    """Options of a comparison of two models.

    Attributes:
        conf: lowest confidence of what is counted by the piece.
        draws: of the bootstrap.
        seed: of its draws.
    """

    conf: float = 0.25
    draws: int = 1000
    seed: int = 0


class Comparison:
    """The differences of two models; each part is computed when it is asked for.

    Args:
        reference: results of A.
        candidate: results of B, on the same images.
        options: see there.

    Attributes:
        a: results of A, in the order of B's.
        b: results of B.

    Raises:
        WeightsError: the tasks or the classes are others.
        DataError: the images or their labels are others.
    """

    def __init__(self, reference: ImageResults, candidate: ImageResults, options: Options) -> None:
        self.a, self.b, self.options = align(reference, candidate), candidate, options
        self._draws = PairedDraws(len(candidate.files), options.draws, options.seed)

    @cached_property
    def outcomes(self) -> tuple[Outcomes, Outcomes]:
        """Objects and detections of A and of B at the confidence that counts."""
        return outcomes_at(self.a, self.options.conf), outcomes_at(self.b, self.options.conf)

    @cached_property
    def overall(self) -> list[Row]:
        """Figures of all images: Ultralytics' metrics; recall, precision and false alarms at the confidence."""
        everything = np.ones(len(self.b.true_image), np.bool_)
        measured = self._metrics("", FIGURES, self._measured.overall, self._rests_on(self.a, self.b))
        return [*measured, self._found("", everything), *self._precise()]

    @property
    def main(self) -> list[Row]:
        """Rows that decide: mAP50-95 of boxes, and of keypoints or masks where there are any."""
        return [row for row in self.overall if row.metric.startswith(f"{MAIN}(")]

    @cached_property
    def classes(self) -> list[Row]:
        """mAP50 and mAP50-95 of each class that has labels, where there are several."""
        if len(self.b.names) == 1:
            return []
        return [
            row
            for label, measured in self._measured.classes.items()
            for row in self._metrics(
                self.b.names[label], MEAN_PRECISIONS, measured, self._rests_on(self.a, self.b, label)
            )
        ]

    @cached_property
    def sizes(self) -> list[Row]:
        """Recall and mAP50-95 of each size that there is."""
        rows = []
        for size in SIZES:
            a, b = of_size(self.a, size), of_size(self.b, size)
            if len(b.true_image) and len(a.true_image) == len(b.true_image):
                rows.append(self._found(size, within_size(self.b.true_box, size)))
                measured = difference(b, a, self._named((MAIN,)), self.options.draws, self.options.seed)
                rows.extend(self._metrics(size, (MAIN,), measured, self._rests_on(a, b)))
        return rows

    @cached_property
    def distances(self) -> list[Row]:
        """Recall and the errors of keypoints in each band of distance that there is."""
        rows = []
        for name, chosen in distance_bands(self.b).items():
            if chosen.any():
                rows.append(self._found(name, chosen))
                rows.extend(keypoint_rows(name, self.a, self.b, chosen, self._draws))
        return rows

    @cached_property
    def keypoints(self) -> list[Row]:
        """Errors of keypoints, and for gates of position and rotation; empty for detectors."""
        return keypoint_rows("", self.a, self.b, np.ones(len(self.b.true_image), np.bool_), self._draws)

    @property
    def notes(self) -> list[str]:
        """Lines about what is compared with reservations."""
        ours, theirs = (each.about["settings"] for each in (self.a, self.b))
        found = [
            f"{name} is {a} for A and {b} for B"
            for name, a, b in differing_settings(ours, theirs, SAME_SETTINGS)
            if a is not None and b is not None
        ]
        found += [
            f"{lacking} are not compared: they were not kept in the results of {side}"
            for side, results in (("A", self.a), ("B", self.b))
            if (lacking := results.not_kept)
        ]
        if not has_one_camera(self.a, self.b):
            found.append("the models take the camera or the gate for different ones: nothing is told in metres")
        return found

    def parts(self) -> dict[str, list[Row]]:
        """Return all rows by part."""
        return {
            "overall": self.overall,
            "classes": self.classes,
            "sizes": self.sizes,
            "distances": self.distances,
            "keypoints": self.keypoints,
        }

    @cached_property
    def _measured(self) -> Differences:
        """Ultralytics' metrics of all classes and of each, by the same draws."""
        return differences(self.b, self.a, self._named(FIGURES), self.options.draws, self.options.seed)

    def _metrics(
        self, group: str, names: Sequence[str], measured: Mapping[str, Difference], rests_on: tuple[int, int]
    ) -> Iterator[Row]:
        """Yield Ultralytics' metrics that were measured on so many images and objects."""
        for name in self._named(names):
            found = measured[name]
            span = Span(found.other, found.candidate, found.low, found.high) if rests_on[1] else NOT_KNOWN
            yield Row(group, name, span, *rests_on)

    @staticmethod
    def _rests_on(a: ImageResults, b: ImageResults, label: int | None = None) -> tuple[int, int]:
        """Count the images with an object or a detection of a class, or of any, and the objects."""
        true, *found = (
            image if label is None else image[labels == label]
            for image, labels in (
                (b.true_image, b.true_label),
                (a.found_image, a.found_label),
                (b.found_image, b.found_label),
            )
        )
        images = np.zeros(len(b.files), np.bool_)
        for image in (true, *found):
            images[image] = True
        return int(images.sum()), len(true)

    def _named(self, names: Sequence[str]) -> list[str]:
        """Return the names of metrics with the kinds that there are."""
        return [f"{name}({kind})" for kind in self._kinds for name in names]

    @property
    def _kinds(self) -> tuple[str, ...]:
        """Keys of `KINDS` that both were judged by."""
        return tuple(kind for kind in self.b.judged if kind in self.a.judged)

    def _found(self, group: str, chosen: NDArray[np.bool_]) -> Row:
        """Return the share of objects that are found and right."""
        a, b = self.outcomes
        count = b.objects_by_image(chosen)
        right = [each.objects_by_image(chosen & (each.outcome == RIGHT)) for each in (a, b)]
        span = self._draws.ratio((right[0], count), (right[1], count))
        return Row(group, f"recall at {self.options.conf:g}", span, int((count > 0).sum()), int(count.sum()))

    def _precise(self) -> Iterator[Row]:
        """Yield the share of detections that are right, and false alarms by picture."""
        sides = self.outcomes
        objects, ones = len(self.b.true_image), np.ones(len(self.b.files))
        kept = [each.detections_by_image(each.kept) for each in sides]
        right = [each.objects_by_image(each.outcome == RIGHT) for each in sides]
        conf = f"{self.options.conf:g}"
        span = self._draws.ratio((right[0], kept[0]), (right[1], kept[1]))
        yield Row("", f"precision at {conf}", span, int(((kept[0] > 0) | (kept[1] > 0)).sum()), objects)
        false = [each.detections_by_image(each.false_alarm) for each in sides]
        span = self._draws.ratio((false[0], ones), (false[1], ones))
        yield Row("", f"false alarms at {conf}", span, len(ones), objects, higher_is_better=False, unit="a picture")
        empty = (np.bincount(self.b.true_image, minlength=len(ones)) == 0).astype(np.float64)
        if empty.any():
            span = self._draws.ratio((false[0] * empty, empty), (false[1] * empty, empty))
            name, unit = f"false alarms at {conf} in empty pictures", "a picture"
            yield Row("", name, span, int(empty.sum()), 0, higher_is_better=False, unit=unit)
