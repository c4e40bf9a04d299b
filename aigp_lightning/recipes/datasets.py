"""The data set of a recipe: where it is, and what in its `data.yaml` a training here or there would trip over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from aigp_lightning.data.data_yaml import DataSpec, read_data_yaml
from aigp_lightning.errors import ConfigError, UserError
from aigp_lightning.paths import DRIVE, is_glob, matches
from aigp_lightning.ranges import REPLACE_ME
from aigp_lightning.recipes.outcome import Outcome, carried, to_replace
from aigp_lightning.recipes.places import is_elsewhere, is_windows, last_part, locate, why_not_here
from aigp_lightning.recipes.recipe import Recipe

PUBLISHED = ("coco", "dota", "voc", "lvis", "objects365", "visdrone", "xview", "sku-110k", "tiger-pose", "hand-key",
             "crack-seg", "signature", "medical", "brain", "african", "carparts", "package-seg", "open-images",
             "globalwheat", "argoverse", "imagenet", "mnist", "cifar", "homeobjects", "construction", "kitti",
             "dog-pose")  # fmt: skip
"""How names of data sets begin that Ultralytics downloads."""
FLIPS = ("fliplr", "flipud")


@dataclass(frozen=True)
class Dataset:
    """The data set of a recipe.

    Attributes:
        outcome: of the setting `data`.
        spec: what its `data.yaml` says; None where that is not here, or cannot be used.
        faults: lines about what has to be mended in it.
        doubts: lines about keys of it that are not read.
    """

    outcome: Outcome
    spec: DataSpec | None = None
    faults: tuple[str, ...] = ()
    doubts: tuple[str, ...] = field(default=())

    @property
    def has_keypoints(self) -> bool | None:
        """True if its labels have keypoints; None where that is not known."""
        return None if self.spec is None else self.spec.keypoints is not None


def find_dataset(recipe: Recipe) -> Dataset:
    """Find the data set of a recipe, and look at its `data.yaml`.

    Args:
        recipe: with the setting `data`.

    Raises:
        ConfigError: it has several data sets.
    """
    named = recipe.value("data")
    if isinstance(named, list | tuple):
        raise ConfigError(f"{recipe.place('data')}: data: {len(named)} data sets are that many trainings; name one.")
    if named is None:
        unread = "data" in recipe.values and recipe.values["data"].unread
        why = "a program computes it" if unread else "it is not among the settings"
        return Dataset(to_replace(f"{why}: add data=my/data.yaml to the command", data__data_yaml=f"{REPLACE_ME}.yaml"))
    path = locate(str(named), recipe.folder)
    if path is None:
        return Dataset(_not_here(str(named), recipe))
    outcome = carried(data__data_yaml=path)
    try:
        spec = read_data_yaml(path)
    except UserError as error:
        return Dataset(outcome, None, (str(error),))
    return Dataset(outcome, spec, tuple(_faults(spec)), spec.doubts)


def fit_for(dataset: Dataset, task: str) -> Dataset:
    """Return the data set with what it lacks for a task: keypoints, without which `fit` trains no pose.

    Args:
        dataset: of the recipe.
        task: of its training.
    """
    if task != "pose" or dataset.spec is None or dataset.has_keypoints:
        return dataset
    fault = (
        f"{dataset.spec.file} has no kpt_shape, and a training for pose needs keypoints: add 'kpt_shape: [8, 3]' with "
        "their number if its labels have them, or name another data set, or task=detect"
    )
    return replace(dataset, faults=(*dataset.faults, fault))


def _not_here(named: str, recipe: Recipe) -> Outcome:
    name, place = last_part(named), named
    if is_windows(named) or is_elsewhere(named):
        place = f"{REPLACE_ME}/{name}"
    why = why_not_here(named, recipe.source)
    if name == named and name.lower().startswith(PUBLISHED):
        why = "a data set that Ultralytics downloads; here nothing is"
    return to_replace(f"{why}: give the data.yaml of yours", data__data_yaml=place)


def _faults(spec: DataSpec) -> Iterator[str]:
    """Yield a line for each split whose pictures are not here, and for what flips of keypoints would need."""
    for split in ("train", "val"):
        for source in spec.splits.get(split, ()):
            if not os.path.exists(source) and not (is_glob(source) and matches(source)):
                foreign = DRIVE.search(str(spec.root))
                root = f"'path' is {str(spec.root)[foreign.start() :]}" if foreign else f"'{split}' leads to {source}"
                yield f"{spec.file}: {root}, which is not on this machine: mend it in the file"
                return


def flips(recipe: Recipe, spec: DataSpec | None) -> dict[str, Outcome]:
    """Return what becomes of the flips of keypoints: without `flip_idx` Ultralytics switches both off.

    Args:
        recipe: with the settings `fliplr` and `flipud`.
        spec: of its data set, which has keypoints.
    """
    found: dict[str, Outcome] = {}
    if spec is None or spec.keypoints is None:
        return found
    values: dict[str, Any] = {name: recipe.value(name) for name in FLIPS}
    if spec.keypoints.flip_idx is None:
        for name in (name for name in FLIPS if values[name]):
            found[name] = carried(f"{spec.file.name} has no flip_idx: off, as there", **{f"data__augment__{name}": 0.0})
    elif values["flipud"] and spec.keypoints.flip_idx_vertical is None:
        why = f"add flip_idx_vertical to {spec.file.name}: which keypoint takes each place upside down"
        found["flipud"] = to_replace(why, data__augment__flipud=values["flipud"])
    return found
