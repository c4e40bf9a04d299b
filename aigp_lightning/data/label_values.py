"""Rows of a label file as numbers: the values are checked, and those that pass become arrays."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.boxes import xyxy_to_xywh
from aigp_lightning.data import label_bounds as bounds
from aigp_lightning.data.label_bounds import BOX_COLUMNS, OUT_OF_RANGE, Outside
from aigp_lightning.data.polygon_clip import corners_of_polygons
from aigp_lightning.data.polygons import Polygons
from aigp_lightning.data.problems import Problem

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
        keys: (n,) equal for duplicates; None where the values in the table say it.
        inside: (n, 4) x1 y1 x2 y2 of what is in the picture, where that is not the box, clipped; None for boxes.
        polygons: the rows' outlines; None for boxes.

    Example:
        >>> rows = Rows(np.array([1]), np.array([[0, 0.5, 0.5, 0.25, 0.25]], np.float32))
        >>> rows.table[:, 0].tolist()
        [0.0]
    """

    lines: NDArray[np.int64]
    table: NDArray[np.float32]
    keys: list[bytes] | None = None
    inside: NDArray[np.float64] | None = None
    polygons: Polygons | None = None


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
    table = numbers.reshape(len(tokens), -1) if tokens else np.zeros((0, BOX_COLUMNS), np.float32)
    return Rows(np.array([n for n, _ in tokens], np.int64), table)


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
    is_class = np.isin(np.arange(len(numbers)), starts[:-1])
    points = numbers[~is_class].reshape(-1, 2)
    first = (starts[:-1] - np.arange(len(tokens))) // 2
    corners, inside = corners_of_polygons(points, first)
    with np.errstate(all="ignore"):
        table = np.concatenate((numbers[is_class][:, None], xyxy_to_xywh(corners)), 1)
    same = numbers + np.float32(0)
    keys = [same[a:b].tobytes() for a, b in pairwise(starts.tolist())]
    return Rows(lines, table.astype(np.float32), keys, inside, Polygons(points, np.diff(first, append=len(points))))


def check_values(
    rows: Rows, nc: int, pose: Shape, *, single_cls: bool, file: str, outside: Outside = "clip"
) -> list[Problem]:
    """Find values that cannot be: classes out of range, coordinates in pixels, negative sizes.

    Args:
        rows: at least one.
        nc: number of classes.
        pose: shape of the keypoints in the rows.
        single_cls: class ids have no upper bound.
        file: the label file, for the problems.
        outside: with `error`, objects that reach out of the picture are among these values.

    Example:
        >>> words = "3 0.5 0.5 0.25 0.25".split()
        >>> rows = plain_rows([(1, words)], np.array(words, np.float32))
        >>> [str(problem) for problem in check_values(rows, nc=1, pose=None, single_cls=False, file="000.txt")]
        ['000.txt:1 class out of range: class 3, but the data set has 1 (0 to 0)']
    """
    table = rows.table
    if outside != "error" and _is_usual(table, nc, pose):
        return []
    finite = np.isfinite(table).all(1)
    cls, size = table[:, 0], table[:, 3:BOX_COLUMNS]
    seen = table[:, BOX_COLUMNS + 2 :: 3] if pose and pose[1] == 3 else size[:, :0]  # noqa: PLR2004
    with np.errstate(all="ignore"):
        inside = bounds.coordinates(table, pose)
        whole = cls % 1 == 0
        wrong_class = (cls < 0) | ((cls >= nc) & (not single_cls))
        pixels, out = bounds.far_away(inside), bounds.beyond(inside)
        edge = bounds.farthest_edge(table[:, 1:BOX_COLUMNS])
    place = np.arange(len(table))
    first_far, first_out = inside[place, pixels.argmax(1)], inside[place, out.argmax(1)]
    strict = finite & ~pixels.any(1) & (outside == "error")
    visibility = seen.min(1, initial=0)
    ids = f"class {{:g}}, but the data set has {nc} (0 to {nc - 1})"
    fraction = "{:g} is not a fraction of the image, 0 to 1"
    checks = (
        ("not finite", ~finite, cls, "a value is NaN or infinite"),
        ("non-integer class", finite & ~whole, cls, "class {:g} is not a whole number"),
        ("class out of range", finite & whole & wrong_class, cls, ids),
        (OUT_OF_RANGE, finite & pixels.any(1), first_far, f"{fraction}, and looks like pixels"),
        (OUT_OF_RANGE, strict & out.any(1), first_out, fraction),
        (OUT_OF_RANGE, strict & ~out.any(1) & bounds.beyond(edge), edge, "the box reaches to {:g}, out of the picture"),
        ("negative size", finite & (size < 0).any(1), size.min(1), "{:g} cannot be a width or height"),
        ("bad visibility", finite & (visibility < 0), visibility, "visibility {:g} is negative"),
    )
    return [
        Problem(file, int(rows.lines[i]), kind, text.format(values[i]), True)
        for kind, mask, values, text in checks
        for i in np.flatnonzero(mask).tolist()
    ]


