"""Parsers that take options by their full names only, and whose errors have a line or two."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from aigp_lightning.cli.by_class import ByClass
from aigp_lightning.cli.class_help import VALUES, help_of_class
from aigp_lightning.cli.config_files import CONFIG, read_config_text
from aigp_lightning.cli.early_values import check_values_of_class
from aigp_lightning.cli.option_names import MODELS
from aigp_lightning.cli.unknown_options import HELP, check_words
from aigp_lightning.cli.values import LOADER, add_loader
from aigp_lightning.errors import ConfigError, printable
from aigp_lightning.terminal.output import print_text

Options = TypeVar("Options")

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
MISSING, EXAMPLE = "the following arguments are required: ", "example: "
"""Beginnings of argparse's message on an argument that is missing, and of the call below a verb's help."""
NAMES = ("--data.source", "--media.private", "--media.val_files")
"""Options of one name or a list of names."""


class StrictParser:
    """A mix-in before a parser of jsonargparse's: no short forms, no list of all the types that were tried.

    A path is a path, whatever is in its name, and configuration files are UTF-8 under any locale.

    Args:
        *args: the parser's own.
        by_class: merges what configurations have for the class of the model; without it they have nothing such.
        **kwargs: the parser's own.
    """

    def __init__(self, *args: Any, by_class: ByClass | None = None, **kwargs: Any) -> None:
        add_loader()
        self._by_class = by_class
        super().__init__(*args, **{**kwargs, "allow_abbrev": False, "parser_mode": LOADER})

    def parse_args(self, args: Sequence[str] | None = None, *more: Any, **kwargs: Any) -> Any:
        """Parse the words of a command line; takes what jsonargparse's own takes."""
        parser: Any = super()
        return parser.parse_args(keep_existing(sys.argv[1:] if args is None else args), *more, **kwargs)

    def check_words(self, words: Sequence[str]) -> None:
        """Refuse words that the parser does not know, with the nearest option; for parsers without subcommands.

        Raises:
            ConfigError: there is one.
        """
        check_words(self, words)

    def parse_path(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        """Parse a configuration file; takes what jsonargparse's own takes, which reads it in the locale's encoding.

        Raises:
            ConfigError: it cannot be read, or is not UTF-8.
        """
        from jsonargparse import Path

        parser: Any = super()
        if os.fspath(path) == "-":
            return parser.parse_path(path, *args, **kwargs)
        file = Path(path)
        text = _read_config(file.absolute)
        if self._by_class is not None and os.path.isfile(file.absolute):
            text = self._by_class.renamed(text, file.absolute, MODELS)
        with file.relative_path_context():
            return self.parse_string(text, os.path.basename(file.absolute), *args, **kwargs)

    def parse_string(self, content: str, path: str | os.PathLike[str] = "", *args: Any, **kwargs: Any) -> Any:
        """Parse the text of a configuration; takes what jsonargparse's own takes.

        Raises:
            ConfigError: options by class are wanted in it, and something else is there.
        """
        parser: Any = super()
        if self._by_class is not None:
            content = self._by_class.merged(content, os.fspath(path) or "text")
        return parser.parse_string(content, path, *args, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print what is wrong in one line, without the types that were tried, and end the program."""
        # The parser of a class within another's raises, and the outer one says it.
        parser: Any = super()
        if not getattr(self, "exit_on_error", True) or os.environ.get("JSONARGPARSE_DEBUG"):
            parser.error(message, ex)
        print_text(f"error: {printable(shorten_error(message))}", err=True)
        raise SystemExit(2)


class VerbParser(argparse.ArgumentParser):
    """A parser of argparse's that takes no short forms, and whose errors are raised, to be told in one line.

    Args:
        *args: argparse's own.
        takes_pairs: `name=value` is an argument of the verb's, and no option without its dashes.
        **kwargs: argparse's own.
    """

    def __init__(self, *args: Any, takes_pairs: bool = False, **kwargs: Any) -> None:
        self.takes_pairs = takes_pairs
        super().__init__(*args, **{**kwargs, "allow_abbrev": False})

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse the words of a command line.

        Raises:
            ConfigError: one of them is no option; the message has the nearest.
        """
        check_words(self, sys.argv[1:] if args is None else args)
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, with a call as it is right where an argument is missing.

        Raises:
            ConfigError: always.
        """
        verb = self.prog.partition("aigp_lightning ")[2]
        missing = message.removeprefix(MISSING) if message.startswith(MISSING) else ""
        example = str(self.epilog or "").partition(EXAMPLE)[2]
        if missing and example:
            raise ConfigError(f"{verb} needs {missing}, as in `python -m aigp_lightning {example}`.")
        wrong = f" needs {missing}" if missing else f": {printable(message)}"
        raise ConfigError(f"{verb}{wrong}. `{self.prog} --help` lists what it takes.")


def keep_existing(words: Sequence[str]) -> list[str]:
    """Write what exists so that jsonargparse takes it for a path: `~` is no home then, and `[a]` no list of one name.

    Args:
        words: of a command line.

    Example:
        >>> os.mkdir("[a]")
        >>> keep_existing(["--data.source", "[a]", "--data.source=[b]"])
        ['--data.source', '["[a]"]', '--data.source+=[b]']
    """
    kept: list[str] = []
    given: set[str] = set()
    for before, word in zip(["", *words], words, strict=False):
        named = word.startswith("--")
        option, joined, value = word.partition("=") if named else (before, "", word)
        plain = option.removesuffix("+")
        if option == CONFIG and os.path.isfile(value):
            value = os.path.abspath(value)
        elif plain in NAMES and value[:1] in ("[", "-") and os.path.lexists(value):
            value = json.dumps([value])
        if named and plain in given:
            option = f"{plain}+"  # given twice, both count: an image that was named private stays so
        if named and plain in NAMES:
            given.add(plain)
        kept.append(f"{option}={value}" if joined else option if named else value)
    return kept


def _read_config(path: str) -> str:
    """Read a configuration; one of comments alone is a mapping without options."""
    text = read_config_text(path)
    return text if any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()) else "{}"


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


def parse_options(kind: type[Options], verb: str, arguments: Sequence[str], description: str, example: str) -> Options:
    """Parse a verb's words into its dataclass; `--help` and mistakes end the program, as argparse does.

    Args:
        kind: the dataclass; its fields are the options, its docstring their help.
        verb: the word after the program's name.
        arguments: the words after that.
        description: what the verb does.
        example: a call, without the program's name.
    """
    if set(HELP) & set(arguments):
        print_text(help_of_class(verb, kind, description, example))
        raise SystemExit(0)
    from jsonargparse import ArgumentParser

    parser_class: Any = type("VerbOptions", (StrictParser, ArgumentParser), {})
    parser = parser_class(
        prog=f"python -m aigp_lightning {verb}",
        description=description,
        epilog=f"example: {example}",
    )
    parser.add_class_arguments(kind, as_group=False)
    parser.check_words(arguments)
    check_values_of_class(f"{kind.__module__}.{kind.__qualname__}", arguments, VALUES.get(verb, {}))
    return kind(**parser.parse_args(list(arguments)).as_dict())
