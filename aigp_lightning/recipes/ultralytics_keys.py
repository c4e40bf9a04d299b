"""Every setting of Ultralytics' from 8.0 to 8.4, and what it is here; nothing but Python's own is imported."""

from __future__ import annotations

from difflib import get_close_matches

from aigp_lightning.recipes.key import Key
from aigp_lightning.recipes.other_keys import OTHER_KEYS
from aigp_lightning.recipes.training_keys import TRAINING_KEYS

KEYS: dict[str, Key] = {key.name: key for key in (*TRAINING_KEYS, *OTHER_KEYS)}
"""The table: settings by their names."""
OF_VERB = {("conf", "predict"): "model.predict_conf", ("rect", "validate"): "data.rect", ("rect", "test"): "data.rect",
           ("model", "validate"): "model.weights", ("model", "test"): "model.weights",
           ("model", "predict"): "model.weights", ("model", "export"): "weights", ("imgsz", "export"): "imgsz",
           ("half", "predict"): "trainer.precision", ("half", "validate"): "trainer.precision"}  # fmt: skip
"""Options of a verb, where they are others than those of `fit`."""
ALIKE = 0.65
"""So much of two names is the same where one was meant."""

OTHER_WORDS = {
    **{"learning_rate": "lr0", "lr": "lr0", "batch_size": "batch", "img_size": "imgsz", "img": "imgsz"},
    **{"weights": "model", "num_workers": "workers", "optim": "optimizer", "gpus": "device"},
    **{"rotate": "degrees", "rotation": "degrees", "hflip": "fliplr", "vflip": "flipud", "zoom": "scale"},
}
"""Words of other programs, and of YOLOv5, for Ultralytics' settings."""
ADVICE = {
    "cutout": "no version of Ultralytics has it; `albumentations.CoarseDropout` below `data.augment.extra` cuts pieces "
    "out",
}
"""Settings that people look for and no version has, with what to do."""


def our_option(word: str, verb: str = "fit") -> str | None:
    """Return the option here that stands for a setting of Ultralytics', without dashes; None where there is none.

    Args:
        word: the setting's name.
        verb: of ours, where it is asked for.

    Example:
        >>> our_option("epochs"), our_option("conf", "predict"), our_option("tracker"), our_option("cutout")
        ('trainer.max_epochs', 'model.predict_conf', None, None)
    """
    if (word, verb) in OF_VERB:
        return OF_VERB[word, verb]
    return KEYS[word].option or None if word in KEYS else None


def nearest_key(name: str) -> str | None:
    """Return the setting whose name is most like one that no version knows; None where nothing is like it.

    Args:
        name: the unknown one.

    Example:
        >>> nearest_key("epoch"), nearest_key("learning_rate"), nearest_key("zzz")
        ('epochs', 'lr0', None)
    """
    if name.lower() in OTHER_WORDS:
        return OTHER_WORDS[name.lower()]
    if (digits := name.lower().replace("o", "0")) in KEYS:  # lrO
        return digits
    near = get_close_matches(name.lower(), KEYS, n=1, cutoff=ALIKE)
    return near[0] if near else None
