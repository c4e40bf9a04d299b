"""Pictures in W&B's rows, their files of boxes, and W&B's own part of a configuration: what may stand in each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

Check = Callable[[Any], bool]
HASH = re.compile(r"[0-9a-f]{64}")
PLACE = re.compile(r"[/~]|.*\\|(.*/)?\.\.(/|$)|[A-Za-z]:/|.*[\x00-\x1f\x7f]")
"""The beginning of a name that is a place on a disk."""
LONGEST_NAME, LONGEST_NUMBER, LARGEST = 200, 32, 1 << 64
MEDIA_FILE = re.compile(r"media/[^\\\x00-\x1f\x7f]{1,400}")
"""Path of a media file in the mirror. The audit looks for every one in the ledger."""
FORMAT = re.compile(r"[a-z0-9]{1,8}")
NO_BLANKS = re.compile(r"[^\s\x00-\x1f\x7f]{1,200}")
"""A version, a platform, the name of a metric or a picture: no sentence."""
DELIMITER = "_wandb_delimeter_"
SETS, SCORES = {"labels", "predictions"}, {"confidence"}
"""Names of a picture's sets of boxes, and of what a box is rated by."""
SIDES = {"minX", "maxX", "minY", "maxY"}
CLASS_LABELS = "bounding_box/class_labels"
"""Part of W&B's own configuration with the class names of boxes, by picture and set."""
OWN_CONFIG = {
    *("t", "m", "cli_version", "python_version", "framework", "start_time", "is_jupyter_run", "is_kaggle_kernel"),
    CLASS_LABELS,
}
"""Keys that W&B adds to a run's configuration by itself: features in use, metrics, versions."""
DEEPEST = 8


def is_number(value: Any, written: bool = False) -> bool:
    """True if a value is a number or a boolean; `written` accepts numbers that YAML reads as text, such as 1e-05."""
    if written and isinstance(value, str) and len(value) <= LONGEST_NUMBER:
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < LARGEST)


def odd_name(key: str) -> str:
    """Return what is wrong with a name; nothing if it could be that of a scalar, a picture or a class."""
    return "has a name that is a place or a text" if PLACE.match(key) or len(key) > LONGEST_NAME else ""


def odd_picture(value: Mapping[str, Any]) -> str:
    """Return what is wrong with a picture's value in a row; nothing if it names its file and says its size."""
    checks = {"image-file": IMAGE, "images/separated": IMAGES}.get(str(value.get("_type")))
    if checks is None:
        return f"is of the kind {str(value.get('_type', 'dict'))[:40]}, no figure and no picture"
    if more := sorted(str(name)[:40] for name in set(value) - set(checks)):
        return f"is a picture with more than its bytes: {', '.join(more)}"
    odd = sorted(name for name, item in value.items() if not checks[name](item))
    return f"is a picture whose {', '.join(odd)} says something else" if odd else ""


def odd_boxes(data: bytes) -> str:
    """Return what is wrong with a file of boxes; nothing if it has boxes and names of classes alone.

    Args:
        data: its bytes. A key that stands twice would hide what it stood for first, so the form counts, too.
    """
    try:
        content = json.loads(data)
        same = json.dumps(content).encode("ascii") == data
    except (ValueError, RecursionError):
        return "is no JSON"
    if not same or not isinstance(content, dict) or set(content) != {"box_data", "class_labels"}:
        return "is no table of boxes and classes"
    boxes, names = content["box_data"], content["class_labels"]
    if not _has_class_names(names):
        return "has more than names of classes"
    fine = isinstance(boxes, list) and all(_is_box(box, names) for box in boxes)
    return "" if fine else "has boxes with more than sides, class and confidence"


