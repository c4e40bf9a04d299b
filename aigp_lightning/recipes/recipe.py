"""A recipe as it was read: settings of Ultralytics' by name, with the lines that they stand on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aigp_lightning.recipes.ultralytics_keys import KEYS


@dataclass(frozen=True)
class Given:
    """The value of a setting.

    Attributes:
        value: as Python has it; the source text, where it is `unread`.
        line: of the file; 0 on a command line.
        unread: the value is computed by a program, which is not run.
    """

    value: Any
    line: int = 0
    unread: bool = False


@dataclass(frozen=True)
class Recipe:
    """The settings of one training of Ultralytics'.

    Attributes:
        source: file or text that it was read from, for messages.
        values: the settings that are given.
        folder: of the file; None for a text.
        wandb: the file is a program that uses W&B.

    Example:
        >>> Recipe("text", {"epochs": Given(3)}).value("epochs"), Recipe("text", {}).value("patience")
        (3, 100)
    """

    source: str
    values: Mapping[str, Given] = field(default_factory=dict)
    folder: Path | None = None
    wandb: bool = False

    def value(self, name: str) -> Any:
        """Return the value of a setting, or Ultralytics' default; None too for one that a program computes.

        Args:
            name: of the setting.
        """
        if name not in self.values:
            return KEYS[name].default
        return None if self.values[name].unread else self.values[name].value

    def place(self, name: str) -> str:
        """Return the file and line of a setting, for messages.

        Args:
            name: of the setting.
        """
        line = self.values[name].line if name in self.values else 0
        return f"{self.source}:{line}" if line else self.source

    def over(self, base: Mapping[str, Given]) -> Recipe:
        """Return the recipe with other settings below its own.

        Args:
            base: they count where this recipe says nothing.
        """
        return Recipe(self.source, {**base, **self.values}, self.folder, self.wandb)
