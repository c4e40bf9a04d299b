"""Values of Ultralytics' settings as values of our options, where they differ in more than their name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PureWindowsPath
from typing import Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.files import is_plain_name
from aigp_lightning.recipes.augmentation_values import AUGMENTATION_VALUES
from aigp_lightning.recipes.device_value import device
from aigp_lightning.recipes.outcome import Outcome, carried, left, missing
from aigp_lightning.recipes.places import is_elsewhere, locate, why_not_here
from aigp_lightning.recipes.recipe import Recipe

OLD_MULTI_SCALE = 0.5
"""Share of `imgsz` by which pictures varied where `multi_scale` was true, before it became a number in 8.4."""
DEFAULT_EPOCHS = 100
STRIDE = 32
"""Sides of the input are multiples of it."""
OPTIMIZERS = ("auto", "adam", "adamax", "adamw", "nadam", "radam", "rmsprop", "sgd", "musgd")
EIGHT_BITS = ("8", "int8")
MOST_KEYWORDS = 60
"""An `args.yaml` has more settings than that, a list of keywords fewer."""
SINCE_NMS = "dlog"
"""A setting of the versions in which `nms: false` chooses a head."""


def _mode(value: Any, recipe: Recipe) -> Outcome:
    if value not in (None, "train"):
        verb = {"val": "validate", "track": "predict", "benchmark": "validate"}.get(str(value), str(value))
        raise ConfigError(
            f"{recipe.place('mode')}: mode {value}: only trainings are turned into a configuration. {value} is "
            f"`python -m aigp_lightning {verb}` here."
        )
    return carried()


def _whole(value: Any) -> int:
    """Return a whole number.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, str) or value != int(value):
        raise ValueError(value)
    return int(value)


def _epochs(value: Any, recipe: Recipe) -> Outcome:
    return carried(trainer__max_epochs=_whole(value))


def _patience(value: Any, recipe: Recipe) -> Outcome:
    return carried(early_stopping__patience=_whole(value) or _epochs_of(recipe))


def _epochs_of(recipe: Recipe) -> int:
    """Return the length of the training; Ultralytics' default where a program computes it."""
    return max(int(recipe.value("epochs") or DEFAULT_EPOCHS), 1)


def _time(value: Any, recipe: Recipe) -> Outcome:
    if isinstance(value, str):
        raise ValueError(value)
    return carried(run__hours=value or None)  # 0 is none, as there


def _close_mosaic(value: Any, recipe: Recipe) -> Outcome:
    return carried("never, as there" if value < 0 else "", close_mosaic__epochs=max(_whole(value), 0))


def _batch(value: Any, recipe: Recipe) -> Outcome:
    if isinstance(value, int | float) and value < 1:
        return carried("measured on the device", data__batch_size="auto" if value <= 0 else float(value))
    return carried(data__batch_size=_whole(value))


