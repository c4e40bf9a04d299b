"""The network of a recipe: its task, its variant by Ultralytics' name, and the weights that it starts from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigp_lightning.errors import ConfigError, UserError
from aigp_lightning.ranges import REPLACE_ME
from aigp_lightning.recipes.outcome import Outcome
from aigp_lightning.recipes.places import is_elsewhere, is_windows, last_part, locate, why_not_here
from aigp_lightning.recipes.recipe import Recipe

CLASSES = {
    "detect": "aigp_lightning.modules.detector.DetectorModule",
    "pose": "aigp_lightning.modules.pose.PoseModule",
    "segment": "aigp_lightning.modules.segment.SegmentModule",
}
"""The class of each of Ultralytics' tasks that are trained here."""
SUFFIXES = {"-pose": "pose", "-seg": "segment", "-cls": "classify", "-obb": "obb", "-sem": "semantic",
            "-depth": "depth"}  # fmt: skip
"""Parts of published names that say the task."""
PUBLISHED = re.compile(
    r"yolov?(?P<version>\d+)(?P<size>[a-z]?)(?P<p6>6?)(?P<tiny>-tiny|-spp)?(?P<u>u?)"
    r"(?P<rest>(-(pose|seg|cls|obb|sem|depth|p2|p6|ghost))*)"
)
"""Names of networks that Ultralytics publishes."""
ELSEWHERE = {
    "rtdetr": "a transformer is RF-DETR here: configs/rfdetr.yaml, see docs/rfdetr.md",
    "yoloe": "networks that are told their classes in words are not trained here",
    "yolov8s-world": "networks that are told their classes in words are not trained here",
    "yolo_nas": "it is not trained here, nor by Ultralytics",
    "sam": "it is not trained here, nor by Ultralytics",
}
"""How names of other families begin, and what to do."""
BEFORE_PRETRAINED = ("min_memory", "v5loader", "image_weights", "fl_gamma", "hide_labels", "hide_conf",
                     "line_thickness")  # fmt: skip
"""Settings of the versions in which `pretrained` was false by default, and a `.pt` was trained on all the same."""
TWO_HEADS = re.compile(r"yolov10|yolo26")
"""How names of networks begin that have a head without suppression beside the usual one."""
TWO_HEADS_TEXT = re.compile(r"^end2end:\s*true|v10Detect", re.IGNORECASE | re.MULTILINE)
"""Stands in the YAML of one's own network of that kind."""
USUAL = {"detect": "yolo26n", "pose": "yolo26n-pose", "segment": "yolo26n-seg"}
"""The network that Ultralytics' command takes where none is named."""


@dataclass(frozen=True)
class Network:
    """The network that a recipe trains.

    Attributes:
        task: detect, pose or segment.
        variant: by Ultralytics' name, or path of a YAML.
        weights: file that it starts from; None from random weights.
        task_from: how the task was found, where the recipe does not say it.
        outcomes: of the settings `model` and `pretrained`.
    """

    task: str
    variant: str
    weights: str | None
    task_from: str
    outcomes: dict[str, Outcome]

    @property
    def class_path(self) -> str:
        """The module's class."""
        return CLASSES[self.task]

    @property
    def has_two_heads(self) -> bool:
        """True if it can answer without suppression; False too where that is not known."""
        if TWO_HEADS.match(last_part(self.variant)) is not None:
            return True
        try:
            return TWO_HEADS_TEXT.search(Path(self.variant).read_text(encoding="utf-8")) is not None
        except (OSError, ValueError):  # a name, and no file
            return False


ReadWeights = Callable[[Path], tuple[str, str | None]]
"""Reads the task and the variant of a `.pt`."""


def published(name: str) -> str | None:
    """Return the variant of a network that Ultralytics publishes, by the name of its file; None for other names.

    Args:
        name: with or without `.pt` or `.yaml`.

    Example:
        >>> [published(name) for name in ("yolo11n-pose.pt", "yolov5nu.pt", "yolov5s6u.pt", "gates.pt")]
        ['yolo11n-pose', 'yolov5n', 'yolov5s-p6', None]
    """
    stem = re.sub(r"\.(pt|ya?ml)$", "", name)
    match = PUBLISHED.fullmatch(stem)
    if match is None:
        return None
    stem = f"yolo{'v' if 'v' in stem[:5] else ''}{match['version']}{match['size']}"
    return f"{stem}{match['tiny'] or ''}{'-p6' if match['p6'] else ''}{match['rest']}"


