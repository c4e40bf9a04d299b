"""The configuration that a recipe becomes: the task's own, with the values of the recipe, and what is left to do."""

from __future__ import annotations

import shlex
from typing import Any

from aigp_lightning.errors import printable
from aigp_lightning.recipes.base_config import FILES, base_text
from aigp_lightning.recipes.convert import Conversion, usual_options
from aigp_lightning.recipes.words import shown, wrapped
from aigp_lightning.recipes.write_config import values_of, with_values

REMOVED = ("data.synthetic",)
"""Parts of the task's configuration that are for its own data set."""
OUR_DEFAULTS: dict[str, Any] = {"trainer.deterministic": None}
"""Defaults of options that no configuration names and that are others than Ultralytics'."""
COMMENTS = {
    "model.camera": "your camera and gate, for errors in metres: see configs/pose.yaml",
    "trainer.devices": "as there; auto: all GPUs",
    "trainer.deterministic": "as there; null is faster on a GPU",
}
"""Comments of lines whose values are others than in the task's configuration."""


def configuration(conversion: Conversion, name: str = "my.yaml") -> str:
    """Return the text of the configuration.

    Args:
        conversion: of a recipe.
        name: of the file that it is written to, for its first lines.
    """
    base = base_text(conversion.network.task)
    body = base[len(_head(base)) :]
    rows = conversion.of("replace")
    asked = {name: f"REPLACE: {row.name} was {shown(row.value)}" for row in rows for name in row.outcome.options}
    open_options = {name: conversion.options[name] for name in asked}
    place = f"files go to {conversion.options['run.root']}/{conversion.network.task}/{conversion.options['run.name']}"
    comments = {**COMMENTS, "run.name": f"{place}; a number is added when the folder exists", **asked}
    comments = {option: printable(comment) for option, comment in comments.items()}
    options = {**changed_options(conversion), **open_options}
    return _first_lines(conversion, name) + with_values(body, options, comments, REMOVED)


def changed_options(conversion: Conversion) -> dict[str, Any]:
    """Return the options whose values are others than those of the task's configuration, and not its defaults.

    Args:
        conversion: of a recipe.
    """
    task = conversion.network.task
    ours = {**usual_options(task), **OUR_DEFAULTS, **values_of(base_text(task), conversion.options)}
    return {name: value for name, value in conversion.options.items() if name not in ours or ours[name] != value}


def _head(text: str) -> str:
    """Return the comments with which a configuration begins."""
    lines = text.splitlines(keepends=True)
    count = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(lines[:count])


def _first_lines(conversion: Conversion, name: str) -> str:
    recipe, task = conversion.recipe, conversion.network.task
    lines = [
        f"# The training of {printable(recipe.source)}, Ultralytics' {task}, by `from-ultralytics`.",
        f"# All that it does not say is as in configs/{FILES[task]}.",
        f"#   python -m aigp_lightning fit --config {printable(shlex.quote(name))}",
    ]
    todo = [f"{row.name}: {shown(row.value)}: {row.outcome.why}" for row in conversion.of("replace", "missing")]
    todo += conversion.dataset.faults
    if todo:
        lines.append("# Before it is the same training, see to these:")
        lines += [line for each in todo for line in wrapped(each, 118, "#   ", "#     ")]
    return "".join(f"{line}\n" for line in lines)
