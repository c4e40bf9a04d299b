"""The form of what a file of results says of its validation, which anybody may have written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.ranges import is_finite_number


def about_problem(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Say what is wrong with the plain values of a file of results; empty where nothing is.

    Parts that are missing are not known; those that are there have the form that readers rely on.

    Args:
        about: see `ImageResults`.
        arrays: of the file, of sound shapes: their class ids need names.

    Example:
        >>> about_problem({"task": "detect", "names": ["gate"]}, {})
        "its 'names' has another form"
    """
    for part, is_sound in FORMS.items():
        if part in about and not is_sound(about[part]):
            return f"its {part!r} has another form"
    named = sorted(int(key) for key in about.get("names", {}))
    for name in ("found_label", "true_label"):
        if name in arrays and not np.isin(arrays[name], named).all():
            return f"{name} has a class that is not among its 'names'"
    points = about.get("keypoints") or ()
    edges = about.get("edges") or ()
    if points and any(end >= len(points) for edge in edges for end in edge):
        return "its 'edges' go beyond its keypoints"
    places = about.get("object_points") or points
    if len(places) != len(points):
        return "its 'object_points' are of other keypoints"
    counts = {arrays[name].shape[1] for name in ("found_points", "true_points") if len(arrays.get(name, ()))}
    return "its 'keypoints' are others than those of its objects" if points and counts - {len(points)} else ""


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_names(value: object) -> bool:
    """True if a value has names by class ids, which JSON has as texts."""
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and key.isascii() and key.isdigit() and len(key) < LONGEST_ID
        for key, name in value.items()
    )


def _are_texts(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(map(_is_text, value)))


def _are_edges(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(map(_is_edge, value)))


def _is_edge(value: object) -> bool:
    return isinstance(value, list) and len(value) == len(("from", "to")) and all(
        type(end) is int and end >= 0 for end in value)  # fmt: skip


def _are_limits(value: object) -> bool:
    """True if a value is None or numbers that rise."""
    return value is None or (
        isinstance(value, list) and all(map(is_finite_number, value)) and sorted(set(value)) == value
    )


def _are_places(value: object) -> bool:
    """True if a value is None or places of three numbers."""
    return value is None or (
        isinstance(value, list)
        and all(isinstance(place, list) and len(place) == len("xyz") for place in value)
        and all(is_finite_number(part) for place in value for part in place)
    )


def _are_settings(value: object) -> bool:
    return isinstance(value, Mapping)


def _are_metrics(value: object) -> bool:
    return isinstance(value, Mapping) and all(each is None or is_finite_number(each) for each in value.values())


def _are_rows(value: object) -> bool:
    """True if a value has rows of texts and numbers; None and NaN stand for what is not known."""
    return value is None or (
        isinstance(value, list)
        and all(isinstance(row, Mapping) for row in value)
        and all(each is None or isinstance(each, str | float) or _fits(each) for row in value for each in row.values())
    )


def _fits(value: object) -> bool:
    """True if a value is an integer that a float holds, or a truth value."""
    return isinstance(value, bool) or is_finite_number(value)


def _is_group(texts: tuple[str, ...], counts: tuple[str, ...] = ()) -> Callable[[object], bool]:
    """Return a test for a group that may have texts and counts by these names."""

    def is_sound(value: object) -> bool:
        return isinstance(value, Mapping) and all(
            [value.get(key) is None or isinstance(value[key], str) for key in texts]
            + [value.get(key) is None or (type(value[key]) is int and value[key] >= 0) for key in counts]
        )

    return is_sound


LONGEST_ID = 10
"""Digits that a class id stays below: ids are 32 bits wide."""
FORMS: dict[str, Callable[[object], bool]] = {
    "task": _is_text,
    "family": _is_text,
    "names": _are_names,
    "keypoints": _are_texts,
    "edges": _are_edges,
    "bands": _are_limits,
    "object_points": _are_places,
    "settings": _are_settings,
    "data": _is_group(("data_yaml", "split", "sha256"), ("images", "labels")),
    "model": _is_group(("file", "sha256")),
    "metrics": _are_metrics,
    "table": _are_rows,
}
"""Form of each part, where it is there."""
