"""Compares a recipe's training by Ultralytics with the same here: schedule and augmentation, for a few batches."""

from __future__ import annotations

import logging
import math
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aigp_lightning.recipes.augmentation_values import DEFAULT_TRANSFORMS
from aigp_lightning.recipes.convert import Conversion
from aigp_lightning.recipes.key import AUGMENTATION, OPTIMIZER
from aigp_lightning.recipes.stand_in import StandIn, make_stand_in, multiplied
from aigp_lightning.recipes.ultralytics_keys import KEYS
from aigp_lightning.recipes.words import wrapped

NETWORKS = {"detect": "yolo11n.yaml", "pose": "yolo11n-pose.yaml", "segment": "yolo11n-seg.yaml"}
"""Networks that are trained for the comparison; a schedule depends on none."""
LARGEST_BATCH, USUAL_BATCH = 64, 16
SMALL, LARGER = 32, 64
"""Sides of the pictures, pixels: of so few pictures that a batch norm has but one value, the larger."""
MOST_EPOCHS, AN_EPOCH = 8, 3
"""Epochs that are compared, and batches of each."""
SAMPLE_SIZE, SAMPLES = 160, 384
CLOSE = 1e-6
ERRORS = 4.5
"""Standard errors by which two averages may differ by chance."""
SAME_TRAINING = ("task", "mode", "model", "data", "epochs", "batch", "seed", "name", "project", "exist_ok", "device",
                 "workers", "cache", "plots", "patience", "save_period", "cfg", "optimizer", "pretrained")  # fmt: skip
"""Settings that are compared, or that decide on no number of a batch but the first weights."""
FIGURES = ("objects", "width", "height", "red", "green", "blue", "spread")
"""What is averaged over samples: objects, their sides as shares, colours 0…255, and how much these vary in a sample."""


@dataclass
class Comparison:
    """What two trainers have in common, and where they differ.

    Attributes:
        told: lines about what was compared.
        differences: lines about where they differ.
    """

    told: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    @property
    def is_same(self) -> bool:
        """True if nothing differs."""
        return not self.differences

    def lines(self) -> Iterator[str]:
        """Yield what there is to print, in 80 columns."""
        yield "side by side with Ultralytics' own trainer:"
        yield from self.told
        yield "they differ:" if self.differences else "nothing differs"
        yield from (line for each in self.differences for line in wrapped(each, first="  ", rest="      "))


def compare(conversion: Conversion) -> Comparison:
    """Run both trainers for a few batches.

    Args:
        conversion: of a recipe.
    """
    task, result = conversion.network.task, Comparison()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, _quiet():
        folder = Path(name).resolve()
        spec = conversion.dataset.spec if not conversion.dataset.faults else None
        made = make_stand_in(folder / "pictures", task, spec)
        small = made if not made.own else make_stand_in(folder / "small", task, None)
        _compare_schedules(conversion, small, folder, result)
        _compare_augmentation(conversion, made, folder, result)
    result.told += wrapped(f"not compared: {', '.join(_not_compared(conversion))}", first="  ", rest="    ")
    return result


def _not_compared(conversion: Conversion) -> Iterator[str]:
    """Yield what a training depends on, too; settings where they have other values than by default."""
    yield from ("the network and its weights", "the loss", "rounding in 16 bits")
    for row in conversion.of("carried"):
        key = KEYS.get(row.name)
        if key is None or key.name in SAME_TRAINING or key.group in (OPTIMIZER, AUGMENTATION):
            continue
        if row.given and row.outcome.options and not key.is_usual(row.value):
            yield row.name


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what trainers say of stand-ins, which is about nobody's training."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _settings(conversion: Conversion, *groups: str) -> dict[str, Any]:
    """Return the recipe's settings of these groups, by Ultralytics' names."""
    rows = {row.name: row for row in conversion.rows if row.name in KEYS and KEYS[row.name].group in groups}
    return {name: row.value for name, row in rows.items() if row.value is not None and row.name != "augmentations"}