def find_network(recipe: Recipe, read: ReadWeights, pose_data: bool | None, variant: str | None = None) -> Network:
    """Find task, variant and weights of a recipe.

    Args:
        recipe: with the settings `model`, `pretrained` and `task`.
        read: reads a `.pt` of another name than a published one, where it is on this disk.
        pose_data: whether its data set has keypoints; None where that is not known.
        variant: what the user says it is.

    Raises:
        ConfigError: the task or the family is not trained here.
    """
    model, pretrained = recipe.value("model"), recipe.value("pretrained")
    named = None if model is None else str(model)
    for start, advice in ELSEWHERE.items():
        if named is not None and last_part(named).lower().startswith(start):
            raise ConfigError(f"{recipe.place('model')}: model {last_part(named)}: {advice}.")
    if named is None:
        found = _nothing_named(recipe)
    elif named.lower().endswith((".yaml", ".yml")):
        found = _description(named, recipe)
    else:
        found = _weights(named if "." in last_part(named) else f"{named}.pt", recipe, read)
    found.task = _task(recipe, found, pose_data)
    if found.variant == USUAL["detect"] and named is None:
        found.variant, found.weights = USUAL[found.task], f"{USUAL[found.task]}.pt"
    if variant is not None:
        found.variant, found.asks = variant, found.missing_weights
    outcomes = dict[str, Outcome]()
    if pretrained is False and found.weights is not None and any(name in recipe.values for name in BEFORE_PRETRAINED):
        outcomes["pretrained"] = Outcome(why="in that version every run's default, which its networks did not heed")
    elif pretrained is False:
        found.weights, outcomes["pretrained"] = None, Outcome("carried", {"model.weights": None})
    elif isinstance(pretrained, str):
        found.weights, outcomes["pretrained"] = other_weights(pretrained, recipe, "model.weights")
    outcomes["model"] = _outcome(found, "model.weights" not in outcomes.get("pretrained", Outcome()).options)
    return Network(found.task, found.variant, found.weights, found.task_from, outcomes)


class _Found:
    """The network as far as it is known yet."""

    def __init__(self, variant: str, weights: str | None = None, task: str = "", asks: str = "") -> None:
        self.variant, self.weights, self.task, self.asks = variant, weights, task, asks
        self.task_from = ""
        self.missing_weights = ""


def _nothing_named(recipe: Recipe) -> _Found:
    if "model" not in recipe.values and recipe.source == "the command":
        return _Found(USUAL["detect"], f"{USUAL['detect']}.pt")
    why = "a program computes it" if "model" in recipe.values else "it is not among the settings"
    if recipe.source == "the call":
        return _Found(
            REPLACE_ME, asks=f"{why}: write YOLO('yolo11n.pt').train(…), or add model='yolo11n.pt' to the call"
        )
    return _Found(REPLACE_ME, asks=f"{why}: add model=yolo11n.pt to the command")


def _description(named: str, recipe: Recipe) -> _Found:
    if (variant := published(last_part(named))) is not None:
        return _Found(variant)
    if (path := locate(named, recipe.folder)) is not None:
        return _Found(path)
    return _Found(f"{REPLACE_ME}/{last_part(named)}", asks=f"{why_not_here(named, recipe.source)}: the model's YAML")


def _weights(named: str, recipe: Recipe, read: ReadWeights) -> _Found:
    variant, path = published(last_part(named)), locate(named, recipe.folder)
    if variant is not None:
        plain = last_part(named) == named
        return _Found(variant, path or (named if plain else last_part(named)))
    if path is not None:
        try:
            task, variant = read(Path(path))
        except UserError as error:
            return _Found(REPLACE_ME, path, asks=f"{error} Give weights that can be read")
        asks = "" if variant else "weights of a network without a published name: say which, --variant path/model.yaml"
        return _Found(variant or REPLACE_ME, path, task, asks)
    foreign = is_windows(named) or is_elsewhere(named)
    found = _Found(REPLACE_ME, f"{REPLACE_ME}/{last_part(named)}" if foreign else named)
    found.missing_weights = f"{why_not_here(named, recipe.source)}: the weights"
    found.asks = f"{found.missing_weights}, and --variant, such as yolov8n-pose, of which they are"
    return found


def other_weights(named: str, recipe: Recipe, option: str) -> tuple[str, Outcome]:
    """Find a weights file that a setting names, beside that of the model.

    Args:
        named: as the setting has it.
        recipe: beside which it is looked for, too.
        option: ours.

    Returns:
        Its path, and what becomes of the setting.
    """
    path = locate(named, recipe.folder)
    if path is None and published(last_part(named)) is not None:
        path = last_part(named)
    if path is not None:
        return path, Outcome("carried", {option: path})
    foreign = is_windows(named) or is_elsewhere(named)
    path = f"{REPLACE_ME}/{last_part(named)}" if foreign else named
    return path, Outcome("replace", {option: path}, f"{why_not_here(named, recipe.source)}: the weights")


def _outcome(found: _Found, has_weights: bool) -> Outcome:
    options: dict[str, Any] = {"model.variant": found.variant}
    if has_weights:
        options["model.weights"] = found.weights
    return Outcome("replace" if found.asks else "carried", options, found.asks)


def _task(recipe: Recipe, found: _Found, pose_data: bool | None) -> str:
    """Return the task: as it is said, as the weights have it, as names say it, as the data has it; else detect."""
    said = recipe.value("task") if "task" in recipe.values else None
    names = [last_part(str(recipe.value("model") or "")), found.variant]
    by_name = next((task for name in names for part, task in SUFFIXES.items() if part in name.lower()), None)
    words = set(re.split(r"[^a-z]+", names[0].lower()))
    ways = (
        (said, ""), (found.task, ""), (by_name, ""), ("pose" if pose_data else None, "its data set has keypoints"),
        ("pose" if words & {"pose", "keypoints", "corners"} else None, f"the name {names[0]} says so"),
        ("detect", "" if published(names[0]) or pose_data is False else "nothing says another; add task=pose for that"),
    )  # fmt: skip
    task, found.task_from = next((str(task), why) for task, why in ways if task)
    if task not in CLASSES:
        place = recipe.place("task" if said else "model")
        raise ConfigError(f"{place}: task {task} is not trained here: {', '.join(CLASSES)} are.")
    return task
