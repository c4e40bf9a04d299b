"""JPEG files that the device decodes: the worker reads their bytes and their size, nothing more."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from aigp_lightning.data.resizing import LETTERBOX, Resizing
from aigp_lightning.errors import ConfigError, RunError, printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAMES, STARTS_SCAN = (0xC0, 0xC1, 0xC2), 0xDA
"""Markers of frames in Huffman code, baseline and progressive, and of a scan (ITU-T T.81, table B.1)."""
MARKER, APP1, APP14 = 0xFF, 0xE1, 0xEE
EXIF, ADOBE = b"Exif\0\0", b"Adobe"
ORIENTATION, UPRIGHT = 0x0112, 1
COLOURS, BITS = 3, 8
FRAME = struct.Struct(">BHHB")
"""Layout of a frame's header: bits, height, width, and number of colours."""
AT_ONCE = 1 << 24
"""Decoded pixels that are resized at once."""


class FileInBatch(NamedTuple):
    """A JPEG file among the bytes of a batch.

    Attributes:
        start: of its bytes.
        end: of its bytes.
        full: height and width of the picture, pixels.
        size: height and width that it gets.
        im_file: its name.
        antialiased: pixels are averaged where it becomes smaller.

    Example:
        >>> FileInBatch(0, 100, (720, 1280), (360, 640), "000.jpg").size
        (360, 640)
    """

    start: int
    end: int
    full: tuple[int, int]
    size: tuple[int, int]
    im_file: str
    antialiased: bool = False


@dataclass(frozen=True, eq=False)
class EncodedPicture:
    """A picture that is still a file; it stands where an image would.

    Args:
        data: all bytes of the file, (n,) uint8.
        full: height and width in the file, pixels.
        shape: height, width and channels once it is decoded and resized.
        im_file: its name.
        antialiased: pixels are averaged where it becomes smaller.

    Example:
        >>> EncodedPicture(np.zeros(100, np.uint8), (720, 1280), (360, 640, 3), "000.jpg").shape
        (360, 640, 3)
    """

    data: NDArray[np.uint8]
    full: tuple[int, int]
    shape: tuple[int, int, int]
    im_file: str
    antialiased: bool = False


def read_encoded(path: str, imgsz: int, resizing: Resizing = LETTERBOX) -> EncodedPicture | None:
    """Read the bytes of a JPEG that a GPU decodes as the processor would.

    Args:
        path: image file.
        imgsz: length that the long side gets, pixels.
        resizing: way to resize it.

    Returns:
        None for anything else: another kind of file, one that EXIF turns, one that is not in colour or not in YCbCr,
        one that cannot be read.

    Example:
        >>> import tempfile
        >>> import cv2
        >>> file = tempfile.mkdtemp(dir=".") + "/black.jpg"
        >>> cv2.imwrite(file, np.zeros((72, 128, 3), np.uint8))
        True
        >>> read_encoded(file, imgsz=64).shape, read_encoded("nowhere.jpg", imgsz=64)
        ((36, 64, 3), None)
    """
    try:
        data = np.fromfile(path, np.uint8)
    except (OSError, ValueError):
        return None
    full = decodable_size(data.tobytes())
    if full is None:
        return None
    return EncodedPicture(data, full, (*resizing.training_size(full, imgsz), COLOURS), path, resizing.antialiased)


