"""Images of a data set: their names, their label files, and their pixels."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, BinaryIO

from aigp_lightning.errors import DataError, printable
from aigp_lightning.run.exhausted import raise_if_exhausted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

IMAGE_SUFFIXES = frozenset(  # what Ultralytics reads
    (".avif", ".bmp", ".dng", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp")
)
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "WEBP", "TIFF", "JPEG2000", "AVIF", "HEIF")  # none that runs another program
PIL_SUFFIXES = (".avif", ".heic", ".heif")  # OpenCV cannot read these, or does not turn them upright


def is_image(path: str) -> bool:
    """True if the name ends like an image's.

    Example:
        >>> is_image("gate.JPG"), is_image("gate.txt")
        (True, False)
    """
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES


def label_path(im_file: str) -> str:
    """Return the label file of an image: the last `images` folder becomes `labels`, the suffix `.txt`.

    Args:
        im_file: path of the image as written; symbolic links are not resolved.

    Returns:
        Path of the label file, which need not exist.

    Example:
        >>> label_path("/data/images/train/000.jpg")
        '/data/labels/train/000.txt'
    """
    stem = im_file.rpartition(".")[0]
    head, found, tail = (os.sep + stem).rpartition(f"{os.sep}images{os.sep}")
    return (f"{head}{os.sep}labels{os.sep}{tail}"[1:] if found else stem) + ".txt"


def read_image(path: str) -> NDArray[np.uint8]:
    """Decode an image of any supported kind, turned upright as its EXIF says.

    16-bit images keep their high byte and alpha is dropped, as OpenCV and so Ultralytics do.

    Args:
        path: image file; any name, also on Windows.

    Returns:
        uint8 (H, W, 3) RGB.

    Raises:
        DataError: the file cannot be read or decoded.

    Example:
        >>> import tempfile
        >>> import cv2
        >>> import numpy as np
        >>> file = tempfile.mkdtemp(dir=".") + "/red.png"
        >>> cv2.imwrite(file, np.full((2, 3, 3), (0, 0, 255), np.uint8))  # OpenCV's own order is BGR
        True
        >>> read_image(file).shape, read_image(file)[0, 0].tolist()
        ((2, 3, 3), [255, 0, 0])
    """
    import cv2
    import numpy as np

    if path.lower().endswith(PIL_SUFFIXES):
        return _read_with_pil(path)
    deep = path.lower().endswith((".tif", ".tiff"))  # OpenCV itself would mix up the bytes of 16-bit colour
    try:
        data = np.fromfile(path, np.uint8)  # cv2.imread cannot open non-ASCII names on Windows
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH * deep) if data.size else None
    except (OSError, ValueError) as error:
        raise_if_exhausted(error)
        raise DataError(f"{printable(path)}: cannot be read: {error}") from error
    except cv2.error as error:
        raise_if_exhausted(error)
        image = None
    if image is not None and image.dtype == np.uint16:
        image = np.right_shift(image, 8).astype(np.uint8)
    if image is None or image.dtype != np.uint8:
        return _read_with_pil(path)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def open_image(stream: BinaryIO, path: str) -> Image.Image:
    """Open an image with Pillow, of the kinds that are read and no others.

    `PIL.Image.open` is avoided: Ultralytics replaces it by one that installs packages when it meets a broken file.

    Args:
        stream: the open file, which must stay open as long as the image is used.
        path: its name, for errors.

    Returns:
        The image, not decoded yet.

    Raises:
        DataError: not an image of a kind that is read.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> stream = io.BytesIO()
        >>> Image.new("RGB", (4, 3)).save(stream, "PNG")
        >>> _ = stream.seek(0)
        >>> open_image(stream, "black.png").size
        (4, 3)
    """
    from PIL import Image

    Image.init()
    prefix = stream.read(16)
    for name in FORMATS:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is None or (accept is not None and accept(prefix) is not True):
            continue
        stream.seek(0)
        try:
            return factory(stream, path)
        except (SyntaxError, IndexError, TypeError, struct.error):  # as Pillow does: the next may know it
            continue
    raise DataError(f"{printable(path)}: not an image of a kind that is read; replace or remove it")


def _read_with_pil(path: str) -> NDArray[np.uint8]:
    """Decode what OpenCV cannot, such as AVIF."""
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with open(path, "rb") as stream:
            image = open_image(stream, path)
            if image.mode == "F":
                raise ValueError("floating-point pixels; save it with 8 or 16 bits")
            upright: Image.Image = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            return np.array(upright.convert("RGB"))
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise_if_exhausted(error)
        raise DataError(f"{printable(path)}: cannot be decoded ({error}); replace or remove it") from error
