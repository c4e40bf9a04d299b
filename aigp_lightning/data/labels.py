"""Reads one YOLO label file and names everything that is wrong with it, by line.

What is accepted follows `verify_image_label` of Ultralytics, so that both train on the same boxes: five columns for a
box, a polygon whose box is taken, or a box and its keypoints. A file with a bad row is set aside as a whole, since a
picture with half its labels teaches that the other half is background.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.limits import MAX_LABEL_BYTES, MAX_PROBLEMS, MAX_ROWS, regular_file_size

TOLERANCE = 0.01  # how far outside 0…1 a coordinate may lie, as in Ultralytics
BOX_COLUMNS = 5
MIN_POLYGON_COLUMNS = 7
MAX_VISIBILITY = 2

Labels = tuple["NDArray[np.int64]", "NDArray[np.float32]", "NDArray[np.float32] | None", "list[Problem]"]


@dataclass(frozen=True)
class Problem:
    """Something wrong with one file of a data set.

    Attributes:
        file: the image, the label file or the list that is wrong.
        line: line in that file, from 1, where it has lines.
        kind: what is wrong, in words that many problems share.
        text: what is wrong with this one.
        fatal: the image was set aside; otherwise the row was mended or dropped.
    """

    file: str
    line: int | None
    kind: str
    text: str
    fatal: bool

    def __str__(self) -> str:
        """`file:line kind: text` on one line, whatever the file name holds."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return printable(f"{where} {self.kind}: {self.text}")


@dataclass
class _Rows:
    """The rows of one file that could be read: `lines` (n,), `table` (n, columns), `keys` (n,) to find duplicates."""

    lines: NDArray[np.int64]
    table: NDArray[np.float32]
    keys: list[bytes]


