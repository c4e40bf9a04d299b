"""One writer a run folder: whoever writes there holds its lock, from before its first change to its end."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from aigp_lightning.errors import ConfigError
from aigp_lightning.files import DISK_FULL
from aigp_lightning.run.file_lock import UNSUPPORTED, FileLock
from aigp_lightning.terminal.output import print_line

LOCK_FILE = "run.lock"
"""In the run folder while it is written to; a kill leaves it, and it locks nothing then."""
PROGRAM = "aigp_lightning"
GRACE = 0.4
"""Seconds for which a start tries again: another one may be in its last moment, or has not written its number yet."""
RESTART_WAIT = 10.0
"""The same for a start by torchrun or SLURM after another one: that is ending, or dead and its node not heard of."""
CHOICE_WAIT = 5.0
PERIOD = 0.05


@dataclass(frozen=True)
class Holder:
    """Who writes to a run folder.

    Attributes:
        process: number of the process.
        host: name of its machine.
        verb: what it does.
        since: when it began, seconds since 1970.
    """

    process: int
    host: str
    verb: str
    since: float

    def __str__(self) -> str:
        where = f" on {self.host}" if self.host != socket.gethostname() else ""
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.process}{where} ({self.verb}, since {began})"


class RunLock:
    """The lock of a run folder, held; a context that releases it at its end.

    Args:
        lock: of the file; None where the file system keeps no locks.
        remove: the file when the lock is released.
    """

    def __init__(self, lock: FileLock | None, remove: bool = True) -> None:
        self._lock, self._remove = lock, remove

    def release(self) -> None:
        """Let others write to the folder; once more does nothing."""
        if self._lock is not None:
            self._lock.release(self._remove)

    def __enter__(self) -> RunLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def lock_run_folder(folder: Path, verb: str, wait: float = GRACE) -> RunLock:
    """Lock a run folder for this process, which is about to write there; nothing else in it is changed.

    Args:
        folder: the run's; it exists.
        verb: what the process does, for the message of one that finds the folder locked.
        wait: seconds for which to try.

    Raises:
        ConfigError: another process writes to the folder, or this one may not.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     with lock_run_folder(Path(name), "ship"):
        ...         read_holder(Path(name)).process == os.getpid()
        ...     read_holder(Path(name)) is None
        True
        True
    """
    lock = FileLock(folder / LOCK_FILE)
    try:
        if not _acquire(lock, folder, wait):
            raise ConfigError(
                f"{folder} is in use: {_who(folder)} writes to it. Wait until that has ended, or end it; a run beside "
                "it needs a folder of its own."
            )
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        if error.errno not in UNSUPPORTED:
            raise ConfigError(_why_not(folder, error)) from error
        print_line(
            f"warning: {folder}: this file system keeps no locks ({error.strerror}). Nothing stops a second start that "
            "writes to the same folder; see to it yourself.",
            err=True,
        )
        return RunLock(None)
    ours = _sign(lock, verb)
    return RunLock(lock, remove=ours)


def _acquire(lock: FileLock, folder: Path, wait: float) -> bool:
    """Try until the time is over; a wait of seconds is announced."""
    began, told = time.monotonic(), False
    while not lock.acquire():
        spent = time.monotonic() - began
        if spent >= wait:
            return False
        if spent > GRACE and not told:
            told = True
            print_line(f"waiting for the end of {_who(folder)}, which still writes to {folder}")
        time.sleep(PERIOD)
    return True


def _sign(lock: FileLock, verb: str) -> bool:
    """Write into the file who holds it; False if the file is somebody else's, and is left as it is."""
    content = lock.read()
    if content.strip() and _parse(content) is None:
        return False
    holder = Holder(os.getpid(), socket.gethostname(), verb, round(time.time(), 3))
    with suppress(OSError):  # it is for a message; what a full disk means to the run will be said by others
        lock.write((json.dumps({"program": PROGRAM, **asdict(holder)}) + "\n").encode())
    return True


def read_holder(folder: Path) -> Holder | None:
    """Read who holds a run folder's lock, or did when it was killed; None if nobody knows.

    Args:
        folder: the run's.
    """
    try:
        with (folder / LOCK_FILE).open("rb") as file:
            return _parse(file.read(1024))
    except OSError:
        return None


def writer_of(folder: Path) -> Holder | None:
    """Find who writes to a run folder now, without keeping anybody from it; None if nobody does, as far as is known.

    Args:
        folder: the run's; it may be anything.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     with lock_run_folder(Path(name), "fit"):
        ...         during = writer_of(Path(name))
        ...     during.verb, writer_of(Path(name))
        ('fit', None)
    """
    lock = FileLock(folder / LOCK_FILE)
    try:
        if not lock.path.is_file() or lock.acquire():
            lock.release(remove=False)
            return None
    except OSError:
        return None
    return read_holder(folder)


def _parse(content: bytes) -> Holder | None:
    try:
        known = json.loads(content)
        if known.pop("program") != PROGRAM:
            return None
        return Holder(int(known["process"]), str(known["host"]), str(known["verb"]), float(known["since"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _who(folder: Path) -> str:
    holder = read_holder(folder)
    return str(holder) if holder is not None else "another process"


def _why_not(folder: Path, error: OSError) -> str:
    if not folder.is_dir():
        return f"there is no run folder {folder} any more."
    if error.errno in (errno.ELOOP, errno.EEXIST, errno.EISDIR):
        return f"{folder / LOCK_FILE} is in the way: a run keeps a file of this name there while it writes. Move it."
    return f"cannot write in the run folder {folder}: {error.strerror}."


@contextmanager
def choice_of_folder(parent: Path, name: str) -> Iterator[None]:
    """Let one start at a time choose among the folders of a name, so that each sees what those before have chosen.

    Args:
        parent: of the folders; where it is missing or cannot be written to, choosing says so.
        name: of the runs.
    """
    lock, remove = FileLock(parent / f".{name}.choice"), False
    limit = time.monotonic() + CHOICE_WAIT
    with suppress(OSError):
        parent.mkdir(parents=True, exist_ok=True)
        while not (got := lock.acquire()) and time.monotonic() < limit:
            time.sleep(PERIOD / 5)
        remove = got and not lock.read()  # ours is empty
    try:
        yield
    finally:
        lock.release(remove)
