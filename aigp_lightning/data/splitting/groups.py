"""Tells which pictures go together into one split."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.leaks.frame_names import FOLDERS, recordings
from aigp_lightning.data.leaks.near_duplicates import Comparable, near_pairs
from aigp_lightning.data.splitting.options import FOLDER, SplitOptions
from aigp_lightning.errors import ConfigError, printable

PAUSE_SECONDS, PAUSE_STEPS = 10.0, 20
"""Times of a recording that differ by more than both begin another session."""


def groups_of(files: Sequence[str], root: str, options: SplitOptions) -> NDArray[np.int64]:
    """Tell the group of each picture, by folder, session or pattern.

    Args:
        files: the pictures.
        root: folder of the data set.
        options: of the split.

    Returns:
        int64 (n,) group of each, from 0.

    Raises:
        ConfigError: a pattern does not match a picture, or all are in one group.

    Example:
        >>> groups_of(["/g/images/a/1.jpg", "/g/images/b/1.jpg"], "/g", SplitOptions(by="group")).tolist()
        [0, 1]
    """
    pattern = options.pattern()
    if pattern is not None:
        names = _matches(files, root, pattern)
    elif options.group == FOLDER:
        names = [_folder(file, root) for file in files]
    else:
        names = _sessions(files, root)
    found, numbers = np.unique(np.array(names, dtype=object), return_inverse=True)
    needed = len(options.shares())
    if len(found) < needed:
        raise ConfigError(
            f"--group {options.group}: all {len(files)} pictures are in {len(found)} group{'s' * (len(found) != 1)} "
            f"({', '.join(map(printable, found[:3]))}), and {needed} splits need as many; try another --group, or "
            "--by block."
        )
    return np.asarray(numbers, np.int64).reshape(-1)


def _folder(file: str, root: str) -> str:
    """Return the folder of a picture below the data set's, without those that name splits."""
    parts = os.path.dirname(os.path.relpath(file, root)).replace("\\", "/").split("/")
    return "/".join(part for part in parts if part.lower() not in FOLDERS) or "."


def _matches(files: Sequence[str], root: str, pattern: re.Pattern[str]) -> list[str]:
    paths = [os.path.relpath(file, root).replace(os.sep, "/") for file in files]
    found = [pattern.search(path) for path in paths]
    lost = [path for path, match in zip(paths, found, strict=True) if match is None or match[1] is None]
    if lost:
        raise ConfigError(
            f"--group {pattern.pattern}: does not match {len(lost)} of {len(files)} pictures, such as "
            f"{printable(lost[0])}."
        )
    return [str(match[1]) for match in found if match is not None]


def _sessions(files: Sequence[str], root: str) -> list[str]:
    """Name the recording of each picture; one with times is parted where it pauses."""
    names = [f"/{file}" for file in files]  # a picture without a number is a session of its own
    for recording in recordings(files, root, least=1):
        part = np.zeros(len(recording.places), np.int64)
        if recording.timed and len(part) > 1:
            pause = max(PAUSE_SECONDS, PAUSE_STEPS * recording.step)
            part[1:] = np.cumsum(np.diff(recording.numbers) > pause)
        for place, number in zip(recording.places.tolist(), part.tolist(), strict=True):
            names[place] = f"{recording.name} {number}"
    return names


def alike_groups(pictures: Comparable) -> NDArray[np.int64]:
    """Tell the group of each picture, all of which show nearly the same view as another of their group.

    Args:
        pictures: n, ready to be compared.

    Returns:
        int64 (n,) group of each, from 0.
    """
    pairs, _ = near_pairs(pictures)
    labels = np.arange(len(pictures))
    while True:  # each takes the lowest number among its neighbours, until nobody finds a lower one
        lower = labels.copy()
        for one, other in (pairs.T, pairs.T[::-1]):
            np.minimum.at(lower, one, labels[other])
        lower = lower[lower]
        if (lower == labels).all():
            return np.asarray(np.unique(labels, return_inverse=True)[1], np.int64).reshape(-1)
        labels = lower
