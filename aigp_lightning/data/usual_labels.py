"""Reads many label files at once, those in which there is nothing to find wrong: nearly all.

A file costs a tenth of a millisecond where each is checked by itself, most of it for calls of NumPy on a few numbers.
Here one call checks the numbers of many files. What is unusual in any way is left to `labels`, which tells what it is.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.label_bounds import BOX_COLUMNS, TOLERANCE
from aigp_lightning.data.label_values import MAX_VISIBILITY, Arrays, Shape, no_labels

NUMBERS = b"0123456789.-+eE \t\r\n"
"""Bytes of a file of nothing but numbers."""
LARGEST = 1 << 18
"""Bytes of a file that is read here, as several thousand boxes have."""


def usual_labels(files: Sequence[str], nc: int, pose: Shape, single_cls: bool) -> list[Arrays | None]:
    """Read label files of boxes, or of boxes and keypoints with visibility.

    Args:
        files: label files, in a set without `kpt_shape`, or one whose keypoints are wanted.
        nc: number of classes.
        pose: number of keypoints and numbers for each, or None where only boxes are in the files.
        single_cls: every class becomes 0.

    Returns:
        For each file what `parse_label_file` would return, without problems; None where it might find some, and for
        what is no file.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp(dir="."))
        >>> _ = (folder / "0.txt").write_text("0 0.5 0.5 0.25 0.125"), (folder / "1.txt").write_text("0 0.5 0.5")
        >>> good, bad = usual_labels([str(folder / "0.txt"), str(folder / "1.txt")], 1, None, False)
        >>> good[0].tolist(), good[1].tolist(), bad
        ([0], [[0.5, 0.5, 0.25, 0.125]], None)
    """
    found: list[Arrays | None] = [None] * len(files)
    if pose and pose[1] != 3:  # noqa: PLR2004  which keypoints are missing is to be told from their places
        return found
    columns = BOX_COLUMNS + (pose[0] * pose[1] if pose else 0)
    places, counts, words = [], [], []
    for place, file in enumerate(files):
        if (mine := _words(file, columns)) is None:
            continue
        places.append(place)
        counts.append(len(mine) // columns)
        words += mine
    try:
        with np.errstate(all="ignore"):
            table = np.array(words, np.float32).reshape(-1, columns)
    except ValueError:  # one of the words is no number
        return found
    owner = np.repeat(np.arange(len(places)), counts)
    keypoints = _keypoints(table, pose)
    usual = np.ones(len(places), bool)
    usual[owner[~_is_usual(table, nc, pose)]] = False
    usual[_with_duplicates(table, keypoints, owner)] = False
    cls = np.zeros(len(table), np.int64) if single_cls else _classes(table)
    boxes = np.ascontiguousarray(table[:, 1:BOX_COLUMNS])
    ends = np.cumsum(counts, dtype=np.int64).tolist()
    for place, good, count, end in zip(places, usual.tolist(), counts, ends, strict=True):
        if good:
            rows = slice(end - count, end)
            points = None if keypoints is None else keypoints[rows]
            found[place] = (cls[rows], boxes[rows], points) if count else no_labels(pose)
    return found


def _words(file: str, columns: int) -> list[str] | None:
    """Return the numbers in a file, if it has nothing else and each line that is not blank has as many as wanted."""
    try:
        status = os.stat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            return None
        with open(file, "rb", buffering=0) as stream:
            raw = stream.read()
    except (OSError, ValueError):
        return None
    if raw is None or raw.translate(None, NUMBERS):
        return None
    lines = [words for line in raw.decode("ascii").splitlines() if (words := line.split())]
    if any(len(words) != columns for words in lines):
        return None
    return [word for words in lines for word in words]


def _is_usual(table: NDArray[np.float32], nc: int, pose: Shape) -> NDArray[np.bool_]:
    """Tell of each row, (n,), if its class exists, its box has an area in the picture, and so its keypoints' places."""
    cls, boxes = table[:, 0], table[:, 1:BOX_COLUMNS]
    with np.errstate(all="ignore"):
        half = boxes[:, 2:] / 2
        edges = np.concatenate((boxes[:, :2] - half, boxes[:, :2] + half), 1)
        good = (cls >= 0) & (cls < nc) & (cls % 1 == 0) & (boxes[:, 2:] > 0).all(1)
        good &= ((boxes >= 0) & (boxes <= 1) & (edges >= -TOLERANCE) & (edges <= 1 + TOLERANCE)).all(1)
        if pose:
            points = table[:, BOX_COLUMNS:].reshape(-1, *pose)
            seen = points[..., 2]
            good &= ((points[..., :2] >= 0) & (points[..., :2] <= 1)).all((1, 2))
            good &= ((seen == 0) | (seen == 1) | (seen == MAX_VISIBILITY)).all(1)
    return np.asarray(good)


def _keypoints(table: NDArray[np.float32], pose: Shape) -> NDArray[np.float32] | None:
    """Return (n, K, 3) keypoints, those that are not visible at 0, 0; None where there are none."""
    if not pose:
        return None
    points: NDArray[np.float32] = table[:, BOX_COLUMNS:].reshape(-1, *pose).copy()
    points[points[..., 2] == 0] = 0
    return points


def _classes(table: NDArray[np.float32]) -> NDArray[np.int64]:
    with np.errstate(invalid="ignore"):  # of rows that are not usual
        return table[:, 0].astype(np.int64)


def _with_duplicates(
    table: NDArray[np.float32], keypoints: NDArray[np.float32] | None, owner: NDArray[np.int64]
) -> list[int]:
    """Return the numbers of the files in which two rows say the same."""
    same = table[:, :BOX_COLUMNS]
    if keypoints is not None:
        same = np.concatenate((same, keypoints.reshape(len(table), math.prod(keypoints.shape[1:]))), 1)
    keys = (same + np.float32(0)).tobytes()  # + 0 makes -0 and 0 the same
    width = 4 * same.shape[1]
    seen: set[tuple[int, bytes]] = set()
    found = []
    for number, file in enumerate(owner.tolist()):
        key = file, keys[number * width : (number + 1) * width]
        if key in seen:
            found.append(file)
        seen.add(key)
    return found