def printable(text: str) -> str:
    """The text with control characters escaped, so that file names cannot break lines or steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def parse_label_file(
    path: str | Path,
    nc: int,
    kpt_shape: tuple[int, int] | None,
    single_cls: bool = False,
    *,
    boxes_only: bool = False,
) -> Labels:
    """Read the labels of one image. Never raises for what the file holds.

    Args:
        path: label file; one that does not exist means a background.
        nc: number of classes.
        kpt_shape: number of keypoints and numbers for each (2 or 3), or None for a set without keypoints.
        single_cls: every class becomes 0, and class ids have no upper bound.
        boxes_only: `kpt_shape` tells what the rows look like, but only their boxes are wanted.

    Returns:
        cls (n,), bboxes (n, 4) cxcywh as fractions of the image, keypoints (n, K, 3) as fractions and visibility, or
        None, and the problems in order of lines. With a fatal problem the arrays are empty.
    """
    file = str(path)
    pose = None if boxes_only else kpt_shape
    try:
        regular_file_size(path, MAX_LABEL_BYTES)
        raw = Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return (*_empty(pose), [])
    except (OSError, ValueError) as error:
        return (*_empty(pose), [Problem(file, None, "unreadable label", str(error), True)])
    cls, bboxes, keypoints, problems = _parse(raw, file, nc, kpt_shape, pose, single_cls)
    if (more := len(problems) - MAX_PROBLEMS) > 0:
        fatal = any(problem.fatal for problem in problems)
        last = Problem(file, problems[MAX_PROBLEMS].line, "and more", f"{more} more from this line on", fatal)
        problems = [*problems[:MAX_PROBLEMS], last]
    return cls, bboxes, keypoints, problems


def _parse(
    raw: bytes, file: str, nc: int, kpt_shape: tuple[int, int] | None, pose: tuple[int, int] | None, single_cls: bool
) -> Labels:
    """Read the content of a label file; see `parse_label_file`."""
    tokens, problems = _split(raw, file)
    if len(tokens) + len(problems) > MAX_ROWS:
        text = f"{len(tokens) + len(problems)} lines, at most {MAX_ROWS} are read"
        return (*_empty(pose), [Problem(file, None, "too many rows", text, True)])
    if kpt_shape and pose is None:
        columns = BOX_COLUMNS + kpt_shape[0] * kpt_shape[1]
        tokens = [(n, t[:BOX_COLUMNS] if len(t) == columns else t) for n, t in tokens]
    polygons = pose is None and any(len(t) > BOX_COLUMNS + 1 for _, t in tokens)
    if polygons and not kpt_shape and (count := _likely_keypoints(tokens)):
        text = f"the rows look like a box and {count} keypoints; add 'kpt_shape: [{count}, 3]' to data.yaml"
        return (*_empty(pose), [*problems, Problem(file, tokens[0][0], "keypoints without kpt_shape", text, True)])
    tokens = _check_columns(tokens, polygons, pose, file, problems)
    tokens, numbers = _to_numbers(tokens, file, problems)
    rows = _polygon_rows(tokens, numbers) if polygons else _plain_rows(tokens, numbers)
    if len(rows.lines):
        problems += _check_values(rows, nc, pose, single_cls=single_cls, file=file)
    problems.sort(key=lambda p: p.line or 0)
    if problems or not len(rows.lines):
        return (*_empty(pose), problems)
    return _finish(rows, single_cls, pose, file)


def _empty(pose: tuple[int, int] | None) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32] | None]:
    """Arrays of a background."""
    keypoints = np.zeros((0, pose[0], 3), np.float32) if pose else None
    return np.zeros(0, np.int64), np.zeros((0, 4), np.float32), keypoints


def _split(raw: bytes, file: str) -> tuple[list[tuple[int, list[str]]], list[Problem]]:
    """Line numbers and words of all lines that are not blank; lines that are not UTF-8 become problems."""
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        problems, lines = [], []
        for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").splitlines()[: MAX_ROWS + 1], 1):
            try:
                lines.append(line.decode("utf-8"))
            except UnicodeDecodeError as error:
                lines.append("")
                text = f"byte 0x{line[error.start]:02x} is not UTF-8 text; save the file as plain text"
                problems.append(Problem(file, number, "unreadable label", text, True))
    else:
        problems = []
    return [(n, words) for n, line in enumerate(lines, 1) if (words := line.split())], problems


def _likely_keypoints(tokens: list[tuple[int, list[str]]]) -> int:
    """How many keypoints with visibility the rows seem to have, 0 for none: a polygon has no 2 at every third place."""
    columns = {len(words) for _, words in tokens}
    count, rest = divmod(max(columns) - BOX_COLUMNS, len(("x", "y", "visibility")))
    if len(columns) > 1 or rest or count < 1:
        return 0
    seen = {word for _, words in tokens for word in words[BOX_COLUMNS + 2 :: 3]}
    return count if seen <= {"0", "1", "2", "0.0", "1.0", "2.0"} and len(seen - {"0", "1", "0.0", "1.0"}) else 0


def _check_columns(
    tokens: list[tuple[int, list[str]]],
    polygons: bool,
    pose: tuple[int, int] | None,
    file: str,
    problems: list[Problem],
) -> list[tuple[int, list[str]]]:
    """The rows with a right number of columns; the others become problems."""
    good = []
    for number, words in tokens:
        n, kind = len(words), "wrong column count"
        if polygons:
            if n >= MIN_POLYGON_COLUMNS and n % 2:
                good.append((number, words))
                continue
            if n == BOX_COLUMNS:
                kind, text = "mixed rows", "a box among polygons; write the whole file as boxes or as polygons"
            else:
                text = f"{n} columns, but a polygon is a class and three or more x y pairs"
        else:
            wanted = BOX_COLUMNS + (pose[0] * pose[1] if pose else 0)
            if n == wanted:
                good.append((number, words))
                continue
            what = f"a box and {pose[0]} keypoints of {pose[1]} numbers" if pose else "class x_center y_center w h"
            text = f"{n} columns, expected {wanted} ({what})"
        problems.append(Problem(file, number, kind, text, True))
    return good


def _to_numbers(
    tokens: list[tuple[int, list[str]]], file: str, problems: list[Problem]
) -> tuple[list[tuple[int, list[str]]], NDArray[np.float32]]:
    """The rows that are all numbers, and those numbers one after another; the others become problems."""
    try:
        return tokens, _floats([word for _, words in tokens for word in words])
    except ValueError:
        good = []
        for number, words in tokens:
            bad = next((word for word in words if not _is_number(word)), None)
            if bad is None:
                good.append((number, words))
            else:
                problems.append(Problem(file, number, "not a number", f"{_short(bad)} is not a number", True))
        return good, _floats([word for _, words in good for word in words])


def _floats(words: list[str]) -> NDArray[np.float32]:
    """Numbers as float32, rounded as NumPy does from text."""
    with np.errstate(all="ignore"):  # 1e99 becomes inf, which is reported as such
        return np.array(words, dtype=np.float32)


def _is_number(word: str) -> bool:
    """Whether NumPy reads the word as a number."""
    try:
        _floats([word])
    except ValueError:
        return False
    return True


def _short(word: str, most: int = 40) -> str:
    """The word in quotes, cut."""
    return repr(word if len(word) <= most else word[:most] + "…")


def _plain_rows(tokens: list[tuple[int, list[str]]], numbers: NDArray[np.float32]) -> _Rows:
    """Rows that all have the same number of columns."""
    lines = np.array([n for n, _ in tokens], np.int64)
    table = numbers.reshape(len(tokens), -1) if tokens else np.zeros((0, BOX_COLUMNS), np.float32)
    return _Rows(lines, table, [row.tobytes() for row in table + np.float32(0)])  # + 0 makes -0 and 0 the same key


def _polygon_rows(tokens: list[tuple[int, list[str]]], numbers: NDArray[np.float32]) -> _Rows:
    """Boxes around polygons; two polygons in the same box are no duplicates."""
    lines = np.array([n for n, _ in tokens], np.int64)
    if not tokens:
        return _Rows(lines, np.zeros((0, BOX_COLUMNS), np.float32), [])
    starts = np.cumsum([0, *(len(words) for _, words in tokens)])
    is_class = np.zeros(len(numbers), bool)
    is_class[starts[:-1]] = True
    points = numbers[~is_class].reshape(-1, 2)
    first = (starts[:-1] - np.arange(len(tokens))) // 2
    with np.errstate(all="ignore"):
        low, high = np.minimum.reduceat(points, first), np.maximum.reduceat(points, first)
        table = np.concatenate((numbers[is_class][:, None], (low + high) / 2, high - low), 1)
    same = numbers + np.float32(0)
    keys = [same[a:b].tobytes() for a, b in pairwise(starts.tolist())]
    return _Rows(lines, table.astype(np.float32), keys)


def _check_values(rows: _Rows, nc: int, pose: tuple[int, int] | None, *, single_cls: bool, file: str) -> list[Problem]:
    """Problems of rows with values that cannot be."""
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
    ids = f"the data set has {nc} (0 to {nc - 1})"
    checks = (
        ("not finite", ~finite, cls, "a value is NaN or infinite"),
        ("non-integer class", finite & ~whole, cls, "class {:g} is not a whole number"),
        ("class out of range", finite & whole & wrong_class, cls, f"class {{:g}}, but {ids}"),
        (
            "coordinate out of range",
            finite & outside.any(1),
            first_outside,
            "{:g} is not a fraction of the image, 0 to 1",
        ),
        ("negative size", finite & (size < 0).any(1), size.min(1), "{:g} cannot be a width or height"),
        ("bad visibility", finite & (visibility < 0), visibility, "visibility {:g} is negative"),
    )
    return [
        Problem(file, int(rows.lines[i]), kind, text.format(values[i]), True)
        for kind, mask, values, text in checks
        for i in np.flatnonzero(mask).tolist()
    ]


def _finish(rows: _Rows, single_cls: bool, pose: tuple[int, int] | None, file: str) -> Labels:
    """Drop duplicates and boxes without area, mend visibilities, and cut the table into arrays."""
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
    keep &= ~flat
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
            mended = np.minimum(np.ceil(keypoints[..., 2]), MAX_VISIBILITY)
            for i in np.flatnonzero((mended != keypoints[..., 2]).any(1)).tolist():
                one = int((mended[i] != keypoints[i, :, 2]).argmax())
                text = f"{keypoints[i, one, 2]:g} is not 0, 1 or 2, taken as {mended[i, one]:g}"
                notes.append(Problem(file, int(lines[i]), "bad visibility", text, False))
            keypoints[..., 2] = mended
    notes.sort(key=lambda p: p.line or 0)
    return cls, np.ascontiguousarray(table[:, 1:5]), keypoints, notes
