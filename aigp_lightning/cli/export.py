"""The `export` verb."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from aigp_lightning.cli.config_files import check_config_files
from aigp_lightning.cli.parser import parse_options
from aigp_lightning.deploy.options import ExportOptions
from aigp_lightning.errors import ConfigError, UserError, printable
from aigp_lightning.evaluation.calibration.options import CalibrateOptions

DESCRIPTION = (
    "Write a checkpoint as ONNX, TorchScript, OpenVINO, TensorRT and its family's own weights file, such as an "
    "Ultralytics .pt, in 32, 16 and 8 bits, each checked against the model. The model is a run folder, a checkpoint or "
    "a weights file; of --config, which may be repeated, the newest run that its run.name names is taken."
)
EXAMPLE = "export runs/detect/gates --format onnx"
OURS = ".ckpt"
Options = TypeVar("Options", "ExportOptions", "CalibrateOptions")
"""Options of a verb that is about one model."""
CONFIG = ("--config", "-c")


def main(verb: str, arguments: list[str]) -> int:
    """Export a checkpoint as the options say.

    Args:
        verb: `export`.
        arguments: the words after it.

    Returns:
        The exit status: 1 if a format that was asked for needs a package that is missing.

    Raises:
        ConfigError: several models are named.
    """
    options = with_model(ExportOptions, verb, arguments, DESCRIPTION, EXAMPLE)
    from aigp_lightning.cli.console import quiet_lightning
    from aigp_lightning.deploy.export import export, packages_missing

    quiet_lightning()  # which measures files of fewer bits

    export(options, partly=True)
    return int(any(packages_missing(form) for form in options.formats or ()))


def with_model(kind: type[Options], verb: str, arguments: list[str], description: str, example: str) -> Options:
    """Return a verb's options with the file of its model: a run folder, a checkpoint, or what a configuration names.

    Args:
        kind: the dataclass of the options.
        verb: the word after the program's name.
        arguments: the words after it.
        description: see `parse_options`.
        example: see `parse_options`.

    Raises:
        ConfigError: several models are named.
    """
    models: list[str]
    rest: list[str]
    models, configs, rest = split_words(arguments)
    if any("=" in word and not os.path.lexists(word) for word in models):
        rest = [*models, *rest]  # `format=onnx` is refused, with what is meant
    options = parse_options(kind, verb, rest, description, example)
    check_config_files([word for file in configs for word in ("--config", file)])
    if len(models) + bool(options.ckpt_path) + bool(options.weights) > 1:
        raise ConfigError(f"{verb} takes one model: a run folder, --ckpt_path FILE.ckpt or --weights FILE.")
    if not (models or options.ckpt_path or options.weights) and configs:
        models = [str(run_of_config(configs))]
    if models:
        return of_model(options, models[0])
    if options.ckpt_path and Path(options.ckpt_path).is_dir():
        try:
            return of_model(replace(options, ckpt_path=None), options.ckpt_path)
        except UserError as error:
            raise ConfigError(f"--ckpt_path {error}") from error
    return options


def split_words(words: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the words that name models, the configuration files, and the options with their values.

    Args:
        words: after the verb.

    Example:
        >>> split_words(["runs/detect/gates", "--format", "onnx", "--config=my.yaml"])
        (['runs/detect/gates'], ['my.yaml'], ['--format', 'onnx'])
    """
    models: list[str] = []
    configs: list[str] = []
    rest: list[str] = []
    taken = False
    for place, word in enumerate(words):
        following = words[place + 1 : place + 2]
        option, joined, value = word.partition("=")
        if taken:
            taken = False
        elif word == "--":
            models += words[place + 1 :]
            break
        elif option in CONFIG:
            configs += [value] if joined else following
            taken = not joined
        elif word.startswith("-"):
            taken = not joined and word not in ("-h", "--help")
            rest += [word, *following] if taken else [word]
        else:
            models.append(word)
    return models, configs, rest


def of_model(options: Options, named: str) -> Options:
    """Return the options with the file of a model: of a run folder its best checkpoint.

    Args:
        options: without a model.
        named: a file, a run folder or a folder of the store.

    Raises:
        UserError: there is no model.
    """
    from aigp_lightning.evaluation.named_model import find_model

    file = str(find_model(named))
    return replace(options, ckpt_path=file) if file.endswith(OURS) else replace(options, weights=file)


def run_of_config(files: Sequence[str]) -> Path:
    """Return the newest run that configurations name, by `run.name` and `run.root`; or their own checkpoint.

    Args:
        files: configurations; later ones count.

    Raises:
        ConfigError: there is no such run.
    """
    from aigp_lightning.checkpoints.paths import BEST
    from aigp_lightning.cli.by_class import named_class
    from aigp_lightning.cli.from_checkpoint import CHECKPOINT, LOOKED_FOR
    from aigp_lightning.cli.start_weights import named_values
    from aigp_lightning.run.folder import RunConfig, find_run

    words = [word for file in files for word in ("--config", file)]
    found = named_values(words, named_class(words), LOOKED_FOR)
    if found.get(CHECKPOINT) not in (None, "last"):
        return Path(found[CHECKPOINT])
    usual = RunConfig()
    root, name = Path(found.get("run.root", usual.root)), found.get("run.name", usual.name)
    tasks = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    runs = [run for task in tasks if (run := find_run(task, name)) is not None and (run / BEST).is_file()]
    if not runs:
        raise ConfigError(
            f"--config {printable(files[-1])}: no run named {name} in {printable(str(root))} has a {BEST}."
        )
    return max(runs, key=lambda run: (run / BEST).stat().st_mtime)
