"""Tells rows of a box and keypoints from polygons, where no `kpt_shape` says which they are.

A row `class x y w h` and pairs reads as a polygon too, whose box is another one. Small polygons may look like keypoints
in a box, so that one file proves little: the files of a split are judged together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.label_bounds import BOX_COLUMNS
from aigp_lightning.data.problems import Problem

WITHOUT_SHAPE = "keypoints without kpt_shape"
ENOUGH_POINTS = 3
"""Points by which a row without visibilities is judged; fewer where it never has more."""
SLACK, ROUNDING = 0.1, 0.01
"""How far out of its box a keypoint may lie: by the box's size, and of the picture."""
SPREAD = 0.4
"""Of the box's width or height: keypoints reach this far, while a small polygon fills little of a box made up of its
first two corners."""
SHARE = 4
"""Keypoints are meant where so many files look like it for each that must be polygons."""

Numbers = NDArray[np.float64]


def likely_keypoints(rows: Sequence[Sequence[str]]) -> tuple[tuple[int, int], bool] | None:
    """Guess the `kpt_shape` of the rows of one file that would be read as polygons.

    Args:
        rows: the words of each.

    Returns:
        Number of keypoints and numbers for each, and whether it is certain: a polygon has no 2 at every third place.
        None where the rows are no boxes with keypoints.

    Example:
        >>> likely_keypoints(["0 0.5 0.5 0.4 0.2 0.3 0.4 1 0.7 0.6 1".split()])
        ((2, 3), False)
        >>> likely_keypoints(["0 0.5 0.5 0.4 0.2 0.3 0.4 0.7 0.4 0.7 0.6".split()])
        ((3, 2), False)
        >>> likely_keypoints(["0 0.5 0.5 0.6 0.5 0.6 0.6 0.5 0.6 0.45 0.55".split()]) is None
        True
    """
    columns = {len(row) for row in rows}
    if len(columns) != 1:
        return None
    try:
        table = np.array(rows, np.float64)
    except ValueError:
        return None
    if not np.isfinite(table).all():
        return None
    extra = columns.pop() - BOX_COLUMNS
    if extra % 3 == 0:
        points = table[:, BOX_COLUMNS:].reshape(len(table), -1, 3)
        if np.isin(points[..., 2], (0, 1, 2)).all():
            sure = bool((points[..., 2] == 2).any())  # noqa: PLR2004
            if sure or _fits(table, points, spread=0):
                return (points.shape[1], 3), sure
    if extra % 2 == 0:
        points = table[:, BOX_COLUMNS:].reshape(len(table), -1, 2)
        there = np.asarray((points >= 0).all(2) & (points > 0).any(2))[..., None]
        if points.shape[1] > 1 and _fits(table, np.concatenate((points, there), 2), spread=SPREAD):
            return (points.shape[1], 2), False
    return None


def _fits(table: Numbers, points: Numbers, spread: float) -> bool:
    """True if all points (n, K, 3) lie in the boxes of their rows and reach far in them; those with a 0 count not."""
    labelled = points[..., 2] > 0
    judged = labelled.sum(1) >= (min(ENOUGH_POINTS, points.shape[1]) if spread else 1)
    if not judged.any():
        return False
    centre, size = table[judged, None, 1:3], table[judged, None, 3:BOX_COLUMNS]
    places, there = points[judged, :, :2], labelled[judged, :, None]
    if not ((np.abs(places - centre) <= (0.5 + SLACK) * size + ROUNDING) | ~there).all():
        return False
    reach: Numbers = np.where(there, places, -np.inf).max(1) - np.where(there, places, np.inf).min(1)
    return bool((reach >= spread * size[:, 0]).all())


def suspicion(file: str, line: int, shape: tuple[int, int], *, sure: bool) -> Problem:
    """Make the problem of a file whose rows look like boxes with keypoints.

    Args:
        file: label file.
        line: the first of the rows.
        shape: number of keypoints and numbers for each.
        sure: the file is set aside; else `settle` decides.

    Example:
        >>> suspicion("000.txt", 1, (4, 3), sure=True).text
        "the rows look like a box and 4 keypoints; add 'kpt_shape: [4, 3]' to data.yaml"
    """
    count, numbers = shape
    text = f"the rows look like a box and {count} keypoints; add 'kpt_shape: [{count}, {numbers}]' to data.yaml"
    return Problem(file, line, WITHOUT_SHAPE, text, sure)


def settle(
    problems: Sequence[Sequence[Problem]], labels: Sequence[str], is_polygons: Callable[[str], bool]
) -> list[list[Problem]]:
    """Decide for all files of a split whether those that look like keypoints are.

    Args:
        problems: of each image.
        labels: the label file of each.
        is_polygons: tells if a file has rows that are read as polygons.

    Returns:
        The problems of each image; a suspicion has become fatal, or is gone.

    Example:
        >>> found = [[suspicion("a.txt", 1, (4, 2), sure=False)], []]
        >>> [len(problems) for problems in settle(found, ["a.txt", "b.txt"], lambda file: True)]
        [0, 0]
        >>> settle(found, ["a.txt", "b.txt"], lambda file: False)[0][0].fatal
        True
    """
    suspected = [any(p.kind == WITHOUT_SHAPE for p in found) for found in problems]
    left = sum(suspected)
    if not any(p.kind == WITHOUT_SHAPE and not p.fatal for found in problems for p in found):
        return [list(found) for found in problems]
    for label, found, suspect in zip(labels, problems, suspected, strict=True):
        if not suspect and not any(p.fatal for p in found) and is_polygons(label):
            left -= SHARE
            if left < 0:
                return [[p for p in found if p.kind != WITHOUT_SHAPE or p.fatal] for found in problems]
    return [[replace(p, fatal=True) if p.kind == WITHOUT_SHAPE else p for p in found] for found in problems]
