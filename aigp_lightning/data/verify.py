"""Checks that an image is complete, and finds its shape, without decoding it where that can be avoided."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

from aigp_lightning.data.images import BY_OPENCV, open_image, read_image, refusal, upright
from aigp_lightning.data.limits import MAX_PIXELS, regular_file_size
from aigp_lightning.data.problems import Problem
from aigp_lightning.errors import DataError, first_line
from aigp_lightning.run.exhausted import raise_if_exhausted

MIN_SIDE = 10  # pixels, as Ultralytics
TURNED = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
ORIENTATION = 274


def check_image(file: str) -> tuple[tuple[int, int] | None, Problem | None]:  # noqa: PLR0911  one return for each thing that can be wrong
    """Find an image's shape, reading no more of it than it takes to know that it is complete.

    Args:
        file: image file; never changed.

    Returns:
        Height and width after EXIF rotation, pixels, or None and what is wrong.

    Example:
        >>> import tempfile
        >>> import cv2
        >>> import numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = cv2.imwrite(f"{folder}/000.png", np.zeros((48, 64, 3), np.uint8))
        ...     check_image(f"{folder}/000.png")
        ...     check_image(f"{folder}/001.png")[1].kind
        ((48, 64), None)
        'missing image'
    """

    def bad(kind: str, text: str) -> tuple[None, Problem]:
        return None, Problem(file, None, kind, text, True)

    try:
        if regular_file_size(file) == 0:
            return bad("unreadable image", "the file is empty")
        with open(file, "rb") as stream:
            image = open_image(stream, file)
            width, height = image.size
            if min(width, height) < MIN_SIDE:
                return bad("image too small", f"{width}x{height}, at least {MIN_SIDE} pixels a side are needed")
            if width * height > MAX_PIXELS:
                return bad("image too large", f"{width}x{height}, at most {MAX_PIXELS // 10**6} megapixels are read")
            if reason := refusal(image):
                return bad("unreadable image", reason)
            shape = _shape(image, stream, file)
    except DataError:
        return bad("unreadable image", "not an image of a kind that can be read")
    except FileNotFoundError:
        return bad("missing image", "there is no such file; a link may lead nowhere")
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise_if_exhausted(error)
        text = first_line(error)
        return bad("truncated image" if "truncated" in text.lower() else "unreadable image", text)
    return shape, None


def _shape(image: Any, stream: BinaryIO, file: str) -> tuple[int, int]:
    """Return the height and width that the decoder will give, pixels.

    Raises:
        Exception: the file is broken; Pillow's decoders raise nearly anything.
    """
    if image.format not in BY_OPENCV:
        width, height = upright(image).size
        return height, width
    (width, height), turned = image.size, _is_turned(image)
    _verify(image, stream)
    if not turned:
        return height, width
    if image.format in {"JPEG", "MPO", "PNG"}:
        return width, height
    shape = read_image(file).shape  # decoders disagree on whether the rarer kinds are turned: ask the one that is used
    return shape[0], shape[1]


def _verify(image: Any, stream: BinaryIO) -> None:
    """Raise if the file is broken: checksums for PNG, the end mark for JPEG, else by decoding."""
    if image.format == "PNG":
        image.verify()
        return
    if image.format in {"JPEG", "MPO"}:
        at = stream.tell()
        stream.seek(-2, os.SEEK_END)
        end = stream.read()
        stream.seek(at)
        if end == b"\xff\xd9":
            return
    image.load()  # also a JPEG with something after its end mark


def _is_turned(image: Any) -> bool:
    """True if EXIF swaps width and height; XMP is not read, since OpenCV does not either."""
    from PIL import Image

    if not (written := image.info.get("exif")):
        return False
    exif = Image.Exif()
    try:
        exif.load(written)
        return exif.get(ORIENTATION) in TURNED
    except Exception:  # broken EXIF is no EXIF
        return False