def odd_own(own: Mapping[Any, Any], metrics: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Find in W&B's own part of a configuration what such a part has not; yields names and problems.

    Args:
        own: the part.
        metrics: names that were defined for rows, which stand in it again.
    """
    for key, value in own.items():
        if key not in OWN_CONFIG:
            yield str(key), "W&B's own has no such part"
        elif key == CLASS_LABELS:
            yield from _odd_labels(value)
        elif not _is_plain(value, metrics):
            yield str(key), "has more than numbers and plain words"


def _odd_labels(labels: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(labels, Mapping):
        yield CLASS_LABELS, "is no table"
        return
    for key, each in labels.items():
        picture, _, kind = str(key).rpartition(DELIMITER)
        named = NO_BLANKS.fullmatch(picture) and not odd_name(picture) and kind in SETS
        told = {"type": CLASS_LABELS, "key": key}
        fields = isinstance(each, Mapping) and set(each) == {*told, "value"}
        if not named or not fields or {**each, **told} != dict(each) or not _has_class_names(each["value"]):
            yield f"{CLASS_LABELS}.{key}", "has more than names of classes"


def _is_plain(value: Any, metrics: Collection[str], deep: int = 0) -> bool:
    """True if a value is numbers and plain words, at any depth."""
    if deep > DEEPEST:
        return False
    if isinstance(value, Mapping):
        inner = [*map(str, value), *value.values()]
        return all(_is_plain(each, metrics, deep + 1) for each in inner)
    if isinstance(value, list):
        return all(_is_plain(each, metrics, deep + 1) for each in value)
    word = isinstance(value, str) and (value in metrics or bool(NO_BLANKS.fullmatch(value) and not odd_name(value)))
    return value is None or word or is_number(value)


def _has_class_names(names: Any) -> bool:
    """True if a value is class numbers with their names."""
    if not isinstance(names, Mapping) or not all(str(number).isdecimal() for number in names):
        return False
    return all(isinstance(name, str) and not odd_name(name) for name in names.values())


def _is_box(box: Any, names: Mapping[str, Any]) -> bool:
    """True if a box is its sides as shares of the picture, a class that there is, and perhaps a confidence."""
    if not isinstance(box, dict) or set(box) - {"scores"} != {"position", "class_id"}:
        return False
    position, scores, label = box["position"], box.get("scores", {}), box["class_id"]
    if not isinstance(position, dict) or not isinstance(scores, dict) or set(scores) - SCORES or set(position) != SIDES:
        return False
    shares = all(is_number(value) and 0 <= value <= 1 for value in (*position.values(), *scores.values()))
    return shares and isinstance(label, int) and not isinstance(label, bool) and str(label) in names


def _is_boxes(value: Any) -> bool:
    """True if a value is the sets of boxes of a picture of `val_table`: each names its file."""
    return isinstance(value, Mapping) and set(value) <= SETS and all(map(_is_set, value.values()))


def _is_set(value: Any) -> bool:
    fields = isinstance(value, Mapping) and set(value) == {"_type", "path", "sha256", "size"}
    return fields and value["_type"] == "boxes2D" and all(FILE[name](value[name]) for name in FILE)


def _is_media_file(value: Any) -> bool:
    return isinstance(value, str) and MEDIA_FILE.fullmatch(value) is not None and not odd_name(value[: len("media/")])


FILE: dict[str, Check] = {
    "path": _is_media_file,
    "sha256": lambda value: isinstance(value, str) and HASH.fullmatch(value) is not None,
    "size": is_number,
}
SHAPE: dict[str, Check] = {
    "_type": lambda value: True,
    "width": is_number,
    "height": is_number,
    "format": lambda value: isinstance(value, str) and FORMAT.fullmatch(value) is not None,
}
IMAGE: dict[str, Check] = {**SHAPE, **FILE, "boxes": _is_boxes}
"""Fields of a picture's value and what each may be; more would be captions or masks."""
IMAGES: dict[str, Check] = {
    **SHAPE,
    "count": is_number,
    "filenames": lambda value: isinstance(value, list) and bool(value) and all(map(_is_media_file, value)),
}
"""Fields of the value of a list of pictures."""
