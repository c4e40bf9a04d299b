"""Points of labels as a transform of the user's own moved them."""

from __future__ import annotations

from typing import Any

import numpy as np

PIXEL_CENTRE = 0.5
"""Albumentations counts keypoints from the centre of the first pixel; ours, like boxes, from the image's edge."""


def part_of_points(result: dict[str, Any], first: int, end: int) -> dict[str, Any]:
    """Keep only those points of a transform's result whose numbers are in a range, and count them from its start.

    Args:
        result: of Albumentations, with `point` and `keypoints`.
        first: the first number.
        end: the number after the last.

    Example:
        >>> part_of_points({"point": [0, 2, 3], "keypoints": [[0, 0], [5, 5], [7, 7]]}, 2, 4)["point"].tolist()
        [0, 1]
    """
    numbers = np.asarray(result["point"], dtype=np.int64)
    mine = (numbers >= first) & (numbers < end)
    places = np.asarray(result["keypoints"], dtype=np.float32).reshape(-1, 2)
    return {**result, "point": numbers[mine] - first, "keypoints": places[mine]}


def moved_outlines(segments: np.ndarray, result: dict[str, Any]) -> np.ndarray:
    """Return outlines as Albumentations moved their points; one that it lost lies on the one before it.

    Args:
        segments: (n, P, 2) pixels, as they were.
        result: see `part_of_points`.

    Example:
        >>> result = {"point": np.array([0, 2]), "keypoints": np.float32([[0.5, 0.5], [3.5, 3.5]])}
        >>> moved_outlines(np.zeros((1, 3, 2), np.float32), result).tolist()
        [[[1.0, 1.0], [1.0, 1.0], [4.0, 4.0]]]
    """
    kept, places = result["point"], result["keypoints"] + PIXEL_CENTRE
    if not len(kept):
        return np.zeros_like(segments)
    before = np.searchsorted(kept, np.arange(segments.shape[0] * segments.shape[1]), side="right") - 1
    return np.asarray(places[before.clip(0)].reshape(segments.shape), np.float32)
