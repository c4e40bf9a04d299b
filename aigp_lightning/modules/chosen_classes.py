"""The classes that `predict` is to find: `--data.classes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from aigp_lightning.run.lightning_internals import datamodule_of, trainer_of
from aigp_lightning.types import Prediction


@runtime_checkable
class ChoosesClasses(Protocol):
    """A datamodule that says which of a model's classes are wanted.

    Example:
        >>> class Data:
        ...     def chosen_classes(self, names):
        ...         return (0,)
        >>> isinstance(Data(), ChoosesClasses)
        True
    """

    def chosen_classes(self, names: Mapping[int, str]) -> tuple[int, ...] | None:
        """Return the ids of the classes that are to be predicted; None for all."""


def chosen_classes(module: Any) -> tuple[int, ...] | None:
    """Return the ids of the classes that a module is to predict; None for all, and in all but `predict`.

    Args:
        module: of a family, with the `names` of its classes.

    Raises:
        ConfigError: the module does not know a class that is chosen.

    Example:
        >>> from aigp_lightning.modules.base import BaseModule
        >>> chosen_classes(BaseModule()) is None  # no trainer predicts with it
        True
    """
    trainer = trainer_of(module)
    if trainer is None or trainer.state.fn != "predict":
        return None
    data = datamodule_of(trainer)
    return data.chosen_classes(module.names) if isinstance(data, ChoosesClasses) else None


def of_classes(found: Sequence[Prediction], classes: Sequence[int] | None) -> list[Prediction]:
    """Return what was found of some classes, image by image.

    Args:
        found: in each image.
        classes: their ids; None for all.

    Example:
        >>> one = Prediction(torch.zeros(2, 4), torch.tensor([0.9, 0.8]), torch.tensor([1, 0]))
        >>> of_classes([one], [0])[0].labels.tolist()
        [0]
    """
    return list(found) if classes is None else [_of_classes(one, classes) for one in found]


def _of_classes(found: Prediction, classes: Sequence[int]) -> Prediction:
    kept = torch.isin(found.labels, torch.tensor(classes, device=found.labels.device))
    changed: dict[str, Tensor] = {name: value[kept] for name, value in vars(found).items() if isinstance(value, Tensor)}
    return replace(found, **changed)
