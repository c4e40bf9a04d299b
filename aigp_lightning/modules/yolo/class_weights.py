"""Weights for classes that a data set has few of."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import ConfigError


def check_class_weights(asked: float | list[float]) -> None:
    """Refuse what cannot weigh classes.

    Args:
        asked: `--model.class_weights`: a power, or one weight a class.

    Raises:
        ConfigError: a power outside 0…1, or a weight that is not above 0.
    """
    if isinstance(asked, (list, tuple)):
        if not asked or not all(math.isfinite(weight) and weight > 0 for weight in asked):
            raise ConfigError(f"--model.class_weights {asked}: a list has one number above 0 for each class.")
    elif not 0 <= asked <= 1:
        raise ConfigError(
            f"--model.class_weights is {asked}; it must be between 0 (all classes count the same) and 1 (by the "
            "inverse of how many objects a class has), or a list of one number a class."
        )


def class_weights(
    asked: float | list[float], counts: NDArray[np.int64], names: Mapping[int, str]
) -> NDArray[np.float32] | None:
    """Weigh the classes.

    A power p gives each class (1 / objects)^p, and a class without objects the mean of the others; then all are scaled
    to a mean of 1. This is the formula of Ultralytics' `cls_pw`. A list is taken as it is.

    Args:
        asked: `--model.class_weights`: a power, or one weight a class.
        counts: (C,) labelled objects of each class in the training split.
        names: class names by id.

    Returns:
        (C,) weights, or None where all classes count the same.

    Raises:
        ConfigError: a list of another length than there are classes.
    """
    if isinstance(asked, (list, tuple)):
        if len(asked) != len(names):
            raise ConfigError(
                f"--model.class_weights has {len(asked)} numbers, the data set {len(names)} classes "
                f"({', '.join(names.values())}); give one for each, in this order."
            )
        return np.asarray(asked, dtype=np.float32)
    present = counts > 0
    if asked == 0 or not present.any():
        return None
    weights = (1.0 / np.where(present, counts, 1)) ** asked
    weights[~present] = weights[present].mean()
    return np.asarray(weights / weights.mean(), dtype=np.float32)
