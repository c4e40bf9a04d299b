"""The ledger's file: lines are added whole or not at all, and what was added last can be replaced in its place."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import BinaryIO

from aigp_lightning.files import open_regular
from aigp_lightning.media.ledger.lines import parse_line

BLANK = b" "
"""Fills what a replacement leaves free, for the moment until the file is cut."""
GUARD = 1024
"""Bytes at the end that are compared, before more is written, with what was left there."""


class LedgerFile:
    """Adds bytes to a file, and replaces the last of them without new room on the disk.

    Args:
        path: the file; it is made if it isn't there. A last line that was cut off is removed.

    Raises:
        OSError: the file cannot be read or written, or is no regular file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = LedgerFile(Path(folder) / "media.jsonl")
        ...     at = file.append(b"a line that says too much")
        ...     file.replace(at, b"a line")
        ...     file.close()
        ...     file.path.read_bytes()
        b'a line'
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.fdopen(open_regular(path, os.O_RDWR | os.O_CREAT), "r+b", buffering=0)
        try:
            self.found = _trim(self._file)
            """The bytes that were there."""
            self._remember(len(self.found))
        except BaseException:
            self._file.close()
            raise

    def append(self, data: bytes) -> int:
        """Add bytes at the end; they are with the operating system when this returns.

        Returns:
            Where they begin.

        Raises:
            OSError: they could not be written, as on a full disk, or somebody else changed the file. It is as before.
        """
        self._check()
        at = self._file.seek(self._end)
        try:
            self._write(data)
        except BaseException:
            with contextlib.suppress(OSError):
                self._file.truncate(at)
            raise
        self._remember(at + len(data))
        return at

    def replace(self, at: int, data: bytes) -> None:
        """Replace everything from a place on. Where that is no longer than what is there, a full disk has room for it.

        Whoever reads meanwhile, or after a kill, finds the old bytes, or the new ones and perhaps blanks after them.

        Raises:
            OSError: it could not be written, or somebody else changed the file. It is then as before.
        """
        self._check()
        room = self._end - at
        if len(data) > room:
            self.append(BLANK * (len(data) - room))
        self._file.seek(at)
        before = self._file.read(room)
        self._file.seek(at)
        try:
            self._write(data + BLANK * (room - len(data)))
        except BaseException:
            with contextlib.suppress(OSError):
                self._file.seek(at)
                self._write(before)
                self._file.truncate(at + room)
                self._remember(at + room)
            raise
        with contextlib.suppress(OSError):  # blanks at the end are no part of a line
            self._file.truncate(at + len(data))
        self._remember(at + len(data))

    def sync(self) -> None:
        """Wait until the disk has what was written, where the file system can tell."""
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile by the thread that writes
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        self._file.close()

    def _write(self, data: bytes) -> None:
        done = 0
        while done < len(data):  # one call, unless the disk is nearly full
            done += self._file.write(data[done:])

    def _check(self) -> None:
        """Make sure that what is written can be found, and continues what was: a deleted file still takes bytes."""
        if self._file.closed:
            raise OSError(errno.EBADF, "it is closed")
        there, mine = os.stat(self.path), os.fstat(self._file.fileno())
        if (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino):
            raise OSError(errno.ESTALE, "another file has taken its place")
        if mine.st_size != self._end or self._last() != self._tail:
            raise OSError(errno.ESTALE, "somebody else has changed it")

    def _remember(self, end: int) -> None:
        """Keep what `_check` is to find."""
        self._end = end
        self._tail = self._last()

    def _last(self) -> bytes:
        at = self._file.seek(max(self._end - GUARD, 0))
        return self._file.read(self._end - at)


def _trim(file: BinaryIO) -> bytes:
    """Remove a cut-off last line, and complete one that lacks only its line end; returns the file's bytes then."""
    data = file.read()
    tail = data.rpartition(b"\n")[2]
    if not tail:
        return data
    complete = parse_line(tail) is not None
    if complete:
        file.write(b"\n")
    else:
        file.truncate(len(data) - len(tail))
    return data + b"\n" if complete else data[: len(data) - len(tail)]
