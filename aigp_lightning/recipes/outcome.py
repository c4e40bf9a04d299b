"""Tells for one setting what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["carried", "left", "missing", "replace"]


@dataclass(frozen=True)
class Outcome:
    """How a setting was turned into options.

    Attributes:
        state: `carried`; `left`, it changes no training; `missing`, it does, and there is no option for it; or
            `replace`, it names something that is not on this machine.
        options: ours with their values, by dotted names.
        why: for all but those that were carried; there a further word.
    """

    state: State = "carried"
    options: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""


def carried(why: str = "", **options: Any) -> Outcome:
    """Return the outcome of a setting that was carried over; `__` in names of options stands for their dots."""
    return Outcome("carried", {name.replace("__", "."): value for name, value in options.items()}, why)


def left(why: str, **options: Any) -> Outcome:
    """Return the outcome of a setting that changes no training."""
    return Outcome("left", {name.replace("__", "."): value for name, value in options.items()}, why)


def missing(why: str, **options: Any) -> Outcome:
    """Return the outcome of a setting that has no counterpart here."""
    return Outcome("missing", {name.replace("__", "."): value for name, value in options.items()}, why)


def to_replace(why: str, **options: Any) -> Outcome:
    """Return the outcome of a setting that the user has to replace."""
    return Outcome("replace", {name.replace("__", "."): value for name, value in options.items()}, why)
