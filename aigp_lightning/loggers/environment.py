"""Environment variables that switch something: one reader, so that all take the same words and nothing is guessed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

from aigp_lightning.errors import ConfigError
from aigp_lightning.run.folder import ENV_FIRST, ENV_FOLDER

ENV_WANDB = "AIGP_WANDB"
"""Switches Weights & Biases off with `0`, `false`, `off` or `no`, whatever the configuration says."""
YES_OR_NO: dict[str, bool] = {
    **dict.fromkeys(("0", "false", "off", "no"), False),
    **dict.fromkeys(("1", "true", "on", "yes"), True),
}
ALIKE = 0.85
"""Likeness of names from which on one counts as the other misspelt."""
Value = TypeVar("Value")


def read_switch(variable: str, words: Mapping[str, Value], unset: Value) -> Value:
    """Read a variable that is one of a few words, in any case; blanks around it do not count.

    Args:
        variable: its name.
        words: the value of each word, in lower case. Without one for the empty text, that is an error as well.
        unset: the value where the variable is not set.

    Raises:
        ConfigError: it is none of the words.
    """
    text = os.environ.get(variable)
    if text is None:
        return unset
    if (word := text.strip().lower()) not in words:
        known = [one for one in words if one]
        choices = f"{', '.join(known[:-1])} or {known[-1]}"
        empty = "" if text.strip() else " (it is empty)"
        raise ConfigError(f"{variable}={text.strip()} means nothing{empty}; use {choices}, or unset it.")
    return words[word]


def wandb_switched_off() -> bool:
    """True if `AIGP_WANDB` says that there is to be no W&B.

    Raises:
        ConfigError: its value means nothing, or a variable is there that looks like it, misspelt: that would send.
    """
    known = {ENV_WANDB, ENV_FOLDER, ENV_FIRST}
    for name in os.environ:
        alike = name.upper().startswith(ENV_WANDB) or get_close_matches(name.upper(), [ENV_WANDB], 1, ALIKE)
        if alike and name not in known:
            raise ConfigError(f"environment variable {name} means nothing; {ENV_WANDB} switches W&B off. Unset it.")
    return not read_switch(ENV_WANDB, YES_OR_NO, True)


def said_of_wandb() -> str:
    """Return how `AIGP_WANDB` says that W&B is left out, for a message."""
    return f"{ENV_WANDB} is {os.environ.get(ENV_WANDB, '').strip()}"
