"""Values of Ultralytics' augmentation as values of our options, where they differ in more than their name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aigp_lightning.recipes.outcome import Outcome, carried, missing
from aigp_lightning.recipes.recipe import Recipe

MOST_SCALE, MOST_PERSPECTIVE, HALF_TURN = 0.99, 0.01, 180.0
"""The largest values that options have here."""
DEFAULT_TRANSFORMS = ("blur", "median_blur", "to_gray", "clahe")
"""Transforms of Albumentations that Ultralytics makes where a program brings none of its own."""


def _scale(value: Any, recipe: Recipe) -> Outcome:
    if isinstance(value, list | tuple):
        return carried(data__augment__scale=[float(each) for each in value])
    most = min(float(value), MOST_SCALE)
    return carried("" if most == value else "the most here", data__augment__scale=most)


def _perspective(value: Any, recipe: Recipe) -> Outcome:
    if float(value) > MOST_PERSPECTIVE:
        return missing(f"{MOST_PERSPECTIVE} is the most here; more tears pictures apart",
                       data__augment__perspective=MOST_PERSPECTIVE)  # fmt: skip
    return carried(data__augment__perspective=float(value))


def _degrees(value: Any, recipe: Recipe) -> Outcome:
    return carried(data__augment__degrees=min(float(value), HALF_TURN))


def _augmentations(value: Any, recipe: Recipe) -> Outcome:
    if value is None:
        return carried()
    off: Mapping[str, Any] = {f"data__augment__{name}": 0.0 for name in DEFAULT_TRANSFORMS}
    return missing("write the transforms below `data.augment.extra`; blur, median_blur, to_gray and clahe are 0, as "
                   "there", **off)  # fmt: skip


AUGMENTATION_VALUES: dict[str, Callable[[Any, Recipe], Outcome]] = {
    **{"scale": _scale, "perspective": _perspective, "degrees": _degrees, "augmentations": _augmentations},
}
"""What makes options of a setting, by its name."""
