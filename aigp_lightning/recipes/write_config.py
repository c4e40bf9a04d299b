"""Writes values into the text of a configuration: what else is in it stays, comments too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INSERT_BEFORE = "extra"
"""A key of the augmentation that comments follow; new ones stand before it."""


@dataclass(frozen=True)
class Edit:
    """Replace the text between two places."""

    start: int
    end: int
    text: str


def with_values(
    text: str, options: Mapping[str, Any], comments: Mapping[str, str] | None = None, remove: tuple[str, ...] = ()
) -> str:
    r"""Return a configuration with other values.

    Args:
        text: a YAML in block style.
        options: values by dotted names of options; those that the text does not have are added to their groups.
        comments: for lines of options, in place of those that stand there.
        remove: options to be left out with all that is in them.

    Example:
        >>> with_values("data:\n  imgsz: 640  # pixels\nmodel: {}\n", {"data.imgsz": 320, "run.name": "a b"})
        'data:\n  imgsz: 320  # pixels\nmodel: {}\nrun:\n  name: a b\n'
    """
    import yaml

    root, comments = yaml.compose(text, Loader=yaml.SafeLoader), comments or {}
    edits = [_removal(text, *found) for name in remove if (found := _find(root, _path(name))) is not None]
    new: dict[tuple[str, ...], dict[str, str]] = {}
    for name, value in options.items():
        path, comment = _path(name), comments.get(name, "")
        if (found := _find(root, path)) is not None:
            edits.append(_replacement(text, *found, dumped(value), comment))
        else:
            line = f"{path[-1]}: {dumped(value)}"
            new.setdefault(path[:-1], {})[path[-1]] = f"{line}  # {comment}" if comment else line
    edits += [_insertion(text, root, path, lines) for path, lines in new.items()]
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def values_of(text: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a configuration has for options; those that it does not have are left out.

    Args:
        text: of it.
        options: dotted names.

    Example:
        >>> values_of("model: {class_path: a.B, init_args: {iou: 0.7}}", dict.fromkeys(["model", "model.iou", "x"]))
        {'model': 'a.B', 'model.iou': 0.7}
    """
    import yaml

    root, found = yaml.compose(text, Loader=yaml.SafeLoader), {}
    for name in options:
        if (node := _find(root, _path(name))) is not None:
            found[name] = yaml.SafeLoader("").construct_document(node[1])
    return found


def dumped(value: Any) -> str:
    """Return a value as YAML has it, in one line.

    Example:
        >>> dumped([0, 1]), dumped(None), dumped("a: b"), dumped(1e-05)
        ('[0, 1]', 'null', "'a: b'", '1.0e-05')
    """
    import yaml

    if isinstance(value, str) and not value.isprintable():
        return json.dumps(value)  # in one line, line ends too
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return str(text).strip().removesuffix("...").strip()


def _path(name: str) -> tuple[str, ...]:
    """Return the keys that lead to an option: `model` is a class, whose arguments stand below `init_args`."""
    group, _, rest = name.partition(".")
    if group != "model":
        return tuple(name.split("."))
    return (group, "init_args", *rest.split(".")) if rest else (group, "class_path")


def _find(root: Any, path: tuple[str, ...]) -> tuple[Any, Any] | None:
    """Return the nodes of a key and of its value."""
    key, node = None, root
    for part in path:
        pairs = node.value if node.id == "mapping" else ()
        key, node = next(((key, value) for key, value in pairs if key.value == part), (None, None))
        if node is None:
            return None
    return key, node


def _last(node: Any) -> Any:
    """Return the last node within a node, whose end is known: that of a mapping in block style is behind blanks."""
    while node.id != "scalar" and not node.flow_style and node.value:
        node = node.value[-1][1] if node.id == "mapping" else node.value[-1]
    return node


def _line_end(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end


def _removal(text: str, key: Any, node: Any) -> Edit:
    start = text.rfind("\n", 0, key.start_mark.index) + 1
    return Edit(start, _line_end(text, _last(node).end_mark.index) + 1, "")


def _replacement(text: str, key: Any, node: Any, value: str, comment: str) -> Edit:
    start, end = key.end_mark.index + 1, _last(node).end_mark.index
    if node.id != "scalar" and not node.flow_style:
        return Edit(start, _line_end(text, end), f" {value}" + (f"  # {comment}" if comment else ""))
    if comment:
        return Edit(start, _line_end(text, end), f" {value}  # {comment}")
    return Edit(start, end, f" {value}")


def _insertion(text: str, root: Any, path: tuple[str, ...], lines: Mapping[str, str]) -> Edit:
    """Add keys to the mapping at a path; groups that are not there are made."""
    depth = len(path)
    while (held := _find(root, path[:depth]) if depth else (None, root)) is None:
        depth -= 1
    mapping, missing = held[1], path[depth:]
    if mapping.id == "mapping" and mapping.flow_style:
        inner = ", ".join(line.partition("  # ")[0] for line in lines.values())
        for name in reversed(missing):
            inner = f"{name}: {{{inner}}}"
        place = mapping.end_mark.index - 1
        return Edit(place, place, f", {inner}" if mapping.value else inner)
    column = mapping.value[0][0].start_mark.column
    pairs = mapping.value if mapping.value[-1][0].value != INSERT_BEFORE else mapping.value[:-1]
    place = min(_line_end(text, _last(pairs[-1][1]).end_mark.index) + 1, len(text))
    indented = [f"{' ' * (column + 2 * number)}{name}:\n" for number, name in enumerate(missing)]
    indented += [f"{' ' * (column + 2 * len(missing))}{line}\n" for line in lines.values()]
    return Edit(place, place, "".join(indented))
