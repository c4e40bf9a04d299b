"""False alarms in pictures without objects: what a model takes for one where there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FALSE_ALARMS = "metrics/false_alarms_per_empty"
"""Name of the figure: detections that are sure enough to be used, by picture in which nothing is labelled."""


@dataclass(frozen=True)
class FalseAlarms:
    """Detections in the pictures of a validation in which nothing is labelled.

    Attributes:
        count: of those with at least that confidence.
        empty: pictures in which nothing is labelled.
        conf: lowest confidence that counts, 0…1.

    Example:
        >>> str(FalseAlarms(count=3, empty=20, conf=0.25))
        'false alarms: 3 in 20 pictures without objects (0.150 a picture) at confidence 0.25'
    """

    count: int
    empty: int
    conf: float

    @property
    def per_picture(self) -> float:
        """False alarms by empty picture."""
        return self.count / self.empty

    def __str__(self) -> str:
        pictures = f"{self.empty} picture{'s' * (self.empty != 1)} without objects"
        return (
            f"false alarms: {self.count} in {pictures} ({self.per_picture:.3f} a picture) at confidence {self.conf:g}"
        )


def false_alarms_by_image(
    found_image: NDArray[np.integer], found_score: NDArray[np.floating], true_image: NDArray[np.integer], images: int,
    conf: float,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:  # fmt: skip
    """Count detections in the pictures in which nothing is labelled.

    Every detection counts, so that of a box which is sure enough of two classes both do.

    Args:
        found_image: (d,) which picture a detection is in.
        found_score: (d,) its confidence.
        true_image: (t,) which picture a labelled object is in.
        images: how many pictures there are.
        conf: lowest confidence that counts, 0…1.

    Returns:
        (n,) false alarms of each picture, 0 where something is labelled; (n,) whether nothing is labelled in it.

    Example:
        >>> found, score = np.array([0, 0, 1]), np.array([0.9, 0.1, 0.9])
        >>> counts, empty = false_alarms_by_image(found, score, np.array([1]), images=3, conf=0.25)
        >>> counts.tolist(), empty.tolist()
        ([1, 0, 0], [True, False, True])
    """
    empty = np.bincount(true_image, minlength=images) == 0
    counts = np.bincount(found_image[found_score >= conf], minlength=images)
    return np.where(empty, counts, 0), empty


def is_measured(conf: float | None, lowest: float | None) -> bool:
    """True if a validation keeps all detections that count.

    Args:
        conf: lowest confidence that counts; None where it is not known.
        lowest: that the validation keeps.

    Example:
        >>> is_measured(0.25, 0.001), is_measured(0.25, 0.5)
        (True, False)
    """
    return conf is not None and lowest is not None and lowest <= conf
