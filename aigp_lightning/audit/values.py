"""Values in W&B's rows, summary and configuration that are neither figures nor pictures of the ledger."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import isclose, isnan
from typing import Any

from aigp_lightning.logfiles.wandb_run import WandbRun

WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,31}")
"""A setting in one plain word. A path has more than that, and so has a sentence."""
LEDGER = "ledger/"
"""Beginning of the names that the summary has of the ledger's own figures, its hash among them."""
HASH = re.compile(r"[0-9a-f]{64}")
PLACE = re.compile(r"[/~]|.*\\|(.*/)?\.\.(/|$)|[A-Za-z]:/|.*[\x00-\x1f\x7f]")
"""The beginning of a name that is a place on a disk."""
LONGEST_NAME, LONGEST_NUMBER, LONGEST_LIST, LARGEST = 200, 32, 16, 1 << 64
IMAGE = {"_type", "path", "sha256", "size", "width", "height", "format"}
IMAGES = {"_type", "width", "height", "format", "count", "filenames"}
"""Fields of a picture's value, and of a list of pictures; more would be captions or masks. A picture of `val_table` has
boxes too."""
BOXES = {"_type", "path", "sha256", "size"}
"""Fields of a set of boxes: they are in a file of their own."""
SETS, SCORES = {"labels", "predictions"}, {"confidence"}
"""Names of a picture's sets of boxes, and of what a box is rated by."""
CLASS_LABELS = "bounding_box/class_labels"
"""Part of W&B's own configuration with the class names of boxes, by picture and set."""
OWN_CONFIG = {
    *("t", "m", "cli_version", "python_version", "framework", "start_time", "is_jupyter_run", "is_kaggle_kernel"),
    CLASS_LABELS,
}
"""Keys that W&B adds to a run's configuration by itself: features in use, metrics, versions."""
MACHINE = {"os", "python", "processors", "architecture", "gpus"}
SUMMARY_OWN = {"_wandb", "_step", "_runtime", "_timestamp"}
"""Keys that W&B adds to a run's summary by itself."""
LOAD = re.compile(r"(.*\.)?on_\w+_(start|end)\W.+|(.*[/.])?cpu(_vm|_swap)?_percent")
"""Names of scalars that are samples of the system, as Lightning's `DeviceStatsMonitor` has them: class, hook, value."""
DEEPEST = 20


def odd_values(run: WandbRun) -> Iterator[tuple[str, str]]:
    """Find values that are neither figures nor pictures.

    Args:
        run: one W&B folder.

    Returns:
        Where each is (rows, summary or config), with its name, and what is wrong with it; each name once.
    """
    seen: dict[str, str] = {}
    for place, row in [*(("rows", row) for row in run.history), ("summary", run.summary)]:
        for key, problem in odd_figures(row):
            seen.setdefault(f"{place}: {key}", problem)
    seen.update({f"metrics: {name}": problem for name in run.metrics if (problem := _odd_name(name))})
    config = {key: value for key, value in run.config.items() if key not in ("command", "machine")}
    seen.update({f"config: {key}": problem for key, problem in odd_settings(config)})
    machine = run.config.get("machine", {})
    extra = sorted(set(machine) - MACHINE) if isinstance(machine, dict) else ["machine"]
    seen.update({f"config: machine.{key}": "is no part of it" for key in extra})
    seen.update({f"config: _wandb.{key}": problem for key, problem in odd_own(run.own_config)})
    yield from sorted(seen.items())


