"""Configuration files, looked at before anything heavy is imported: what is wrong is told with file and line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from aigp_lightning.errors import ConfigError, first_line, printable
from aigp_lightning.logfiles import safe_yaml

if TYPE_CHECKING:
    from yaml import Node

CONFIG = "--config"
BY_CLASS = "by_class"
"""The key of a configuration below which options stand by the class of the model that they are for."""
STANDARD = "tag:yaml.org,2002:"
TAGS = tuple(STANDARD + kind for kind in ("str", "int", "float", "bool", "null", "seq", "map", "timestamp", "merge"))
POLICY_GROUPS = ("env", "eval_env", "normalize", "ppo", "early_stop")
"""Groups of options of `ppo`."""
MAY_BE_NULL = ("data.synthetic", "model.camera")
"""Groups that a null switches off."""
Complain = Callable[[str], str | None]
"""Says what is wrong with the dotted name of a key; None where nothing is."""
OfClass = Callable[[str], tuple[Sequence[str], Complain]]
"""From the short name of a model's class to the groups of options that are known for it, and who complains of names."""


def config_files(words: Sequence[str]) -> list[str]:
    """Return what `--config` names on a command line.

    Args:
        words: after the verb.

    Example:
        >>> config_files(["--config", "a.yaml", "--run.name", "x", "--config=b.yaml", "-c", "c.yaml"])
        ['a.yaml', 'b.yaml', 'c.yaml']
    """
    found = []
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        option, joined, value = word.partition("=")
        if option in (CONFIG, "-c"):
            found.append(value if joined else following)
    return found


def check_config_files(
    words: Sequence[str],
    groups: Sequence[str] = (),
    complain: Complain | None = None,
    of_class: OfClass | None = None,
) -> None:
    """Refuse configuration files that cannot be read, are no YAML, or have a key twice or one that is no option.

    Args:
        words: after the verb.
        groups: dotted names of groups, whose keys are options.
        complain: looks at the names of the keys; without it they are left to the parser.
        of_class: what is known of the options below `by_class`; without it that is no key of a configuration.

    Raises:
        ConfigError: with file and line.
    """
    for file in config_files(words):
        if file == "-" or file.lstrip().startswith("{") or "\n" in file:
            continue  # stdin, or the options themselves
        if not os.path.lexists(file) and not os.path.lexists(os.path.expanduser(file)):
            raise ConfigError(f"{CONFIG} {printable(file)}: there is no such file.")
        if os.path.isdir(file):
            raise ConfigError(f"{CONFIG} {printable(file)} is a folder; name the file in it.")
        if os.path.isfile(file):  # else a pipe, which is read once
            _check_file(file, groups, complain, of_class)


def _check_file(file: str, groups: Sequence[str], complain: Complain | None, of_class: OfClass | None) -> None:
    root = compose(file, read_config_text(file))
    if root is None:
        return  # nothing in it
    if root.id != "mapping":
        raise _fault(file, root, "options by their names are wanted, such as `data: {imgsz: 640}`.")
    _check_options(file, root, groups, complain, of_class is not None)
    if of_class is not None:
        for kind, options in options_by_class(file, root).items():
            _check_options(file, options, *of_class(kind))


def _check_options(
    file: str, node: Any, groups: Sequence[str], complain: Complain | None, may_have_classes: bool = False
) -> None:
    """Refuse keys that stand twice or are no options, and values in place of groups."""
    _refuse_values_for_groups(file, node, "", groups)
    for key, name in _keys(file, node, "", set()):
        parent = name.rpartition(".")[0]
        if complain is None or (parent and parent not in groups) or (may_have_classes and name == BY_CLASS):
            continue
        if (wrong := complain(name)) is not None:
            raise _fault(file, key, wrong)


def options_by_class(file: str, root: Any) -> dict[str, Any]:
    """Return the options that a configuration has below `by_class`, as nodes by the short name of the class.

    Args:
        file: its name, for errors.
        root: the mapping that it is.

    Raises:
        ConfigError: something else is there, or a class is given in place of its options; with its line.
    """
    import yaml

    found: dict[str, Any] = {}
    for key, classes in root.value:
        if key.value != BY_CLASS:
            continue
        _refuse_other_than_mapping(file, key, classes, BY_CLASS)
        yaml.SafeLoader("").flatten_mapping(classes)
        for kind, options in classes.value:
            name, short = str(kind.value), str(kind.value).rpartition(".")[2]
            if name != short:
                raise _fault(file, kind, f"{BY_CLASS} has classes by their short names, such as {short}.")
            _refuse_other_than_mapping(file, kind, options, f"{BY_CLASS}.{name}")
            _refuse_choice_of_class(file, options, f"{BY_CLASS}.{name}")
            found[name] = options
    return found


