"""The metrics of results whose images count by weights, by Ultralytics' definitions; an image of weight 2 counts twice.

Nothing here goes through detections one by one. What does not depend on the weights is sorted once (`WeightedMetrics`),
so that a thousand draws of a bootstrap take seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.evaluation.weighted_curves import Floats, Ints, WeightedCurves
from aigp_lightning.modules.metrics.corner_report import HEAD, POSITION, ROTATION
from aigp_lightning.modules.metrics.false_alarms import FALSE_ALARMS, false_alarms_by_image, is_measured
from aigp_lightning.modules.metrics.image_results import ImageResults
from aigp_lightning.ranges import is_finite_number

FITNESS = "fitness"
BOX = "B"
LOWER = ("corners/error", "gate/", FALSE_ALARMS)
"""Beginnings of the names of figures of which less is better."""


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
        with `(P)`, with masks the same with `(M)`, and `fitness`, which is left out where keypoints or masks were not
        kept; with keypoints `corners/error_px_mean` and `_median`, and of gates `gate/position_m_median` and `_mean`
        and the same of `gate/rotation_deg`. Errors that nothing is known about are left out. Where all classes count
        and images without labels are among them, `metrics/false_alarms_per_empty`.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> metrics_of(empty_results(["a.jpg"], {"task": "detect"}))["metrics/mAP50(B)"]
        0.0
    """
    return WeightedMetrics(results, classes).compute(weights)


def is_of_curves(metric: str) -> bool:
    """True if a figure is read off the curves of precision and recall against confidence.

    Args:
        metric: its name.

    Example:
        >>> is_of_curves("metrics/recall(B)"), is_of_curves("metrics/mAP50(B)")
        (True, False)
    """
    return metric.startswith(("metrics/precision(", "metrics/recall("))


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
        self._sets = {kind: WeightedCurves.prepare(results, right, kept) for kind, right in results.judged.items()}
        self._whole = not results.not_kept
        self._errors = _prepare_errors(results, kept)
        self._alarms = _prepare_alarms(results) if kept is None else None

    @property
    def classes(self) -> list[int]:
        """Ids of the classes that have labels and count, rising."""
        return [int(label) for label in self._sets[BOX].classes]

    def compute(self, weights: Floats | None = None) -> dict[str, float]:
        """Compute the metrics; see `metrics_of`.

        Args:
            weights: (n,) of the images.
        """
        return self.compute_with_classes(weights)[0]

    def compute_with_classes(
        self, weights: Floats | None = None, curves: bool = True
    ) -> tuple[dict[str, float], dict[str, Floats]]:
        """Compute the metrics, and those of each class on the way.

        Args:
            weights: (n,) of the images.
            curves: compute precision and recall too, which takes most of the time.

        Returns:
            The metrics; and mAP50 and mAP50-95 of each of `classes`, by the same names: what `metrics_of` says of it
            alone.

        Example:
            >>> from aigp_lightning.modules.metrics.image_results import empty_results
            >>> prepared = WeightedMetrics(empty_results(["a.jpg"], {"task": "detect"}))
            >>> sorted(prepared.compute_with_classes(curves=False)[1])
            ['metrics/mAP50(B)', 'metrics/mAP50-95(B)']
        """
        weighed = np.ones(self.images) if weights is None else np.asarray(weights, np.float64)
        found: dict[str, float] = {}
        by_class: dict[str, Floats] = {}
        for letter, each in self._sets.items():
            means, classes = each.compute(weighed, curves)
            found |= {f"metrics/{name}({letter})": value for name, value in means.items()}
            by_class |= {f"metrics/{name}({letter})": values for name, values in classes.items()}
        if self._whole:
            found[FITNESS] = sum(found[f"metrics/mAP50-95({letter})"] for letter in self._sets)
        for name, errors in self._errors.items():
            found |= errors.compute(name, weighed)
        if self._alarms is not None and (total := weighed @ self._alarms[1]) > 0:
            found[FALSE_ALARMS] = float(weighed @ self._alarms[0] / total)
        return found, by_class


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


def _prepare_alarms(results: ImageResults) -> tuple[Floats, Floats] | None:
    """Return the false alarms of each image without labels, and 1 for each of these; None where they were not kept."""
    settings = results.about.get("settings") or {}
    conf, lowest = (settings.get(name) for name in ("predict_conf", "conf"))
    if not (is_finite_number(conf) and is_finite_number(lowest) and is_measured(conf, lowest)):
        return None
    image, true, score = results.found_image, results.true_image, results.found_score
    counts, empty = false_alarms_by_image(image, score, true, len(results.files), conf)
    return counts.astype(np.float64), empty.astype(np.float64)