def odd_figures(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find in a row, or in a summary, what is neither a figure nor a picture; yields names and problems."""
    for key, value in row.items():
        if key.startswith(LEDGER) and isinstance(value, str) and HASH.fullmatch(value):
            continue
        if problem := _odd_name(key) or _odd_figure(key, value):
            yield key, problem


def odd_summary(content: Mapping[str, Any], runs: Sequence[WandbRun], ended: bool) -> Iterator[tuple[str, str]]:
    """Find in the summary that W&B made of its records what is in none of them; yields names and problems.

    Args:
        content: of the file.
        runs: all starts of the run: a resumed one has the summary of those before.
        ended: the run file is whole; of a run that was killed, its last rows may be missing, so only names count.
    """
    yield from odd_figures(content)
    for key, value in content.items():
        if key in SUMMARY_OWN:
            continue
        known = [row[key] for run in runs for row in (*run.history, run.summary) if key in row]
        if not known:
            yield key, "is in no record of the run's"
        elif ended and not any(_is_same(value, each) for each in reversed(known)):
            yield key, "has a value that is in no record of the run's"


def samples_of_the_system(run: WandbRun) -> Counter[str]:
    """Count the values of each scalar that says what the machine does, not how the model learns."""
    return Counter(key for row in run.history for key in row if LOAD.fullmatch(key))


def _is_same(one: Any, other: Any) -> bool:
    """True if two values are the same once each was written as JSON and read back; NaN is NaN."""
    if _is_number(one) and _is_number(other):
        return isclose(one, other, rel_tol=1e-12) or (isnan(one) and isnan(other))
    return bool(one == other)


def odd_settings(config: Mapping[str, Any], before: str = "", deep: int = 0) -> Iterator[tuple[str, str]]:
    """Find in a configuration what is neither a number nor a plain word; yields names and problems."""
    for key, value in config.items():
        name = f"{before}{key}"
        if problem := _odd_name(str(key)):
            yield name, problem
        elif isinstance(value, Mapping):
            if deep > DEEPEST:
                yield name, "is nested too deep"
            else:
                yield from odd_settings(value, f"{name}.", deep + 1)
        elif isinstance(value, list):
            if len(value) > LONGEST_LIST or not all(item is None or _is_number(item, True) for item in value):
                yield name, "is a list of more than a few numbers"
        elif not (value is None or _is_number(value, True) or (isinstance(value, str) and WORD.fullmatch(value))):
            yield name, "is neither a number nor one plain word"


def odd_own(own: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """Find in W&B's own part of a configuration what such a part has not; yields names and problems."""
    yield from ((str(key), "W&B's own has no such part") for key in own if key not in OWN_CONFIG)
    labels = own.get(CLASS_LABELS)
    for key, each in labels.items() if isinstance(labels, Mapping) else [] if labels is None else [("", labels)]:
        names = each.get("value") if isinstance(each, Mapping) else None
        if not isinstance(names, Mapping) or set(each) - {"type", "key", "value"} or _odd_class_names(names):
            yield f"{CLASS_LABELS}.{key}", "has more than names of classes"


def odd_boxes(content: Any) -> str:
    """Return what is wrong with the content of a file of boxes; nothing if it has boxes and names of classes alone."""
    if not isinstance(content, Mapping) or set(content) != {"box_data", "class_labels"}:
        return "is no table of boxes and classes"
    boxes, names = content["box_data"], content["class_labels"]
    if not isinstance(names, Mapping) or _odd_class_names(names):
        return "has more than names of classes"
    fine = isinstance(boxes, list) and all(map(_is_box, boxes))
    return "" if fine else "has boxes with more than sides, class and confidence"


def _is_box(box: Any) -> bool:
    """True if a box is its sides as shares of the picture, its class, and perhaps a confidence."""
    if not isinstance(box, Mapping) or set(box) - {"scores"} != {"position", "class_id"}:
        return False
    position, scores = box["position"], box.get("scores", {})
    if not isinstance(position, Mapping) or not isinstance(scores, Mapping) or set(scores) - SCORES:
        return False
    sides = set(position) == {"minX", "maxX", "minY", "maxY"}
    return sides and all(_is_number(value) and 0 <= value <= 1 for value in (*position.values(), *scores.values()))


def _odd_class_names(names: Mapping[Any, Any]) -> bool:
    """True if something is no class's number with its name."""
    numbers = all(str(number).isdecimal() for number in names)
    return not numbers or not all(isinstance(name, str) and not _odd_name(name) for name in names.values())


def _odd_name(key: str) -> str:
    return "has a name that is a place or a text" if PLACE.match(key) or len(key) > LONGEST_NAME else ""


def _odd_figure(key: str, value: Any) -> str:
    if value is None or _is_number(value):
        return ""
    if not isinstance(value, Mapping):
        return "is neither a figure nor a picture"
    if key == "_wandb":
        return "" if set(value) <= {"runtime"} and all(map(_is_number, value.values())) else "has more than a duration"
    fields = {"image-file": IMAGE, "images/separated": IMAGES}.get(str(value.get("_type")))
    if fields is None:
        return f"is of the kind {str(value.get('_type', 'dict'))[:40]}, no figure and no picture"
    more = sorted(str(name)[:40] for name in set(value) - fields - _own_boxes(value))
    return f"is a picture with more than its bytes: {', '.join(more)}" if more else ""


def _own_boxes(value: Mapping[str, Any]) -> set[str]:
    """Return the name of a picture's field with boxes, if these are in files of their own, as those of `val_table`."""
    boxes = value.get("boxes")
    if not isinstance(boxes, Mapping) or set(boxes) - SETS:
        return set()
    own = all(
        isinstance(each, Mapping) and each.get("_type") == "boxes2D" and not set(each) - BOXES
        for each in boxes.values()
    )
    return {"boxes"} if own else set()


def _is_number(value: Any, written: bool = False) -> bool:
    """True if a value is a number or a boolean; `written` accepts numbers that YAML reads as text, such as 1e-05."""
    if written and isinstance(value, str) and len(value) <= LONGEST_NUMBER:
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < LARGEST)
