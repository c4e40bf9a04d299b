"""Options of the verbs that are not Lightning's: a dataclass is the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Options = TypeVar("Options")


def parse_options(kind: type[Options], verb: str, arguments: Sequence[str], description: str, example: str) -> Options:
    """Parse a verb's words into its dataclass; `--help` and mistakes end the program, as argparse does.

    Args:
        kind: the dataclass; its fields are the options, its docstring their help.
        verb: the word after the program's name.
        arguments: the words after that.
        description: what the verb does.
        example: a call, without the program's name.
    """
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        prog=f"python -m aigp_lightning {verb}",
        description=description,
        epilog=f"example: {example}",
        allow_abbrev=False,
    )
    parser.add_class_arguments(kind, as_group=False)
    return kind(**parser.parse_args(list(arguments)).as_dict())