def _compare_schedules(conversion: Conversion, stand_in: StandIn, folder: Path, result: Comparison) -> None:
    from aigp_lightning.modules.yolo.reference import train_by_reference
    from aigp_lightning.recipes.our_side import train_here

    options, recipe = conversion.options, conversion.recipe
    asked = options["data.batch_size"]
    batch = min(asked, LARGEST_BATCH) if isinstance(asked, int) else USUAL_BATCH
    epochs, imgsz = int(options["trainer.max_epochs"]), LARGER if batch < 2 * AN_EPOCH else SMALL
    compared = min(epochs, MOST_EPOCHS, math.ceil(float(recipe.value("warmup_epochs") or 0)) + 2)
    count = batch * (AN_EPOCH - 1) + max(batch // 2, min(batch, 2))
    spec = conversion.dataset.spec
    pictures = multiplied(stand_in, folder / "many", count, 1 if spec is None else spec.nc)
    settings = {
        **_settings(conversion, OPTIMIZER), "epochs": epochs, "batch": batch, "imgsz": imgsz,
        "model": NETWORKS[conversion.network.task], "seed": 0,
    }  # fmt: skip
    steps = compared * AN_EPOCH
    theirs, shares = train_by_reference(pictures.about, folder, settings, steps)
    ours, own_shares = train_here(pictures, folder, options, batch, imgsz, steps)
    stands = "" if batch == asked else f", which stands for {asked}"
    result.told += wrapped(
        f"schedule: {len(theirs)} batches of {batch} pictures{stands}, {compared} of {epochs} epochs; learning rate, "
        "momentum and weight decay of each group of parameters, optimizer steps; the rates of all epochs", first="  ",
    )  # fmt: skip
    if str(recipe.value("optimizer")).lower() == "auto":
        result.told += wrapped("auto chooses by the number of pictures, by the same rule; here by the stand-in's",
                               first="  ")  # fmt: skip
    result.told += _schedule_table(theirs, ours)
    result.differences += [*_steps_that_differ(theirs, ours)][:6]
    if unlike := [epoch for epoch, pair in enumerate(zip(shares, own_shares, strict=True)) if not _same(*pair)]:
        first = unlike[0]
        result.differences.append(
            f"rate of epoch {first + 1}, as a share of lr0: {shares[first]:.6g} there, {own_shares[first]:.6g} here"
        )


def _schedule_table(theirs: Sequence[Any], ours: Sequence[Any]) -> list[str]:
    lines = [
        f"  {'epoch':>5} {'rate there':>12} {'here':>12} {'momentum there':>16} {'here':>8} {'steps':>7} {'here':>5}"
    ]
    for place in range(AN_EPOCH - 1, min(len(theirs), len(ours)), AN_EPOCH):
        (their_steps, their_groups), (our_steps, our_groups) = theirs[place], ours[place]
        name = "weight" if "weight" in their_groups and "weight" in our_groups else next(iter(their_groups))
        there, here = their_groups[name], our_groups.get(name, (math.nan, None, 0.0))
        momentum = ["none" if each[1] is None else f"{each[1]:.4f}" for each in (there, here)]
        lines.append(
            f"  {place // AN_EPOCH + 1:>5} {there[0]:>12.3e} {here[0]:>12.3e} {momentum[0]:>16} {momentum[1]:>8} "
            f"{their_steps:>7} {our_steps:>5}"
        )
    return lines


def _steps_that_differ(theirs: Sequence[Any], ours: Sequence[Any]) -> Iterator[str]:
    if len(theirs) != len(ours):
        yield f"{len(theirs)} batches there, {len(ours)} here"
    for number, ((their_steps, their_groups), (our_steps, our_groups)) in enumerate(zip(theirs, ours, strict=False)):
        where = f"batch {number + 1} (epoch {number // AN_EPOCH + 1})"
        if their_steps != our_steps:
            yield f"{where}: {their_steps} optimizer steps there, {our_steps} here"
        if set(their_groups) != set(our_groups):
            yield f"{where}: groups {', '.join(their_groups)} there, {', '.join(our_groups)} here"
        for name in sorted(set(their_groups) & set(our_groups)):
            for what, there, here in zip(("rate", "momentum", "decay"), their_groups[name], our_groups[name],
                                         strict=True):  # fmt: skip
                if not _same(there, here):
                    yield f"{where}: {what} of group {name}: {there} there, {here} here"


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=CLOSE, abs_tol=1e-12)