def _is_usual(table: NDArray[np.float32], nc: int, pose: Shape) -> bool:
    """True if all numbers are in their ranges, as in nearly every file: cheaper than one mask for each kind of mistake.

    Comparisons with NaN are false.
    """
    cls, last = table[:, 0], MAX_VISIBILITY if pose and pose[1] > MAX_VISIBILITY else 1
    fractions = table[:, 1:] if last == 1 else table[:, 1:BOX_COLUMNS]
    usual = table.min() >= 0 and fractions.max() <= 1 and cls.max() < nc and not (cls % 1).any()
    if usual and last > 1:
        points = table[:, BOX_COLUMNS:].reshape(-1, 3).max(0)
        usual = points[0] <= 1 and points[1] <= 1 and points[2] <= last
    return bool(usual)


def to_arrays(
    rows: Rows, single_cls: bool, pose: Shape, file: str, outside: Outside = "clip"
) -> tuple[Arrays, NDArray[np.int64], list[Problem]]:
    """Drop duplicates and boxes without area, mend what reaches out of the picture, and cut the table into arrays.

    Args:
        rows: rows that `check_values` has nothing against.
        single_cls: every class becomes 0.
        pose: shape of the keypoints in the rows.
        file: the label file, for the problems.
        outside: `clip` or `drop`; with `error` nothing reaches out any more.

    Returns:
        The arrays; (m,) their lines in the file; and what was dropped or mended, in order of lines.

    Example:
        >>> words = "0 0.5 0.5 0.25 0.25".split()
        >>> rows = plain_rows([(1, words), (2, words)], np.array(words * 2, np.float32))
        >>> (cls, bboxes, _), lines, notes = to_arrays(rows, single_cls=False, pose=None, file="000.txt")
        >>> bboxes.tolist(), lines.tolist(), [str(note) for note in notes]
        ([[0.5, 0.5, 0.25, 0.25]], [1], ['000.txt:2 duplicate row: same as line 1, dropped'])
    """
    notes: list[Problem] = []
    keypoints = _with_visibility(rows, pose, file, notes) if pose else None
    keep = _kept(rows, keypoints, file, notes)
    lines, table = rows.lines[keep], rows.table[keep]
    boxes, keypoints = np.ascontiguousarray(table[:, 1:BOX_COLUMNS]), None if keypoints is None else keypoints[keep]
    part = None if rows.inside is None else rows.inside[keep]
    inside = bounds.mend(boxes, keypoints, lines, file, notes, drop=outside == "drop", part=part)
    if not inside.all():
        lines, table, boxes = lines[inside], table[inside], boxes[inside]
        keypoints = None if keypoints is None else keypoints[inside]
    cls = np.zeros(len(table), np.int64) if single_cls else table[:, 0].astype(np.int64)
    notes.sort(key=lambda p: p.line or 0)
    return (cls, boxes, keypoints), lines, notes


def _kept(rows: Rows, keypoints: NDArray[np.float32] | None, file: str, notes: list[Problem]) -> NDArray[np.bool_]:
    """Tell which rows are neither duplicates nor boxes without area, (n,), and note those that are left out."""
    keep = np.ones(len(rows.lines), bool)
    first: dict[bytes, int] = {}
    keys = rows.keys
    if keys is None:
        table = rows.table
        if keypoints is not None:
            table = np.concatenate((table[:, :BOX_COLUMNS], keypoints.reshape(len(keep), -1)), 1)
        keys = [row.tobytes() for row in table + np.float32(0)]  # + 0 makes -0 and 0 the same key
    for i, key in enumerate(keys):
        if (j := first.setdefault(key, i)) != i:
            keep[i] = False
            text = f"same as line {rows.lines[j]}, dropped"
            notes.append(Problem(file, int(rows.lines[i]), "duplicate row", text, False))
    flat = keep & (rows.table[:, 3:BOX_COLUMNS] <= 0).any(1)
    for i in np.flatnonzero(flat).tolist():
        text = f"width {rows.table[i, 3]:g}, height {rows.table[i, 4]:g}, dropped"
        notes.append(Problem(file, int(rows.lines[i]), "zero size", text, False))
    return np.asarray(keep & ~flat)


def _with_visibility(rows: Rows, pose: tuple[int, int], file: str, notes: list[Problem]) -> NDArray[np.float32]:
    """Return (n, K, 3) keypoints whose visibility is 0, 1 or 2, those with 0 at 0, 0; note what had to be mended."""
    points = rows.table[:, BOX_COLUMNS:].reshape(-1, *pose)
    if pose[1] == 2:  # noqa: PLR2004  no visibility is written, so a point left of or above the image is a missing one
        seen = bounds.labelled(points) & (
            (points >= 0).all(2) | bounds.beyond(points).any(2)
        )  # `mend` tells of those beyond
        visible = MAX_VISIBILITY * seen.astype(np.float32)
    else:
        written = points[..., 2]
        visible = np.minimum(np.ceil(written), MAX_VISIBILITY)
        for i in np.flatnonzero((visible != written).any(1)).tolist():
            one = int((visible[i] != written[i]).argmax())
            text = f"{written[i, one]:g} is not 0, 1 or 2, taken as {visible[i, one]:g}"
            notes.append(Problem(file, int(rows.lines[i]), "bad visibility", text, False))
    keypoints = np.empty((*visible.shape, 3), np.float32)
    keypoints[..., :2], keypoints[..., 2] = points[..., :2], visible
    keypoints[visible == 0] = 0
    return keypoints
