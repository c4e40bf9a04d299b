"""Keypoints of objects on one picture: edges, dots and numbers. Arrays in, pixels changed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.palette import class_colour
from aigp_lightning.media.plots.text import Colour, text_colour, text_mask
from aigp_lightning.types import HasKeypoints

Edges = Sequence[tuple[int, int]]
MIN_POINT = 0.25
"""Keypoints whose confidence or visibility is not above this are not drawn."""
HIDDEN = 1
"""A label's visibility: there, but behind something."""
LINE: Colour = (255, 255, 255)
RIM: Colour = (0, 0, 0)
"""Edges and numbers are white with a black rim, which shows on any picture and is no class's colour."""
FAR = 2**14
"""Further out than this, in pixels, a keypoint is as good as there: OpenCV's coordinates are bounded."""
SMALLEST = 9
ROOM = 1.2
"""A number is written where the next keypoint of the object is further away than so many of its letters' heights."""
# Where a number may stand, what is best first: turned from the direction that leads out of the object.
TURNS = np.deg2rad([0, 45, -45, 90, -90, 135, -135, 180])


def draw_keypoints(
    canvas: NDArray[np.uint8],
    points: NDArray[Any],
    sizes: NDArray[Any],
    edges: Edges,
    line: int,
    letters: int,
    truth: bool,
    taken: tuple[int, int] = (0, 0),
) -> NDArray[np.int64]:
    """Draw the keypoints of several objects, the last on top, and all numbers above them.

    A keypoint has a dot in the colour of its place, so that a wrong order shows, or a ring if its label says hidden.
    Dots and numbers are inside the picture; an edge may lead out of it. Numbers that would hide an object are left out.

    Args:
        canvas: (H, W, 3) uint8 RGB, drawn into; may be a view, and nothing around it is touched.
        points: (n, K, 3) x, y in pixels and confidence or visibility; need be neither finite nor inside.
        sizes: (n,) the larger side of each object's box, pixels.
        edges: pairs of keypoints to be joined, where both are shown.
        line: width of a box's line, pixels.
        letters: height of the names' letters, pixels.
        truth: these are labels, with visibility 0, 1 or 2, rather than predictions.
        taken: rows and columns of the top left corner that numbers keep out of.

    Returns:
        (n, 4) xyxy: where the numbers of each object are; right is below left where there are none.

    Example:
        >>> canvas, points = np.zeros((64, 64, 3), np.uint8), np.array([[[10.0, 10, 2], [50.0, 10, 2]]])
        >>> numbers = draw_keypoints(canvas, points, np.array([40.0]), [(0, 1)], line=1, letters=11, truth=True)
        >>> tuple(canvas[10, 10].tolist()) == class_colour(0), canvas[10, 30].tolist()
        (True, [255, 255, 255])
    """
    points = np.asarray(points, np.float64)
    shown = np.isfinite(points).all(2) & (points[..., 2] > MIN_POINT)
    places = np.where(shown[..., None], points[..., :2], 0).clip(-FAR, FAR)
    inside = shown & (places >= 0).all(2) & (places < canvas.shape[1::-1]).all(2)
    near = np.minimum(_nearest(places, shown), np.asarray(sizes, np.float64)[:, None])
    radii = (near.min(1, initial=np.inf) / 6).clip(1, 2 * line).round().astype(np.int64)
    hollow = truth & (points[..., 2] == HIDDEN)
    _edges(canvas, places, shown, edges, line, radii)
    for row in np.flatnonzero(inside.any(1)).tolist():
        _dots(canvas, places[row], inside[row], hollow[row], int(radii[row]))
    small = max(round(0.6 * letters + 4), SMALLEST)  # 16 beside names of 20, 10 beside those of 10
    return _numbers(canvas, places, shown, inside & (near > ROOM * small), radii, small, taken)


