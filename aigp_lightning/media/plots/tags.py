"""Names of boxes: their letters, and places with room for them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.text import shortened, text_mask

Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom; right and bottom are outside."""
CAPTION_WEIGHT = 1000
"""A pixel of the caption is as dear as so many of other tags."""
SMALL = 1.5
"""A box with no side longer than so many tags' width is small: tags keep out of those, as far as they can."""
READABLE = 0.5
"""How much of a tag may be hidden by surer ones."""
COVERED = 0.4
"""How much of the picture tags may hide."""


def tag_mask(name: str, score: float | None, letters: int, room: int) -> NDArray[np.uint8]:
    """Return name and confidence as ink in one line; a name too long for the picture is cut, the confidence not.

    They are drawn apart, since there are few names and few confidences but many pairs of them.

    Args:
        name: of the class, one line.
        score: confidence 0…1, or None for ground truth.
        letters: height of letters, pixels.
        room: width of the picture, pixels.

    Returns:
        (rows, columns) ink, 0…255.

    Example:
        >>> cut, whole = tag_mask("a very long name of a class", 0.9, 12, room=80), tag_mask("gate", None, 12, room=80)
        >>> cut.shape[1] <= 80, cut.shape[0] == whole.shape[0]
        (True, True)
    """
    plain = name.isascii()
    if score is None:
        return text_mask(shortened(name, letters, room, ascii_only=plain), letters, plain)
    number = text_mask(f"{score:.2f}", letters, plain)
    word = text_mask(shortened(name, letters, room - number.shape[1], ascii_only=plain), letters, plain)
    return np.concatenate((word, number), axis=1)


def tag_places(
    sizes: list[tuple[int, int]], boxes: list[list[int]], shape: tuple[int, ...], edge: int, taken: Rectangle
) -> list[tuple[int, int] | None]:
    """Put each tag above its box or below it, wherever it meets least of those that are surer.

    In a crowd a tag of which nobody could read more than half is left out, and so are all but the surest when tags
    hide much of the picture; their boxes are there all the same. Tags keep out of small boxes, their own included, and
    one that would hide more than half of a small box is left out unless it is the surest.
    Plain numbers instead of arrays: a picture has a handful of boxes, and most tags stay at the first place tried.

    Args:
        sizes: width and height of the n tags, pixels.
        boxes: n times xyxy, pixels; the surest last.
        shape: height and width of the picture, pixels.
        edge: half the width of the boxes' lines, pixels.
        taken: where a caption is, which is hidden last of all; xyxy, pixels.

    Returns:
        Left and top of each, inside the picture; None for those left out.

    Example:
        >>> tag_places([(20, 8)], [[10, 30, 60, 60]], (100, 100), edge=0, taken=(0, 0, 0, 0))  # above its box
        [(10, 22)]
    """
    places: list[tuple[int, int] | None] = [None] * len(sizes)
    used: list[Rectangle] = []
    room = COVERED * shape[0] * shape[1]
    small = _small_boxes(sizes, boxes)
    for number in range(len(sizes) - 1, -1, -1):
        area = sizes[number][0] * sizes[number][1]
        if used and area > room:
            continue
        least = None
        spots = list(_spots(sizes[number], boxes[number], shape, edge, taken[3]))
        for spot, (below, most) in zip(spots, _covered(spots, small), strict=True):
            hidden = sum(_common(spot, other) for other in used)
            cost = hidden + below + CAPTION_WEIGHT * _common(spot, taken)
            if least is None or cost < least[0]:
                least = cost, hidden, spot, most
            if not cost:
                break
        if least is not None and least[1] <= READABLE * area and (least[3] <= READABLE or not used):
            room -= area
            places[number] = least[2][:2]
            used.append(least[2])
    return places


def _small_boxes(sizes: list[tuple[int, int]], boxes: list[list[int]]) -> NDArray[np.int64]:
    """Return the boxes that a tag would hide, (m, 4) xyxy."""
    if not boxes:
        return np.zeros((0, 4), np.int64)
    corners, tags = np.array(boxes, np.int64), np.array(sizes, np.int64)
    longest = (corners[:, 2:] - corners[:, :2]).max(1)
    small: NDArray[np.int64] = corners[longest <= SMALL * tags[:, 0].mean()]
    return small


def _covered(spots: list[Rectangle], small: NDArray[np.int64]) -> list[tuple[int, float]]:
    """Return for each spot how much of small boxes a tag there hides: pixels of all, and the largest share of one."""
    if not len(small):
        return [(0, 0.0)] * len(spots)
    places = np.array(spots, np.int64)[:, None]
    common = (np.minimum(places[..., 2:], small[:, 2:]) - np.maximum(places[..., :2], small[:, :2])).clip(0).prod(2)
    shares = common / np.maximum((small[:, 2:] - small[:, :2]).prod(1), 1)
    return list(zip(common.sum(1).tolist(), shares.max(1).tolist(), strict=True))


def _common(one: Rectangle, other: Rectangle) -> int:
    """Return the area that two rectangles have in common, pixels."""
    if one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]:
        return 0
    return (min(one[2], other[2]) - max(one[0], other[0])) * (min(one[3], other[3]) - max(one[1], other[1]))


def _spots(
    size: tuple[int, int], box: list[int], shape: tuple[int, ...], edge: int, caption: int
) -> Iterator[Rectangle]:
    """Yield the places where a tag may be, what is best first.

    Above, flush left; below, flush left; above and below, flush right; just inside the top, below the caption; right
    and left of it. Where there is no room above the box, or below, it is inside instead.
    """
    columns, rows = size
    inside, floor = box[1] - edge, box[3] + edge + 1
    above = inside if inside < rows else inside - rows
    below = floor - rows if floor + rows > shape[0] else floor
    left, right = box[0] - edge, box[2] + edge + 1 - columns
    beside = (box[2] + edge + 1, inside), (box[0] - edge - columns, inside)
    for x, y in ((left, above), (left, below), (right, above), (right, below), (left, max(inside, caption)), *beside):
        x0, y0 = max(min(x, shape[1] - columns), 0), max(min(y, shape[0] - rows), 0)
        yield x0, y0, x0 + columns, y0 + rows
