"""The weights that a training starts from, checked by the words of `fit` alone, before anything heavy is imported."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aigp_lightning.checkpoints.weight_places import find_weights
from aigp_lightning.cli.by_class import ByClass, named_class
from aigp_lightning.errors import ConfigError, WeightsError, printable
from aigp_lightning.logfiles.safe_yaml import load

OPTION = "model.weights"
NOTHING = ("", "null", "~")
"""Values by which an option has none."""
READ = (OPTION, "model.variant", "ckpt_path", "run.resume")
RANDOM = f"--{OPTION} null"
INSTEAD = f"start from random weights: {RANDOM}"
RESTARTS = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
"""Variables of launchers that start a run anew, which then resumes and takes no weights."""
PUBLISHED = re.compile(r"(yolo(?:v?\d+))([a-z])(?:-[\w-]+)?")
"""Names of published networks, with their generation and size; an own one may be called anything."""


def check_start_weights(words: Sequence[str]) -> None:
    """Refuse weights to start from that are not there, or that are published for another network than the variant.

    Args:
        words: of `fit`, after the verb.

    Raises:
        WeightsError: they are; the message has the ways out.

    Example:
        >>> check_start_weights(["--model.weights", "runs/gone.pt"])
        Traceback (most recent call last):
        aigp_lightning.errors.WeightsError: --model.weights: no weights file at runs/gone.pt. Give the path of a \
weights file on this disk, or start from random weights: --model.weights null.
    """
    if any(word in ("-h", "--help") or word.startswith("--print_config") or ".help" in word for word in words):
        return
    named = named_values(words, named_class(words), READ)
    weights, resumed = named.get(OPTION), named.get("run.resume") == "always" or any(map(os.environ.get, RESTARTS))
    if weights is None or resumed or "ckpt_path" in named:  # what a run resumes from is known later
        return
    check_published_for(named.get("model.variant"), find_weights(weights, f"--{OPTION}", instead=INSTEAD))


def check_published_for(variant: Any, weights: Path) -> None:
    """Refuse published weights of another network than the variant: hardly a tensor of them would fit.

    Args:
        variant: `--model.variant`.
        weights: the file.

    Raises:
        WeightsError: they are of another one.

    Example:
        >>> check_published_for("yolo11s", Path("weights/yolo11n.pt"))
        Traceback (most recent call last):
        aigp_lightning.errors.WeightsError: --model.variant yolo11s cannot start from weights/yolo11n.pt, which is \
another network: hardly a tensor would fit. Give both, as in --model.variant yolo11s --model.weights yolo11s.pt, or \
--model.weights null for random weights.
    """
    wanted, found = (PUBLISHED.fullmatch(name) for name in (str(variant), weights.stem))
    if wanted is None or found is None or wanted.groups() == found.groups() or weights.suffix != ".pt":
        return
    raise WeightsError(
        f"--model.variant {variant} cannot start from {printable(weights)}, which is another network: hardly a tensor "
        f"would fit. Give both, as in --model.variant {variant} --{OPTION} {variant}.pt, or {RANDOM} for random "
        "weights."
    )


def named_values(words: Sequence[str], asked: str | None, wanted: Sequence[str]) -> dict[str, str]:
    """Return options as the command line and its configurations give them for a class, the last ones said.

    Args:
        words: after the verb.
        asked: name of the model's class.
        wanted: dotted names of options.

    Returns:
        Those that have a value.

    Example:
        >>> named_values(["--config", "{model: {weights: a.pt}}", "--model.init_args.weights=b.pt"], None, [OPTION])
        {'model.weights': 'b.pt'}
    """
    return {name: value for name, value in said_values(words, asked, wanted).items() if value not in NOTHING}


def said_values(words: Sequence[str], asked: str | None, wanted: Sequence[str]) -> dict[str, str]:
    """Return options as `named_values` does, those too that are said to have no value.

    Args:
        words: after the verb.
        asked: name of the model's class.
        wanted: dotted names of options.

    Example:
        >>> said_values(["--model.weights", "null"], None, [OPTION])
        {'model.weights': 'null'}
    """
    found: dict[str, str] = {}
    for before, word in zip(["", *words], [*words, ""], strict=True):
        option, with_value, value = before.partition("=")
        value = value if with_value else word
        name = option.removeprefix("--").removesuffix("+").replace(".init_args.", ".")
        if option in ("--config", "-c"):
            found |= _configured(value, ByClass(asked or ""), wanted)
        elif option.startswith("--") and name in wanted:
            found[name] = value
    return found


def _configured(file: str, by_class: ByClass, wanted: Sequence[str]) -> dict[str, str]:
    """Return those of a configuration; of one that cannot be read nothing, since the parser says so."""
    import yaml

    with suppress(OSError, ValueError, ConfigError, yaml.YAMLError):
        text = Path(file).read_text(encoding="utf-8") if Path(file).is_file() else file
        content = load(by_class.merged(text))
        said = {name: _at(content, name) for name in wanted}
        return {name: "null" if value is None else str(value) for name, value in said.items() if value is not ABSENT}
    return {}


ABSENT = object()
"""In the place of an option that a configuration does not name."""


def _at(content: Any, name: str) -> Any:
    """Return the value at a dotted name, below `init_args` too; `ABSENT` where it is not named."""
    for key in name.split("."):
        if not isinstance(content, Mapping):
            return ABSENT
        arguments = content.get("init_args")
        if key in content:
            content = content[key]
        else:
            content = arguments.get(key, ABSENT) if isinstance(arguments, Mapping) else ABSENT
    return content
