"""Commands that cannot go well, refused by their words alone, before anything heavy is imported."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from aigp_lightning.cli.by_class import named_class
from aigp_lightning.cli.config_files import config_files
from aigp_lightning.cli.option_names import MODELS
from aigp_lightning.cli.start_weights import PUBLISHED, named_values
from aigp_lightning.cli.ultralytics_values import TRAINING, YAML, translate
from aigp_lightning.errors import ConfigError, printable
from aigp_lightning.files import shell_quoted
from aigp_lightning.logfiles.safe_yaml import load

SOURCE, CHECKPOINT, WEIGHTS = "data.source", "ckpt_path", "model.weights"
OF_DATA_SETS = {"names", "nc", "train", "val", "test", "path", "kpt_shape"}
"""Keys of a data.yaml that are no options of `--data`."""
OF_CLASSES = ("class_path", "init_args")
"""Keys of a file that `--model` takes."""
FILES = (".pt", ".pth", ".ckpt", *YAML)
"""Endings of what others give to a model's option."""
NEEDS_SOURCE = "predict needs --data.source: a picture, a folder, a glob or a video."
WEIGHTS_FILES = {"RFDETRModule": "an RF-DETR file (.pth)"}
"""Kinds of weights files by class; all others have Ultralytics'."""


def check_groups(verb: str, words: Sequence[str]) -> None:
    """Refuse a data set or a network where an option takes a group of options or a class.

    Args:
        verb: fit, plan, validate, test or predict.
        words: after it.

    Raises:
        ConfigError: one is there; the message has the option that takes it.

    Example:
        >>> check_groups("fit", ["--data", "my/data.yaml"])
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --data my/data.yaml: a data set goes to --data.data_yaml my/data.yaml
        >>> check_groups("fit", ["--model", "yolo11n.pt"])
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --model yolo11n.pt: --model takes a class, such as PoseModule; a network \
goes to --model.variant yolo11n --model.weights yolo11n.pt
    """
    for option, value in _values(words, "--data", "--model"):
        if option == "--data" and (place := _place_of_data(verb, value)) is not None:
            what = "a data set" if place.endswith("yaml") else "what is predicted"
            raise ConfigError(f"--data {printable(value)}: {what} goes to --{place} {shell_quoted(value)}")
        if option == "--model" and _is_network(value):
            options = {WEIGHTS: value} if value.endswith(".pth") else translate(verb, "model", value).options
            typed = shell_quoted(*(word for name, each in options.items() for word in (f"--{name}", each)))
            raise ConfigError(
                f"--model {printable(value)}: --model takes a class, such as PoseModule; a network goes to {typed}"
            )


def check_needed(verb: str, words: Sequence[str]) -> None:
    """Refuse a command without what it is about, and confidences that its verb does not use.

    Args:
        verb: fit, plan, validate, test or predict.
        words: after it.

    Raises:
        ConfigError: there is no model to measure or to predict with, nothing to predict, or another verb's limit.

    Example:
        >>> check_needed("predict", ["--ckpt_path", "best.ckpt"])
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: predict needs --data.source: a picture, a folder, a glob or a video.
    """
    asked = any(word.startswith("--print_config") or ".help" in word for word in words)
    named = named_class(words)
    if verb in TRAINING or asked or (named is not None and named.rpartition(".")[2] not in MODELS):
        return
    for option, value in _values(words, "--model.conf", "--model.init_args.conf"):
        if verb == "predict":
            raise ConfigError(f"{option} is of validate and test; predict takes --model.predict_conf {value}")
    if any(map(_is_open, config_files(words))) or any(value[:1] != "-" for _, value in _groups(words)):
        return
    found = named_values(words, named, (SOURCE, CHECKPOINT, WEIGHTS))
    if verb == "predict" and SOURCE not in found:
        raise ConfigError(NEEDS_SOURCE)
    if CHECKPOINT not in found and WEIGHTS not in found:
        kind = WEIGHTS_FILES.get(str(named).rpartition(".")[2], "an Ultralytics file (.pt)")
        raise ConfigError(f"which model? Give --ckpt_path a checkpoint of ours, or --model.weights {kind}.")


def _values(words: Sequence[str], *options: str) -> Iterator[tuple[str, str]]:
    """Yield the values of options on a command line, with their option."""
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        option, joined, value = word.partition("=")
        if option in options:
            yield option, value if joined else following


def _groups(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield options of which a value has others in it: a group, or a class with its arguments."""
    for option, value in _values(words, "--data", "--model"):
        if option == "--data" or value.lstrip()[:1] == "{" or os.path.isfile(value):
            yield option, value


def _place_of_data(verb: str, value: str) -> str | None:
    """Return the option that a data set, or what is predicted, goes to; None for a group of options."""
    if value.lstrip()[:1] in ("{", "-", ""):
        return None
    if value.endswith(YAML):
        keys = _keys(value)
        return "data.data_yaml" if keys is None or keys & OF_DATA_SETS else None
    return SOURCE if verb == "predict" else "data.data_yaml" if os.path.isdir(value) else None


def _is_network(value: str) -> bool:
    if value.endswith(YAML):
        keys = _keys(value)
        return keys is None or not keys & set(OF_CLASSES)
    return value.endswith(FILES) or PUBLISHED.fullmatch(value) is not None


def _keys(file: str) -> set[Any] | None:
    """Return the keys of a YAML file; None where it is not there, and none where it cannot be read."""
    import yaml

    if not os.path.isfile(file):
        return None
    try:
        content = load(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return set()
    return set(content) if isinstance(content, dict) else set()


def _is_open(file: str) -> bool:
    """True if a configuration can be read only once, so that it is not known yet."""
    return file == "-" or (os.path.exists(file) and not os.path.isfile(file))
