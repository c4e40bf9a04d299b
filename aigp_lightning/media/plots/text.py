"""Words as pixels: how much of each pixel is ink, and the colours that ink makes."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import printable

Colour = tuple[int, int, int]


@lru_cache(maxsize=256)
def text_colour(background: Colour) -> Colour:
    """Return black or white, whichever has the greater contrast (WCAG 2.1, relative luminance).

    Args:
        background: Red, green, blue, 0…255.

    Returns:
        Red, green, blue, 0…255.

    Example:
        >>> text_colour((240, 228, 66)), text_colour((0, 0, 120))
        ((0, 0, 0), (255, 255, 255))
    """
    linear = [value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in background]  # noqa: PLR2004
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return (0, 0, 0) if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else (255, 255, 255)


@lru_cache(maxsize=64)
def inks(paper: Colour, ink: Colour) -> NDArray[np.uint8]:
    """Return the colours from paper to ink, (256, 3), one for each value of a mask.

    Example:
        >>> inks((0, 0, 0), (255, 255, 255))[128].tolist()
        [128, 128, 128]
    """
    part = np.arange(256, dtype=np.float32)[:, None] / 255
    mixed = np.array(paper, np.float32) * (1 - part) + np.array(ink, np.float32) * part
    return np.round(mixed).astype(np.uint8)


def put(
    canvas: NDArray[np.uint8], mask: NDArray[np.uint8], corner: tuple[int, int], colours: NDArray[np.uint8]
) -> None:
    """Write on a filled background; what does not fit on the canvas is cut off.

    Args:
        canvas: (H, W, 3) uint8 RGB, drawn into; may be a view.
        mask: (rows, columns) ink, 0…255.
        corner: left and top, pixels, 0 or more.
        colours: from `inks`.

    Example:
        >>> canvas = np.zeros((4, 4, 3), np.uint8)
        >>> put(canvas, np.full((2, 9), 255, np.uint8), (2, 1), inks((0, 0, 0), (255, 255, 255)))
        >>> canvas[:, :, 0].tolist()
        [[0, 0, 0, 0], [0, 0, 255, 255], [0, 0, 255, 255], [0, 0, 0, 0]]
    """
    left, top = corner
    room = canvas[top : top + mask.shape[0], left : left + mask.shape[1]]
    room[...] = np.take(colours, mask[: room.shape[0], : room.shape[1]], axis=0)


def one_line(text: str) -> str:
    r"""Return a name as it can be written: line breaks become spaces, bytes that are no text question marks.

    Other control characters, and those that reorder a line, are written as their escapes.

    Example:
        >>> one_line(f"start{chr(10)}gate"), one_line(f"{chr(27)}[31mred")
        ('start gate', '\\x1b[31mred')
    """
    return printable(" ".join(text.encode("utf-8", "replace").decode("utf-8").split()))


@lru_cache(maxsize=4096)
def shortened(text: str, letters: int, room: int, keep_end: bool = False, ascii_only: bool = True) -> str:
    """Leave letters out of a text that is too long.

    Args:
        text: one line.
        letters: height of the letters, pixels.
        room: columns that there are, pixels.
        keep_end: the end says more than the beginning, as in a file's name.
        ascii_only: which font; see `text_mask`.

    Returns:
        The text, or as much of it as fits with two dots; at least one letter.

    Example:
        >>> short = shortened("run_0001_frame_000123.jpg", letters=12, room=80, keep_end=True)
        >>> short[:2], short[-4:]
        ('..', '.jpg')
    """
    columns = text_mask(text, letters, ascii_only).shape[1]
    keep = len(text)
    short = text
    while columns > room and keep > 1:
        keep = min(keep - 1, max(round(keep * room / columns), 1))
        short = ".." + text[-keep:] if keep_end else text[:keep] + ".."
        columns = text_mask(short, letters, ascii_only).shape[1]
    return short


@lru_cache(maxsize=8192)
def text_mask(text: str, letters: int, ascii_only: bool) -> NDArray[np.uint8]:
    """Write one line with a margin around it: how much of each pixel is ink, 0…255, (rows, columns).

    Args:
        text: one line.
        letters: height of the letters, pixels.
        ascii_only: take the font that has nothing but ASCII, which is drawn sooner; the number of rows is the font's.

    Example:
        >>> mask = text_mask("gate", 12, True)
        >>> mask.dtype, int(mask.max())
        (dtype('uint8'), 255)
    """
    import cv2

    if not ascii_only and hasattr(cv2, "FontFace"):
        mask = _universal_mask(text, letters)
    else:
        mask = _pillow_mask(text, letters, ascii_only)
    mask.flags.writeable = False  # the cache's
    return mask


def _pillow_mask(text: str, letters: int, ascii_only: bool) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    font = _font(letters, ascii_only)
    margin = max(letters // 6, 1)
    ascent, descent = font.getmetrics()
    columns = int(np.ceil(font.getlength(text))) + 2 * margin
    page = Image.new("L", (columns, ascent + descent + margin), 0)
    ImageDraw.Draw(page).text((margin, ascent + margin // 2), text, fill=255, font=font, anchor="ls")
    return np.array(page, dtype=np.uint8)


def _universal_mask(text: str, letters: int) -> NDArray[np.uint8]:
    """Write as `text_mask` does, in the font that OpenCV 5 carries within itself: nearly any script."""
    import cv2

    face, margin = _face(threading.get_ident()), max(letters // 6, 1)
    _, _, columns, _ = cv2.getTextSize((0, 0), text, (0, 0), face, letters)
    page = np.zeros((letters + letters // 3 + margin, columns + 2 * margin), dtype=np.uint8)
    cv2.putText(page, text, (margin, letters + margin // 2), 255, face, letters)
    return page


@lru_cache(maxsize=4)
def _face(thread: int) -> Any:
    """Return OpenCV's font, one for each thread; it takes long to unpack."""
    import cv2

    return cv2.FontFace("uni")


@lru_cache(maxsize=16)
def _font(letters: int, ascii_only: bool) -> Any:
    """Return Pillow's built-in font, which has nothing but ASCII; for other letters the one in Matplotlib."""
    from importlib.util import find_spec
    from pathlib import Path

    from PIL import ImageFont

    plots = None if ascii_only else find_spec("matplotlib")
    if plots is not None and plots.origin is not None:
        file = Path(plots.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.exists():
            return ImageFont.truetype(str(file), letters)
    return ImageFont.load_default(letters)
