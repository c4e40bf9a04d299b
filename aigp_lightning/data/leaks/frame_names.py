"""Reads from a picture's name of which recording it may be a frame, and which one.

A name alone proves nothing: COCO's pictures are numbered too. Whether numbered pictures follow each other in time,
`frame_runs` asks the pictures.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.data_yaml import SPLITS

ROBOFLOW = re.compile(r"_(?:jpe?g|png|bmp|webp|tiff?)\.rf\.[0-9a-zA-Z]{8,}$", re.IGNORECASE)
"""Put behind the names of pictures by Roboflow."""
DATE = re.compile(
    r"(?<!\d)(\d{4})[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])[-_. T]?"
    r"([01]\d|2[0-3])[-_.:h]?([0-5]\d)[-_.:m]?([0-5]\d)(?:s?[-_.,:](\d{1,9})|(\d{3})?)(?!\d)"
)
"""A date with the time of day, to the second or a part of it."""
EPOCH = re.compile(r"(?<!\d)(1\d{9})[._-](\d{3,9})(?!\d)")
"""Seconds since 1970 with a fraction, as robots write them."""
LAST_NUMBER = re.compile(r"(\d+)(\D{0,16})$")
FOLDERS = frozenset((*SPLITS, "images", "valid", "validation", "training", "testing"))
"""Folders that say of which split a picture is, or that it is one, and not of which recording."""
DAY = 86400


@dataclass(frozen=True)
class FrameName:
    """A picture's place in a recording, as its name tells it.

    Attributes:
        recording: folder and name without the number; frames of one recording share it.
        number: of the frame, or its time in seconds.
        timed: whether it is a time.

    Example:
        >>> frame_name("/gates/images/val/flight_003_000123.jpg", root="/gates")
        FrameName(recording='flight_003_*', number=123.0, timed=False)
    """

    recording: str
    number: float
    timed: bool = False


def frame_name(file: str, root: str = "") -> FrameName | None:
    """Read a picture's name; None where it has no number.

    Args:
        file: its path.
        root: folder of the data set, from which the folders count.

    Example:
        >>> for name in ("frame_12_jpg.rf.3f2a91bc77de.jpg", "1699999999.250.jpg", "2026-05-01_12-30-11-250.jpg"):
        ...     found = frame_name(name)
        ...     print(found.recording, found.number % 1000, found.timed)
        frame_* 12.0 False
        * 999.25 True
        * 811.25 True
        >>> frame_name("train/a/000007.png").recording, frame_name("gate.jpg") is None
        ('a/*', True)
    """
    folder, name = os.path.split(os.path.relpath(file, root) if root else file)
    stem = ROBOFLOW.sub("", os.path.splitext(name)[0])
    parts = [
        part for part in folder.replace("\\", "/").split("/") if part.lower() not in FOLDERS and part not in ("", ".")
    ]
    found = _time(stem) or _count(stem)
    if found is None:
        return None
    (start, end), number, timed = found
    return FrameName("/".join([*parts, f"{stem[:start]}*{stem[end:]}"]), number, timed)


Found = tuple[tuple[int, int], float, bool]
"""A number in a name: its span of characters, its value, and True if that is a time in seconds."""


def _time(stem: str) -> Found | None:
    """Find a time stamp."""
    import datetime

    if (epoch := EPOCH.search(stem)) is not None:
        return epoch.span(), int(epoch[1]) + int(epoch[2]) / 10 ** len(epoch[2]), True
    if (date := DATE.search(stem)) is None:
        return None
    year, month, day, hour, minute, second = (int(date[place]) for place in range(1, 7))
    try:
        days = datetime.date(year, month, day).toordinal()
    except ValueError:  # the 31st of February
        return None
    if not 1970 <= year <= 2100:  # noqa: PLR2004  digits that are no date
        return None
    digits = date[7] or date[8] or "0"
    clock = hour * 3600 + minute * 60 + second + int(digits) / 10 ** len(digits)
    return date.span(), days * DAY + clock, True


def _count(stem: str) -> Found | None:
    """Find the last number of a name."""
    found = LAST_NUMBER.search(stem)
    return None if found is None else (found.span(1), float(found[1]), False)


@dataclass(frozen=True)
class Recording:
    """Pictures whose names count them, in the order of their numbers.

    Attributes:
        name: folder and name without the number.
        places: int64 (n,) among all pictures.
        numbers: float64 (n,) in rising order: of frames, or seconds.
        step: by which the number usually rises from one picture to the next.
        timed: whether they are seconds.
    """

    name: str
    places: NDArray[np.int64]
    numbers: NDArray[np.float64]
    step: float
    timed: bool


def recordings(files: Sequence[str], root: str = "", least: int = 2) -> list[Recording]:
    """Sort pictures by the recordings that their names tell of.

    Args:
        files: all pictures.
        root: folder of the data set.
        least: pictures that a recording has at least.

    Returns:
        By name; a picture is in one at most.

    Example:
        >>> [(each.name, each.numbers.tolist()) for each in recordings(["a_2.jpg", "a_1.jpg", "b.jpg", "a_9.jpg"])]
        [('a_*', [1.0, 2.0, 9.0])]
    """
    found: dict[tuple[str, bool], list[tuple[float, int]]] = {}
    for place, file in enumerate(files):
        if (name := frame_name(file, root)) is not None:
            found.setdefault((name.recording, name.timed), []).append((name.number, place))
    result = []
    for (recording, timed), frames in sorted(found.items()):
        if len(frames) < least:
            continue
        numbers, places = zip(*sorted(frames), strict=True)
        rises = np.diff(numbers)
        rises = rises[rises > 0]
        step = float(np.median(rises)) if len(rises) else 1.0
        result.append(Recording(recording, np.array(places, np.int64), np.array(numbers, np.float64), step, timed))
    return result
