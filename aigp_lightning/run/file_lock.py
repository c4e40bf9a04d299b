"""A lock on a file that ends with the process that holds it, however that ends."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.EBADF)
"""Errors of file systems that keep no locks; NFS says EBADF where the file may only be read."""
BUSY = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
BYTE = 1 << 30
"""The byte that Windows locks: far behind the contents, which others may then read."""
FLAGS = (os.O_RDWR | os.O_CREAT, os.O_RDONLY)
SAFE = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
"""Nothing that this process starts gets the descriptor; a link is not followed, a pipe not waited for."""


class FileLock:
    """An exclusive lock on a file, which is made, and removed when the lock is released.

    The kernel keeps it, so that neither a file that a kill has left nor a process number used again means anything.

    On POSIX it is `flock`'s, not `lockf`'s: POSIX record locks are not passed on to forked processes, but are lost when
    the process that holds them closes any descriptor of the file, as whoever reads or copies the folder does. A forked
    process shares a `flock`, and would keep it after the death of its parent: it closes its copy of the descriptor at
    once. `filelock`, the package, empties the file before it knows whether the lock is free, and gives its descriptor
    to forked processes.

    Args:
        path: of the file; its folder exists.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first, second = (FileLock(Path(folder, "x.lock")) for _ in range(2))
        ...     got = first.acquire(), second.acquire()
        ...     first.release()
        ...     got, second.acquire(), second.release()
        ((True, False), True, None)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock; False if another process or another object of this one has it.

        Raises:
            OSError: the file cannot be opened, or its file system keeps no locks (`UNSUPPORTED`).
        """
        while True:
            descriptor = _open(self.path)
            try:
                got = _lock(descriptor)
                if got and _is_at(descriptor, self.path):
                    self.descriptor = descriptor
                    _held.add(self)
                    return True
            except OSError:
                with suppress(OSError):
                    if os.fstat(descriptor).st_size == 0:
                        self.path.unlink()  # made just now, for nothing
                raise
            finally:
                if self.descriptor is None:
                    os.close(descriptor)
            if not got:
                return False  # else the one that had it has removed the file just now: once more, with a new one

    def release(self, remove: bool = True) -> None:
        """Release the lock; once more does nothing.

        Args:
            remove: the file too.
        """
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is None:
            return
        _held.discard(self)
        with suppress(OSError):
            if remove and sys.platform != "win32" and _is_at(descriptor, self.path):
                self.path.unlink()  # while it is locked, so that nobody else holds it now
        os.close(descriptor)
        with suppress(OSError):
            if remove and sys.platform == "win32":
                self.path.unlink()  # Windows removes no open file: neither ours, nor one that another has locked by now

    def read(self) -> bytes:
        """Return the contents of the file, its first kilobyte at most; the lock is held."""
        assert self.descriptor is not None
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        return os.read(self.descriptor, 1024)

    def write(self, data: bytes) -> None:
        """Replace the contents of the file; the lock is held.

        Raises:
            OSError: the disk is full, or the file may only be read.
        """
        assert self.descriptor is not None
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        os.write(self.descriptor, data)
        os.ftruncate(self.descriptor, len(data))

    def _close_in_child(self) -> None:
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            os.close(descriptor)  # the parent's stays open, and keeps the lock


_held: WeakSet[FileLock] = WeakSet()


def _close_all_in_child() -> None:
    for lock in list(_held):
        lock._close_in_child()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all_in_child)


def _open(path: Path) -> int:
    """Open the file, for reading alone where no more is allowed: another user's may be left by a kill."""
    try:
        descriptor = os.open(path, FLAGS[0] | SAFE, 0o666)
    except OSError as error:
        if error.errno not in DENIED or not path.is_file():
            raise
        descriptor = os.open(path, FLAGS[1] | SAFE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    return descriptor


def _lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in BUSY:
            return False
        raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """True if the open file still is the one at the path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False
