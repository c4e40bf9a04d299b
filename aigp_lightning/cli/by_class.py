"""`by_class:` in a configuration file: options that count only where the model is of a class.

The class is chosen once, from the words of a command, before any of them is parsed. The part of a file that is for it
is merged over the rest of the same file, so that the parser meets options of this model alone.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import Any

from aigp_lightning.cli.config_files import BY_CLASS, CONFIG, STANDARD, compose, options_by_class, read_config_text
from aigp_lightning.errors import ConfigError
from aigp_lightning.paths import expand_home

OF_CLASSES = ("class_path", "init_args", "dict_kwargs")
"""Keys beside which no argument of a class can stand."""
MODEL = ("model", "model.class_path")
"""Keys of a configuration that name the model's class."""


class ByClass:
    r"""The part of configuration files that is for the model of a command.

    Args:
        model: its class; written into the part for it, so that the parser understands its options before it comes to
            what names the class.
        unused: options of other verbs alone, which are left out: one YAML serves all verbs of a run.

    Example:
        >>> part = ByClass("aigp_lightning.modules.pose.PoseModule")
        >>> part.merged("{ema: {tau: 9, decay: 0.9}, by_class: {PoseModule: {ema: {tau: 5}}, Other: {ema: {tau: 1}}}}")
        '{ema: {tau: 5, decay: 0.9}}\n'
    """

    def __init__(self, model: str, unused: Collection[str] = ()) -> None:
        self._class_path, self._used, self._unused = model, False, frozenset(unused)

    def merged(self, text: str, file: str = "text") -> str:
        """Merge the part of a configuration that is for the model over the rest of it.

        Args:
            text: of the configuration; what is no YAML is returned as it is, for the parser to refuse.
            file: its name, for errors.

        Raises:
            ConfigError: options by class are wanted, and something else is there.
        """
        text = self._without_unused(text, file)
        if BY_CLASS not in text:
            return text
        import yaml

        root: Any = None
        with suppress(ConfigError):
            root = compose(file, text)
        if not _is_mapping(root):
            return text
        try:
            entries = _entries(root)
            if entries.pop(BY_CLASS, None) is None:
                return text
            self._used = True
            merged: Any = yaml.MappingNode(root.tag, list(entries.values()), flow_style=root.flow_style)
            if (part := options_by_class(file, root).get(_short(self._class_path))) is not None:
                merged = _merge(merged, self._with_class(part))
            whole = yaml.serialize(merged, Dumper=yaml.SafeDumper, width=10**6)
            return self._without_unused(str(whole), file)
        except RecursionError as error:
            raise ConfigError(f"{CONFIG} {file}: it is nested too deeply, or within itself.") from error

    def _without_unused(self, text: str, file: str) -> str:
        """Leave out the options that other verbs alone have."""
        import yaml

        root: Any = None
        with suppress(ConfigError):
            root = compose(file, text) if any(name in text for name in self._unused) else None
        kept = (
            [pair for pair in root.value if str(pair[0].value).partition(".")[0] not in self._unused]
            if _is_mapping(root)
            else []
        )
        if not _is_mapping(root) or len(kept) == len(root.value):
            return text
        root.value = kept
        return str(yaml.serialize(root, Dumper=yaml.SafeDumper, width=10**6))

    def renamed(self, text: str, file: str, known: Collection[str]) -> str:
        """Return the text of a file in which another class of the model's is replaced by the chosen one.

        The last class that a command names counts for all of it: what `detector.yaml` says before `pose.yaml` is taken
        for the pose model. Options that this class does not have are refused by their names, see `option_names`.

        Args:
            text: of a file that was looked at when the class was chosen.
            file: its name.
            known: short names of classes whose options are known; others are left as they are.
        """
        import yaml

        root: Any = None
        with suppress(ConfigError):
            root = compose(file, text) if "model" in text and _short(self._class_path) in known else None
        nodes = [value for key, value in root.value if key.value in MODEL] if _is_mapping(root) else []
        inner = [value for node in nodes if _is_mapping(node) for key, value in node.value if key.value == "class_path"]
        named = [node for node in (*nodes, *inner) if node.id == "scalar" and node.tag == STANDARD + "str"]
        others = [node for node in named if _short(node.value) in set(known) - {_short(self._class_path)}]
        for node in others:
            node.value = self._class_path
        return str(yaml.serialize(root, Dumper=yaml.SafeDumper, width=10**6)) if others else text

    def check(self, class_path: str) -> None:
        """Refuse a model of another class than the one whose options were taken.

        Args:
            class_path: of the model, as it was parsed.

        Raises:
            ConfigError: it is of another class.
        """
        chosen, found = _short(self._class_path), _short(class_path)
        if self._used and found != chosen:
            raise ConfigError(
                f"{BY_CLASS}: the options for {chosen} were taken, and the model is of class {found}. Name the class "
                f"on the command line: --model {class_path}"
            )

    def _with_class(self, part: Any) -> Any:
        """Write the model's class beside its options, if the part has some."""
        import yaml

        entries = _entries(part)
        if "model" not in entries or entries["model"][1].id != "mapping":
            return part
        key, model = entries["model"][0], _with_init_args(entries["model"][1])
        pair = (_word("class_path"), _word(self._class_path))
        entries["model"] = (key, yaml.MappingNode(model.tag, [pair, *model.value], flow_style=model.flow_style))
        return yaml.MappingNode(part.tag, list(entries.values()), flow_style=part.flow_style)


