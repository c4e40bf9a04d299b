"""Small grey copies of all pictures of a data set, by which they are compared, and the file that keeps them.

A thumbnail costs a few milliseconds: a JPEG is decoded at an eighth of its size where that is enough. The file holds
one row a picture with its stamp (name, size and times of change), so that a picture that changed, came or moved to
another split costs its own milliseconds and no other's.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.array_cache import save_arrays
from aigp_lightning.data.file_stamps import FRESH_NS
from aigp_lightning.data.images import decode_image, label_path
from aigp_lightning.data.opencv_images import JPEG_START, read_bytes
from aigp_lightning.errors import DataError
from aigp_lightning.run.exhausted import raise_if_exhausted
from aigp_lightning.terminal.progress import progress_bar

SIDE = 32
"""Width and height of a thumbnail, pixels, whatever the picture's shape."""
FILE = "thumbnails.aigp-cache.npz"
VERSION = 1  # raise it whenever the pixels of thumbnails change
CHUNK = 64
"""Pictures that a thread reads in one go."""
STAMP = 16
"""Bytes of a stamp."""
Thumbnails = NDArray[np.uint8]


def thumbnail(file: str) -> Thumbnails | None:
    """Return a picture as 32 by 32 grey pixels, each the mean of those it stands for; None where it cannot be read.

    Args:
        file: the picture, turned upright as its EXIF says.

    Returns:
        uint8 (32, 32).

    Example:
        >>> import cv2
        >>> _ = cv2.imwrite("white.jpg", np.full((360, 640, 3), 255, np.uint8))
        >>> thumbnail("white.jpg").shape, int(thumbnail("white.jpg").min()), thumbnail("nowhere.jpg") is None
        ((32, 32), 255, True)
    """
    import cv2

    try:
        data = read_bytes(file)
        grey = _reduced_jpeg(data) if data[:3].tobytes() == JPEG_START else None
        if grey is None:
            grey = cv2.cvtColor(decode_image(data, file), cv2.COLOR_RGB2GRAY)
        return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    except (DataError, cv2.error) as error:
        raise_if_exhausted(error)
        return None


def _reduced_jpeg(data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Decode a JPEG in grey at the smallest size that still has two pixels for each of a thumbnail; None: it cannot."""
    import cv2

    for flag in (cv2.IMREAD_REDUCED_GRAYSCALE_8, cv2.IMREAD_REDUCED_GRAYSCALE_4, cv2.IMREAD_REDUCED_GRAYSCALE_2):
        grey = cv2.imdecode(data, flag)
        if grey is None:
            return None
        if min(grey.shape[:2]) >= 2 * SIDE:
            return np.asarray(grey, np.uint8)
    return None


def read_thumbnails(
    files: Sequence[str], folders: Sequence[Path] = (), *, workers: int = 8, progress: bool = False
) -> tuple[Thumbnails, NDArray[np.bool_]]:
    """Return the thumbnails of pictures: those that are kept and still hold, and the others made anew and kept.

    Args:
        files: the pictures.
        folders: where the file with all thumbnails may be, the best first; a folder that is missing is passed over.
        workers: threads.
        progress: show a progress bar.

    Returns:
        uint8 (n, 32, 32), and bool (n,): False for a picture that cannot be read, whose thumbnail is black.

    Example:
        >>> import cv2
        >>> _ = cv2.imwrite("grey.png", np.full((48, 64, 3), 128, np.uint8))
        >>> found, readable = read_thumbnails(["grey.png", "nowhere.png"])
        >>> found[:, 0, 0].tolist(), readable.tolist()
        ([128, 0], [True, False])
    """
    stamps, settled = _stamps(files, workers)
    known = next((rows for folder in folders if (rows := _load(folder / FILE))), {})
    kept = [known.get(stamp) for stamp in stamps]
    missing = [place for place, row in enumerate(kept) if row is None]
    for place, row in zip(missing, _make([files[place] for place in missing], workers, progress), strict=True):
        kept[place] = row
    readable = np.array([row is not None for row in kept], bool)
    black = np.zeros((SIDE, SIDE), np.uint8)
    found = np.stack([black if row is None else row for row in kept]) if kept else np.zeros((0, SIDE, SIDE), np.uint8)
    if missing and folders:
        keep = readable & settled
        _save(folders, [stamp for stamp, one in zip(stamps, keep, strict=True) if one], found[keep])
    return found, readable


def thumbnail_folders(files: Sequence[str], more: Path | None = None) -> list[Path]:
    """Return the folders in which the thumbnails of a data set are kept: that of its first label file, or another.

    Args:
        files: the pictures of all splits.
        more: a folder for a data set that cannot be written to.

    Example:
        >>> [folder.as_posix() for folder in thumbnail_folders(["/gates/images/val/0.jpg", "/gates/images/a/0.jpg"])]
        ['/gates/labels/a']
    """
    first = [Path(label_path(min(files))).parent] if files else []
    return [*first, *([more] if more is not None else [])]


def _make(files: Sequence[str], workers: int, progress: bool) -> list[Thumbnails | None]:
    """Read pictures in threads; decoding leaves the interpreter free."""
    if not files:
        return []
    found: list[Thumbnails | None] = []
    with (
        progress_bar("comparing pictures", len(files), progress) as advance,
        ThreadPoolExecutor(max(1, workers)) as pool,
    ):
        parts = pool.map(
            lambda start: list(map(thumbnail, files[start : start + CHUNK])), range(0, len(files), CHUNK)
        )  # fmt: skip
        for part in parts:
            found += part
            advance(len(part))
    return found


def _stamps(files: Sequence[str], workers: int) -> tuple[list[bytes], NDArray[np.bool_]]:
    """Return a stamp of each file, and which have not changed for so long that another change shows in their times."""
    since = time.time_ns() - FRESH_NS

    def one(file: str) -> tuple[bytes, bool]:
        try:
            stat = os.stat(file)
        except (OSError, ValueError):
            return b"", False
        text = f"{VERSION}\0{os.path.abspath(file)}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}"
        changed = stat.st_ctime_ns if os.name == "posix" else stat.st_mtime_ns
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=STAMP).digest(), changed < since

    with ThreadPoolExecutor(max(1, workers)) as pool:
        found = list(pool.map(one, files, chunksize=CHUNK))
    return [stamp for stamp, _ in found], np.array([settled for _, settled in found], bool)


def _load(file: Path) -> dict[bytes, Thumbnails]:
    """Read the rows that are kept, by their stamps; none where the file is missing or damaged."""
    try:
        with np.load(file, allow_pickle=False) as data:
            stamps, rows = data["stamps"], data["thumbnails"]
        if stamps.dtype != np.uint8 or rows.dtype != np.uint8:
            return {}
        if stamps.shape != (len(rows), STAMP) or rows.shape[1:] != (SIDE, SIDE):
            return {}
        return dict(zip(map(bytes, stamps), rows, strict=True))
    except Exception:  # a missing or damaged file fails in many ways, and all of them mean: make them again
        return {}


def _save(folders: Sequence[Path], stamps: Sequence[bytes], rows: Thumbnails) -> None:
    """Write rows to the first folder that takes them; rows of pictures that are gone are left out."""
    table = np.frombuffer(b"".join(stamps), np.uint8).reshape(-1, STAMP)
    save_arrays([folder / FILE for folder in folders], {"stamps": table, "thumbnails": rows})
