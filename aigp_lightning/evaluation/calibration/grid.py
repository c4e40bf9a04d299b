"""Values of each threshold that are tried: ranges and lists as they are typed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import POSITIVE, SHARE, Range

NOTHING = ("null", "none", "~")
"""Words for no limit."""
PARTS = 3
"""Of a range: start, end and step."""
MOST_VALUES, MOST_COMBINATIONS = 200, 500_000
DIGITS = 6
"""Decimal places of the values of a range."""
ALLOWED = {"conf": SHARE, "keypoint_conf": SHARE, "iou": SHARE, "reprojection": POSITIVE}
"""Options of the grid, and what their values may be."""
UNLIMITED = ("reprojection",)
"""Options that may have no limit."""
Value = float | None


@dataclass(frozen=True)
class Grid:
    """The values that are tried, each list from the least to the most careful one.

    Attributes:
        conf: lowest confidences of a box, rising.
        keypoint_conf: lowest confidences of a keypoint that counts as seen, rising; (None,) where none is tried.
        iou: overlaps from which NMS drops a box, falling; (None,) where none is tried.
        reprojection_px: largest reprojection errors, falling, no limit (None) first; (None,) where none is tried.

    Example:
        >>> Grid((0.3, 0.5), (0.2,), (0.7, 0.6), (None, 4.0)).shape
        (2, 1, 2, 2)
    """

    conf: tuple[float, ...]
    keypoint_conf: tuple[Value, ...] = (None,)
    iou: tuple[Value, ...] = (None,)
    reprojection_px: tuple[Value, ...] = (None,)

    @property
    def axes(self) -> dict[str, tuple[Value, ...]]:
        """The values by the name of their threshold, in the order of a combination."""
        return {
            "conf": self.conf,
            "keypoint_conf": self.keypoint_conf,
            "iou": self.iou,
            "reprojection_px": self.reprojection_px,
        }

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values of each threshold."""
        return tuple(map(len, self.axes.values()))

    def at(self, place: Sequence[int]) -> Combination:
        """Return a combination by its place in the grid.

        Args:
            place: number of the value of each threshold.
        """
        return Combination(*(values[index] for values, index in zip(self.axes.values(), place, strict=True)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Combination:
    """One value of each threshold.

    Attributes:
        conf: lowest confidence of a box.
        keypoint_conf: lowest confidence of a keypoint that counts as seen; None where the model has no keypoints.
        iou: overlap from which NMS drops a box; None where the model has no NMS.
        reprojection_px: largest reprojection error of a pose; None: no limit.

    Example:
        >>> print(Combination(0.3, 0.5, 0.7, None))
        conf 0.3, keypoint_conf 0.5, iou 0.7
    """

    conf: float
    keypoint_conf: Value = None
    iou: Value = None
    reprojection_px: Value = None

    def __str__(self) -> str:
        values = {name: getattr(self, name) for name in ("conf", "keypoint_conf", "iou", "reprojection_px")}
        return ", ".join(f"{name} {value:g}" for name, value in values.items() if value is not None)


def parse_values(option: str, text: str) -> tuple[Value, ...]:
    """Return the values that an option of the grid names, rising, no limit last.

    Args:
        option: its name, without dashes.
        text: `0.05:0.9:0.05` for a range with its ends, or a list such as `0.3,0.5`; `null` in a list is no limit.

    Raises:
        ConfigError: it is neither, or has a value that makes no sense.

    Example:
        >>> parse_values("conf", "0.1:0.3:0.1"), parse_values("reprojection", "[4, 2, null]")
        ((0.1, 0.2, 0.3), (2.0, 4.0, None))
    """
    allowed, inner = ALLOWED[option], text.strip().removeprefix("[").removesuffix("]")
    words = [word.strip() for word in inner.split(",") if word.strip()]
    if not words:
        raise ConfigError(f"--{option} {text!r}: {_how(option)}.")
    values: set[Value] = set()
    for word in words:
        if word.lower() in NOTHING and option in UNLIMITED:
            values.add(None)
        else:
            values.update(_range(option, word) if ":" in word else [_number(option, word, allowed)])
    if len(values) > MOST_VALUES:
        raise ConfigError(f"--{option} {text}: {len(values)} values; at most {MOST_VALUES} are tried.")
    known = sorted(value for value in values if value is not None)
    return (*known, *([None] if None in values else []))


def check_size(grid: Grid) -> None:
    """Refuse a grid with more combinations than can be looked at.

    Args:
        grid: of all thresholds.

    Raises:
        ConfigError: it has more.
    """
    if (count := math.prod(grid.shape)) > MOST_COMBINATIONS:
        raise ConfigError(
            f"{count:,} combinations are too many ({MOST_COMBINATIONS:,} at most): give coarser --conf, "
            "--keypoint_conf, --iou or --reprojection."
        )


def _range(option: str, word: str) -> list[Value]:
    parts = word.split(":")
    if len(parts) != PARTS:
        raise ConfigError(f"--{option} {word}: {_how(option)}.")
    low, high = (_number(option, part, ALLOWED[option]) for part in parts[:2])
    step = _number(option, parts[2], POSITIVE)
    if low > high:
        raise ConfigError(f"--{option} {word}: it ends before it begins.")
    count = math.floor((high - low) / step + 1e-6) + 1
    if count > MOST_VALUES:
        raise ConfigError(f"--{option} {word}: {count} values; at most {MOST_VALUES} are tried.")
    return [round(low + step * number, DIGITS) for number in range(count)]


def _number(option: str, word: str, allowed: Range) -> float:
    try:
        value = float(word)
    except ValueError:
        raise ConfigError(f"--{option} {word}: {_how(option)}.") from None
    if value not in allowed:
        raise ConfigError(f"--{option} {word}: a number {allowed}.")
    return value


def _how(option: str) -> str:
    without = " (null: no limit)" if option in UNLIMITED else ""
    return f"give values as a range, start:end:step, or as a list with commas{without}"
