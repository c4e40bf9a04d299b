"""Objects that reach out of the picture, as labels of close gates do: clipped, dropped, or not to be had."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.boxes import xywh_to_xyxy, xyxy_to_xywh
from aigp_lightning.data.problems import BOX_OUTSIDE, GONE, OBJECT_OUTSIDE, POINT_OUTSIDE, Problem
from aigp_lightning.errors import ConfigError

Outside = Literal["clip", "drop", "error"]
"""What becomes of an object that reaches out of the picture."""
TOLERANCE = 0.01
"""How far outside 0…1 a number may lie and stay as it is written, as in Ultralytics: rounding, mostly."""
FAR = 4.0
"""Picture sizes beyond the border, on any side: a number further out, or a size over 1 + this, is in pixels."""
SLIVER = 1e-4
"""Of the picture's side: what is left of a box within the picture must be wider and higher."""
BOX_COLUMNS = 5
MISSING = -1.0
"""Both x and y of a keypoint that is missing, where no visibility is written."""
OUT_OF_RANGE = "coordinate out of range"

Numbers = NDArray[np.float32]
Mask = NDArray[np.bool_]


def check_outside(value: Any) -> Outside:
    """Return the option if it is one.

    Args:
        value: from wherever.

    Raises:
        ConfigError: it is not.

    Example:
        >>> check_outside("drop")
        'drop'
    """
    if value not in get_args(Outside):
        raise ConfigError(f"--data.outside is {value}; it must be one of {', '.join(get_args(Outside))}.")
    return value  # type: ignore[no-any-return]


def coordinates(table: Numbers, pose: tuple[int, int] | None) -> Numbers:
    """Return the numbers of each row that must be fractions: of its box, and of the keypoints that are labelled.

    Args:
        table: (n, columns) class, box and, where they are wanted, keypoints.
        pose: number of keypoints and numbers for each, or None.

    Returns:
        (n, m); the first four are the box, and 0 stands for what is not labelled.

    Example:
        >>> coordinates(np.float32([[0, 0.5, 0.5, 0.25, 0.25, 7, 7, 0]]), (1, 3)).tolist()
        [[0.5, 0.5, 0.25, 0.25, 0.0, 0.0]]
    """
    boxes = table[:, 1:BOX_COLUMNS]
    if not pose:
        return boxes
    points = table[:, BOX_COLUMNS:].reshape(len(table), *pose)
    places = np.where(labelled(points)[..., None], points[..., :2], 0)
    return np.concatenate((boxes, places.reshape(len(table), -1)), 1)


def labelled(points: Numbers) -> Mask:
    """Tell which keypoints have a place; of the others the numbers mean nothing.

    Args:
        points: (n, K, 3) x, y, visibility, or (n, K, 2) x, y.

    Returns:
        (n, K).

    Example:
        >>> labelled(np.array([[[5.8, 0.24, 0], [0.5, 0.5, 2]]])).tolist()
        [[False, True]]
        >>> labelled(np.array([[[-1.0, -1.0], [0.5, 0.5]]])).tolist()
        [[False, True]]
    """
    if points.shape[2] == 2:  # noqa: PLR2004
        return np.asarray((points != MISSING).any(2))
    return np.asarray(points[..., 2] != 0)


def beyond(numbers: NDArray[np.floating]) -> Mask:
    """Tell which fractions lie outside of the picture.

    Args:
        numbers: of any shape.

    Example:
        >>> beyond(np.float32([-0.2, -0.005, 0.5, 1.005, 1.2])).tolist()
        [True, False, False, False, True]
    """
    return np.asarray((numbers < -TOLERANCE) | (numbers > 1 + TOLERANCE))


def far_away(numbers: Numbers) -> Mask:
    """Tell which numbers are no fractions at all, but pixels.

    Rows whose boxes have whole numbers only, one of them over 1, are in pixels too.

    Args:
        numbers: (n, m) of n rows; the first four are a box, centre and size.

    Returns:
        (n, m).

    Example:
        >>> far_away(np.float32([[0.5, 0.5, 2.2, 0.5], [320.5, 0.5, 0.1, 0.1], [3, 4, 2, 2]])).any(1).tolist()
        [False, True, True]
    """
    boxes = numbers[:, :4]
    whole = (boxes % 1 == 0).all(1) & (boxes > 1).any(1)
    far = (numbers < -FAR) | (numbers > 1 + FAR)
    far[:, :4] |= whole[:, None] & (boxes > 1)
    return np.asarray(far)


