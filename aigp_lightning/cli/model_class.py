"""The class of a command's model by its name, before any of its options is parsed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

OURS = "aigp_lightning."
"""Before the names of this package's modules."""
MODEL_HELP = "--model.help"
"""The option that shows the options of a class."""


def full_class_path(named: str | None) -> str:
    """Return the full name of the class that a model has before any of its options is parsed.

    The options of one of our classes are no start for those of another, so the parser has to know it first.

    Args:
        named: class of a module, with or without its module's name; None, a class of the user's, and what is no class,
            which the parser will say, give the usual one.
    """
    from jsonargparse.typing import import_object  # type: ignore[attr-defined]

    from aigp_lightning.modules.base import BaseModule
    from aigp_lightning.modules.families import CLASSES, DEFAULT

    kind: Any = None
    if named is not None and "." in named:
        with suppress(Exception):  # whatever the import of a user's file raises
            kind = import_object(named)
            kind = kind if issubclass(kind, BaseModule) and kind.__module__.startswith(OURS) else None
    elif named is not None:
        kind = next((each for class_of in CLASSES.values() if (each := class_of()).__name__ == named), None)
    if kind is not None and named is not None and "." in named:
        return named  # as the user writes it
    kind = kind or CLASSES[DEFAULT]()
    return f"{kind.__module__}.{kind.__name__}"


def with_help_of_class(words: Sequence[str]) -> list[str]:
    """Return the words of a command with the full name of the class whose options `--model.help` is to show.

    Args:
        words: after the verb.
    """
    found = []
    for before, word in zip(["", *words], words, strict=False):
        option, joined, name = word.partition("=") if before != MODEL_HELP else ("", "", word)
        wanted = before == MODEL_HELP or (option == MODEL_HELP and joined)
        short = wanted and name and not name.startswith("-") and "." not in name
        found.append(f"{option}{joined}{full_class_path(name)}" if short else word)
    return found
