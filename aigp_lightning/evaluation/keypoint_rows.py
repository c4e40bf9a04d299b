"""Errors of keypoints of two models, on the objects that both have found.

An error is known of what was found alone. The mean over what each model found by itself would make the one look better
that passes over hard objects; so both are measured on the same objects, and what is passed over shows in the recall.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.evaluation.comparison_row import Row
from aigp_lightning.evaluation.distance_bands import distances
from aigp_lightning.evaluation.paired_draws import PairedDraws
from aigp_lightning.modules.metrics.corner_report import FOUND, HEAD, POSITION, ROTATION
from aigp_lightning.modules.metrics.image_results import ImageResults

SAME_DISTANCE = 0.01
"""Distances that differ by no more than this share are the same: resizing and back rounds the corners."""


def keypoint_rows(
    group: str, a: ImageResults, b: ImageResults, chosen: NDArray[np.bool_], draws: PairedDraws
) -> list[Row]:
    """Compare errors of keypoints in pixels of the original, and for gates of position and rotation.

    Args:
        group: name of the objects.
        a: results of A.
        b: results of B, of the same objects row by row.
        chosen: (t,) which objects.
        draws: of the bootstrap.

    Returns:
        Median and mean of each error; none for detectors, and none of what no object has. Without metres and degrees
        where the models took the camera or the gate for different ones.
    """
    if not a.corner_rows.shape[1] or a.corner_rows.shape != b.corner_rows.shape:
        return []
    both = chosen & (a.corner_rows[:, FOUND] == 1) & (b.corner_rows[:, FOUND] == 1)
    count = (b.corner_rows.shape[1] - HEAD) // 2
    errors = {"keypoint error": ("px", slice(HEAD, HEAD + count))}
    if has_one_camera(a, b):
        errors |= {"position error": ("m", slice(POSITION, POSITION + 1))}
        errors |= {"rotation error": ("°", slice(ROTATION, ROTATION + 1))}
    image, rows = b.true_image[both], (a.corner_rows[both], b.corner_rows[both])
    return [
        row
        for name, (unit, columns) in errors.items()
        for row in _rows(group, name, unit, rows[0][:, columns], rows[1][:, columns], image, draws)
    ]


def has_one_camera(a: ImageResults, b: ImageResults) -> bool:
    """True if both models put the labelled objects at the same distances, or one of them at none.

    Args:
        a: results of A.
        b: results of B, of the same objects row by row.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> has_one_camera(empty_results([], {}), empty_results([], {}))
        True
    """
    ours, theirs = distances(a), distances(b)
    known = np.isfinite(ours) & np.isfinite(theirs)
    return bool(np.allclose(ours[known], theirs[known], rtol=SAME_DISTANCE))


def _rows(
    group: str, name: str, unit: str, a: NDArray[np.float32], b: NDArray[np.float32], image: NDArray[np.int32],
    draws: PairedDraws,
) -> Iterator[Row]:  # fmt: skip
    """Yield mean and median of an error, (m, columns) of each model."""
    values = np.stack((a.ravel(), b.ravel()), 1).astype(np.float64)
    known = np.isfinite(values).all(1)
    if not known.any():
        return
    images = np.repeat(image, a.shape[1])[known]
    objects = int(known.reshape(a.shape).any(1).sum())
    for figure, span in (
        ("median", draws.median(values[known], images)),
        ("mean", draws.mean(values[known], images)),
    ):
        yield Row(group, f"{name}, {figure}", span, len(np.unique(images)), objects, False, unit)