def farthest_edge(boxes: Numbers) -> Numbers:
    """Find the edge of each box that is furthest from the picture's middle.

    Args:
        boxes: (n, 4) cxcywh, fractions.

    Returns:
        (n,) fractions; the size of a box that is larger than the picture, where that is more.

    Example:
        >>> farthest_edge(np.float32([[0.5, 0.5, 0.5, 0.5], [1.0, 0.5, 0.5, 0.25]])).tolist()
        [0.25, 1.25]
    """
    sizes = np.where(beyond(boxes[:, 2:]), boxes[:, 2:], np.float32(0.5))
    edges = np.concatenate((xywh_to_xyxy(boxes), sizes), 1)
    return np.asarray(edges[np.arange(len(edges)), np.abs(edges - 0.5).argmax(1)])


def mend(
    boxes: Numbers,
    keypoints: Numbers | None,
    lines: NDArray[np.int64],
    file: str,
    notes: list[Problem],
    *,
    drop: bool,
    part: NDArray[np.float64] | None = None,
) -> Mask:
    """Clip boxes to the picture and make keypoints outside of it invisible, in place, and note it.

    Args:
        boxes: (n, 4) cxcywh, fractions.
        keypoints: (n, K, 3) x, y as fractions and visibility, or None.
        lines: (n,) line numbers.
        file: the label file.
        notes: get a problem for each object that reaches out.
        drop: mend nothing, and leave these objects out.
        part: (n, 4) x1 y1 x2 y2 of what is in the picture of each polygon; None for boxes.

    Returns:
        (n,) True for objects to keep; a box entirely outside is never kept.

    Example:
        >>> boxes, notes = np.float32([[1.0, 0.5, 0.5, 0.5], [1.5, 0.5, 0.5, 0.5]]), []
        >>> mend(boxes, None, np.array([1, 2]), "000.txt", notes, drop=False).tolist(), boxes[0].tolist()
        ([True, False], [0.875, 0.5, 0.25, 0.5])
        >>> notes[0].kind, notes[0].text, notes[1].text
        ('box partly out of the picture', 'its box reaches to 1.25', 'it lies from 1.25 0.25 to 1.75 0.75')
    """
    if _is_inside(boxes, keypoints):
        return np.ones(len(boxes), bool)
    hidden: Mask = np.zeros((len(boxes), 1), bool)
    if keypoints is not None:
        hidden = np.asarray(beyond(keypoints[..., :2]).any(2))
    edges = farthest_edge(boxes)
    out = beyond(edges)
    corners = xywh_to_xyxy(boxes.astype(np.float64))
    cut = np.where(beyond(corners), corners.clip(0, 1), corners)
    cut = cut if part is None else np.where(out[:, None], part, cut)
    gone = out & ((cut[:, 2:] - cut[:, :2]) < SLIVER).any(1)
    affected = np.asarray(out | hidden.any(1))
    for i in np.flatnonzero(affected).tolist():
        found = []
        if gone[i]:
            found.append((GONE, "it lies from {:g} {:g} to {:g} {:g}".format(*corners[i]), "dropped"))
        elif out[i]:
            found.append((BOX_OUTSIDE, f"its box reaches to {edges[i]:g}", "clipped"))
        if hidden[i].any() and not gone[i]:
            found.append((POINT_OUTSIDE, _named(hidden[i], keypoints, i), "read as not visible"))
        if drop:
            found = [(OBJECT_OUTSIDE, "; ".join(text for _, text, _ in found), "dropped")]
        notes += [Problem(file, int(lines[i]), kind, text, False, outcome) for kind, text, outcome in found]
    if drop:
        return ~affected
    boxes[out] = xyxy_to_xywh(cut[out])
    if keypoints is not None:
        keypoints[hidden] = 0
    return np.asarray(~gone)


def _is_inside(boxes: Numbers, keypoints: Numbers | None) -> bool:
    """True if nothing reaches out of the picture, as in nearly every file: cheaper than to tell which object does."""
    half = boxes[:, 2:] / 2
    parts: list[NDArray[np.floating]] = [boxes, boxes[:, :2] - half, boxes[:, :2] + half]
    if keypoints is not None:
        parts.append(keypoints[..., :2])
    return not len(boxes) or all(part.min() >= -TOLERANCE and part.max() <= 1 + TOLERANCE for part in parts)


def _named(hidden: Mask, keypoints: Numbers | None, i: int) -> str:
    """Name the first of an object's keypoints that are out of the picture, and how many more are."""
    assert keypoints is not None
    first, more = int(hidden.argmax()), int(hidden.sum()) - 1
    x, y = keypoints[i, first, :2].tolist()
    return f"its keypoint {first} is at {x:g} {y:g}" + (f", and {more} more are out of the picture" if more else "")
