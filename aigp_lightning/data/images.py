"""Finds the images of a split, their label files, and decodes images."""

from __future__ import annotations

import glob
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from aigp_lightning.data.labels import Problem, printable
from aigp_lightning.data.limits import MAX_PROBLEMS
from aigp_lightning.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from aigp_lightning.data.data_yaml import DataSpec

IMAGE_SUFFIXES = frozenset(  # what Ultralytics reads
    (".avif", ".bmp", ".dng", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp")
)
FORMATS = ("JPEG", "PNG", "BMP", "DIB", "WEBP", "TIFF", "JPEG2000", "AVIF", "HEIF")  # none that runs another program
PIL_SUFFIXES = (".avif", ".heic", ".heif")  # OpenCV cannot read these, or does not turn them upright


def list_images(spec: DataSpec, split: str) -> list[str]:
    """Find the images of a split in the order Ultralytics has them: sorted as text.

    Args:
        spec: data set.
        split: `train`, `val` or `test`.

    Returns:
        Absolute paths, symbolic links unresolved. An image that is listed twice comes twice.

    Raises:
        DataError: the split is not in the data set, a source is missing, or there is no image in any of them.
    """
    return find_images(spec, split)[0]


def find_images(spec: DataSpec, split: str) -> tuple[list[str], list[Problem]]:
    """Do as `list_images` does, and also return the lines of lists that name no image.

    Args:
        spec: data set.
        split: `train`, `val` or `test`.

    Returns:
        Images and problems.

    Raises:
        DataError: as `list_images`.
    """
    if not (sources := spec.splits.get(split)):
        raise DataError(f"{spec.file}: no '{split}' split; add '{split}:' with a folder of images")
    found: list[str] = []
    problems: list[Problem] = []
    for source in sources:
        found += _expand(source, spec, split, problems)
    if not found:
        looked = ", ".join(printable(s) for s in sources[:5])
        raise DataError(
            f"{spec.file}: the '{split}' split has no images; looked in {looked} for {' '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return sorted(found), problems


def label_path(im_file: str) -> str:
    """The label file of an image: the last `images` folder becomes `labels`, the suffix `.txt`.

    Args:
        im_file: path of the image as written; symbolic links are not resolved.

    Returns:
        Where the label file would be.
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
        raise DataError(f"{printable(path)}: cannot be read: {error}") from error
    except cv2.error:
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
        raise DataError(f"{printable(path)}: cannot be decoded ({error}); replace or remove it") from error


def _is_image(path: str) -> bool:
    """Whether the name ends like an image's."""
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES


def _expand(source: str, spec: DataSpec, split: str, problems: list[Problem]) -> Iterable[str]:
    """All images one source stands for."""
    if os.path.isdir(source):
        return _walk(source)
    if os.path.isfile(source):
        return [source] if _is_image(source) else _read_list(source, spec, problems)
    matches = sorted(glob.glob(source, recursive=True)) if glob.has_magic(source) else []
    if not matches:
        what = "nothing matches" if glob.has_magic(source) else "there is no"
        raise DataError(
            f"{spec.file}: '{split}': {what} {printable(source)}; relative paths start at {spec.root}, mend "
            f"'{split}' or 'path'"
        )
    chosen = [m for m in matches if os.path.isdir(m) or _is_image(m) or m.lower().endswith(".txt")]
    inside = "**" in source  # `**` names every folder as well as what is in it, so folders are not opened again
    return [
        image
        for match in chosen
        if not (inside and os.path.isdir(match))
        for image in _expand(match, spec, split, problems)
    ]


def _walk(folder: str, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Images below a folder, links followed unless they lead back up, hidden names left out."""
    above = (*above, os.path.realpath(folder))
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise DataError(f"{printable(folder)}: cannot be listed: {error.strerror}") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if os.path.isdir(entry.path):  # unlike the entry's own, never an error
            if not (entry.is_symlink() and os.path.realpath(entry.path) in above):
                yield from _walk(entry.path, above)
        elif _is_image(entry.name):
            yield entry.path


def _read_list(file: str, spec: DataSpec, problems: list[Problem]) -> list[str]:
    """Images named in a text file, one on each line."""
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(file)}: neither an image nor a UTF-8 list of images, one on each line") from error
    except OSError as error:
        raise DataError(f"{printable(file)}: cannot be read: {error.strerror}") from error
    found, wrong = [], 0
    for number, line in enumerate((raw.strip() for raw in lines), 1):
        if not line:
            continue
        if _is_image(line) and "\0" not in line:
            found.append(_place(line, os.path.dirname(file), str(spec.root)))
        else:
            wrong += 1
            if wrong <= MAX_PROBLEMS:
                text = f"{line[:80]!r} does not end like an image's name, left out"
                problems.append(Problem(file, number, "not an image", text, False))
    if wrong > MAX_PROBLEMS:
        text = f"{wrong - MAX_PROBLEMS} more lines do not end like an image's name"
        problems.append(Problem(file, None, "not an image", text, False))
    return found


def _place(line: str, folder: str, root: str) -> str:
    """Where a line of a list points: `./` means the list's folder; else there, the root or the working directory."""
    line = line.replace("/", os.sep)
    if os.path.isabs(line):
        return line
    if line.startswith(f".{os.sep}"):
        return os.path.join(folder, line[2:])
    places = [os.path.join(base, line) for base in (folder, root, os.getcwd())]
    if os.sep == "/" and "\\" in line:  # a list written on Windows
        places += [p.replace("\\", "/") for p in places]
    return next((p for p in places if os.path.exists(p)), places[0])
