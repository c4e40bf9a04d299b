"""Turns numbers into words that are printed in more than one place."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

MANY = 100_000
"""Bytes from which on they are said in megabytes."""


def number_ranges(numbers: Iterable[int]) -> str:
    """Return numbers as ranges, in order, each once.

    Args:
        numbers: in any order.

    Example:
        >>> number_ranges([15, 1, 2, 3, 2])
        '1-3, 15'
    """
    ordered = sorted(set(numbers))
    if not ordered:
        return ""
    starts = [ordered[0], *(after for before, after in pairwise(ordered) if after > before + 1)]
    ends = [*(before for before, after in pairwise(ordered) if after > before + 1), ordered[-1]]
    return ", ".join(f"{start}-{end}" if end > start else str(start) for start, end in zip(starts, ends, strict=True))


def epochs_text(numbers: Iterable[int]) -> str:
    """Return epochs as words.

    Example:
        >>> epochs_text([0]), epochs_text([0, 1, 4])
        ('epoch 0', 'epochs 0-1, 4')
    """
    text = number_ranges(numbers)
    return f"epoch {text}" if text.isdigit() else f"epochs {text}"


def pictures_text(count: int, size: int) -> str:
    """Return a number of pictures with their bytes as words.

    Example:
        >>> pictures_text(1, 34_000), pictures_text(2, 3_400_000)
        ('1 picture (34 kB)', '2 pictures (3.40 MB)')
    """
    amount = f"{size / 1e6:.2f} MB" if size >= MANY else f"{size / 1e3:.0f} kB"
    return f"{count} picture{'s' * (count != 1)} ({amount})"
