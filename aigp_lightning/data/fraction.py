"""A part of a split's images: `--data.fraction`, by Ultralytics' rule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from aigp_lightning.errors import ConfigError

Part = int | float
"""A share of a split's images, 0…1, or their number."""
Fraction = int | float | list[int | float] | dict[str, int | float]
"""A part of the training split; or of all splits, in the order of `SPLITS` or by name."""
SPLITS = ("train", "val", "test")
ALL = 1.0
OPTION = "--data.fraction"
FORMS = (
    f"a share above 0 and up to 1, or a number of images; of several splits as {{train: 0.5, val: 200}} or "
    f"[{', '.join(SPLITS)}]"
)


def check_fraction(fraction: Fraction) -> None:
    """Refuse a part that no split can have.

    Args:
        fraction: the option's value.

    Raises:
        ConfigError: it is out of range, or names something else than a split.

    Example:
        >>> try:
        ...     check_fraction({"trian": 0.5})
        ... except ConfigError as error:
        ...     print(str(error).partition(";")[0])
        --data.fraction {'trian': 0.5}: 'trian' is no split
    """
    parts: list[Any] = [fraction]
    if isinstance(fraction, Mapping):
        unknown = [name for name in fraction if name not in SPLITS]
        if unknown:
            raise ConfigError(f"{OPTION} {fraction}: {unknown[0]!r} is no split; they are {', '.join(SPLITS)}.")
        parts = list(fraction.values())
    elif isinstance(fraction, Sequence):
        parts = list(fraction)
        if len(parts) > len(SPLITS):
            raise ConfigError(f"{OPTION} {fraction}: there are {len(SPLITS)} splits, {', '.join(SPLITS)}.")
    for part in parts:
        if isinstance(part, bool) or not _possible(part):
            raise ConfigError(f"{OPTION} {fraction}: {part} is no part of a split. It is {FORMS}.")


def _possible(part: Part) -> bool:
    """True if a part is a share above 0 and up to 1, or a number of images."""
    return 0 < part < math.inf and (part <= 1 or isinstance(part, int))


def part_of(fraction: Fraction, split: str) -> Part:
    """Return the part of one split: one value alone is of the training split, and a split that is not named is whole.

    Args:
        fraction: the option's value.
        split: `train`, `val` or `test`.

    Returns:
        1.0 for all of it.

    Example:
        >>> [part_of(0.25, "val"), part_of({"val": 200}, "val"), part_of([0.5, 0.1], "val"), part_of([0.5], "val")]
        [1.0, 200, 0.1, 1.0]
    """
    if isinstance(fraction, Mapping):
        part: Part = fraction.get(split, ALL)
    elif isinstance(fraction, Sequence):
        place = SPLITS.index(split)
        part = fraction[place] if place < len(fraction) else ALL
    else:
        part = fraction if split == "train" else ALL
    return ALL if part == 1 else part  # one image alone is meant by nobody


def count_of(part: Part, images: int) -> int:
    """Return how many of a split's images are taken, the first ones in the order of their paths.

    Args:
        part: see `part_of`.
        images: listed in the split.

    Example:
        >>> [count_of(part, 5) for part in (1.0, 0.5, 0.01, 3, 9)]
        [5, 2, 1, 3, 5]
    """
    return min(part if isinstance(part, int) else max(round(images * part), 1), images)
