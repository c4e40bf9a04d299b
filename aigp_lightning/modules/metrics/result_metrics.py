"""Metrics, curves and confusion matrix of a validation that was kept image by image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.modules.metrics.confusion import count_pairs, pair
from aigp_lightning.modules.metrics.detection import CURVES
from aigp_lightning.modules.metrics.image_results import ImageResults
from aigp_lightning.types import Curves

BOX = "B"
PARTS = {BOX: ("Box", "box"), "P": ("Pose", "pose"), "M": ("Mask", "seg")}
"""Prefix of the curves of each kind, and its attribute of Ultralytics' metrics."""


def curves_of(results: ImageResults) -> list[Curves]:
    """Compute the curves of a validation, as they were when it was made; empty where there were no labels.

    Args:
        results: of it.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> curves_of(empty_results(["a.jpg"], {"task": "detect", "names": {"0": "gate"}}))
        []
    """
    from aigp_lightning.modules.yolo.metrics import detection_metrics

    if not len(results.true_label):
        return []
    judged = results.judged
    second = next((kind for kind in judged if kind in PARTS and kind != BOX), None)
    present = np.unique(np.stack((results.true_image, results.true_label)), axis=1)[1]
    found, score, true = results.found_label, results.found_score, results.true_label
    details = detection_metrics(
        results.names, results.correct, score, found.astype(np.float32), true.astype(np.float32),
        present.astype(np.float32), None if second is None else (PARTS[second][0].lower(), judged[second]),
    )  # fmt: skip
    names = tuple(results.names[int(index)] for index in details.ap_class_index)
    chosen = {"": PARTS[BOX][1]} if second is None else dict(PARTS[kind] for kind in (BOX, second))
    parts = {prefix: getattr(details, attribute) for prefix, attribute in chosen.items()}
    return [
        Curves(prefix, names, *(np.asarray(getattr(part, values), np.float32) for values in CURVES))
        for prefix, part in parts.items()
    ]


def confusion_of(results: ImageResults) -> NDArray[np.int64]:
    """Count which class is taken for which.

    Args:
        results: of a validation.

    Returns:
        See `count_confusion`.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> confusion_of(empty_results(["a.jpg"], {"names": {"0": "gate"}})).tolist()
        [[0, 0], [0, 0]]
    """
    true, image = results.true_label.astype(np.int64), results.true_image.astype(np.int64)
    found, where = results.found_label.astype(np.int64), results.found_image.astype(np.int64)
    pairs = pair(results.found_box, results.found_score, where, results.true_box, image)
    return count_pairs(pairs, found, results.found_score, true, len(results.names))
