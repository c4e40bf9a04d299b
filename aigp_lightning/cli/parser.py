"""Parsers that take options by their full names only, and whose errors have a line or two."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from aigp_lightning.cli.by_class import ByClass
from aigp_lightning.cli.class_help import VALUES, help_of_class
from aigp_lightning.cli.config_files import CONFIG, read_config_text
from aigp_lightning.cli.early_values import check_values_of_class
from aigp_lightning.cli.option_docs import PACKAGE
from aigp_lightning.cli.option_names import MODELS
from aigp_lightning.cli.parser_errors import shorten_error
from aigp_lightning.cli.unknown_options import HELP, check_words
from aigp_lightning.cli.values import LOADER, add_loader
from aigp_lightning.errors import ConfigError, printable
from aigp_lightning.terminal.output import print_text

Options = TypeVar("Options")

MISSING, EXAMPLE = "the following arguments are required: ", "example: "
"""Beginnings of argparse's message on an argument that is missing, and of the call below a verb's help."""
NAMES = ("--data.source", "--media.private", "--media.val_files", "--output.collect_backgrounds", "--target")
"""Options of one name, or limit, or a list of them."""


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
    if kind.__module__.startswith(f"{PACKAGE}."):  # whose sources say which types there are
        check_values_of_class(f"{kind.__module__}.{kind.__qualname__}", arguments, VALUES.get(verb, {}))
    return kind(**parser.parse_args(list(arguments)).as_dict())