def named_class(words: Sequence[str]) -> str | None:
    """Return the class of the model that a command names last, on the command line or in a configuration file.

    Args:
        words: after the verb.

    Returns:
        As it is written, with or without its module's name; None where none is named, or where what names it can be
        read only once, such as a pipe.

    Example:
        >>> named_class(["--model=a.First", "--config", "{model: {class_path: b.Second}}", "--model.iou", "0.5"])
        'b.Second'
    """
    found = None
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        option, joined, value = word.partition("=")
        value = value if joined else following
        if option in (CONFIG, "-c"):
            found = _class_in_config(value) or found
        elif option in ("--model", "--model.class_path"):
            found = _class_of(_read(value)) or found
    return found


def _class_in_config(value: str) -> str | None:
    """Return the class that a configuration names last; with `model:`, or with `model.class_path:` in one word."""
    root, found = _read(value), None
    for key, node in root.value if _is_mapping(root) else ():
        if key.value in MODEL:
            found = _class_of(node) or found
    return found


def _read(value: str) -> Any:
    """Parse a file, or a text where there is no such file, to nodes; None where it cannot be read."""
    file = expand_home(value)
    with suppress(ConfigError):
        return compose(file, read_config_text(file) if os.path.isfile(file) else value)
    return None


def _class_of(node: Any) -> str | None:
    """Return the class that a value names: by its name alone, or by `class_path`."""
    if _is_mapping(node):
        node = next((value for key, value in node.value if key.value == "class_path"), None)
    if node is None or node.id != "scalar" or node.tag == STANDARD + "null":
        return None
    return str(node.value)


def _is_mapping(node: Any) -> bool:
    """True if a node of YAML is a mapping."""
    return node is not None and node.id == "mapping"


def _short(class_path: str) -> str:
    return class_path.rpartition(".")[2]


def _entries(node: Any) -> dict[str, tuple[Any, Any]]:
    """Return a mapping's keys and values, as nodes, by the keys' names; those that `<<` brings are among them."""
    import yaml

    yaml.SafeLoader("").flatten_mapping(node)
    return {str(key.value): (key, value) for key, value in node.value}


def _merge(base: Any, over: Any, name: str = "") -> Any:
    """Merge a node over another: mappings key by key, unless they are of two classes; of all else the second counts."""
    import yaml

    if base.id != "mapping" or over.id != "mapping":
        return over
    first, second = _class_of(base), _class_of(over)
    if first is not None and second is not None and _short(first) != _short(second):
        return over
    if name == "model":
        base, over = _with_init_args(base), _with_init_args(over)
    entries = _entries(base)
    for key_name, (key, value) in _entries(over).items():
        inner = f"{name}.{key_name}".lstrip(".")
        entries[key_name] = (key, _merge(entries[key_name][1], value, inner) if key_name in entries else value)
    return yaml.MappingNode(base.tag, list(entries.values()), flow_style=base.flow_style)


def _with_init_args(node: Any) -> Any:
    """Write the arguments of a model below `init_args`, where the short form has them beside its class."""
    import yaml

    entries = _entries(node)
    if "init_args" in entries or not entries.keys() - set(OF_CLASSES):
        return node
    kept = [pair for name, pair in entries.items() if name in OF_CLASSES]
    below = [pair for name, pair in entries.items() if name not in OF_CLASSES]
    arguments = yaml.MappingNode(node.tag, below, flow_style=node.flow_style)
    return yaml.MappingNode(node.tag, [*kept, (_word("init_args"), arguments)], flow_style=node.flow_style)


def _word(text: str) -> Any:
    import yaml

    return yaml.ScalarNode(STANDARD + "str", text)
