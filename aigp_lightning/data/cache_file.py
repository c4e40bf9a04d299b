"""A cache of training pictures in a file beside the scan's, which all runs with this data set and size share.

The file holds the block that is mapped, and behind it a fingerprint of everything that its pixels depend on. It is
written under another name, by one run at a time, so that a file that a kill has left is never taken for a whole one.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from aigp_lightning.data import file_stamps
from aigp_lightning.data.cache_fill import Pictures, fill
from aigp_lightning.data.cache_room import check_room
from aigp_lightning.data.images import label_path
from aigp_lightning.data.picture_cache import Block, PictureCache
from aigp_lightning.data.records import ScanResult
from aigp_lightning.errors import ConfigError, tell_user
from aigp_lightning.files import DISK_FULL, disk_full, open_regular
from aigp_lightning.run.file_lock import UNSUPPORTED, FileLock

VERSION = 1  # raise it whenever the pixels of training pictures change
PERIOD = 1.0
"""Seconds between two looks at a file that another run is filling."""
TAIL = struct.Struct("<Q8s")
"""Length of the description before it, and the mark, at the end of a file."""
MARK = b"aigp-px1"


def tail(digest: str, contents: Mapping[int, str]) -> bytes:
    """Return what stands at the end of a file, behind the block.

    Args:
        digest: fingerprint of files and settings.
        contents: of files that had just changed; see `file_stamps`.

    Example:
        >>> tail("0f", {})[-8:]
        b'aigp-px1'
    """
    text = json.dumps({"digest": digest, "contents": dict(contents)}).encode("ascii")
    return text + TAIL.pack(len(text), MARK)


def read_tail(file: Path, size: int) -> tuple[str, dict[int, str]] | None:
    """Read the end of a file; None where it is missing, of another size, or damaged.

    Args:
        file: the file.
        size: bytes of the block.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a").write_bytes(b"1234" + tail("0f", {3: "aa"}))
        ...     read_tail(Path(folder, "a"), 4), read_tail(Path(folder, "a"), 5)
        (('0f', {3: 'aa'}), None)
    """
    try:
        with os.fdopen(open_regular(file), "rb") as stream:  # a pipe by this name would be waited for
            stream.seek(-TAIL.size, os.SEEK_END)
            length, mark = TAIL.unpack(stream.read(TAIL.size))
            if mark != MARK or stream.tell() != size + length + TAIL.size:
                return None
            stream.seek(size)
            found = json.loads(stream.read(length))
        return str(found["digest"]), {int(place): str(content) for place, content in found["contents"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def cache_on_disk(
    pictures: Pictures, folders: Sequence[Path], *, threads: int, progress: bool = False
) -> PictureCache:  # fmt: skip
    """Map the file with these pictures, and make it first if it is missing or of other files.

    Args:
        pictures: what to read.
        folders: where the file may be, the best first; none is made.
        threads: how many read at once.
        progress: show a progress bar.

    Raises:
        ConfigError: no folder can be written to, or the disk is full.

    Example:
        >>> import tempfile
        >>> import cv2
        >>> import lightning.pytorch  # sets the rank, by which one process alone prints
        >>> import numpy as np
        >>> from aigp_lightning.data.records import ImageRecord
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = cv2.imwrite(f"{folder}/a.png", np.full((48, 64, 3), 7, np.uint8))
        ...     record = ImageRecord(f"{folder}/a.png", (48, 64), np.zeros(0), np.zeros((0, 4), np.float32), None)
        ...     cache = cache_on_disk(Pictures([record], 64), [Path(folder)], threads=1)
        ...     found = cache.get(0).shape, os.path.basename(cache.address)
        ...     del cache  # Windows removes no file that is mapped
        >>> found
        ((48, 64, 3), 'train-64.aigp-pictures')
    """
    import cv2

    layout, files = pictures.layout, [record.im_file for record in pictures.records]
    resizing = pictures.resizing
    settings = VERSION, pictures.imgsz, cv2.__version__, layout.shapes.tobytes(), *resizing.identity()
    name = "-".join(("train", str(pictures.imgsz), *resizing.identity()[:1]))
    digest, fresh = file_stamps.fingerprint(settings, files, threads)
    failure: OSError | None = None
    for folder in dict.fromkeys(folders):
        file = folder / f"{name}.aigp-pictures"
        try:
            if (found := _recall(file, pictures, digest, files)) is not None:
                tell_user(f"cache: {pictures.told()}, from {file}")
                return found
            with _alone(file) as alone:
                if (found := _recall(file, pictures, digest, files)) is None:  # another run may have made it meanwhile
                    contents = file_stamps.contents(files, fresh)  # before they are read: a change from here on is seen
                    partial = file.with_name(f"{file.name}.partial{'' if alone else f'-{os.getpid()}'}")
                    _make(pictures, (file, partial), tail(digest, contents), threads, progress)
                    found = PictureCache(layout, Block(f"file:{file}", layout.size))
                return found
        except OSError as error:
            if error.errno in DISK_FULL:
                raise ConfigError(f"--data.cache disk: {disk_full(error, file, layout.size)}") from error
            failure = error
    raise ConfigError(
        f"--data.cache disk: {file} cannot be written ({failure.strerror if failure else 'no folder'}); use "
        "--data.cache ram, or no cache (null)."
    ) from failure


def places(scan: ScanResult, run_folder: Path) -> list[Path]:
    """Return the folders that a file may be in: that of the scan's, of the labels, of the run.

    Args:
        scan: of the split.
        run_folder: folder of the run.

    Example:
        >>> scan = ScanResult("train", [], [], images=0, cache_file=Path("/data/labels/train.aigp-cache.npz"))
        >>> [folder.as_posix() for folder in places(scan, Path("runs/a"))]
        ['/data/labels', 'runs/a']
    """
    labels = [Path(label_path(record.im_file)).parent for record in scan.records[:1]]
    return [*([scan.cache_file.parent] if scan.cache_file is not None else []), *labels, run_folder]


def _recall(file: Path, pictures: Pictures, digest: str, files: Sequence[str]) -> PictureCache | None:
    """Return the cache in a file; None where it is of other pictures, or was not finished."""
    layout = pictures.layout
    found = read_tail(file, layout.size)
    if found is None or found[0] != digest:
        return None
    contents = found[1]
    if contents != file_stamps.contents(files, [place for place in contents if 0 <= place < len(files)]):
        return None
    return PictureCache(layout, Block(f"file:{file}", layout.size))


@contextmanager
def _alone(file: Path) -> Iterator[bool]:
    """Wait until no other run fills this file; where there are no locks, do not, and yield False."""
    lock, told = FileLock(file.with_name(f"{file.name}.lock")), False
    try:
        while not lock.acquire():
            if not told:
                tell_user(f"cache: another run is filling {file}; waiting for it")
            told = True
            time.sleep(PERIOD)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    try:
        yield lock.descriptor is not None
    finally:
        lock.release()


def _make(
    pictures: Pictures, names: tuple[Path, Path], end: bytes, threads: int, progress: bool
) -> None:  # fmt: skip
    """Write the second file, and give it the name of the first when it is complete.

    A mapping is not written to: on a disk that fills up the system would end the process by a signal.
    """
    (file, partial), size = names, pictures.layout.size
    with suppress(OSError):
        file.unlink(missing_ok=True)  # of other pictures; others that have mapped it keep it
    partial.unlink(missing_ok=True)  # left by a kill
    with partial.open("xb") as stream:  # a data set may come from anywhere: no link is followed
        try:
            check_room("disk", size, len(pictures.records), file.parent)
            tell_user(f"cache: {pictures.told()}, in {file}")
            fill(pictures, _Writer(stream).put, threads, progress)
            stream.seek(size)
            stream.write(end)
            stream.flush()
            os.fsync(stream.fileno())
            if os.name == "posix":  # data sets are shared: who may write into the folder may write the cache
                partial.chmod(file.parent.stat().st_mode & 0o666)
        except BaseException:
            stream.close()
            partial.unlink(missing_ok=True)
            raise
    os.replace(partial, file)


class _Writer:
    """Writes to a file from several threads."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._lock = stream, threading.Lock()

    def put(self, start: int, data: Any) -> None:
        with self._lock:
            self._stream.seek(start)
            self._stream.write(data)
