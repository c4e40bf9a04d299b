"""Values of Ultralytics' augmentation as values of our options, where they differ in more than their name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aigp_lightning.recipes.outcome import Outcome, carried, missing
from aigp_lightning.recipes.recipe import Recipe

PAIR = 2
HALF_TURN = 180.0
"""Degrees; angles up to a multiple of it either way are the same as up to itself."""
DEFAULT_TRANSFORMS = ("blur", "median_blur", "to_gray", "clahe")
"""Transforms of Albumentations that Ultralytics makes where a program brings none of its own."""


def _scale(value: Any, recipe: Recipe) -> Outcome:
    if isinstance(value, list | tuple):
        if len(value) != PAIR:
            raise ValueError(value)
        return carried(data__augment__scale=[float(each) for each in value])
    return carried(data__augment__scale=float(value))


def _degrees(value: Any, recipe: Recipe) -> Outcome:
    most = abs(float(value))  # drawn from plus or minus it, either way round
    if most > HALF_TURN and most % HALF_TURN == 0:
        return carried("all angles, as there", data__augment__degrees=HALF_TURN)
    return carried(data__augment__degrees=most)


def _shear(value: Any, recipe: Recipe) -> Outcome:
    return carried(data__augment__shear=abs(float(value)))


def _augmentations(value: Any, recipe: Recipe) -> Outcome:
    if value is None:
        return carried()
    off: Mapping[str, Any] = {f"data__augment__{name}": 0.0 for name in DEFAULT_TRANSFORMS}
    return missing("write the transforms below `data.augment.extra`; blur, median_blur, to_gray and clahe are 0, as "
                   "there", **off)  # fmt: skip


AUGMENTATION_VALUES: dict[str, Callable[[Any, Recipe], Outcome]] = {
    **{"scale": _scale, "shear": _shear, "degrees": _degrees, "augmentations": _augmentations},
}
"""What makes options of a setting, by its name."""
