"""A fingerprint of images and labels: the same wherever, and on whatever machine, the data set lies."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data import file_stamps
from aigp_lightning.terminal.progress import progress_bar

if TYPE_CHECKING:
    from aigp_lightning.data.records import ImageRecord

AT_ONCE = 64
"""Files that are read between two steps of the progress bar."""


@dataclass(frozen=True)
class DataFingerprint:
    """The fingerprint of some images and their labels.

    Attributes:
        sha256: hexadecimal digest of it all.
        images: how many there are.
        labels: labelled objects in them.

    Example:
        >>> DataFingerprint("0f", images=2, labels=3).labels
        3
    """

    sha256: str
    images: int
    labels: int


def fingerprint(
    records: Sequence[ImageRecord],
    names: Mapping[int, str],
    progress: bool = False,
    title: str = "fingerprint",
    outlines: bool = False,
) -> DataFingerprint:
    """Hash the bytes of all image files, their names below the folder that they share, and the labels as they are read.

    Objects count with the name of their class, so that the ids a model has for the same classes make no difference.
    Where keypoints were not read, they do not count.

    Args:
        records: of a scan.
        names: class names by id.
        progress: show a progress bar.
        title: of the progress bar.
        outlines: objects' outlines count too, as where masks are judged; all records have them.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from aigp_lightning.data.records import ImageRecord
        >>> def record(folder):
        ...     (file := Path(folder, "000.jpg")).write_bytes(b"pixels")
        ...     return ImageRecord(str(file), (9, 9), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), None)
        >>> with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        ...     found = [fingerprint([record(folder)], {0: "gate"}) for folder in (one, other)]
        >>> found[0] == found[1], found[0].images, found[0].labels
        (True, 1, 1)
    """
    files = [record.im_file for record in records]
    contents = _contents(files, progress, title)
    named = np.array([str(names[label]) for label in range(len(names))], dtype=object)
    lines = sorted(
        f"{name}\0{content}\0{_labels(record, named, outlines)}"
        for name, content, record in zip(_relative(files), contents, records, strict=True)
    )
    classes = sorted({str(name) for name in names.values()})
    digest = hashlib.sha256(repr(classes).encode("utf-8"))
    for line in lines:
        digest.update(f"\0{line}".encode("utf-8", "surrogatepass"))
    return DataFingerprint(digest.hexdigest(), len(records), sum(len(record.cls) for record in records))


def _contents(files: Sequence[str], progress: bool, title: str) -> Iterator[str]:
    """Yield the digest of each file; an empty one of a file that cannot be read any more."""
    with progress_bar(title, len(files), progress) as advance:
        for start in range(0, len(files), AT_ONCE):
            part = files[start : start + AT_ONCE]
            yield from file_stamps.contents(part, range(len(part))).values()
            advance(len(part))


def _labels(record: ImageRecord, names: NDArray[np.object_], outlines: bool) -> str:
    """Return the digest of an image's labels, in the order in which they are listed."""
    digest = hashlib.sha256(repr(names[record.cls].tolist()).encode("utf-8"))
    digest.update(np.ascontiguousarray(record.bboxes, "<f4").tobytes())
    if record.keypoints is not None:
        digest.update(np.ascontiguousarray(record.keypoints, "<f4").tobytes())
    if outlines and record.polygons is not None:
        digest.update(np.ascontiguousarray(record.polygons.counts, "<i8").tobytes())
        digest.update(np.ascontiguousarray(record.polygons.points, "<f4").tobytes())
    return digest.hexdigest()


def _relative(files: Sequence[str]) -> list[str]:
    """Return the files' names below the folder that they share; without one, on two drives, as they are."""
    plain = [PurePath(os.path.abspath(file)).as_posix() for file in files]
    try:
        shared = posixpath.commonpath([posixpath.dirname(file) for file in plain])
    except ValueError:
        return plain
    return [posixpath.relpath(file, shared) for file in plain]
