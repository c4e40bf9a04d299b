"""A frame with what was found in it, the axes of its poses, and whether they may be used. Arrays in, picture out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.boxes import draw_boxes, line_width, text_size
from aigp_lightning.media.plots.skeleton import FAR, Edges
from aigp_lightning.media.plots.text import Colour, inks, put, text_colour, text_mask

AXES: tuple[Colour, ...] = ((230, 60, 60), (60, 180, 75), (60, 110, 240))
"""Colours of an object's axes: x to the right, y down, z away."""
USABLE: Colour = (0, 114, 178)
UNUSABLE: Colour = (213, 94, 0)


def draw_overlay(
    image: NDArray[np.uint8],
    boxes: NDArray[Any],
    labels: NDArray[Any],
    scores: NDArray[Any],
    names: Mapping[int, str],
    keypoints: NDArray[Any] | None,
    edges: Edges,
    axes: NDArray[np.float64],
    status: str,
    usable: bool | None,
) -> NDArray[np.uint8]:
    """Draw a frame of a sequence.

    Args:
        image: (H, W, 3) uint8 RGB; left as it is.
        boxes: (n, 4) xyxy, pixels.
        labels: (n,) class ids.
        scores: (n,) confidence.
        names: class names by id.
        keypoints: (n, K, 3) x, y in pixels and confidence, or None; NaN is not drawn.
        edges: pairs of keypoints that are joined.
        axes: (p, 4, 2) origin and the ends of x, y and z of each pose, pixels.
        status: a line for the top left corner.
        usable: whether a pose may be used, by which the line is coloured; None without poses.

    Returns:
        (H, W, 3) uint8 RGB, a new array.

    Example:
        >>> picture, none = np.zeros((64, 96, 3), np.uint8), np.zeros((0, 4))
        >>> axes = np.array([[[50.0, 40], [80, 40], [50, 60], [50, 40]]])
        >>> drawn = draw_overlay(picture, none, none[:, 0], none[:, 0], {}, None, (), axes, "1", usable=True)
        >>> tuple(drawn[40, 70].tolist()) == AXES[0], tuple(drawn[0, 0].tolist()) == USABLE
        (True, True)
    """
    import cv2

    canvas = draw_boxes(image, boxes, labels, scores, names, keypoints, edges)
    line = line_width(*canvas.shape[:2]) + 1
    for pose in axes:
        ends = np.nan_to_num(pose, nan=FAR).clip(-FAR, FAR).round().astype(int).tolist()
        for end, colour in zip(ends[:0:-1], AXES[::-1], strict=True):
            cv2.line(canvas, ends[0], end, colour, line, cv2.LINE_AA)
    paper = (90, 90, 90) if usable is None else USABLE if usable else UNUSABLE
    mask = text_mask(f" {status} ", text_size(*canvas.shape[:2]), True)
    put(canvas, mask, (0, 0), inks(paper, text_colour(paper)))
    return canvas
