"""Reads one YOLO label file and names everything that is wrong with it, by line.

What is accepted follows `verify_image_label` of Ultralytics, so that both train on the same boxes: five columns for a
box, a polygon whose box is taken (in a set without keypoints), or a box and its keypoints; only objects that reach out
of the picture are mended, where Ultralytics leaves out the picture (see `label_bounds`). A file with a bad row is set
aside as a whole, since a picture with half its labels teaches that the other half is background.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.label_bounds import BOX_COLUMNS, Outside
from aigp_lightning.data.label_values import (
    Rows,
    Shape,
    Tokens,
    check_values,
    no_labels,
    plain_rows,
    polygon_rows,
    to_arrays,
)
from aigp_lightning.data.label_words import check_columns, floats, to_numbers
from aigp_lightning.data.likely_keypoints import WITHOUT_SHAPE, likely_keypoints, suspicion
from aigp_lightning.data.limits import MAX_LABEL_BYTES, MAX_PROBLEMS, MAX_ROWS, regular_file_size
from aigp_lightning.data.polygons import Polygons, no_polygons
from aigp_lightning.data.problems import Problem
from aigp_lightning.run.exhausted import raise_if_exhausted

Labels = tuple["NDArray[np.int64]", "NDArray[np.float32]", "NDArray[np.float32] | None", "list[Problem]"]


def parse_label_file(
    path: str | Path,
    nc: int,
    kpt_shape: tuple[int, int] | None,
    single_cls: bool = False,
    *,
    boxes_only: bool = False,
    outside: Outside = "clip",
) -> Labels:
    """Read the labels of one image. Never raises for what the file holds.

    Args:
        path: label file; one that does not exist means a background.
        nc: number of classes.
        kpt_shape: number of keypoints and numbers for each (2 or 3), or None for a set without keypoints.
        single_cls: every class becomes 0, and class ids have no upper bound.
        boxes_only: `kpt_shape` tells what the rows look like, but only their boxes are wanted.
        outside: what becomes of objects that reach out of the picture.

    Returns:
        cls (n,), bboxes (n, 4) cxcywh as fractions of the image, keypoints (n, K, 3) as fractions and visibility, or
        None, and the problems in order of lines. With a fatal problem the arrays are empty.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(dir=".")) / "000.txt"
        >>> _ = file.write_text("0 0.5 0.5 0.25 0.125")
        >>> cls, bboxes, keypoints, problems = parse_label_file(file, nc=1, kpt_shape=None)
        >>> cls.tolist(), bboxes.tolist(), keypoints, problems
        ([0], [[0.5, 0.5, 0.25, 0.125]], None, [])
        >>> _ = file.write_text("3 0.5 0.5 0.25 0.125")
        >>> print(parse_label_file(file, nc=1, kpt_shape=None)[3][0].text)
        class 3, but the data set has 1 (0 to 0)
    """
    labels, _, _ = _read(path, nc, kpt_shape, None if boxes_only else kpt_shape, single_cls, outside)
    return _with_fewer_problems(labels, str(path))


def parse_outlines(
    path: str | Path,
    nc: int,
    kpt_shape: tuple[int, int] | None,
    single_cls: bool = False,
    *,
    outside: Outside = "clip",
) -> tuple[Labels, Polygons]:
    """Read the labels of one image and keep the outlines of its objects, as they are written.

    Rows that might be keypoints are polygons here, unless they are no polygons for certain.

    Args:
        path: label file; one that does not exist means a background.
        nc: number of classes.
        kpt_shape: as in `parse_label_file`; rows of keypoints have boxes and no outlines.
        single_cls: as in `parse_label_file`.
        outside: as in `parse_label_file`; an outline is not clipped.

    Returns:
        As `parse_label_file` without keypoints, and the outlines; an object that is written as a box has no points.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(dir=".")) / "000.txt"
        >>> _ = file.write_text("0 0.5 0.5 0.75 0.5 0.75 0.75")
        >>> (cls, bboxes, _, problems), outlines = parse_outlines(file, nc=1, kpt_shape=None)
        >>> bboxes.tolist(), outlines.points.tolist()
        ([[0.625, 0.625, 0.25, 0.25]], [[0.5, 0.5], [0.75, 0.5], [0.75, 0.75]])
    """
    labels, _, polygons = _read(path, nc, kpt_shape, None, single_cls, outside, sure_only=True)
    return _with_fewer_problems(labels, str(path)), polygons


def _with_fewer_problems(labels: Labels, file: str) -> Labels:
    """Return labels with no more problems than are told of one file."""
    cls, bboxes, keypoints, problems = labels
    if (more := len(problems) - MAX_PROBLEMS) > 0:
        fatal = any(problem.fatal for problem in problems)
        last = Problem(file, problems[MAX_PROBLEMS].line, "and more", f"{more} more from this line on", fatal)
        problems = [*problems[:MAX_PROBLEMS], last]
    return cls, bboxes, keypoints, problems


def object_lines(path: str | Path, kpt_shape: tuple[int, int] | None, outside: Outside = "clip") -> list[int]:
    r"""Read a label file again to tell in which line each of its objects stands.

    Args:
        path: label file.
        kpt_shape: as in `parse_label_file`.
        outside: as in `parse_label_file`.

    Returns:
        Lines, from 1, in the order of `parse_label_file`'s objects; none where it is not accepted any more.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(dir=".")) / "000.txt"
        >>> _ = file.write_text("\n0 0.5 0.5 0.25 0.125\n0 0.5 0.5 0.25 0.125\n1 0.5 0.5 0.25 0.125")
        >>> object_lines(file, kpt_shape=None)
        [2, 4]
    """
    return _read(path, 0, kpt_shape, kpt_shape, True, outside)[1]


def is_polygons(path: str | Path) -> bool:
    """True if a label file has rows that are read as polygons where no `kpt_shape` is given.

    Args:
        path: label file; one that cannot be read has none.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(dir=".")) / "000.txt"
        >>> _ = file.write_text("0 0.5 0.5 0.75 0.5 0.75 0.75")
        >>> is_polygons(file)
        True
    """
    try:
        regular_file_size(path, MAX_LABEL_BYTES)
        tokens, _ = _split(Path(path).read_bytes(), str(path))
        return any(len(words) > BOX_COLUMNS + 1 for _, words in tokens)
    except (OSError, ValueError):
        return False


def _read(
    path: str | Path,
    nc: int,
    kpt_shape: Shape,
    pose: Shape,
    single_cls: bool,
    outside: Outside,
    sure_only: bool = False,
) -> tuple[Labels, list[int], Polygons]:
    """Read a label file, see `parse_label_file`; then come the lines of its objects and their outlines."""
    file = str(path)
    try:
        regular_file_size(path, MAX_LABEL_BYTES)
        raw = Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        text = "the link leads nowhere"
        lost = [Problem(file, None, "missing label", text, True)] if os.path.islink(path) else []
        return (*no_labels(pose), lost), [], no_polygons()
    except (OSError, ValueError) as error:
        raise_if_exhausted(error)
        return (*no_labels(pose), [Problem(file, None, "unreadable label", str(error), True)]), [], no_polygons()
    rows, problems = _rows(raw, file, kpt_shape, pose)
    if sure_only:
        problems = [problem for problem in problems if problem.kind != WITHOUT_SHAPE or problem.fatal]
    if len(rows.lines):
        problems += check_values(rows, nc, pose, single_cls=single_cls, file=file, outside=outside)
    problems.sort(key=lambda p: p.line or 0)
    if any(problem.fatal for problem in problems) or not len(rows.lines):
        return (*no_labels(pose), problems), [], no_polygons()
    arrays, lines, notes = to_arrays(rows, single_cls, pose, file, outside)
    kept = np.isin(rows.lines, lines)
    polygons = no_polygons(len(lines)) if rows.polygons is None else rows.polygons.select(kept)
    return (*arrays, problems + notes), lines.tolist(), polygons


def _rows(raw: bytes, file: str, kpt_shape: Shape, pose: Shape) -> tuple[Rows, list[Problem]]:
    """Read the rows of a label file as numbers; those that are not become problems."""
    tokens, problems = _split(raw, file)
    if len(tokens) + len(problems) > MAX_ROWS:
        text = f"{len(tokens) + len(problems)} lines, at most {MAX_ROWS} are read"
        return plain_rows([], floats([])), [Problem(file, None, "too many rows", text, True)]
    if kpt_shape and pose is None:
        columns = BOX_COLUMNS + kpt_shape[0] * kpt_shape[1]
        tokens = [(n, t[:BOX_COLUMNS] if len(t) == columns else t) for n, t in tokens]
    polygons = not kpt_shape and any(len(words) > BOX_COLUMNS + 1 for _, words in tokens)
    if polygons and (likely := likely_keypoints([words for _, words in tokens])):
        shape, sure = likely
        problems.append(suspicion(file, tokens[0][0], shape, sure=sure))
        if sure:
            return plain_rows([], floats([])), problems
    tokens = check_columns(tokens, polygons, kpt_shape, pose, file, problems)
    tokens, numbers = to_numbers(tokens, file, problems)
    return (polygon_rows if polygons else plain_rows)(tokens, numbers), problems


def _split(raw: bytes, file: str) -> tuple[Tokens, list[Problem]]:
    """Split into line numbers and words, blank lines left out; lines that are not UTF-8 become problems."""
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
