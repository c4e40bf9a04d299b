"""Ranges of settings: what Ultralytics takes, and what options here take; a value is never moved without a word."""

from __future__ import annotations

import math
from typing import Any

from aigp_lightning.ranges import COUNT, COUNT_OR_NONE, NOT_NEGATIVE, POSITIVE, SEED, SHARE, Range
from aigp_lightning.recipes.outcome import Outcome

SHARES = ("lr0", "lrf", "cls_pw", "momentum", "weight_decay", "warmup_momentum", "warmup_bias_lr", "hsv_h", "hsv_s",
          "hsv_v", "translate", "perspective", "flipud", "fliplr", "bgr", "mosaic", "mixup", "cutmix", "copy_paste",
          "scale", "conf", "iou", "multi_scale")  # fmt: skip
TAKEN: dict[str, Range] = {
    **dict.fromkeys(SHARES, SHARE),
    **dict.fromkeys(("epochs", "nbs", "max_det", "mask_ratio"), Range(1)),
    **dict.fromkeys(("patience", "seed", "workers", "time"), Range(0)),
}
"""Numbers that Ultralytics' `train` takes, by the names of its settings; it ends with an error for all others."""

AUGMENT = "data.augment"
OPTIONS: dict[str, Range] = {
    **{f"{AUGMENT}.{name}": SHARE for name in SHARES[7:11]},
    **{f"{AUGMENT}.{name}": SHARE for name in ("flipud", "fliplr", "bgr", "mosaic", "mixup", "cutmix", "copy_paste")},
    **{f"{AUGMENT}.degrees": Range(0, 180), f"{AUGMENT}.shear": Range(0, 89), f"{AUGMENT}.perspective": Range(0, 0.01)},
    f"{AUGMENT}.scale": Range(0, 0.99),
    **{f"model.optim.{name}": NOT_NEGATIVE for name in ("lrf", "weight_decay", "warmup_epochs", "warmup_bias_lr")},
    **{f"model.optim.{name}": Range(0, 1, below=True) for name in ("momentum", "warmup_momentum")},
    **{"model.optim.lr0": POSITIVE, "model.optim.nbs": COUNT},
    **{f"model.gains.{name}": NOT_NEGATIVE for name in ("box", "cls", "dfl", "pose", "kobj", "rle", "dis")},
    **{"model.conf": SHARE, "model.iou": SHARE, "model.max_det": COUNT, "model.multi_scale": SHARE},
    **{"data.workers": COUNT_OR_NONE, "data.seed": SEED, "close_mosaic.epochs": COUNT_OR_NONE},
    **{"checkpoint_every.epochs": COUNT_OR_NONE, "run.hours": POSITIVE},
}
"""Numbers that options here take, by their names."""
FACTORS = Range(0.01, 100)
"""Factors that a pair of `data.augment.scale` takes."""


def is_taken(name: str, value: Any) -> bool:
    """True if Ultralytics trains with a value, as far as numbers go.

    Args:
        name: of the setting.
        value: of it.

    Example:
        >>> is_taken("mixup", 2), is_taken("mixup", 1), is_taken("workers", -1), is_taken("box", float("nan"))
        (False, True, False, False)
    """
    if isinstance(value, list | tuple):
        return all(is_taken("", each) for each in value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return True
    return math.isfinite(value) and (name not in TAKEN or value in TAKEN[name])


def within_limits(outcome: Outcome) -> Outcome:
    """Return an outcome whose options have values that are taken here; one that had to be moved is told as missing.

    Args:
        outcome: of a setting that was carried over.

    Example:
        >>> moved = within_limits(Outcome("carried", {"data.augment.shear": 120.0}))
        >>> moved.state, moved.options, moved.why
        ('missing', {'data.augment.shear': 89.0}, '89 is the most here')
    """
    for option, value in outcome.options.items():
        pair = isinstance(value, list | tuple) and option == f"{AUGMENT}.scale"
        if pair and (any(each not in FACTORS for each in value) or list(value) != sorted(value)):
            return Outcome("missing", {}, f"two factors {FACTORS} are taken here, the smaller one first")
        allowed = OPTIONS.get(option)
        if allowed is None or not isinstance(value, int | float) or isinstance(value, bool) or value in allowed:
            continue
        is_low, end = value <= allowed.low, allowed.low if value <= allowed.low else allowed.high
        if allowed.above if is_low else allowed.below:
            rest = {name: each for name, each in outcome.options.items() if name != option}
            return Outcome("missing", rest, f"a number {allowed} is taken here; the default stands in its place")
        moved = {**outcome.options, option: type(value)(end)}
        return Outcome("missing", moved, f"{end:.12g} is the {'least' if is_low else 'most'} here")
    return outcome
