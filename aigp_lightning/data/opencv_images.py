"""Decoding of images by OpenCV, from bytes; a JPEG also at half its size.

A JPEG is stored as blocks of 8×8 frequencies. libjpeg makes fewer pixels of a block by leaving out the high ones, which
costs less than all pixels and a resize. What is then left of its cost is mostly reading the compressed numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigp_lightning.errors import DataError, printable
from aigp_lightning.run.exhausted import raise_if_exhausted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

JPEG_START = b"\xff\xd8\xff"
STARTS = (JPEG_START, b"\x89PNG\r\n\x1a\n", b"BM", b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
"""First bytes of files of the kinds that OpenCV decodes as they show, but WebP."""


def read_bytes(path: str) -> NDArray[np.uint8]:
    """Read a file whole.

    Args:
        path: any name, also on Windows, where `cv2.imread` cannot open those that are not ASCII.

    Returns:
        uint8 (n,).

    Raises:
        DataError: it cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = open(f"{folder}/000.jpg", "wb").write(b"BM")
        ...     read_bytes(f"{folder}/000.jpg").tolist()
        [66, 77]
    """
    import numpy as np

    try:
        return np.fromfile(path, np.uint8)
    except (OSError, ValueError, MemoryError) as error:
        raise_if_exhausted(error)
        raise DataError(f"{printable(path)}: cannot be read: {error}") from error


def is_for_opencv(start: bytes) -> bool:
    r"""True if a file that begins so is of a kind that OpenCV decodes as it shows, whatever its name.

    Args:
        start: its first 12 bytes.

    Example:
        >>> is_for_opencv(b"\xff\xd8\xff\xe0"), is_for_opencv(b"GIF89a")
        (True, False)
    """
    return start.startswith(STARTS) or (start[:4], start[8:12]) == (b"RIFF", b"WEBP")


def decode_rgb(data: NDArray[np.uint8], half: bool = False) -> NDArray[np.uint8] | None:
    """Decode a file's bytes, upright as its EXIF says.

    Args:
        data: (n,) all bytes of the file.
        half: whether the sides are to be halved, rounded up; of a JPEG only.

    Returns:
        uint8 (H, W, 3) RGB; None where OpenCV cannot.

    Example:
        >>> import cv2
        >>> import numpy as np
        >>> data = cv2.imencode(".jpg", np.zeros((37, 64, 3), np.uint8))[1].ravel()
        >>> decode_rgb(data).shape, decode_rgb(data, half=True).shape
        ((37, 64, 3), (19, 32, 3))
    """
    import cv2
    import numpy as np

    # OpenCV 4.11 and later can decode to RGB itself; kinds other than JPEG have their own ways with alpha and depths.
    to_rgb = getattr(cv2, "IMREAD_COLOR_RGB", None) if not half and data[:3].tobytes() == JPEG_START else None
    bgr = cv2.IMREAD_REDUCED_COLOR_2 if half else cv2.IMREAD_COLOR
    try:
        image = cv2.imdecode(data, bgr if to_rgb is None else to_rgb)
    except cv2.error as error:
        raise_if_exhausted(error)
        return None
    if image is None or image.dtype != np.uint8:
        return None
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if to_rgb is None else image, np.uint8)
