"""Boxes, names and keypoints drawn on one picture: arrays in, picture out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.masks import paint_masks
from aigp_lightning.media.plots.palette import class_colour
from aigp_lightning.media.plots.skeleton import Edges, draw_keypoints
from aigp_lightning.media.plots.tags import tag_mask, tag_places
from aigp_lightning.media.plots.text import Colour, inks, one_line, put, text_colour


def line_width(height: int, width: int) -> int:
    """Return the width of a box's line that shows at this size of picture, pixels.

    Example:
        >>> line_width(1080, 1920)
        5
    """
    return max(round((height + width) / 600), 1)


def text_size(height: int, width: int) -> int:
    """Return the height of letters that can be read at this size of picture, pixels.

    Example:
        >>> text_size(1080, 1920)
        30
    """
    return max(round((height + width) / 100), 11)


def draw_boxes(
    image: NDArray[np.uint8],
    boxes: NDArray[Any],
    labels: NDArray[Any],
    scores: NDArray[Any] | None,
    names: Mapping[int, str],
    keypoints: NDArray[Any] | None = None,
    edges: Edges = (),
    masks: NDArray[Any] | None = None,
) -> NDArray[np.uint8]:
    """Draw what was found, the surest on top.

    Args:
        image: (H, W, 3) uint8 RGB; left as it is.
        boxes: (n, 4) xyxy, pixels.
        labels: (n,) class ids.
        scores: (n,) confidence 0…1, or None for ground truth.
        names: class names by id; an id without a name is shown as a number.
        keypoints: (n, K, 3) x, y in pixels and confidence (or visibility 0, 1, 2), or None.
        edges: pairs of keypoints that are joined.
        masks: (n, h, w) 0 or 1, or None.

    Returns:
        (H, W, 3) uint8 RGB, a new array.

    Example:
        >>> picture = np.zeros((64, 64, 3), np.uint8)
        >>> drawn = draw_boxes(picture, np.array([[8, 20, 40, 50]]), np.array([0]), None, {0: "gate"})
        >>> tuple(drawn[35, 8].tolist()) == class_colour(0)
        True
    """
    canvas: NDArray[np.uint8] = np.ascontiguousarray(image).copy()
    shape = canvas.shape[:2]
    paint(canvas, boxes, labels, scores, names, keypoints, line_width(*shape), text_size(*shape), (0, 0), edges, masks)
    return canvas


def paint(
    canvas: NDArray[np.uint8], boxes: NDArray[Any], labels: NDArray[Any], scores: NDArray[Any] | None,
    names: Mapping[int, str], keypoints: NDArray[Any] | None, line: int, letters: int,
    taken: tuple[int, int] = (0, 0), edges: Edges = (), masks: NDArray[Any] | None = None,
    marks: Sequence[tuple[str, Colour]] | None = None,
) -> None:  # fmt: skip
    """Draw into a picture: masks, boxes, keypoints, then all names, so that no line crosses a name.

    A box without area, without a finite place or outside the picture is left out.

    Args:
        canvas: (H, W, 3) uint8 RGB, drawn into; may be a view, and nothing around it is touched.
        boxes: (n, 4) xyxy, pixels.
        labels: (n,) class ids.
        scores: (n,) confidence 0…1, or None for ground truth. The surest is on top; without scores the last.
        names: class names by id.
        keypoints: (n, K, 3) x, y, confidence, or None.
        line: width of lines, pixels.
        letters: height of letters, pixels.
        taken: rows and columns of the top left corner that names keep out of.
        edges: pairs of keypoints that are joined.
        masks: (n, h, w) 0 or 1, or None.
        marks: (n,) words and colour of each box, instead of its class's name, confidence and colour; or None.

    Example:
        >>> canvas = np.zeros((64, 64, 3), np.uint8)
        >>> paint(canvas, np.array([[8, 20, 40, 50]]), np.array([0]), None, {0: "gate"}, None, line=1, letters=11)
        >>> tuple(canvas[35, 8].tolist()) == class_colour(0)
        True
    """
    rows = _visible(boxes, canvas.shape)
    if scores is not None:
        rows = rows[np.argsort(-np.asarray(scores, np.float64)[rows], kind="stable")[::-1]]
    # Far outside is as invisible as just outside, and OpenCV's integers do not overflow.
    low, high = -line - 1, max(canvas.shape[:2]) + line
    corners = np.round(np.asarray(boxes).reshape(-1, 4)[rows]).clip(low, high).astype(np.int64).tolist()
    classes = np.asarray(labels)[rows].astype(np.int64).tolist()
    if masks is not None:
        paint_masks(canvas, masks[rows], np.array(classes))
    colours = [class_colour(label) for label in classes] if marks is None else [marks[row][1] for row in rows]
    _outlines(canvas, corners, colours, line)
    if keypoints is not None:
        sides = np.asarray(boxes).reshape(-1, 4)[rows]
        sizes = (sides[:, 2:] - sides[:, :2]).max(1, initial=0)
        cover = draw_keypoints(canvas, keypoints[rows], sizes, edges, line, letters, scores is None, taken)
        corners = _around(corners, cover, letters)
    unsaid = scores is None or marks is not None
    sure = [None] * len(classes) if unsaid else np.asarray(scores)[rows].tolist()
    if marks is None:
        words = [one_line(names.get(label, str(label))) for label in classes]
    else:
        words = [one_line(marks[row][0]) for row in rows]
    _names(canvas, words, sure, colours, corners, line, letters, taken)


def _outlines(canvas: NDArray[np.uint8], corners: list[list[int]], colours: list[Colour], line: int) -> None:
    """Draw boxes, (n, 4) xyxy in pixels, each in its colour, the last on top."""
    import cv2

    for (left, top, right, bottom), colour in zip(corners, colours, strict=True):
        if line > 1:  # a rim, so that a dark line shows on a dark picture and a bright one on a bright
            cv2.rectangle(canvas, (left, top), (right, bottom), text_colour(colour), line + 2)
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, line)


def _names(
    canvas: NDArray[np.uint8], words: list[str], sure: list[float] | list[None], colours: list[Colour],
    corners: list[list[int]], line: int, letters: int, taken: tuple[int, int],
) -> None:  # fmt: skip
    """Write each box's name and confidence where there is room for it; see `paint`."""
    tags = [tag_mask(word, score, letters, canvas.shape[1]) for word, score in zip(words, sure, strict=True)]
    sizes = [(tag.shape[1], tag.shape[0]) for tag in tags]
    places = tag_places(sizes, corners, canvas.shape, line // 2, (0, 0, taken[1], taken[0]))
    for tag, place, colour in zip(tags, places, colours, strict=True):
        if place is not None:
            put(canvas, tag, place, inks(colour, text_colour(colour)))


def _around(corners: list[list[int]], cover: NDArray[np.int64], letters: int) -> list[list[int]]:
    """Return boxes with the numbers that stand out of them, by a little at most, so that a name hides none."""
    boxes = np.array(corners, np.int64).reshape(-1, 4)
    low = np.minimum(boxes[:, :2], np.maximum(cover[:, :2], boxes[:, :2] - letters))
    high = np.maximum(boxes[:, 2:], np.minimum(cover[:, 2:], boxes[:, 2:] + letters))
    grown: list[list[int]] = np.concatenate((low, high), 1).tolist()
    return grown


def _visible(boxes: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Find the boxes that can be drawn: finite, with an area, and not outside the picture.

    Args:
        boxes: (n, 4) xyxy, pixels.
        shape: height and width of the picture, pixels.

    Returns:
        Row numbers.
    """
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    low, high = corners[:, :2], corners[:, 2:]
    shown = np.isfinite(corners).all(1) & (high > low).all(1) & (high >= 0).all(1) & (low < shape[1::-1]).all(1)
    return np.flatnonzero(shown)
