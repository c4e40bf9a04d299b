"""Words of a label file: columns are counted, and become numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.label_bounds import BOX_COLUMNS
from aigp_lightning.data.label_values import Shape, Tokens
from aigp_lightning.data.problems import Problem

MIN_POLYGON_COLUMNS = 7
"""A class and three corners."""


def check_columns(
    tokens: Tokens, polygons: bool, kpt_shape: Shape, pose: Shape, file: str, problems: list[Problem]
) -> Tokens:
    """Return the rows with a right number of columns; add the others to the problems.

    Args:
        tokens: the rows.
        polygons: they are read as polygons.
        kpt_shape: number of keypoints and numbers for each, as `data.yaml` says, or None.
        pose: the same where keypoints are wanted.
        file: the label file, for the problems.
        problems: get one for each other row.

    Example:
        >>> found = []
        >>> rows = [(1, "0 0.5 0.5 0.1 0.1".split()), (2, ["0", "0.5"])]
        >>> len(check_columns(rows, False, None, None, "000.txt", found)), str(found[0])
        (1, '000.txt:2 wrong column count: 2 columns, expected 5 (class x_center y_center w h)')
    """
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
            if kpt_shape and not pose:  # both are read
                wanted += kpt_shape[0] * kpt_shape[1]
                what = (
                    f"a box and {kpt_shape[0]} keypoints of {kpt_shape[1]} numbers, as 'kpt_shape' says, or 5: {what}"
                )
            text = f"{n} columns, expected {wanted} ({what})"
        problems.append(Problem(file, number, kind, text, True))
    return good


def to_numbers(tokens: Tokens, file: str, problems: list[Problem]) -> tuple[Tokens, NDArray[np.float32]]:
    """Return the rows that are all numbers, and those one after another; add the other rows to the problems.

    Args:
        tokens: the rows.
        file: the label file, for the problems.
        problems: get one for each other row.

    Example:
        >>> found = []
        >>> to_numbers([(1, ["0", "0.5"]), (2, ["0", "x"])], "000.txt", found)[1].tolist(), str(found[0])
        ([0.0, 0.5], "000.txt:2 not a number: 'x' is not a number")
    """
    try:
        return tokens, floats([word for _, words in tokens for word in words])
    except ValueError:
        good = []
        for number, words in tokens:
            bad = next((word for word in words if not _is_number(word)), None)
            if bad is None:
                good.append((number, words))
            else:
                problems.append(Problem(file, number, "not a number", f"{_short(bad)} is not a number", True))
        return good, floats([word for _, words in good for word in words])


def floats(words: list[str]) -> NDArray[np.float32]:
    """Convert to float32, rounded as NumPy does from text.

    Args:
        words: one number each.

    Raises:
        ValueError: one is none.

    Example:
        >>> floats(["0.5", "1e99"]).tolist()
        [0.5, inf]
    """
    with np.errstate(all="ignore"):  # 1e99 becomes inf, which is reported as such
        return np.array(words, dtype=np.float32)


def _is_number(word: str) -> bool:
    """True if NumPy reads the word as a number."""
    try:
        floats([word])
    except ValueError:
        return False
    return True


def _short(word: str, most: int = 40) -> str:
    """Quote a word, cut if it is long."""
    return repr(word if len(word) <= most else word[:most] + "…")
