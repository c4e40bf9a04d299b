"""Writes values into the text of a configuration: what else is in it stays, comments too."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aigp_lightning.errors import ConfigError

Lines = dict[str, "str | Lines"]
"""Lines that are added to a mapping, by their keys; of a key that is not there either, the lines below it."""
INSERT_BEFORE = "extra"
"""A key of the augmentation that comments follow; new ones stand before it."""


@dataclass(frozen=True)
class Edit:
    """Replace the text between two places.

    Attributes:
        start: of the text.
        end: of it, behind its last character.
        text: in its place.
        depth: of the mapping that keys are added to: of several at one place the deepest stands first.
    """

    start: int
    end: int
    text: str
    depth: int = 0


def with_values(
    text: str, options: Mapping[str, Any], comments: Mapping[str, str] | None = None, remove: tuple[str, ...] = ()
) -> str:
    r"""Return a configuration with other values.

    Args:
        text: a YAML in block style.
        options: values by dotted names of options; those that the text does not have are added to their groups.
        comments: for lines of options, in place of those that stand there.
        remove: options to be left out with all that is in them.

    Raises:
        ConfigError: what was made is no YAML of these values, which is a fault of this program.

    Example:
        >>> with_values("data:\n  imgsz: 640  # pixels\nmodel: {}\n", {"data.imgsz": 320, "run.name": "a b"})
        'data:\n  imgsz: 320  # pixels\nmodel: {}\nrun:\n  name: a b\n'
    """
    import yaml

    before, root, comments = text, yaml.compose(text, Loader=yaml.SafeLoader), comments or {}
    edits = [_removal(text, *found) for name in remove if (found := _find(root, _path(name))) is not None]
    new: dict[tuple[str, ...], Lines] = {}
    for name, value in options.items():
        path, comment = _path(name), comments.get(name, "")
        if (found := _find(root, path)) is not None:
            edits.append(_replacement(text, *found, dumped(value), comment))
            continue
        depth = next(depth for depth in range(len(path) - 1, -1, -1) if not depth or _find(root, path[:depth]))
        lines = new.setdefault(path[:depth], {})
        for part in path[depth:-1]:
            lines = _below(lines, part)
        lines[path[-1]] = f"{dumped(value)}  # {comment}" if comment else dumped(value)
    edits += [_insertion(text, root, path, lines) for path, lines in new.items()]
    for edit in sorted(edits, key=lambda edit: (-edit.start, edit.depth)):
        text = text[: edit.start] + edit.text + text[edit.end :]
    _check(before, text, options, [name for name in remove if _find(root, _path(name)) is not None])
    return text


def _below(lines: Lines, part: str) -> Lines:
    """Return the lines below a key, which is added where it is not there."""
    below = lines.setdefault(part, {})
    if isinstance(below, str):
        raise ConfigError(f"{part} is given a value and options of its own.")
    return below


def _check(before: str, after: str, options: Mapping[str, Any], remove: Iterable[str]) -> None:
    """Refuse a text that does not say what it should: the values of the one before, with the options' in place."""
    import yaml

    wanted = copy.deepcopy(yaml.safe_load(before))
    for name in remove:
        _at(wanted, _path(name)[:-1]).pop(_path(name)[-1], None)
    for name, value in options.items():
        _at(wanted, _path(name)[:-1])[_path(name)[-1]] = value
    try:
        is_right = yaml.safe_dump(yaml.safe_load(after)) == yaml.safe_dump(wanted)
    except yaml.YAMLError:
        is_right = False
    if not is_right:
        raise ConfigError(
            "the configuration that was made does not say what it should, so it is not written: this is a fault of "
            "from-ultralytics; leave settings out until it goes, and report the one."
        )


def _at(values: Any, path: tuple[str, ...]) -> dict[str, Any]:
    """Return the mapping at a path; those that are not there are made."""
    for part in path:
        if not isinstance(values.get(part), dict):
            values[part] = {}
        values = values[part]
    found: dict[str, Any] = values
    return found


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


def _insertion(text: str, root: Any, path: tuple[str, ...], lines: Lines) -> Edit:
    """Add keys to the mapping at a path."""
    found: Any = _find(root, path)  # it is there
    key, mapping = found
    if mapping.id != "mapping":  # `group:` and nothing below it
        return Edit(key.end_mark.index + 1, mapping.end_mark.index, f" {{{_flow(lines)}}}")
    if mapping.flow_style:
        place = mapping.end_mark.index - 1
        return Edit(place, place, f", {_flow(lines)}" if mapping.value else _flow(lines))
    column = mapping.value[0][0].start_mark.column
    pairs = mapping.value if mapping.value[-1][0].value != INSERT_BEFORE else mapping.value[:-1]
    place = min(_line_end(text, _last(pairs[-1][1]).end_mark.index) + 1, len(text))
    return Edit(place, place, "".join(_block(lines, column)), len(path))


def _flow(lines: Lines) -> str:
    """Return lines as they stand in braces, which have no comments."""
    return ", ".join(
        f"{name}: {value.partition('  # ')[0] if isinstance(value, str) else f'{{{_flow(value)}}}'}"
        for name, value in lines.items()
    )


def _block(lines: Lines, column: int) -> Iterator[str]:
    """Yield lines that begin in a column, and those below them."""
    for name, value in lines.items():
        if isinstance(value, str):
            yield f"{' ' * column}{name}: {value}\n"
        else:
            yield f"{' ' * column}{name}:\n"
            yield from _block(value, column + 2)
