"""Limits on the files of a data set, and quotes of their contents: they may come from anywhere."""

from __future__ import annotations

import os
import reprlib
import stat
from typing import Any

from aigp_lightning.errors import UNPRINTABLE

MAX_YAML_BYTES = 1_000_000
MAX_LABEL_BYTES = 16_000_000
MAX_ROWS = 100_000
"""Most lines of a label file; no picture shows as many objects."""
LEAK_LIMIT = 0.05
"""Share of a split's pictures that may have a near neighbour in another split. A team's model scored 0.283 mAP on
contiguous blocks and 0.517 on a random split, where nearly all pictures had a neighbour: a share of 5 % moves such a
figure by about 0.012, as another seed does."""
MAX_PROBLEMS = 100
"""Most problems that are kept of one file."""
MAX_CLASSES = 100_000
MAX_KEYPOINTS = 1000
MAX_NAME = 200
"""Most characters of a class's or keypoint's name."""
MAX_PIXELS = 178_956_970
"""Most pixels of an image, Pillow's own limit against decompression bombs: half a GB once decoded."""

_REPR = reprlib.Repr()
_REPR.maxlevel = 2  # aliases in a YAML can make a value of a few bytes as long as you like


def regular_file_size(path: str | os.PathLike[str], most: int | None = None) -> int:
    """Return the size of a file in bytes without opening it, since a pipe would block.

    Args:
        path: the file; links are followed.
        most: the size at which it is not read any more.

    Raises:
        OSError: it is not there.
        ValueError: it is no ordinary file, or larger than `most`; the text says so.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open(f"{folder}/000.txt", "w") as file:
        ...         _ = file.write("0 0.5 0.5 1 1")
        ...     regular_file_size(f"{folder}/000.txt")
        13
    """
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("a folder" if stat.S_ISDIR(found.st_mode) else "a device or pipe, not a file")
    if most is not None and found.st_size > most:
        raise ValueError(f"{found.st_size / 1e6:.0f} MB, at most {most / 1e6:.0f} are read")
    return found.st_size


def quoted(value: Any, most: int = 80) -> str:
    """Write a value as Python does, on one line and cut, however long, deep or large it is.

    Example:
        >>> quoted("x" * 100, most=10)
        "'xxxxxxxx…"
    """
    try:
        text = _REPR.repr(value)
    except ValueError:  # a whole number of over 4300 digits
        text = "a very long number"
    return text if len(text) <= most else text[: most - 1] + "…"


def is_name(text: str) -> bool:
    r"""True if the text may name a class or a keypoint: short, and without characters that steer a terminal.

    Example:
        >>> is_name("top left"), is_name("gate\x1b[2J")
        (True, False)
    """
    return len(text) <= MAX_NAME and not any(
        ord(c) < ord(" ") or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in text
    )


def is_blank(text: str) -> bool:
    r"""True if nothing of a text can be seen.

    Example:
        >>> is_blank(" \u200b"), is_blank("~")
        (True, False)
    """
    return not visible(text)


def visible(text: str) -> str:
    r"""Return a text without characters that show nothing, and without blanks at its ends.

    Example:
        >>> visible(" gate\u200b ")
        'gate'
    """
    return UNPRINTABLE.sub("", text).strip()
