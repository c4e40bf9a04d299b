"""Results at one confidence: which objects are right, of a wrong class or missed, and which detections are false."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.modules.metrics.image_results import ImageResults
from aigp_lightning.modules.metrics.pairing import choose, overlapping

HALF = 0.5
"""A detection whose box overlaps an object by at least this much is one of that object."""
MISSED, WRONG_CLASS, RIGHT = range(3)


@dataclass(frozen=True)
class Outcomes:
    """Objects and detections of all images at one confidence.

    Attributes:
        kept: (d,) whether a detection is as sure as that.
        outcome: (t,) of each object: `RIGHT`, found by a detection of its class; `WRONG_CLASS`, found by one of another
            class alone; or `MISSED`.
        score: (t,) confidence of the detection that is right; 0 where there is none.
        false_alarm: (d,) kept detections that are neither right nor an object's wrong class.
        images: how many.
        true_image: (t,) which image an object is in.
        found_image: (d,) which image a detection is in.
    """

    kept: NDArray[np.bool_]
    outcome: NDArray[np.int8]
    score: NDArray[np.float32]
    false_alarm: NDArray[np.bool_]
    images: int
    true_image: NDArray[np.int32]
    found_image: NDArray[np.int32]

    def objects_by_image(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Count chosen objects in each image, (n,).

        Args:
            chosen: (t,) which.
        """
        return np.bincount(self.true_image[chosen], minlength=self.images)

    def detections_by_image(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Count chosen detections in each image, (n,).

        Args:
            chosen: (d,) which.
        """
        return np.bincount(self.found_image[chosen], minlength=self.images)

    def errors_by_image(self) -> NDArray[np.int64]:
        """Return misses, objects of a wrong class and false alarms of each image together, (n,)."""
        return self.objects_by_image(self.outcome != RIGHT) + self.detections_by_image(self.false_alarm)


def outcomes_at(results: ImageResults, conf: float) -> Outcomes:
    """Tell what became of each object, and which detections are false alarms.

    Args:
        results: of a model.
        conf: lowest confidence that counts, 0…1.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> outcomes_at(empty_results(["a.jpg"], {}), 0.25).errors_by_image().tolist()
        [0]
    """
    kept = results.found_score >= conf
    right = kept & (results.match >= 0)
    outcome, score = np.full(len(results.true_image), MISSED, np.int8), np.zeros(len(results.true_image), np.float32)
    outcome[results.match[right]], score[results.match[right]] = RIGHT, results.found_score[right]
    false_alarm = kept & ~right
    # What is left over of both: a detection on an object of another class is one error, not two.
    rest, missed = np.flatnonzero(false_alarm), np.flatnonzero(outcome == MISSED)
    found, true, overlap = overlapping(
        results.found_box[rest], results.true_box[missed],
        results.found_image[rest].astype(np.int64), results.true_image[missed].astype(np.int64), 0.0,
    )  # fmt: skip
    near = (overlap >= HALF) & (results.found_label[rest[found]] != results.true_label[missed[true]])
    found, true, overlap = found[near], true[near], overlap[near]
    pairs = choose(found, true, overlap)
    outcome[missed[true[pairs]]] = WRONG_CLASS
    false_alarm[rest[found[pairs]]] = False
    return Outcomes(kept, outcome, score, false_alarm, len(results.files), results.true_image, results.found_image)
