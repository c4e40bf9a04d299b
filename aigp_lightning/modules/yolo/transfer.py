"""Weights that a training starts from, taken over tensor by tensor, class rows by the classes' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from unicodedata import normalize

import torch
from torch import Tensor, nn

from aigp_lightning.data.class_names import plain_name
from aigp_lightning.modules.yolo.build import class_width, differ_in_classes_alone, take_class_branch
from aigp_lightning.modules.yolo.description import CLASS_WIDTH


def transfer_weights(model: nn.Module, source: nn.Module, by_name: bool = True) -> tuple[int, int]:
    """Copy every tensor of `source` that fits; class rows go by name where the classes differ.

    Args:
        model: it takes the tensors.
        source: it has them.
        by_name: false: class rows go by number, if there are as many (Ultralytics' `cls_remap`).

    Returns:
        How many tensors were taken, and how many the model has.
    """
    before = {key: value.clone() for key, value in model.state_dict().items()}
    built = class_width(model)
    mine: Any = model
    names = mine.names
    mine.names = {key: normalize("NFC", name) if by_name else str(key) for key, name in names.items()}
    cast("Any", source).names = {key: normalize("NFC", name) for key, name in cast("Any", source).names.items()}
    if differ_in_classes_alone(model, source):
        take_class_branch(model, source)
    mine.load(source, verbose=False)
    mine.names = names
    if class_width(model) != built:  # the class branch was replaced by the source's wider or narrower one
        cast("Any", model).yaml[CLASS_WIDTH] = class_width(model)
    theirs = source.state_dict()
    after = model.state_dict()

    def taken(key: str) -> bool:
        mine, its = after[key], theirs.get(key)
        if its is not None and its.shape == mine.shape and torch.equal(its, mine):
            return True
        if key in before and before[key].shape == mine.shape:
            return not torch.equal(before[key], mine)
        # a replaced class branch: its last layer is new, but for the rows of classes that both know
        return its is not None and its.shape[1:] == mine.shape[1:] and _share_a_row(mine, its)

    return sum(map(taken, after)), len(after)


def class_rows(theirs: Mapping[int, str], ours: Mapping[int, str], by_name: bool = True) -> str:
    """Say what becomes of the rows of the class layers when weights of other classes, or of another order, are taken.

    Ultralytics takes the rows of classes that both know by name, whatever their case; where there are none and as many
    classes, by number.

    Args:
        theirs: class names of the weights.
        ours: class names of the data set.
        by_name: see `transfer_weights`.

    Returns:
        Words for the line that tells how many tensors were taken.
    """
    if not by_name:
        alike = len(theirs) == len(ours)
        return f"all {len(ours)} classes by number" if alike else f"no class: {len(theirs)} there, {len(ours)} here"
    known = {plain_name(name): number for number, name in theirs.items()}
    shared = {number: known[plain_name(name)] for number, name in ours.items() if plain_name(name) in known}
    if not shared or _are_numbers(theirs) or _are_numbers(ours):
        return "no class by its name" + (", so all by number" if len(theirs) == len(ours) else "")
    moved = any(number != place for number, place in shared.items())
    return f"{len(shared)} of {len(ours)} classes by name" + (", whose order is another there" if moved else "")


def _are_numbers(names: Mapping[int, str]) -> bool:
    """True if names are what Ultralytics writes for classes without one: their ids."""
    return all(str(key) == name for key, name in names.items())


def _share_a_row(one: Tensor, other: Tensor) -> bool:
    return bool((one.flatten(1)[:, None] == other.flatten(1)[None]).all(-1).any())
