"""Images of a data set: their names, their label files, and their pixels.

Longer than 250 lines: opening, refusing, turning and decoding a picture are steps of one thing, each with an example.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from aigp_lightning.data.opencv_images import decode_rgb, is_for_opencv, read_bytes
from aigp_lightning.errors import DataError, printable
from aigp_lightning.run.exhausted import raise_if_exhausted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

IMAGE_SUFFIXES = frozenset(  # what Ultralytics reads, and further endings of the same kinds of file
    (
        *(".avif", ".bmp", ".dng", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"),
        *(".gif", ".jfif", ".jpe"),
    )
)
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "WEBP", "TIFF", "GIF", "JPEG2000", "AVIF", "HEIF")
"""Kinds that are read, by Pillow's names: none that runs another program."""
BY_OPENCV = frozenset(("JPEG", "MPO", "PNG", "BMP", "WEBP", "JPEG2000"))
"""Kinds that OpenCV decodes. It cannot read the others, or does not turn them upright, or mixes up their depths."""
MODES = frozenset(("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"))
"""Pillow's modes with 8 bits a channel at most, of which it makes RGB."""
DEEP_MODES = frozenset(("I;16", "I;16B", "I;16L", "I;16N"))
REDUCED_IMAGE, BITS, PHOTOMETRIC, SAMPLE_FORMAT = 254, 258, 262, 339
"""Tags of a TIFF."""


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

    Deeper images keep their highest 8 bits and alpha is dropped, as OpenCV and so Ultralytics do. Of several pages or
    frames the first is read.

    Args:
        path: image file; any name, also on Windows.

    Returns:
        uint8 (H, W, 3) RGB.

    Raises:
        DataError: the file cannot be read or decoded, or has pixels of a kind that cannot be shown.

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
    return decode_image(read_bytes(path), path)


def decode_image(data: NDArray[np.uint8], path: str) -> NDArray[np.uint8]:
    """Decode a file's bytes as `read_image` does.

    Args:
        data: all of them, (n,), as `opencv_images.read_bytes` returns them.
        path: the file, which Pillow opens again for the kinds that OpenCV does not decode; and for errors.

    Returns:
        uint8 (H, W, 3) RGB.

    Raises:
        DataError: see `read_image`.

    Example:
        >>> import cv2
        >>> import numpy as np
        >>> decode_image(cv2.imencode(".png", np.zeros((2, 3, 3), np.uint8))[1].ravel(), "black.png").shape
        (2, 3, 3)
    """
    image = decode_rgb(data) if is_for_opencv(data[:12].tobytes()) else None
    return _read_with_pillow(path) if image is None else image


def open_image(stream: BinaryIO, path: str, formats: Sequence[str] = FORMATS) -> Image.Image:
    """Open an image with Pillow, of the kinds that are read and no others.

    `PIL.Image.open` is avoided: Ultralytics replaces it by one that installs packages when it meets a broken file.

    Args:
        stream: the open file, which must stay open as long as the image is used.
        path: its name, for errors.
        formats: kinds to try, by Pillow's names.

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
    for name in formats:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is None:
            continue
        try:
            if accept is not None and accept(prefix) is not True:
                continue
            stream.seek(0)
            return factory(stream, "")  # with its name, Pillow maps the file into memory, and mixes up turned TIFFs
        except (SyntaxError, IndexError, TypeError, struct.error):  # as Pillow does: the next may know it
            continue
    raise DataError(f"{printable(path)}: not an image of a kind that is read; replace or remove it")


def refusal(image: Image.Image) -> str | None:
    """Tell why an image's pixels cannot be shown with 8 bits a channel; None where they can.

    Args:
        image: as `open_image` returns it.

    Example:
        >>> from PIL import Image
        >>> refusal(Image.new("F", (4, 3))), refusal(Image.new("CMYK", (4, 3)))
        ('floating-point pixels; save it with 8 or 16 bits', None)
    """
    tags = getattr(image, "tag_v2", {})  # a TIFF's
    reduced = tags.get(REDUCED_IMAGE, 0)
    reasons = (
        (image.mode == "F", "floating-point pixels; save it with 8 or 16 bits"),
        (image.mode == "I", "signed or 32-bit whole numbers as pixels; save it with 8 or 16 bits"),
        (image.mode not in MODES | DEEP_MODES, f"pixels of the kind {image.mode}; save it as RGB or grey"),
        (
            any(kind != 1 for kind in _numbers(tags.get(SAMPLE_FORMAT, 1))),
            "pixels that are not unsigned whole numbers; save it with 8 or 16 bits",
        ),
        (
            image.mode in DEEP_MODES and tags.get(PHOTOMETRIC, 1) != 1,
            "16-bit pixels whose zero is white; save it with black as zero",
        ),
        (isinstance(reduced, int) and reduced & 1, "its first page is a preview; save the picture itself"),
    )
    return next((reason for wrong, reason in reasons if wrong), None)


def _numbers(value: Any) -> tuple[Any, ...]:
    """Return the values of a TIFF's tag, which are a tuple or a single one."""
    return value if isinstance(value, tuple) else (value,)


def upright(image: Image.Image) -> Image.Image:
    """Decode an image with Pillow, and turn it as its EXIF says.

    Args:
        image: as `open_image` returns it.

    Returns:
        The image in its own mode.

    Raises:
        Exception: it cannot be decoded; Pillow's decoders raise nearly anything.

    Example:
        >>> from PIL import Image
        >>> upright(Image.new("L", (4, 3))).size
        (4, 3)
    """
    from PIL import ImageOps

    image.load()  # a TIFF is turned by this
    return image if image.format == "TIFF" else ImageOps.exif_transpose(image)


def rgb_of(image: Image.Image, path: str) -> NDArray[np.uint8]:
    """Decode an image of Pillow's, turned upright; deep pixels keep their highest 8 bits, and alpha is dropped.

    Args:
        image: such as `open_image` returns it.
        path: its name, for errors.

    Returns:
        uint8 (H, W, 3) RGB.

    Raises:
        DataError: it cannot be decoded, or has pixels of a kind that cannot be shown.

    Example:
        >>> from PIL import Image
        >>> rgb_of(Image.new("I;16", (1, 1), 0x8000), "deep").tolist()
        [[[128, 128, 128]]]
    """
    import numpy as np
    from PIL import Image

    if reason := refusal(image):
        raise DataError(f"{printable(path)}: cannot be read: {reason}")
    try:
        bits = _numbers(getattr(image, "tag_v2", {}).get(BITS, 16))[0]
        image = upright(image)
        if image.mode in DEEP_MODES:
            image = Image.fromarray((np.asarray(image) >> (bits - 8)).astype(np.uint8))
        if image.mode in ("La", "RGBa"):  # Pillow makes RGB of them in two steps only
            image = image.convert(image.mode.upper())
        return np.array(image.convert("RGB"))
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files
        raise_if_exhausted(error)
        raise DataError(f"{printable(path)}: cannot be decoded ({error}); replace or remove it") from error


def _read_with_pillow(path: str) -> NDArray[np.uint8]:
    """Decode what OpenCV cannot, such as AVIF and TIFF."""
    try:
        with open(path, "rb") as stream:
            return rgb_of(open_image(stream, path), path)
    except DataError:
        raise
    except Exception as error:  # as in `rgb_of`: opening decodes the head
        raise_if_exhausted(error)
        raise DataError(f"{printable(path)}: cannot be decoded ({error}); replace or remove it") from error
