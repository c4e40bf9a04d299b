"""Errors of jsonargparse's in one line, in words that somebody who types options knows."""

from __future__ import annotations

import re
from collections.abc import Sequence

WRAPPING = ("Does not validate against", "Subtypes:", "Errors:", "Given value", "Problem with given class_path")
NOTHING = "Expected a <class 'NoneType'>"
EXPECTED = re.compile(r"Expected an? ((?:<class|typing\.|Literal).*?)(?:\. Got value: (.*))?", re.DOTALL)
"""A type that a value is not of, and the value."""
CLASS_NAME = "Expected a dot import path"
"""Begins what is said of a value that names no class, where a class would do as well."""
NO_VALUE = re.compile(r"argument (--[\w.]+)(?:/\S+)?: expected one argument")
LONGEST = 80
"""Characters of a value that an error repeats."""
TYPES = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "list": "a list",
         "tuple": "a list", "dict": "a group of options"}  # fmt: skip
"""Types of Python's, and what is typed for them."""


def shorten_error(message: str) -> str:
    """Reduce jsonargparse's report of all the types that an option might have had to the option and the reason.

    Args:
        message: what jsonargparse says.

    Example:
        >>> shorten_error("argument --run.name/--run.name+: expected one argument")
        '--run.name needs a value.'
    """
    if (empty := NO_VALUE.fullmatch(message)) is not None:
        return f"{empty[1]} needs a value."
    key = re.match(r'Parser key "([\w.]+)":', message)
    if key is None:
        return _one_line(message)
    if (plain := EXPECTED.fullmatch(message[key.end() :].strip())) is not None:
        return f"{_with_value(f'--{key[1]}', plain[2])}: {_in_words(plain[1])}."
    if "Does not validate" not in message:
        return f"--{key[1]}: {_one_line(message[key.end() :])}"
    given = re.findall(r"NestedArg\(key='([^']*)', val=(.*)\)\s*$", message, re.MULTILINE)
    value = re.search(r"^\s*Given value: (.*)", message, re.MULTILINE)
    option = f"--{key[1]}.{given[-1][0]} {given[-1][1]}" if given else _with_value(f"--{key[1]}", value and value[1])
    lines = (line.strip().removeprefix("- ") for line in message.splitlines()[1:])
    reasons = [line for line in lines if line and not line.startswith((*WRAPPING, "Parser key", NOTHING))]
    where = ". The options of a class: --model.help CLASS" if key[1] == "model" else ""
    return f"{option}: {_of_types(reasons) or 'not understood'}{where}"


def _with_value(option: str, value: str | None) -> str:
    """Return an option with its value behind it, where that is short."""
    return option if value is None or len(value) > LONGEST else f"{option} {_one_line(value)}"


def _of_types(reasons: Sequence[str]) -> str:
    """Return why each of several types was refused: in words what an option takes, then all other reasons."""
    plain = [EXPECTED.fullmatch(reason) for reason in reasons]
    words = list(dict.fromkeys(_in_words(each[1]) for each in plain if each is not None))
    others = [reason for reason, each in zip(reasons, plain, strict=True) if each is None]
    others = [reason for reason in others if not words or not reason.startswith(CLASS_NAME)]
    return "; ".join(dict.fromkeys([*([" or ".join(words)] if words else []), *others]))


def _in_words(kind: str) -> str:
    """Return a type of Python's in words.

    Example:
        >>> _in_words("<class 'float'>"), _in_words("typing.Literal['send', 'skip']")
        ('a number', 'send or skip')
    """
    if (words := re.fullmatch(r"(?:typing\.)?Literal\[(.*)\]", kind)) is not None:
        return " or ".join(word.strip().strip("'\"") for word in words[1].split(","))
    name = kind.removeprefix("<class '").removesuffix("'>")
    return TYPES.get(name, name.removeprefix("typing."))


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.strip().splitlines())
