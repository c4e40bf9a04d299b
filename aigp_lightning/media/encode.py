"""Encodes pictures as JPEG or PNG, and reads a file's size in pixels."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

JPEG_QUALITY = 95
PNG_START = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8"
# ITU-T T.81, table B.1. Frames of all kinds (baseline, progressive, …), but neither tables (C4, CC) nor JPG (C8).
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length."""
LAST = frozenset({0xD9, 0xDA})
"""After these, the end and the scan, no size can come."""


def encode(image: NDArray[np.uint8], suffix: str) -> bytes:
    """Encode a picture for a file.

    A JPEG is a baseline one of quality 95 with colour at full resolution, since thin lines would fade.

    Args:
        image: (H, W, 3) uint8 RGB.
        suffix: of the file: `.jpg`, `.jpeg` or `.png`.

    Raises:
        ValueError: the suffix is another, the array is no picture, or the picture is too large for the format.

    Example:
        >>> picture_size(encode(np.zeros((40, 60, 3), np.uint8), ".jpg"))
        (60, 40)
    """
    import cv2

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:  # noqa: PLR2004
        raise ValueError(f"a picture is (H, W, 3) uint8, not {image.shape} {image.dtype}")
    kind = suffix.lower()
    if kind not in (".jpg", ".jpeg", ".png"):
        raise ValueError(f"pictures are written as .jpg or .png, not {suffix!r}")
    options: list[int] = []  # a PNG's own are the fastest, and good for charts
    if kind != ".png":
        full = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full]
    size = f"{image.shape[1]}x{image.shape[0]}"
    try:
        done, data = cv2.imencode(kind, cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR), options)
    except cv2.error as error:
        raise ValueError(f"a picture of {size} pixels cannot be encoded as {kind}: {error}") from error
    if not done:
        raise ValueError(f"a picture of {size} pixels cannot be encoded as {kind}")
    return bytes(data.tobytes())


def picture_size(data: bytes) -> tuple[int, int]:
    """Read width and height from the header of a JPEG or PNG file, without decoding it.

    Args:
        data: the file's bytes.

    Returns:
        Width and height, pixels, as stored: a camera's note in the file to turn the picture is ignored.

    Raises:
        ValueError: it is neither, or it ends or breaks off before its size.

    Example:
        >>> picture_size(encode(np.zeros((40, 60, 3), np.uint8), ".png"))
        (60, 40)
    """
    if data.startswith(PNG_START):
        width, height = _png_size(data)
    elif data.startswith(JPEG_START):
        width, height = _jpeg_size(data)
    else:
        raise ValueError(f"neither a JPEG nor a PNG file: it begins with {data[:8].hex(' ') or 'nothing'}")
    if not width or not height:
        raise ValueError(f"the header gives a size of {width}x{height} pixels")
    return width, height


def _png_size(data: bytes) -> tuple[int, int]:
    """Read the first chunk (W3C PNG, 11.2.1): length, IHDR, width, height."""
    start = len(PNG_START)
    if len(data) < start + 16:
        raise ValueError(f"a PNG file that breaks off within its header, after {len(data)} bytes")
    length, name, width, height = struct.unpack_from(">I4sII", data, start)
    if name != b"IHDR" or length != 13:  # noqa: PLR2004
        raise ValueError(f"a PNG file that does not begin with its header but with {name!r}")
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk from segment to segment; a thumbnail within one is stepped over with it."""
    place = len(JPEG_START)
    while place + 2 <= len(data):
        if data[place] != 0xFF:  # noqa: PLR2004
            raise ValueError(f"a broken JPEG file: no marker at byte {place}")
        marker = data[place + 1]
        if marker == 0xFF:  # noqa: PLR2004  # filling
            place += 1
        elif marker in ALONE:
            place += 2
        elif marker in LAST:
            raise ValueError("a broken JPEG file: its picture begins or ends without a size")
        elif place + (9 if marker in FRAMES else 4) > len(data):
            break
        elif marker in FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        else:
            place += 2 + max(struct.unpack_from(">H", data, place + 2)[0], 2)
    raise ValueError(f"a JPEG file that breaks off before its size, after {len(data)} bytes")