def _refuse_other_than_mapping(file: str, key: Any, node: Any, name: str) -> None:
    if node.id != "mapping":
        wanted = "options by the short name of a class" if name == BY_CLASS else "options by their names"
        raise _fault(file, key, f"{name}: {wanted} are wanted, such as `{BY_CLASS}: {{PoseModule: {{model: …}}}}`.")


def _refuse_choice_of_class(file: str, options: Any, name: str) -> None:
    """Refuse a model's class, and further options by class, among the options that are for one class."""
    for key, value in options.value:
        if key.value == BY_CLASS:
            raise _fault(file, key, f"{name} cannot have options by class again.")
        inner = [each for each, _ in value.value] if value.id == "mapping" else []
        if key.value == "model.class_path" or (key.value == "model" and value.id == "scalar"):
            inner = [key]
        for each in inner if key.value in ("model", "model.class_path") else ():
            if each is key or each.value == "class_path":
                raise _fault(file, each, f"{name} is for models of that class, so it cannot choose one.")


def _refuse_values_for_groups(file: str, node: Any, before: str, groups: Sequence[str]) -> None:
    """Refuse a value in place of a group's options: an empty `media:` would undo what earlier files say of it."""
    for key, value in node.value if node.id == "mapping" else ():
        name = before if key.value == "init_args" else f"{before}.{key.value}".lstrip(".")
        if name not in groups:
            continue
        nothing = value.tag == STANDARD + "null"
        if value.id != "mapping" and not (nothing and name in MAY_BE_NULL) and not (name == "model" and not nothing):
            what = "nothing is given for it; leave it out" if nothing else "its options are wanted, by their names"
            raise _fault(file, key, f"{name} is a group: {what}.")
        _refuse_values_for_groups(file, value, name, groups)


def read_config_text(file: str) -> str:
    """Read a configuration file as UTF-8, under any locale; a byte order mark is dropped.

    Args:
        file: its path.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8; with its line.
    """
    try:
        with open(file, encoding="utf-8-sig") as opened:
            return opened.read()
    except OSError as error:
        raise ConfigError(f"{CONFIG} {printable(file)}: it cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{CONFIG} {printable(file)}:{line}: it is not UTF-8 text; save it as UTF-8.") from error


def compose(file: str, text: str) -> Any:
    """Parse a configuration to nodes, which know their lines; no value is made of them.

    Args:
        file: its name, for errors.
        text: of it.

    Raises:
        ConfigError: it is no YAML; with its line.
    """
    import yaml

    try:
        return safe_yaml.compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = f"it is no YAML: {error.problem or error.context}."
    except yaml.reader.ReaderError as error:
        raise ConfigError(
            f"{CONFIG} {printable(file)}:{text[: error.position].count(chr(10)) + 1}: it is no YAML: {error.reason}."
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{CONFIG} {printable(file)}: {first_line(error)}.") from error
    raise ConfigError(f"{CONFIG} {printable(file)}{f':{mark.line + 1}' if mark is not None else ''}: {why}")


def _keys(file: str, node: Any, before: str, seen: set[int]) -> Iterator[tuple[Node, str]]:
    """Yield every key with its dotted name; `init_args` adds nothing to a name.

    Raises:
        ConfigError: a key stands twice, is no text, or a value has a tag of a program's.
    """
    if id(node) in seen:  # named by an alias as well
        return
    seen.add(id(node))
    if node.tag not in TAGS:
        raise _fault(file, node, f"{node.tag.removeprefix(STANDARD)} is no kind of value for an option.")
    if node.id == "sequence":
        for number, each in enumerate(node.value):
            yield from _keys(file, each, f"{before}[{number}]", seen)
    if node.id != "mapping":
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        name = str(key.value)
        if name in lines and key.tag != STANDARD + "merge":
            raise _fault(file, key, f"{name} stands on line {lines[name]} too; keep one of the two.")
        lines[name] = key.start_mark.line + 1
        dotted = before if name == "init_args" else f"{before}.{name}" if before else name
        if name not in ("init_args", "class_path") and key.tag != STANDARD + "merge":
            yield key, dotted
        yield from _keys(file, value, dotted, seen)


def _fault(file: str, node: Any, text: str) -> ConfigError:
    return ConfigError(f"{CONFIG} {printable(file)}:{node.start_mark.line + 1}: {printable(text)}")
