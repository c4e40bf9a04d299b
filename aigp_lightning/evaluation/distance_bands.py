"""Bands of distance of labelled objects, where the camera gives distances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.modules.metrics.corner_report import DISTANCE
from aigp_lightning.modules.metrics.image_results import ImageResults


def distance_bands(results: ImageResults) -> dict[str, NDArray[np.bool_]]:
    """Return which objects are in which band, (t,) by its name; empty where no object has a distance.

    Args:
        results: of a model; `bands` in `about` are the limits, metres.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> distance_bands(empty_results([], {"bands": [5.0]}))
        {}
    """
    limits = results.about.get("bands") or []
    distance = distances(results)
    if not limits or np.isnan(distance).all():
        return {}
    names = [f"{one:g}–{other:g} m" for one, other in zip((0.0, *limits[:-1]), limits, strict=True)]
    band = np.where(np.isnan(distance), -1, np.searchsorted(np.asarray(limits), distance, side="right"))
    return {name: band == number for number, name in enumerate([*names, f"over {limits[-1]:g} m"])}


def distances(results: ImageResults) -> NDArray[np.float32]:
    """Return the distance of each object, (t,) metres; NaN where it is not known.

    Args:
        results: of a model.

    Example:
        >>> from aigp_lightning.modules.metrics.image_results import empty_results
        >>> distances(empty_results([], {})).tolist()
        []
    """
    rows = results.corner_rows
    return rows[:, DISTANCE] if rows.shape[1] else np.full(len(rows), np.nan, np.float32)
