"""Several images in one picture, none of them scaled, with boxes, names and keypoints: arrays in, picture out.

Longer than 250 lines: a cell, and the page that it is drawn on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.media.plots.boxes import line_width, paint
from aigp_lightning.media.plots.skeleton import Edges
from aigp_lightning.media.plots.text import Colour, inks, one_line, put, shortened, text_mask

PADDING = 114
"""Grey where there is no image, as in a letterbox."""
EDGE = 60
"""Grey of the line along an image that is smaller than its place."""
PAPER: Colour = (32, 32, 32)
INK: Colour = (240, 240, 240)
HIDDEN: Colour = (64, 64, 64)
HIDDEN_WORD = "private"
RGB = 3
SMALLEST = 9
"""Letters lower than this, in pixels, cannot be read."""
CROWD = 12
"""With more boxes than this the letters are smaller."""


@dataclass(frozen=True)
class Cell:
    """One image of a mosaic and what is drawn on it.

    Raises:
        ValueError: the image is no such array, or the numbers of boxes, labels and so on differ.

    Attributes:
        image: (H, W, 3) uint8 RGB; a view of planes, `chw.transpose(1, 2, 0)`, is as good and needs no copy.
        boxes: (n, 4) xyxy, pixels of the image. What is not finite or has no area is not drawn.
        labels: (n,) class ids.
        scores: (n,) confidence 0…1, or None for ground truth.
        keypoints: (n, K, 3) x, y in pixels and confidence (or visibility 0, 1, 2), or None.
        caption: the file's name; empty for none.
        masks: (n, h, w) 0 or 1, of the image's size or smaller, or None.
        marks: (n,) words and colour of each box, instead of its class's name, confidence and colour; or None.
        grade: short words in the upper right corner; empty for none.
        window: top, left, bottom and right of what is shown, as the image without the grey of a letterbox; None: all.
            Boxes and keypoints count from the whole image's corner all the same.

    Example:
        >>> cell = Cell(np.zeros((64, 96, 3), np.uint8), np.array([[8, 20, 40, 50]]), np.array([0]), caption="0001.jpg")
        >>> cell.scores is None  # these boxes are ground truth
        True
    """

    image: NDArray[np.uint8]
    boxes: NDArray[Any]
    labels: NDArray[Any]
    scores: NDArray[Any] | None = None
    keypoints: NDArray[Any] | None = None
    caption: str = ""
    masks: NDArray[Any] | None = None
    marks: Sequence[tuple[str, Colour]] | None = None
    grade: str = ""
    window: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        shape = self.image.shape
        if self.image.dtype != np.uint8 or len(shape) != RGB or shape[2] != RGB or not self.image.size:
            raise ValueError(f"a cell's image is (H, W, 3) uint8, not {shape} {self.image.dtype}")
        parts = (self.boxes, self.labels, self.scores, self.keypoints, self.masks, self.marks)
        rows = [len(part) for part in parts if part is not None]
        if len(set(rows)) > 1:
            raise ValueError(f"a cell's boxes, labels, scores, keypoints and masks differ in number: {rows}")


def cut_out(cell: Cell) -> Cell:
    """Return a cell of what its window shows, with boxes and keypoints moved along.

    Example:
        >>> image, box = np.zeros((64, 96, 3), np.uint8), np.array([[8, 20, 40, 50]])
        >>> cell = Cell(image, box, np.zeros(1), window=(16, 0, 48, 96))
        >>> cut_out(cell).image.shape, cut_out(cell).boxes.tolist()
        ((32, 96, 3), [[8, 4, 40, 34]])
    """
    if cell.window is None:
        return cell
    top, left, bottom, right = cell.window
    points, masks = cell.keypoints, cell.masks
    if points is not None:
        points = np.asarray(points) - np.array([left, top, *[0] * (np.shape(points)[2] - 2)], np.float32)
    if masks is not None:
        masks = _enlarged(masks, cell.image.shape[:2])[:, top:bottom, left:right]
    boxes = np.asarray(cell.boxes).reshape(-1, 4) - np.array([left, top, left, top])
    image = cell.image[top:bottom, left:right]
    return replace(cell, image=image, boxes=boxes, keypoints=points, masks=masks, window=None)


def _enlarged(masks: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return masks, (n, h, w), at the size of their image."""
    import cv2

    if masks.shape[1:] == shape or not len(masks):
        return masks if len(masks) else np.zeros((0, *shape), np.uint8)
    sized = [cv2.resize(mask.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST) for mask in masks]
    return np.stack(sized)


def letter_size(height: int, width: int, boxes: int) -> int:
    """Return the height of letters that suits an image within a mosaic, which is looked at as a whole.

    Args:
        height: of the image, pixels.
        width: of the image, pixels.
        boxes: how many names are to be written.

    Returns:
        Pixels: about 9 at 64, 10 at 160, 20 at 640, 58 at 2560; in a crowd down to half of that.

    Example:
        >>> letter_size(640, 640, boxes=3), letter_size(640, 640, boxes=100)
        (20, 10)
    """
    letters = 7 + (height + width) / 100
    return max(round(letters * max(min(1.0, math.sqrt(CROWD / max(boxes, 1))), 0.5)), SMALLEST)


