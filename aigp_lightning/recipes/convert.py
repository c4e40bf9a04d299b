"""Turns a recipe of Ultralytics' into options of ours; for every setting it is known what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aigp_lightning.errors import ConfigError, printable
from aigp_lightning.recipes.conversions import CONVERSIONS
from aigp_lightning.recipes.datasets import Dataset, find_dataset, fit_for, flips
from aigp_lightning.recipes.key import Key
from aigp_lightning.recipes.limits import is_taken, within_limits
from aigp_lightning.recipes.models import Network, ReadWeights, find_network, other_weights
from aigp_lightning.recipes.outcome import Outcome, carried, left, missing, to_replace
from aigp_lightning.recipes.recipe import Recipe
from aigp_lightning.recipes.ultralytics_keys import ADVICE, KEYS, nearest_key

NUMBERS = (int, float)


@dataclass(frozen=True)
class Row:
    """A setting of a recipe, and what became of it.

    Attributes:
        name: of the setting.
        value: as it is given, or Ultralytics' default.
        given: the recipe says it.
        outcome: see `Outcome`.
    """

    name: str
    value: Any
    given: bool
    outcome: Outcome


@dataclass(frozen=True)
class Conversion:
    """A recipe as options of ours.

    Attributes:
        recipe: it.
        network: that it trains.
        dataset: that it trains on.
        rows: all settings that are given, and those of Ultralytics' defaults that need an option here.
        options: ours with their values, by dotted names.
    """

    recipe: Recipe
    network: Network
    dataset: Dataset
    rows: tuple[Row, ...]
    options: dict[str, Any]

    def of(self, *states: str) -> list[Row]:
        """Return the rows in one of these states.

        Args:
            *states: see `Outcome`.
        """
        return [row for row in self.rows if row.outcome.state in states]

    @property
    def is_whole(self) -> bool:
        """True if the training is the same here without anything being replaced, as far as options go."""
        return not self.of("missing", "replace") and not self.dataset.faults


def convert(recipe: Recipe, read: ReadWeights, variant: str | None = None) -> Conversion:
    """Turn a recipe into options of ours.

    Args:
        recipe: see `read_recipe`.
        read: reads the task and the variant of a `.pt` on this disk.
        variant: of the network, where the weights do not say which they are.

    Raises:
        ConfigError: a value is none that Ultralytics takes, or task, mode or family are not trained here.
    """
    dataset = find_dataset(recipe)
    network = find_network(recipe, read, dataset.has_keypoints, variant)
    dataset = fit_for(dataset, network.task)
    known: dict[str, Outcome] = {
        "task": carried(network.task_from, model=network.class_path), "data": dataset.outcome,
        **network.outcomes, **_heads(recipe, network), **_teacher(recipe),
        **(flips(recipe, dataset.spec) if network.task == "pose" else {}),
    }  # fmt: skip
    rows = [*_rows(recipe, network.task, known)]
    options = {name: value for row in rows for name, value in row.outcome.options.items()}
    if network.task == "pose":
        options["model.camera"] = None
    return Conversion(recipe, network, dataset, tuple(rows), options)


def usual_options(task: str) -> dict[str, Any]:
    """Return the options that Ultralytics' defaults become, but for network and data set.

    Args:
        task: detect, pose or segment.

    Example:
        >>> usual_options("detect")["model.iou"]
        0.7
    """
    rows = _rows(
        Recipe("Ultralytics' defaults"), task, dict.fromkeys(("task", "data", "model", "pretrained"), carried())
    )
    return {name: value for row in rows for name, value in row.outcome.options.items()}


def _heads(recipe: Recipe, network: Network) -> dict[str, Outcome]:
    """Return what becomes of settings that ask for the head without suppression, where the network has none."""
    if network.has_two_heads:
        return {}
    found = {name: CONVERSIONS[name](recipe.value(name), recipe) for name in ("nms", "end2end")}
    why = "this network has one head, whose boxes need suppression, there too"
    return {name: left(why) for name, outcome in found.items() if outcome.options}


def _teacher(recipe: Recipe) -> dict[str, Outcome]:
    """Return what becomes of the file of a network that this one learns from."""
    named = recipe.value("distill_model")
    if named is None:
        return {}
    if not isinstance(named, str):
        raise _no_value(KEYS["distill_model"], named, recipe)
    return {"distill_model": other_weights(named, recipe, "model.distill_model")[1]}


def _rows(recipe: Recipe, task: str, known: dict[str, Outcome]) -> Iterator[Row]:
    for name, key in KEYS.items():
        given = name in recipe.values
        unread = given and recipe.values[name].unread
        if unread and not key.changes_training and name not in ("model", "data"):
            yield Row(name, recipe.values[name].value, True, _unread(key, recipe, task))
        elif name in known:
            yield Row(name, recipe.values[name].value if given else key.default, given, known[name])
        elif given or key.option:
            value = recipe.values[name].value if given else key.default
            yield Row(name, value, given, _outcome(key, value, recipe, task, given))
    for name, value in recipe.values.items():
        if name not in KEYS:
            near = nearest_key(name)
            why = ADVICE.get(name, "no version of Ultralytics has it" + (f"; did you mean {near}?" if near else ""))
            yield Row(printable(name), value.value, True, missing(why))


def _unread(key: Key, recipe: Recipe, task: str) -> Outcome:
    where = f": give --{key.option}" if key.option else ""
    usual = _outcome(key, key.default, recipe, task, False).options if key.name != "task" else {}
    return to_replace(f"a program computes it{where}, or add {key.name}=… to the command", **usual)


def _outcome(key: Key, value: Any, recipe: Recipe, task: str, given: bool) -> Outcome:
    usual = key.is_usual(value)
    if given and not is_taken(key.name, value):
        raise _no_value(key, value, recipe)
    if key.tasks and task not in key.tasks:
        return carried() if usual else left(f"means nothing for {task}, there too")
    if key.verb not in ("fit", ""):
        return carried() if usual or not given else left(f"of `{key.verb}`: --{key.option} {_shown(value)}")
    if key.name in CONVERSIONS:
        return within_limits(_converted(key, value, recipe))
    if not key.option or key.verb == "":
        told = missing if key.changes_training else left
        return carried() if usual else told(key.note)
    checked = _checked(key, key.default if value is None else value, recipe)
    return within_limits(Outcome("carried", {key.option: checked}))


def _converted(key: Key, value: Any, recipe: Recipe) -> Outcome:
    try:
        return CONVERSIONS[key.name](key.default if value is None else value, recipe)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _no_value(key, value, recipe) from error


def _checked(key: Key, value: Any, recipe: Recipe) -> Any:
    """Return a value that is of the kind of the default: a number, yes or no, a text."""
    if isinstance(key.default, bool):
        if isinstance(value, bool) or value in (0, 1):
            return bool(value)
    elif isinstance(key.default, NUMBERS):
        if isinstance(value, NUMBERS) and not isinstance(value, bool):
            whole = isinstance(key.default, int) and value == int(value)
            return int(value) if whole else value if isinstance(key.default, int) else float(value)
    elif key.default is None or isinstance(value, str):
        return value
    raise _no_value(key, value, recipe)


def _no_value(key: Key, value: Any, recipe: Recipe) -> ConfigError:
    return ConfigError(f"{recipe.place(key.name)}: {key.name}: {printable(_shown(value))} is no value of it.")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
