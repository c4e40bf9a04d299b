"""Tells whether any of many files has changed, without reading them.

By name, size, time of change of the content (mtime) and of the file (ctime, which no program can set). A clock has
grains: two changes within one leave the same times. So files that had just changed when they were scanned are known by
their content too, as Git does it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

CHUNK = 1000
FRESH_NS = 2 * 10**9
"""As long as a file has changed since less than this, another change may leave its times as they are: FAT's grain."""


def fingerprint(settings: Sequence[object], files: Sequence[str], workers: int) -> tuple[str, list[int]]:
    """Hash everything a scan depends on: settings, and name, size and times of change of every file.

    Args:
        settings: whatever else changes the outcome; must have a stable `repr`.
        files: image and label files; missing ones count as such.
        workers: threads, which help where the disk is far away.

    Returns:
        Hexadecimal digest, and the places of the files that have just changed.

    Example:
        >>> one, other = (fingerprint([nc], ["000.jpg", "000.txt"], workers=1)[0] for nc in (1, 2))
        >>> len(one), one == other
        (64, False)
    """
    digest = hashlib.sha256(repr(tuple(settings)).encode())
    fresh: list[int] = []
    since = time.time_ns() - FRESH_NS
    with ThreadPoolExecutor(workers) as pool:
        parts = pool.map(lambda start: _stamps(files[start : start + CHUNK], since), range(0, len(files), CHUNK))
        for number, (stamps, places) in enumerate(parts):
            digest.update(stamps)
            fresh += [number * CHUNK + place for place in places]
    return digest.hexdigest(), fresh


def _stamps(files: Sequence[str], since: int) -> tuple[bytes, list[int]]:
    """Return name, size and times of change of some files, and the places of those that have changed `since` then."""
    stamps, fresh = [], []
    for place, file in enumerate(files):
        try:
            stat = os.stat(file)
        except (OSError, ValueError):
            stamps.append(f"{file}\0missing\0")
            continue
        stamps.append(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\0")
        # Elsewhere ctime is the time of making; and mtime may be anything that a program wrote, also in the future.
        if (stat.st_ctime_ns if os.name == "posix" else stat.st_mtime_ns) >= since:
            fresh.append(place)
    return "".join(stamps).encode("utf-8", "surrogatepass"), fresh


def contents(files: Sequence[str], places: Sequence[int]) -> dict[int, str]:
    """Hash the contents of some of the files.

    Args:
        files: all files.
        places: which of them.

    Returns:
        Hexadecimal digests by place; an empty one of a file that cannot be read, or is none.

    Example:
        >>> contents(["nowhere.txt"], [0])
        {0: ''}
    """
    with ThreadPoolExecutor() as pool:
        return dict(zip(places, pool.map(_content, [files[place] for place in places]), strict=True))


def _content(file: str) -> str:
    try:
        if not os.path.isfile(file):  # opening a pipe would wait
            return ""
        digest = hashlib.sha256()
        with open(file, "rb") as stream:
            while part := stream.read(1 << 20):
                digest.update(part)
        return digest.hexdigest()
    except (OSError, ValueError):
        return ""
