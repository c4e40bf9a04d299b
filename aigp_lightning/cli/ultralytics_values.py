"""Ultralytics' words as options of a verb with their values, by the conversions that recipes go through."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from aigp_lightning.cli.meant import our_option
from aigp_lightning.recipes.conversions import CONVERSIONS
from aigp_lightning.recipes.key import Key
from aigp_lightning.recipes.read_arguments import read_value
from aigp_lightning.recipes.recipe import Given, Recipe
from aigp_lightning.recipes.ultralytics_keys import KEYS, OF_VERB, nearest_key
from aigp_lightning.recipes.write_config import dumped

CONFIGS = {"detect": "configs/detector.yaml", "pose": "configs/pose.yaml", "segment": "configs/segment.yaml"}
"""Ultralytics' tasks that are trained here, and the configuration of each."""
TRAINING, MEASURING = ("fit", "plan"), ("validate", "test")
YAML = (".yaml", ".yml")
WORDS = {"true": "true", "false": "false", "none": "null", "": "null"}
"""Python's words for values, in lower case, and YAML's."""
OF_EXPORT = {
    "model": "weights", "format": "format", "imgsz": "imgsz", "opset": "opset", "dynamic": "dynamic",
    "data": "data_yaml",
}  # fmt: skip
"""Words of Ultralytics' export, and the options here."""
FEWER_BITS = {"int8": "int8", "half": "fp16", "quantize": "int8"}
"""Words of Ultralytics' export for files of fewer bits, and the value of `--precision` that each stands for."""
QUANTIZE = {"8": "int8", "int8": "int8", "16": "fp16", "fp16": "fp16", "32": "fp32", "fp32": "fp32"}
"""Values of `quantize`, and of `--precision`."""
PRECISIONS = {"16": "16-mixed", "fp16": "16-mixed", "32": "32-true", "fp32": "32-true"}
"""Values of `quantize`, and of `--trainer.precision`."""
NEVER = 1000
"""Validated epochs of patience of a run whose length is not known."""
METRICS = "metrics.json"
"""Stands for a file of metrics, as `--run.json` takes it."""


@dataclass(frozen=True)
class Translated:
    """A word of Ultralytics' as options.

    Attributes:
        options: ours with their values as they are typed; without dashes.
        left: why no option stands for it, or a part of it; None where nothing is left.
    """

    options: Mapping[str, str] = field(default_factory=dict)
    left: str | None = None


def translate(verb: str, name: str, text: str, epochs: int | None = None) -> Translated:
    """Turn one `name=text` of Ultralytics' into options of a verb.

    Args:
        verb: of ours.
        name: of the setting.
        text: its value as it is typed.
        epochs: of the run; None where they are not known.

    Example:
        >>> translate("fit", "patience", "0", epochs=30).options
        {'early_stopping.patience': '30'}
        >>> translate("predict", "conf", "0.4").options
        {'model.predict_conf': '0.4'}
        >>> translate("validate", "show", "True").left
        'no windows are opened: `--output.save_images true` writes pictures'
    """
    value = read_value(text)
    if verb == "export":
        return _of_export(name, text, value)
    special = _special(verb, name, text, value)
    if special is None:
        return _by_table(verb, name, text, value, epochs)
    return special if isinstance(special, Translated) else Translated(_typed(special))


def is_flag(word: str) -> bool:
    """True if a word is a setting of Ultralytics' that is on where it stands alone.

    Args:
        word: of a command.

    Example:
        >>> is_flag("single_cls"), is_flag("epochs"), is_flag("gates.mp4")
        (True, False, False)
    """
    return word in KEYS and isinstance(KEYS[word].default, bool) and word != "val"  # which is a mode


def _by_table(verb: str, name: str, text: str, value: Any, epochs: int | None) -> Translated:
    key, option = KEYS.get(name), our_option(name, verb)
    if key is not None and not _serves(key, verb):
        return Translated(left=f"of `{key.verb}`: --{key.option}")
    if key is not None and name in CONVERSIONS:
        return _converted(verb, key, text, value, epochs)
    if option is not None and (key is None or key.verb):
        return Translated({option: WORDS.get(text.lower(), text)})
    if key is None:
        return Translated(left=f"did you mean {near}?" if (near := nearest_key(name)) else "")
    return Translated() if key.is_usual(value) else Translated(left=key.note)


