"""Weights for classes that a data set has few of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.class_names import FollowsClasses
from aigp_lightning.errors import ConfigError, tell_user

if TYPE_CHECKING:
    from torch import nn


class ClassWeighing:
    """The weights of a module's classes: found in the training split, kept in checkpoints, used by the loss.

    Args:
        asked: `--model.class_weights`: a power, or one weight a class.

    Raises:
        ConfigError: it cannot weigh classes.
    """

    def __init__(self, asked: float | list[float]) -> None:
        check_class_weights(asked)
        self.asked = asked
        self.weights: NDArray[np.float32] | None = None

    def measure(self, data: Any) -> None:
        """Weigh the classes by what the training split has of them, once it has the order of a checkpoint.

        Args:
            data: the datamodule; None leaves all as it is.
        """
        if self.asked != 0 and data is not None:
            asked = in_model_order(self.asked, data.ids_of_files() if isinstance(data, FollowsClasses) else None)
            self.weights = weigh_split(asked, data.label_table("train")[0], dict(data.names))

    def apply(self, network: nn.Module) -> None:
        """Have a network's loss go by the weights."""
        from aigp_lightning.modules.yolo.loss import weigh_classes

        weigh_classes(network, self.weights)

    def state(self) -> list[float] | None:
        """Return the weights for a checkpoint."""
        return None if self.weights is None else [float(weight) for weight in self.weights]

    def load(self, state: list[float] | None) -> None:
        """Take the weights of a checkpoint."""
        self.weights = None if state is None else np.asarray(state, dtype=np.float32)


def check_class_weights(asked: float | list[float]) -> None:
    """Refuse values of `--model.class_weights` that cannot weigh classes.

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
            f"--model.class_weights {asked}: it must be between 0 (all classes count the same) and 1 (by the "
            "inverse of how many objects a class has), or a list of one number a class."
        )


def class_weights(
    asked: float | list[float], counts: NDArray[np.int64], names: Mapping[int, str]
) -> NDArray[np.float32] | None:
    """Compute the weights of classes in the loss.

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

    Example:
        >>> class_weights(1.0, np.array([300, 100]), {0: "gate", 1: "tree"}).round(2).tolist()
        [0.5, 1.5]
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


def in_model_order(asked: float | list[float], ids: NDArray[np.int64] | None) -> float | list[float]:
    """Put a list of weights, which is in the order of the data set, into the order of a model.

    Args:
        asked: `--model.class_weights`: a power, or one weight a class.
        ids: (C,) the data set's id of each of the model's classes; None where they are the same.

    Example:
        >>> in_model_order([1.0, 2.0, 5.0], np.array([2, 0, 1]))
        [5.0, 1.0, 2.0]
    """
    if ids is None or not isinstance(asked, (list, tuple)) or len(asked) != len(ids):
        return asked
    return [asked[place] for place in ids]


def weigh_split(
    asked: float | list[float], cls: NDArray[np.int64], names: Mapping[int, str]
) -> NDArray[np.float32] | None:
    """Compute the weights of classes for a training split, and print them.

    Args:
        asked: `--model.class_weights`: a power, or one weight a class.
        cls: (N,) class of every label of the split.
        names: class names by id.

    Returns:
        See `class_weights`.

    Raises:
        ConfigError: a list of another length than there are classes.
    """
    counts = np.bincount(cls, minlength=len(names))
    weights = class_weights(asked, counts, names)
    if weights is not None:
        shown = zip(names.values(), weights, counts, strict=True)
        tell_user(
            "class weights: " + ", ".join(f"{name} {weight:.3g} ({count} objects)" for name, weight, count in shown)
        )
    return weights
