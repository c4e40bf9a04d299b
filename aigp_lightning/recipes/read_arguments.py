"""Reads a recipe: an `args.yaml`, a YAML of keywords, a Python program, a call, or a command of Ultralytics'."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aigp_lightning.errors import ConfigError, first_line, printable
from aigp_lightning.logfiles.safe_yaml import LARGEST, compose, value_of
from aigp_lightning.recipes.read_program import read_call, read_program
from aigp_lightning.recipes.recipe import Given, Recipe

ARGS, YAML, PYTHON = "args.yaml", (".yaml", ".yml"), (".py",)
MODES = ("train", "val", "predict", "export", "track", "benchmark")
TASKS = ("detect", "segment", "semantic", "depth", "classify", "pose", "obb")
WORD = re.compile(r"(?:--)?([A-Za-z_]\w*)=(.*)", re.DOTALL)
CALL = re.compile(r"\{|[^()]*\btrain\(|dict\(|(\w+\s*=\s*)?\w+\(")
"""How the text of a call begins."""
NOTHING = ("none", "null", "~", "")
MERGE = "tag:yaml.org,2002:merge"
"""Tag of the key `<<`, below which other settings are named that count where the file has none of its own."""
MOST_BYTES = 10_000_000
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
FORMS = (
    "a recipe is an args.yaml or another YAML of settings, a .py file, a quoted call such as "
    "\"model.train(data='my.yaml', epochs=3)\", or a command such as `yolo detect train data=my.yaml epochs=3`"
)


def read_recipe(words: Sequence[str]) -> Recipe:
    """Read a recipe. No program is run.

    Args:
        words: a file and settings that take the place of its own, `name=value` each; or the words of a call or of a
            command.

    Returns:
        Its settings; those of the file that its `cfg` names are among them, where that is on this disk.

    Raises:
        ConfigError: it cannot be read, with file and line.

    Example:
        >>> recipe = read_recipe(["yolo", "pose", "train", "model=yolo11n-pose.pt", "epochs=3", "device=0,1"])
        >>> [(name, given.value) for name, given in recipe.values.items()]
        [('task', 'pose'), ('mode', 'train'), ('model', 'yolo11n-pose.pt'), ('epochs', 3), ('device', (0, 1))]
    """
    recipe = _read(words)
    for name, given in recipe.values.items():
        if _is_beyond(given.value):
            raise ConfigError(f"{recipe.place(name)}: {printable(name)} is a whole number beyond 64 bits.")
    return recipe


def _is_beyond(value: Any) -> bool:
    """True if a value is a whole number of more than 64 bits, or holds one."""
    if isinstance(value, dict):
        return any(map(_is_beyond, (*value, *value.values())))
    if isinstance(value, list | tuple | set):
        return any(map(_is_beyond, value))
    return isinstance(value, int) and not -LARGEST <= value < LARGEST


def _read(words: Sequence[str]) -> Recipe:
    first = Path(words[0]) if words else Path()
    if words and _is_there(first / ARGS):
        first = first / ARGS
    if words and _is_there(first):
        recipe = _with_cfg(_read_file(first))
        settings = _command([*words[1:]], recipe.source)
        return replace(recipe, values={**recipe.values, **settings.values})
    text = " ".join(words).strip()
    if words and len(words) == 1 and first.suffix in (*YAML, *PYTHON) and WORD.fullmatch(text) is None:
        raise ConfigError(f"{printable(text)}: there is no such file.")
    if CALL.match(text):
        return _with_cfg(read_call(text))
    return _with_cfg(_command(_split(text) if len(words) == 1 else [*words], "the command"))


def _split(text: str) -> list[str]:
    """Split a command into words; a backslash is a part of a path."""
    try:
        return shlex.split(text.replace("\\", "\\\\"))
    except ValueError as error:
        raise ConfigError(f"the command: {first_line(error)}; {FORMS}.") from error


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a call is no name of a file, and may be too long for one
        return False


def _read_file(path: Path) -> Recipe:
    if path.stat().st_size > MOST_BYTES:
        raise ConfigError(f"{path}: {path.stat().st_size / 1e6:.0f} MB are no recipe; {FORMS}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: it is not UTF-8 text; save it as UTF-8.") from error
    except OSError as error:
        raise ConfigError(f"{path}: it cannot be read: {error.strerror}.") from error
    if path.suffix in PYTHON:
        return replace(read_program(text, str(path)), folder=path.parent)
    if path.suffix in YAML:
        return Recipe(str(path), _read_yaml(text, str(path)), path.parent)
    raise ConfigError(f"{path} is none of these: {FORMS}.")


def _read_yaml(text: str, file: str) -> dict[str, Given]:
    """Read the settings of a YAML with their lines."""
    import yaml

    root: Any = None
    try:
        root = compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{file}{line}: it is no YAML: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: it is no YAML: {first_line(error)}.") from error
    if root is None or root.id != "mapping":
        raise ConfigError(f"{file}: settings by their names are wanted, such as `epochs: 100`.")
    found: dict[str, Given] = {}
    merged = [pair for key, node in root.value if key.tag == MERGE for pair in _merged(node)]
    for key, node in (pair for pair in root.value if pair[0].tag != MERGE):
        name, line = str(key.value), key.start_mark.line + 1
        if name in found:
            raise ConfigError(f"{file}:{line}: {printable(name)} stands on line {found[name].line} too; keep one.")
        found[name] = Given(_plain(node, f"{file}:{line}"), line)
    for key, node in merged:
        line = key.start_mark.line + 1
        found.setdefault(str(key.value), Given(_plain(node, f"{file}:{line}"), line))
    return found


def _merged(node: Any) -> list[tuple[Any, Any]]:
    """Return the keys and values that `<<` brings, of the first mapping first."""
    mappings = node.value if node.id == "sequence" else [node]
    return [pair for each in mappings if each.id == "mapping" for pair in each.value]


def _plain(node: Any, place: str) -> Any:
    """Make the value of a node: plain values alone, numbers such as 1e-3 too, which YAML takes for texts."""
    import yaml

    try:
        value = value_of(node)
    except yaml.YAMLError as error:
        raise ConfigError(f"{place}: {first_line(error)}.") from error
    return _as_number(value) if isinstance(value, str) and node.style is None else value


def _as_number(text: str) -> Any:
    if text.lower() in NOTHING:
        return None
    return float(text) if NUMBER.fullmatch(text) else text


def _command(words: list[str], source: str) -> Recipe:
    """Read the words of a command of Ultralytics': `yolo TASK MODE name=value …`."""
    values: dict[str, Given] = {}
    for place, word in enumerate(words):
        match = WORD.fullmatch(word.removesuffix(","))
        if match is not None:
            values[match[1]] = Given(read_value(match[2]))
        elif word in TASKS or word in MODES:
            values["task" if word in TASKS else "mode"] = Given(word)
        elif place or word not in ("yolo", "ultralytics"):
            raise ConfigError(f"{printable(word)} is no `name=value`; {FORMS}.")
    if not values and source == "the command":
        raise ConfigError(f"there is no such file, and no settings are given; {FORMS}.")
    return Recipe(source, values)


def read_value(text: str) -> Any:
    """Read a value of a command as Ultralytics does: a literal of Python's, or else text.

    Args:
        text: behind the `=`.

    Example:
        >>> read_value("False"), read_value("[0, 1]"), read_value("none"), read_value("a.yaml")
        (False, [0, 1], None, 'a.yaml')
    """
    if text.lower() in NOTHING:
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _with_cfg(recipe: Recipe) -> Recipe:
    """Read the file that `cfg` names, where it is on this disk; an `args.yaml` has its settings already."""
    named = recipe.value("cfg")
    if not isinstance(named, str) or recipe.source.endswith(ARGS):
        return recipe
    for place in (Path(named), (recipe.folder or Path()) / named):
        if place.suffix in YAML and _is_there(place):
            return recipe.over(_read_file(place).values)
    return recipe
