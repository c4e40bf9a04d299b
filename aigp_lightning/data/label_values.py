"""Rows of a label file as numbers: the values are checked, and those that pass become arrays."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.boxes import xyxy_to_xywh
from aigp_lightning.data.problems import Problem

TOLERANCE = 0.01
"""How far outside 0…1 a coordinate may lie, as in Ultralytics."""
BOX_COLUMNS = 5
MAX_VISIBILITY = 2

Tokens = list[tuple[int, list[str]]]
"""Line numbers and words of rows."""
Arrays = tuple["NDArray[np.int64]", "NDArray[np.float32]", "NDArray[np.float32] | None"]
"""Classes (n,), boxes (n, 4) and keypoints (n, K, 3) or None."""
Shape = tuple[int, int] | None
"""Number of keypoints and numbers for each; None where keypoints are not wanted."""


@dataclass
class Rows:
    """The rows of one file that could be read.

    Attributes:
        lines: (n,) their numbers in the file, from 1.
        table: (n, columns) class, box and, where they are wanted, keypoints.
        keys: (n,) equal for duplicates.

    Example:
        >>> rows = Rows(np.array([1]), np.array([[0, 0.5, 0.5, 0.25, 0.25]], np.float32), [b"the only one"])
        >>> rows.table[:, 0].tolist()
        [0.0]
    """

    lines: NDArray[np.int64]
    table: NDArray[np.float32]
    keys: list[bytes]


def no_labels(pose: Shape) -> Arrays:
    """Return the arrays of an image without objects.

    Example:
        >>> [array.shape for array in no_labels((4, 3))]
        [(0,), (0, 4), (0, 4, 3)]
    """
    keypoints = np.zeros((0, pose[0], 3), np.float32) if pose else None
    return np.zeros(0, np.int64), np.zeros((0, 4), np.float32), keypoints


def plain_rows(tokens: Tokens, numbers: NDArray[np.float32]) -> Rows:
    """Arrange rows that all have the same number of columns.

    Args:
        tokens: the rows.
        numbers: their values, one row after the other.

    Example:
        >>> words = "0 0.5 0.5 0.25 0.25".split()
        >>> plain_rows([(1, words)], np.array(words, np.float32)).table.tolist()
        [[0.0, 0.5, 0.5, 0.25, 0.25]]
    """
    lines = np.array([n for n, _ in tokens], np.int64)
    table = numbers.reshape(len(tokens), -1) if tokens else np.zeros((0, BOX_COLUMNS), np.float32)
    return Rows(lines, table, [row.tobytes() for row in table + np.float32(0)])  # + 0 makes -0 and 0 the same key


def polygon_rows(tokens: Tokens, numbers: NDArray[np.float32]) -> Rows:
    """Put boxes around polygons; two polygons in the same box are no duplicates.

    Args:
        tokens: the rows, a class and x y pairs each.
        numbers: their values, one row after the other.

    Example:
        >>> words = "0 0.25 0.25 0.75 0.25 0.75 0.75".split()
        >>> polygon_rows([(1, words)], np.array(words, np.float32)).table.tolist()
        [[0.0, 0.5, 0.5, 0.5, 0.5]]
    """
    lines = np.array([n for n, _ in tokens], np.int64)
    if not tokens:
        return Rows(lines, np.zeros((0, BOX_COLUMNS), np.float32), [])
    starts = np.cumsum([0, *(len(words) for _, words in tokens)])
    is_class = np.zeros(len(numbers), bool)
    is_class[starts[:-1]] = True
    points = numbers[~is_class].reshape(-1, 2)
    first = (starts[:-1] - np.arange(len(tokens))) // 2
    with np.errstate(all="ignore"):
        corners = np.concatenate((np.minimum.reduceat(points, first), np.maximum.reduceat(points, first)), 1)
        table = np.concatenate((numbers[is_class][:, None], xyxy_to_xywh(corners)), 1)
    same = numbers + np.float32(0)
    keys = [same[a:b].tobytes() for a, b in pairwise(starts.tolist())]
    return Rows(lines, table.astype(np.float32), keys)


def check_values(rows: Rows, nc: int, pose: Shape, *, single_cls: bool, file: str) -> list[Problem]:
    """Find values that cannot be: classes out of range, coordinates outside of the image, negative sizes.

    Args:
        rows: at least one.
        nc: number of classes.
        pose: shape of the keypoints in the rows.
        single_cls: class ids have no upper bound.
        file: the label file, for the problems.

    Example:
        >>> words = "3 0.5 0.5 0.25 0.25".split()
        >>> rows = plain_rows([(1, words)], np.array(words, np.float32))
        >>> [str(problem) for problem in check_values(rows, nc=1, pose=None, single_cls=False, file="000.txt")]
        ['000.txt:1 class out of range: class 3, but the data set has 1 (0 to 0)']
    """
    table = rows.table
    finite = np.isfinite(table).all(1)
    cls, size, inside = table[:, 0], table[:, 3:5], table[:, 1:]
    seen = np.zeros((len(table), 0), np.float32)
    if pose:
        points = table[:, BOX_COLUMNS:].reshape(len(table), *pose)
        inside = np.concatenate((table[:, 1:BOX_COLUMNS], points[..., :2].reshape(len(table), -1)), 1)
        seen = points[..., 2:].reshape(len(table), -1)
    if table.min() >= 0 and inside.max() <= 1 and cls.max() < nc and bool((cls % 1 == 0).all()) and finite.all():
        return []  # nearly every file, and cheaper than one mask for each kind of mistake
    with np.errstate(all="ignore"):
        whole = cls % 1 == 0
        wrong_class = (cls < 0) | ((cls >= nc) & (not single_cls))
        outside = (inside < -TOLERANCE) | (inside > 1 + TOLERANCE)
    first_outside = inside[np.arange(len(table)), outside.argmax(1)]
    visibility = seen.min(1, initial=0)
    ids = f"class {{:g}}, but the data set has {nc} (0 to {nc - 1})"
    fraction = "{:g} is not a fraction of the image, 0 to 1"
    checks = (
        ("not finite", ~finite, cls, "a value is NaN or infinite"),
        ("non-integer class", finite & ~whole, cls, "class {:g} is not a whole number"),
        ("class out of range", finite & whole & wrong_class, cls, ids),
        ("coordinate out of range", finite & outside.any(1), first_outside, fraction),
        ("negative size", finite & (size < 0).any(1), size.min(1), "{:g} cannot be a width or height"),
        ("bad visibility", finite & (visibility < 0), visibility, "visibility {:g} is negative"),
    )
    return [
        Problem(file, int(rows.lines[i]), kind, text.format(values[i]), True)
        for kind, mask, values, text in checks
        for i in np.flatnonzero(mask).tolist()
    ]


def to_arrays(rows: Rows, single_cls: bool, pose: Shape, file: str) -> tuple[Arrays, list[Problem]]:
    """Drop duplicates and boxes without area, mend visibilities, and cut the table into arrays.

    Args:
        rows: rows that `check_values` has nothing against.
        single_cls: every class becomes 0.
        pose: shape of the keypoints in the rows.
        file: the label file, for the problems.

    Returns:
        The arrays, and what was dropped or mended, in order of lines.

    Example:
        >>> words = "0 0.5 0.5 0.25 0.25".split()
        >>> rows = plain_rows([(1, words), (2, words)], np.array(words * 2, np.float32))
        >>> (cls, bboxes, _), notes = to_arrays(rows, single_cls=False, pose=None, file="000.txt")
        >>> bboxes.tolist(), [str(note) for note in notes]
        ([[0.5, 0.5, 0.25, 0.25]], ['000.txt:2 duplicate row: same as line 1, dropped'])
    """
    keep, notes = _kept(rows, file)
    lines, table = rows.lines[keep], rows.table[keep]
    cls = np.zeros(len(table), np.int64) if single_cls else table[:, 0].astype(np.int64)
    keypoints = None
    if pose:
        keypoints = table[:, BOX_COLUMNS:].reshape(-1, *pose)
        if pose[1] == 2:  # noqa: PLR2004  no visibility is written, so a point left of or above the image is a missing one
            visible = MAX_VISIBILITY * (keypoints >= 0).all(2, keepdims=True).astype(np.float32)
            keypoints = np.concatenate((keypoints, visible), 2)
        else:
            keypoints = keypoints.copy()
            notes += _mend_visibility(keypoints, lines, file)
    notes.sort(key=lambda p: p.line or 0)
    return (cls, np.ascontiguousarray(table[:, 1:5]), keypoints), notes


def _kept(rows: Rows, file: str) -> tuple[NDArray[np.bool_], list[Problem]]:
    """Tell which rows are neither duplicates nor boxes without area, (n,), and which are left out."""
    notes: list[Problem] = []
    keep = np.ones(len(rows.lines), bool)
    first: dict[bytes, int] = {}
    for i, key in enumerate(rows.keys):
        if (j := first.setdefault(key, i)) != i:
            keep[i] = False
            text = f"same as line {rows.lines[j]}, dropped"
            notes.append(Problem(file, int(rows.lines[i]), "duplicate row", text, False))
    flat = keep & (rows.table[:, 3:5] <= 0).any(1)
    for i in np.flatnonzero(flat).tolist():
        text = f"width {rows.table[i, 3]:g}, height {rows.table[i, 4]:g}, dropped"
        notes.append(Problem(file, int(rows.lines[i]), "zero size", text, False))
    return keep & ~flat, notes


def _mend_visibility(keypoints: NDArray[np.float32], lines: NDArray[np.int64], file: str) -> list[Problem]:
    """Make every visibility 0, 1 or 2, in place, and return what was changed.

    Args:
        keypoints: (n, K, 3).
        lines: (n,) line numbers.
        file: the label file.
    """
    mended = np.minimum(np.ceil(keypoints[..., 2]), MAX_VISIBILITY)
    notes = []
    for i in np.flatnonzero((mended != keypoints[..., 2]).any(1)).tolist():
        one = int((mended[i] != keypoints[i, :, 2]).argmax())
        text = f"{keypoints[i, one, 2]:g} is not 0, 1 or 2, taken as {mended[i, one]:g}"
        notes.append(Problem(file, int(lines[i]), "bad visibility", text, False))
    keypoints[..., 2] = mended
    return notes