def decodable_size(data: bytes) -> tuple[int, int] | None:
    """Return height and width of a plain upright colour JPEG; None for everything else.

    Args:
        data: the file.

    Example:
        >>> import cv2
        >>> decodable_size(cv2.imencode(".jpg", np.zeros((72, 128, 3), np.uint8))[1].tobytes())
        (72, 128)
        >>> decodable_size(b"GIF89a") is None
        True
    """
    for marker, segment in _segments(data):
        if marker == APP1 and segment.startswith(EXIF) and _orientation(segment[len(EXIF) :]) != UPRIGHT:
            return None
        if marker == APP14 and segment.startswith(ADOBE) and segment[11:12] != b"\1":
            return None  # RGB or CMYK
        if marker in FRAMES:
            if len(segment) < FRAME.size:
                return None
            bits, height, width, colours = FRAME.unpack_from(segment)
            return (height, width) if (bits, colours) == (BITS, COLOURS) and height and width else None
    return None


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of the segments before the pixels, as far as they are in order."""
    place = 2
    if not data.startswith(b"\xff\xd8"):
        return
    while place + 4 <= len(data) and data[place] == MARKER:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == STARTS_SCAN:
            return
        yield marker, data[place + 4 : place + 2 + length]
        place += 2 + length


def _orientation(tiff: bytes) -> int:
    """Return what the EXIF data says of the orientation; 0 where they are not understood."""
    if tiff[:2] not in (b"II", b"MM"):
        return 0

    def number(place: int, size: int) -> int:
        return int.from_bytes(tiff[place : place + size], "little" if tiff.startswith(b"II") else "big")

    first = number(4, 4)
    for entry in range(number(first, 2)):
        place = first + 2 + 12 * entry
        if number(place, 2) == ORIENTATION:
            return number(place + 8, 2)
    return UPRIGHT


def decode_files(data: Tensor, files: Sequence[FileInBatch], device: torch.device) -> list[Tensor]:
    """Decode and resize JPEG files on the device.

    Args:
        data: (n,) uint8 in the processor's memory, the bytes of all files.
        files: those of one size together.
        device: where to decode.

    Returns:
        (k, 3) uint8 RGB a group of files of one size, the pixels of its pictures one after the other.

    Raises:
        RunError: one cannot be decoded.

    Example:
        >>> import cv2
        >>> code = torch.from_numpy(cv2.imencode(".jpg", np.full((72, 128, 3), 90, np.uint8))[1].ravel())
        >>> files = [FileInBatch(0, len(code), (72, 128), (36, 64), "grey.jpg")]
        >>> [group.shape for group in decode_files(code, files, torch.device("cpu"))]
        [torch.Size([2304, 3])]
    """
    groups = []
    decoded = iter(_decoded([data[file.start : file.end] for file in files], files, device))
    for (full, size, antialiased), alike in groupby(files, lambda file: (file.full, file.size, file.antialiased)):
        count = len(list(alike))
        step = max(AT_ONCE // (full[0] * full[1]), 1)
        for start in range(0, count, step):
            images = torch.stack([next(decoded) for _ in range(min(step, count - start))])
            groups.append(_resized(images, size, antialiased).permute(0, 2, 3, 1).reshape(-1, COLOURS))
    return groups


def decoder() -> partial[list[Tensor]]:
    """Return torchvision's function that decodes JPEG files on any device, to three colours.

    Raises:
        ConfigError: it has none any more.

    Example:
        >>> decoder().func.__name__
        'decode_jpeg'
    """
    try:
        from torchvision.io import ImageReadMode, decode_jpeg  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise ConfigError(
            "--data.decode_on device: this version of torchvision decodes no JPEG files; use --data.decode_on cpu."
        ) from error
    return partial(decode_jpeg, mode=ImageReadMode.RGB)


def _decoded(codes: list[Tensor], files: Sequence[FileInBatch], device: torch.device) -> list[Tensor]:
    """Return (3, H, W) uint8 of each file; where the device's decoder gives up, by the processor's."""
    if not codes:
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that torchvision will lack it one day
            return list(decoder()(codes, device=device))
    except RuntimeError:  # it does not say which
        return [_decoded_here(code, file.im_file).to(device) for code, file in zip(codes, files, strict=True)]


def _decoded_here(code: Tensor, im_file: str) -> Tensor:
    import cv2

    image = cv2.imdecode(code.numpy(), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise RunError(
            f"{printable(im_file)}: cannot be decoded, by the GPU or without it. With --data.decode_on cpu another "
            "picture takes the place of one that breaks while training."
        )
    return torch.from_numpy(image).permute(2, 0, 1)


def _resized(images: Tensor, size: tuple[int, int], antialiased: bool) -> Tensor:
    """Resize (n, 3, H, W) uint8 pictures linearly, as OpenCV does or, antialiased, as Pillow does."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    done = functional.interpolate(images.float(), size, mode="bilinear", align_corners=False, antialias=antialiased)
    return done.add_(0.5).to(torch.uint8)
