"""Objects of one size, and what was found of them, as results of their own.

COCO's sizes are by the area of an object in pixels of the original picture: small below 32², medium below 96², large
from there. Its rule for the precision of a size is taken over: a detection on an object of another size is left out,
and one on no object counts for the size that it has itself. COCO decides that anew at each of the ten overlaps; here
it is decided once, at an overlap of 0.5.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.modules.metrics.image_results import SHAPES, ImageResults

SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, float("inf"))}
"""COCO's sizes: areas from and below, pixels²."""


def chosen_part(results: ImageResults, objects: NDArray[np.bool_], detections: NDArray[np.bool_]) -> ImageResults:
    """Return results with some of the objects and detections, of all images.

    Args:
        results: of a model.
        objects: (t,) which labelled objects are kept.
        detections: (d,) which detections are kept; one whose object is not kept has none.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> nothing = np.zeros(0, np.bool_)
        >>> chosen_part(empty_results(["a.jpg"], {}), nothing, nothing).files
        ('a.jpg',)
    """
    chosen = {"d": detections, "t": objects}
    kept: dict[str, Any] = {
        name: getattr(results, name)[chosen[axis]] for name, (_, axis, _) in SHAPES.items() if axis in chosen
    }
    row = np.where(objects, np.cumsum(objects) - 1, -1)
    row = np.append(row, -1).astype(np.int32)  # the last is that of no object
    return replace(results, **{**kept, "match": row[kept["match"]]})


def of_size(results: ImageResults, size: str) -> ImageResults:
    """Return the part of one size, by COCO's rule as it is told above.

    Args:
        results: of a model.
        size: a key of `SIZES`.
    """
    objects, own = (within_size(boxes, size) for boxes in (results.true_box, results.found_box))
    matched = results.match >= 0
    of_object = np.append(objects, False)[results.match]
    return chosen_part(results, objects, np.where(matched, of_object, own))


def within_size(boxes: NDArray[np.float32], size: str) -> NDArray[np.bool_]:
    """Return which boxes are of a size, (n,).

    Args:
        boxes: (n, 4) xyxy, pixels of the original.
        size: a key of `SIZES`.

    Example:
        >>> within_size(np.array([[0, 0, 32, 31], [0, 0, 32, 32]], np.float32), "small").tolist()
        [True, False]
    """
    least, below = SIZES[size]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return np.asarray((area >= least) & (area < below))