def _compare_augmentation(conversion: Conversion, stand_in: StandIn, folder: Path, result: Comparison) -> None:
    from aigp_lightning.modules.yolo.reference import reference_samples
    from aigp_lightning.recipes.our_side import samples_here

    settings, options = _settings(conversion, AUGMENTATION), conversion.options
    wanted = {name: value for name, value in settings.items() if KEYS[name].option}
    their_list, their_values, their_samples = reference_samples(stand_in.about, wanted, SAMPLE_SIZE, SAMPLES)
    our_list, our_values, our_samples = samples_here(stand_in, folder, options, SAMPLE_SIZE, SAMPLES)
    count = len(stand_in.pictures)
    whose = f"{count} pictures of the recipe's data set" if stand_in.own else f"{count} synthetic pictures"
    result.told += wrapped(
        f"augmentation: {whose}, {SAMPLES} samples of them at {SAMPLE_SIZE} pixels; parameters, and averages",
        first="  ",
    )  # fmt: skip
    result.told += wrapped(f"there: {'; '.join(their_list)}", first="    ", rest="      ")
    result.told += wrapped(f"here: {'; '.join(our_list)}", first="    ", rest="      ")
    given = [row.name for row in conversion.rows if row.given]
    skipped = DEFAULT_TRANSFORMS if "augmentations" in given else ()
    for name, value in their_values.items():
        here = our_values.get(name)
        if name not in skipped and not _alike(value, here):
            result.differences.append(f"{name}: {value} there, {here} here")
    theirs, ours = _figures(their_samples), _figures(our_samples)
    result.told.append(f"    {'average of a sample':<22}{'there':>18}{'here':>18}")
    for place, name in enumerate(FIGURES):
        (there, error), (here, other) = _average(theirs[:, place]), _average(ours[:, place])
        result.told.append(f"    {name:<22}{f'{there:.3f} ± {error:.3f}':>18}{f'{here:.3f} ± {other:.3f}':>18}")
        if abs(there - here) > ERRORS * math.hypot(error, other) + CLOSE:
            result.differences.append(f"{name} of a sample: {there:.3f} there, {here:.3f} here: more than chance")


def _alike(one: Any, other: Any) -> bool:
    """True if two parameters, numbers or pairs of them, are the same."""
    pairs = [list(each) if isinstance(each, list | tuple) else [each] for each in (one, other)]
    if len(pairs[0]) != len(pairs[1]) or None in pairs[0] + pairs[1]:
        return False
    return all(_same(float(there), float(here)) for there, here in zip(*pairs, strict=True))


def _figures(samples: Iterator[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return (n, 7) `FIGURES` of samples; sides are nan where there is no object."""
    rows = []
    for picture, boxes in samples:
        sides = boxes[:, 2:].mean(0) if len(boxes) else (math.nan, math.nan)
        rows.append([len(boxes), *sides, *picture.reshape(-1, 3).mean(0), float(picture.std())])
    return np.array(rows, np.float64).reshape(-1, len(FIGURES))


def _average(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """Return the average and its standard error."""
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0, 0.0
    return float(known.mean()), float(known.std(ddof=min(len(known) - 1, 1)) / math.sqrt(len(known)))