def _nearest(places: NDArray[np.float64], shown: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the distance of each keypoint to the next one shown of the same object, (n, K), pixels."""
    apart = np.linalg.norm(places[:, :, None] - places[:, None], axis=3)
    apart[~(shown[:, :, None] & shown[:, None])] = np.inf
    apart[:, range(places.shape[1]), range(places.shape[1])] = np.inf
    return np.asarray(apart.min(2, initial=np.inf))


def _edges(
    canvas: NDArray[np.uint8], places: NDArray[np.float64], shown: NDArray[np.bool_], edges: Edges, line: int,
    radii: NDArray[np.int64],
) -> None:  # fmt: skip
    """Draw white lines over black ones, object by object; the smallest objects would be lost under the black."""
    import cv2

    pairs = np.array([pair for pair in edges if max(pair) < places.shape[1]], np.int64).reshape(-1, 2)
    ends = places.round().astype(np.int32)[:, pairs]
    joined = shown[:, pairs[:, 0]] & shown[:, pairs[:, 1]]
    width, kind = max(line // 2, 1), cv2.LINE_AA if line > 1 else cv2.LINE_8
    for row in np.flatnonzero(joined.any(1)).tolist():
        lines = list(ends[row, joined[row]])
        if radii[row] > 1:
            cv2.polylines(canvas, lines, False, RIM, width + 2, kind)
        cv2.polylines(canvas, lines, False, LINE, width, kind)


def _dots(
    canvas: NDArray[np.uint8], places: NDArray[np.float64], inside: NDArray[np.bool_], hollow: NDArray[np.bool_],
    radius: int,
) -> None:  # fmt: skip
    """Draw the dots and rings of one object."""
    import cv2

    for number in np.flatnonzero(inside).tolist():
        centre = (round(places[number, 0]), round(places[number, 1]))
        colour = class_colour(number)
        if hollow[number]:
            ring, width = radius + 1, max(radius // 2, 1)
            cv2.circle(canvas, centre, ring, text_colour(colour), width + 2, cv2.LINE_AA)
            cv2.circle(canvas, centre, ring, colour, width, cv2.LINE_AA)
        else:
            cv2.circle(canvas, centre, radius + 1, text_colour(colour), -1, cv2.LINE_AA)
            cv2.circle(canvas, centre, radius, colour, -1, cv2.LINE_AA)


def _numbers(
    canvas: NDArray[np.uint8], places: NDArray[np.float64], shown: NDArray[np.bool_], wanted: NDArray[np.bool_],
    radii: NDArray[np.int64], letters: int, taken: tuple[int, int],
) -> NDArray[np.int64]:  # fmt: skip
    """Write numbers beside dots, outside of the object; see `draw_keypoints`."""
    cover = np.tile(np.array([canvas.shape[1], canvas.shape[0], 0, 0]), (len(places), 1))
    rows, numbers = np.nonzero(wanted)
    if not len(rows):
        return cover
    size = np.array([_glyph(number, letters)[0].shape[::-1] for number in range(places.shape[1])])[numbers]
    count = np.maximum(shown.sum(1), 1)[:, None]
    out = (places - ((places * shown[..., None]).sum(1) / count)[:, None])[rows, numbers]
    angle = np.where(np.abs(out).max(1) > 0.5, np.arctan2(out[:, 1], out[:, 0]), -np.pi / 4)  # noqa: PLR2004
    ways = angle[:, None] + TURNS
    ways = np.stack((np.cos(ways), np.sin(ways)), 2)
    reach = (np.abs(ways) * size[:, None] / 2).sum(2) + radii[rows, None] + 1
    corner = (places[rows, numbers, None] + ways * reach[..., None] - size[:, None] / 2).round().astype(np.int64)
    fits = (corner >= 0).all(2) & (corner + size[:, None] <= canvas.shape[1::-1]).all(2)
    fits &= ~(corner < taken[::-1]).all(2)
    for index in np.flatnonzero(fits.any(1)).tolist():
        left, top = corner[index, fits[index].argmax()].tolist()
        row, number = int(rows[index]), int(numbers[index])
        right, bottom = left + int(size[index, 0]), top + int(size[index, 1])
        keep, ink = _glyph(number, letters)
        spot = canvas[top:bottom, left:right]
        spot[...] = (spot * keep[..., None] + ink[..., None]).round()
        cover[row, :2] = np.minimum(cover[row, :2], (left, top))
        cover[row, 2:] = np.maximum(cover[row, 2:], (right, bottom))
    return cover


@lru_cache(maxsize=1024)
def _glyph(number: int, letters: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a number with a rim: how much of the picture is kept, 0…1, and how much white is added, 0…255."""
    import cv2

    mask = text_mask(str(number), letters, True)
    rows, columns = np.flatnonzero(mask.max(1)), np.flatnonzero(mask.max(0))
    rim = max(round(letters / 10), 1)
    ink = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], rim)
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))
    keep = 1 - cv2.dilate(ink, around).astype(np.float32) / 255
    white = ink.astype(np.float32)
    for array in (keep, white):
        array.flags.writeable = False  # the cache's
    return keep, white


def edges_of(module: object) -> tuple[tuple[int, int], ...]:
    """Return the pairs of keypoints that pictures join; none for a module without keypoints.

    Example:
        >>> edges_of("no module")
        ()
    """
    if isinstance(module, HasKeypoints) and module.keypoints is not None:
        return module.keypoints.edges
    return ()