def _serves(key: Key, verb: str) -> bool:
    """True if a setting's option is one of a verb's; what `fit` takes, the others read too."""
    return key.verb in ("", "fit", verb) or (key.verb == "validate" and verb not in TRAINING)


def _converted(verb: str, key: Key, text: str, value: Any, epochs: int | None) -> Translated:
    length = {} if epochs is None else {"epochs": Given(epochs)}
    recipe = Recipe("the command", {**length, key.name: Given(value)})
    try:
        outcome = CONVERSIONS[key.name](key.default if value is None else value, recipe)
    except (TypeError, ValueError, AttributeError, OverflowError):
        return Translated(left=f"{text} is no value of it")
    options = dict(outcome.options)
    if key.name == "patience" and value == 0 and epochs is None:
        options = {key.option: NEVER}
    if (other := OF_VERB.get((key.name, verb))) is not None and len(options) == 1:
        options = {other: next(iter(options.values()))}
    return Translated(_typed(options), None if outcome.state == "carried" else outcome.why)


def _of_export(name: str, text: str, value: Any) -> Translated:
    if name in ("nms", "end2end"):
        head = value is False if name == "nms" else bool(value)
        return Translated({"nms_free": "true"}) if head else Translated(left=KEYS["nms"].note)
    if name in FEWER_BITS and value:
        chosen = QUANTIZE.get(str(value).lower()) if name == "quantize" else FEWER_BITS[name]
        return Translated(left=f"{text} is no value of it") if chosen is None else Translated({"precision": chosen})
    option = OF_EXPORT.get(name)
    if option == "weights" and text.endswith(".ckpt"):
        option = "ckpt_path"
    if option is not None:
        return Translated({option: WORDS.get(text.lower(), text)})
    key = KEYS.get(name)
    return Translated() if key and key.is_usual(value) else Translated(left="" if key is None else key.note)


def _special(verb: str, name: str, text: str, value: Any) -> dict[str, Any] | Translated | None:
    """Translate what depends on the verb, or names files; None for all else."""
    if name in ("task", "mode"):
        known = name == "mode" or text in CONFIGS
        return {} if known else Translated(left=f"{text} is not trained here")
    if name == "model" and PurePath(text).name.startswith("rtdetr"):
        return Translated(left="RF-DETR is what is here: configs/rfdetr.yaml")
    if name == "cfg":
        return Translated(left=f"`from-ultralytics {text} --out my.yaml` makes a configuration of it")
    options: dict[str, dict[str, Any]] = {
        "model": _model(verb, text),
        "resume": {"ckpt_path": "last" if value is True else text} if value else {},
        "pretrained": {} if value in (True, None) else {"model.weights": None if value is False else text},
        "half": {"trainer.precision": "16-mixed"} if value else {},
    }
    if name in options or verb in TRAINING:
        return options.get(name)
    if name == "rect" and verb == "predict":
        return {} if value else Translated(left="pictures are predicted in rectangles that fit them")
    return _of_other_verbs(verb, name, value)


def _of_other_verbs(verb: str, name: str, value: Any) -> dict[str, Any] | None:
    """Translate what is another option in verbs that train nothing."""
    if name == "save_json" and verb in MEASURING:
        return {"run.json": METRICS} if value else {}
    if name == "plots":
        return {"run.plots": bool(value)} if verb in MEASURING else {}
    if name == "save" and verb == "predict":
        return {"output.save_images": bool(value)}
    if name == "quantize" and str(value).lower() in PRECISIONS:
        return {"trainer.precision": PRECISIONS[str(value).lower()]}
    return None


def _model(verb: str, value: str) -> dict[str, Any]:
    stem = PurePath(value).stem
    if value.endswith(".ckpt"):
        return {"ckpt_path": value}
    trains = verb in TRAINING
    if value.endswith(YAML):
        variant = {"model.variant": stem if PurePath(value).name == value else value}
        return {**variant, "model.weights": None} if trains else variant
    if not value.endswith(".pt"):
        return {"model.variant": value}
    named = trains and re.fullmatch(r"yolo(v?\d+)\w*(-\w+)?", stem) is not None
    return {**({"model.variant": stem} if named else {}), "model.weights": value}


def _typed(options: Mapping[str, Any]) -> dict[str, str]:
    """Return values as they are typed; texts stay as they are."""
    return {name: value if isinstance(value, str) else dumped(value) for name, value in options.items()}
