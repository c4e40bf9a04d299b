"""The pictures of a run that are asked for: by name, kind and epoch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from aigp_lightning.errors import ConfigError
from aigp_lightning.media.routing import PER_EPOCH
from aigp_lightning.terminal.words import number_ranges

if TYPE_CHECKING:
    from aigp_lightning.media.ledger.ledger import Line

LARGEST = 10**9
"""Epoch that stands for an open end."""
RANGE = re.compile(r"\s*(\d{1,9})\s*(?:(-)\s*(\d{1,9})?)?\s*")
NAMES_SHOWN = 12


@dataclass(frozen=True)
class Selection:
    """Conditions on a picture; one that is empty or None lets all through.

    Attributes:
        globs: of the picture's name, with or without its ending.
        kinds: of the routes.
        every: of what is drawn after every validation, only each so many epochs, counted from 1, and the last one.
        epochs: first and last of each range, counted from 1.

    Example:
        >>> Selection(globs=("val_*",), every=10).takes("val_pred", "val_batch0_pred.jpg", epoch=19, last=24)
        True
        >>> Selection(every=10).takes("val_pred", "val_batch0_pred.jpg", epoch=20, last=24)
        False
    """

    globs: Sequence[str] = ()
    kinds: Sequence[str] = ()
    every: int = 1
    epochs: Sequence[tuple[int, int]] = ()

    def takes(self, kind: str, file: str, epoch: int, last: int) -> bool:
        """True if a picture is asked for.

        Args:
            kind: of the picture.
            file: its name.
            epoch: from 0.
            last: epoch of the run, from 0.
        """
        number, stem = epoch + 1, file.rpartition(".")[0]
        if self.globs and not any(fnmatchcase(name, glob) for glob in self.globs for name in (file, stem)):
            return False
        if self.kinds and kind not in self.kinds:
            return False
        if self.epochs and not any(first <= number <= end for first, end in self.epochs):
            return False
        return kind not in PER_EPOCH or epoch == last or not number % self.every


def parse_epochs(text: str) -> list[tuple[int, int]]:
    """Read epochs as a user writes them, counted from 1: numbers and ranges.

    Args:
        text: such as `1-50,60,100-`.

    Raises:
        ConfigError: it is none.

    Example:
        >>> parse_epochs("1-50, 60")
        [(1, 50), (60, 60)]
    """
    ranges = []
    for part in text.split(","):
        found = RANGE.fullmatch(part)
        first = int(found[1]) if found else 0
        end = first if found is None or not found[2] else int(found[3]) if found[3] else LARGEST
        if not found or not first or end < first:
            raise ConfigError(f"--epochs {text}: give epochs counted from 1, such as 1-50 or 10,20,90-.")
        ranges.append((first, end))
    return ranges


def nothing_selected(lines: Iterable[Line]) -> str:
    """Say which pictures there are, for a selection that takes none of them.

    Args:
        lines: of the ledger, of the run's files.

    Example:
        >>> nothing_selected([])
        'the selection takes no picture, and the run has none.'
    """
    lines = list(lines)
    if not lines:
        return "the selection takes no picture, and the run has none."
    keys = list(dict.fromkeys(line.key for line in lines))
    more = f" and {len(keys) - NAMES_SHOWN} more" if len(keys) > NAMES_SHOWN else ""
    kinds = ", ".join(dict.fromkeys(line.kind for line in lines))
    epochs = number_ranges(line.epoch + 1 for line in lines)
    named = ", ".join(keys[:NAMES_SHOWN])
    return f"the selection takes no picture. There are {named}{more}; kinds {kinds}; epochs {epochs}."