def draw_mosaic(
    cells: Sequence[Cell],
    names: Mapping[int, str],
    masked: Collection[int] = (),
    edges: Edges = (),
    columns: int | None = None,
) -> NDArray[np.uint8]:
    """Draw images side by side, row by row, none of them scaled, in as few rows as will do.

    A row is as high as its highest image, and no wider than `columns` times the widest of all; images lie at its top,
    each beside the one before, and nothing of one reaches into another's place. So wide and high images of rectangular
    batches leave little of the page empty.

    Args:
        cells: the images.
        names: class names by id; an id without a name is shown as a number.
        masked: positions in `cells` of which nothing is shown, only that they are private.
        edges: pairs of keypoints that are joined.
        columns: images side by side; None: ceil(sqrt(n)), or as many narrower ones as have room.

    Returns:
        (H, W, 3) uint8 RGB; of images of one size (rows · height, columns · width, 3).

    Raises:
        ValueError: there are no cells, or no cell has a masked position.

    Example:
        >>> cell = Cell(np.zeros((64, 96, 3), np.uint8), np.array([[8, 20, 40, 50]]), np.array([0]))
        >>> draw_mosaic([cell] * 3, {0: "gate"}).shape
        (128, 192, 3)
    """
    if not cells:
        raise ValueError("a mosaic has at least one image")
    hidden = frozenset(masked)
    if unknown := sorted(hidden.difference(range(len(cells)))):
        raise ValueError(f"no such cell to be masked: {unknown} of {len(cells)}")
    cells = [cut_out(cell) for cell in cells]
    sizes = _sizes(cells, hidden)
    rows = _rows([width for _, width in sizes], columns)
    heights = [max(sizes[number][0] for number in row) for row in rows]
    page = max(sum(sizes[number][1] for number in row) for row in rows)
    canvas = np.full((sum(heights), page, RGB), PADDING, np.uint8)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for number in row:
            place = canvas[top : top + height, left : left + sizes[number][1]]
            if number in hidden:
                _hide(place)
            else:
                _draw(place, cells[number], names, edges)
            left += sizes[number][1]
        top += height
    return canvas


def _sizes(cells: Sequence[Cell], hidden: Collection[int]) -> list[tuple[int, int]]:
    """Return each cell's height and width; one of which nothing is shown is as large as the largest of the others."""
    shapes = [(cell.image.shape[0], cell.image.shape[1]) for cell in cells]
    seen = [shape for number, shape in enumerate(shapes) if number not in hidden] or shapes
    unseen = max(height for height, _ in seen), max(width for _, width in seen)
    return [unseen if number in hidden else shape for number, shape in enumerate(shapes)]


def _rows(widths: Sequence[int], columns: int | None) -> list[list[int]]:
    """Return the cells of each row: so many, or as many as have room where `columns` is None."""
    if columns is not None:
        return [list(range(len(widths)))[start : start + columns] for start in range(0, len(widths), columns)]
    room = math.ceil(math.sqrt(len(widths))) * max(widths)
    rows: list[list[int]] = [[]]
    left = 0
    for number, width in enumerate(widths):
        if left + width > room:
            rows.append([])
            left = 0
        rows[-1].append(number)
        left += width
    return rows


def _draw(place: NDArray[np.uint8], cell: Cell, names: Mapping[int, str], edges: Edges) -> None:
    """Draw a cell into its place, (H, W, 3)."""
    height, width = cell.image.shape[:2]
    image = place[:height, :width]
    _copy(cell.image, image)
    place[:height, width : width + 1] = EDGE
    place[height : height + 1, : width + 1] = EDGE
    letters = letter_size(height, width, len(cell.boxes))
    caption = _caption(cell.caption, height, width)
    line, taken = line_width(height, width), caption.shape if caption.size else (0, 0)
    corner = (taken[0], taken[1])
    parts = (cell.boxes, cell.labels, cell.scores, names, cell.keypoints)
    paint(image, *parts, line, letters, corner, edges, cell.masks, cell.marks)
    put(image, caption, (0, 0), inks(PAPER, INK))
    if cell.grade:
        grade = text_mask(cell.grade, letter_size(height, width, 0), cell.grade.isascii())[:, :width]
        put(image, grade, (width - grade.shape[1], caption.shape[0] * (caption.shape[1] + grade.shape[1] > width)),
            inks(PAPER, INK))  # fmt: skip


def _copy(image: NDArray[np.uint8], target: NDArray[np.uint8]) -> None:
    """Copy pixels, (H, W, 3) each; planes are woven by OpenCV, 15 times as fast as by NumPy."""
    if image.strides[1:] == (1, image.strides[2]) and image.strides[0] > 0 and image.strides[2] > 1:
        import cv2

        cv2.merge(list(image.transpose(2, 0, 1)), dst=target)
    else:
        target[...] = image


def _caption(text: str, height: int, width: int) -> NDArray[np.uint8]:
    """Return a file's name as ink, smaller than the class names, its end if it is long; (0, 0) without one."""
    text = one_line(text)
    if not text:
        return np.zeros((0, 0), np.uint8)
    letters = max(round(letter_size(height, width, 0) * 0.7), SMALLEST)
    short = shortened(text, letters, width, keep_end=True, ascii_only=text.isascii())
    return text_mask(short, letters, text.isascii())


def _hide(place: NDArray[np.uint8]) -> None:
    """Fill a place, (H, W, 3), with nothing but a word: nothing about the image decides what is seen."""
    height, width = place.shape[:2]
    place[...] = HIDDEN
    mask = text_mask(HIDDEN_WORD, letter_size(height, width, 0), True)[:height, :width]
    corner = ((width - mask.shape[1]) // 2, (height - mask.shape[0]) // 2)
    put(place, mask, corner, inks(HIDDEN, INK))