def _imgsz(value: Any, recipe: Recipe) -> Outcome:
    several = isinstance(value, list | tuple) and len(value) > 1
    asked = max(map(_whole, value)) if isinstance(value, list | tuple) else _whole(value)
    side = max(-(-asked // STRIDE), 1) * STRIDE
    why = "the larger side, as there: trainings are square" if several else ""
    return carried(why if side == asked else f"a multiple of {STRIDE}, as there", data__imgsz=side)


def _save_period(value: Any, recipe: Recipe) -> Outcome:
    return carried(checkpoint_every__epochs=max(_whole(value), 0))


def _cache(value: Any, recipe: Recipe) -> Outcome:
    if value in (True, "ram", "True", "true"):
        return carried(data__cache="ram")
    return carried(data__cache="disk" if value == "disk" else None)


def _project(value: Any, recipe: Recipe) -> Outcome:
    if value is None:
        return carried(run__root="runs")
    if is_elsewhere(str(value)):
        return left("a path of another machine: files go to runs/; --run.root chooses", run__root="runs")
    return carried(run__root=str(value).replace("\\", "/"))


def _name(value: Any, recipe: Recipe) -> Outcome:
    name = "train" if value is None else str(value)
    if is_plain_name(name) and "\\" not in name:
        return carried(run__name=name)
    short = PureWindowsPath(name).name or "train"
    return carried("the last part: --run.root says where", run__name=short if is_plain_name(short) else "train")


def _seed(value: Any, recipe: Recipe) -> Outcome:
    return carried(data__seed=_whole(value), seed_everything=_whole(value))


def _deterministic(value: Any, recipe: Recipe) -> Outcome:
    return carried(trainer__deterministic="warn" if value else None)


def _resume(value: Any, recipe: Recipe) -> Outcome:
    if not value:
        return carried()
    return left("a run of Ultralytics' cannot be resumed here: this one begins again, from its start")


def _amp(value: Any, recipe: Recipe) -> Outcome:
    words = {"fp16": "16-mixed", "bf16": "bf16-mixed", "fp32": "32-true", "false": "32-true"}
    return carried(trainer__precision=words.get(str(value).lower()))


def _freeze(value: Any, recipe: Recipe) -> Outcome:
    return carried(model__freeze=list(value) if isinstance(value, list | tuple) else _whole(value or 0))


def _multi_scale(value: Any, recipe: Recipe) -> Outcome:
    return carried(model__multi_scale=(OLD_MULTI_SCALE if value else 0.0) if isinstance(value, bool) else float(value))


def _quantize(value: Any, recipe: Recipe) -> Outcome:
    if str(value).lower() in EIGHT_BITS:
        return carried(model__qat=True)
    return carried() if value is None else left("of `predict` and `export`, there: a training heeds 8 alone")


def _classes(value: Any, recipe: Recipe) -> Outcome:
    wanted = list(value) if isinstance(value, list | tuple) else None if value is None else [value]
    return carried(data__classes=wanted)


def _val(value: Any, recipe: Recipe) -> Outcome:
    every = 1 if value or value is None else _epochs_of(recipe)
    return carried("" if every == 1 else "the last epoch alone", trainer__check_val_every_n_epoch=every)


def _plots(value: Any, recipe: Recipe) -> Outcome:
    return carried() if value or value is None else carried("no pictures", media__routes__everything=[])


def _pretrained(value: Any, recipe: Recipe) -> Outcome:
    return carried()  # see `models.py`, which knows what else there is


def _cls_remap(value: Any, recipe: Recipe) -> Outcome:
    return carried(data__match_classes="name" if value or value is None else "number")


def _rect(value: Any, recipe: Recipe) -> Outcome:
    return carried(data__rect_training=bool(value))


def _optimizer(value: Any, recipe: Recipe) -> Outcome:
    if str(value).lower() not in OPTIMIZERS:
        return missing("there is no such optimizer here; `auto` stands in its place", model__optim__name="auto")
    return carried(model__optim__name=str(value))


def _compile(value: Any, recipe: Recipe) -> Outcome:
    return carried(model__compile=value if isinstance(value, str) else bool(value))


def _fraction(value: Any, recipe: Recipe) -> Outcome:
    if isinstance(value, list | tuple):
        return carried(data__fraction=list(value))
    return carried(data__fraction=_whole(value) if value > 1 else float(value))  # above 1 it is a count


def _nms(value: Any, recipe: Recipe) -> Outcome:
    if value is True:
        return left("of exported files, there: suppression is done by what runs them")
    # until 8.4.149 `false` was the default, of exports; a file with all settings of a later version has this one too
    modern = SINCE_NMS in recipe.values or len(recipe.values) < MOST_KEYWORDS
    return carried(model__nms_free=True) if value is False and modern else carried()


def _end2end(value: Any, recipe: Recipe) -> Outcome:
    return carried(model__nms_free=True) if value else carried()


def _conf(value: Any, recipe: Recipe) -> Outcome:
    return carried() if value is None else carried("of validation", model__conf=value)


def _channels_last(value: Any, recipe: Recipe) -> Outcome:
    return carried() if value is None else carried(model__channels_last=bool(value))


def _save(value: Any, recipe: Recipe) -> Outcome:
    return carried() if value else left("a run without checkpoints would leave nothing; best and last are kept")


def _split(value: Any, recipe: Recipe) -> Outcome:
    if value in (None, "val"):
        return carried()
    what = "the verb `test` is for that" if value == "test" else f"on {value} nothing is measured"
    return left(f"a training is validated on `val`, there too; {what}")


def _save_dir(value: Any, recipe: Recipe) -> Outcome:
    return carried() if value is None else left("files go to ROOT/TASK/NAME, see project and name")


def _cfg(value: Any, recipe: Recipe) -> Outcome:
    if value is None or recipe.source.endswith("args.yaml"):
        return carried() if value is None else left("its settings are in this file already")
    if locate(str(value), recipe.folder) is None:
        return missing(f"{why_not_here(str(value), recipe.source)}: add its settings to these")
    return carried("its settings are read")


CONVERSIONS: dict[str, Callable[[Any, Recipe], Outcome]] = {
    **{"mode": _mode, "epochs": _epochs, "patience": _patience, "batch": _batch, "imgsz": _imgsz, "cache": _cache},
    **{"save_period": _save_period, "device": device, "project": _project, "name": _name, "seed": _seed, "nms": _nms},
    **{"deterministic": _deterministic, "resume": _resume, "amp": _amp, "freeze": _freeze, "quantize": _quantize},
    **{"multi_scale": _multi_scale, "classes": _classes, "val": _val, "plots": _plots, "cls_remap": _cls_remap},
    **{"rect": _rect, "optimizer": _optimizer, "end2end": _end2end, "conf": _conf, "save": _save},
    **{"channels_last": _channels_last, "split": _split, "save_dir": _save_dir},
    **{"cfg": _cfg, "pretrained": _pretrained, "fraction": _fraction},
    **{"compile": _compile, "time": _time, "close_mosaic": _close_mosaic, **AUGMENTATION_VALUES},
}
"""What makes options of a setting, by its name; all others keep their values."""
