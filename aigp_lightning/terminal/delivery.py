"""Bytes on their way to a descriptor that may be slow, full or gone: a thread waits for it, and nobody else does."""

from __future__ import annotations

import errno
import os
import select
import sys
import threading
import time
from collections import deque
from typing import Any

GONE = (errno.EPIPE, errno.EBADF, errno.EIO, errno.ENXIO, errno.ECONNRESET, errno.ESHUTDOWN)
"""Errors after which nothing is tried again: no reader, no descriptor, no terminal."""
QUEUED = 2000
"""Pieces that wait for a reader at most; then the oldest is left out."""
KEPT = 1 << 18
"""Bytes that are kept of what could not be written."""
PIECE = 1 << 14
NOT_READ = "nobody read it"


class Delivery:
    """Writes bytes, in order. What cannot be written raises nothing: it is counted and kept.

    Args:
        raw: has `write(bytes)`, unbuffered.
        patience: seconds that `put` waits for the reader before it leaves the waiting to a thread; None waits for ever.

    Attributes:
        patience: as given.
        why: the reason why something could not be written; empty if everything was.
        broken: True if the reader went away, which may be how it says that it has enough.
        lost_lines: number of lines that could not be written.
    """

    def __init__(self, raw: Any, patience: float | None) -> None:
        self.patience, self._raw = patience, raw
        self._prepare()

    def _prepare(self) -> None:
        """Begin with nothing queued: also in a process that was forked, where the thread and its locks are not."""
        self._process = os.getpid()
        self._turn = threading.Condition(threading.RLock())  # a signal's handler may print within it
        self._queue: deque[bytes] = deque()
        self._lost: deque[bytes] = deque()
        self._thread: threading.Thread | None = None
        self._busy = b""
        self._stalled = self._gone = self.broken = self._starting = False
        self.why, self.lost_lines, self._gap = "", 0, 0

    def put(self, data: bytes) -> None:
        """Write bytes, or leave them to the thread."""
        if os.getpid() != self._process:
            self._prepare()
        if self._gone:
            self._lose(data)
        elif self.patience is None and not self._queue and not self._busy:
            self._deliver(data)
        else:
            with self._turn:
                self._queue.append(data)
                if len(self._queue) > QUEUED:
                    self._lose(self._queue.popleft(), NOT_READ)
                self._start()
                self._turn.notify_all()
                if not self._stalled and not self._starting:
                    self._stalled = not self._turn.wait_for(self._done, self.patience)

    def drain(self, seconds: float, most: float) -> None:
        """Wait for the reader to take what is queued; what it does not take counts as lost.

        Args:
            seconds: without any progress, after which it is given up.
            most: seconds altogether.
        """
        end = time.monotonic() + most
        with self._turn:
            left = len(self._queue) + 1
            while not self._done() and left > len(self._queue) and time.monotonic() < end:
                left = len(self._queue)
                self._turn.wait_for(lambda left=left: self._done() or len(self._queue) < left, seconds)  # type: ignore[misc]
            if self._busy and not self._gone:
                self._lose(self._busy, NOT_READ)
                self._lost.rotate()  # it is older than what the queue had no room for
            while self._queue:
                self._lose(self._queue.popleft(), NOT_READ)

    @property
    def lost(self) -> bool:
        """True if something could not be written."""
        return bool(self._lost)

    def lost_bytes(self) -> bytes:
        """Return what could not be written, the last of it."""
        with self._turn:
            return b"".join(self._lost)

    def _done(self) -> bool:
        return self._gone or not (self._queue or self._busy)

    def _start(self) -> None:
        if self._starting or (self._thread is not None and self._thread.is_alive()):
            return  # a signal's handler that prints while the thread is started must not start a second one
        self._starting = True
        try:
            thread = threading.Thread(target=self._work, name="output", daemon=True)
            thread.start()
            self._thread = thread
        except RuntimeError:  # the interpreter is ending, or the system has no threads left
            while self._queue and not sys.is_finalizing():
                self._deliver(self._queue.popleft())
        finally:
            self._starting = False

    def _work(self) -> None:
        while True:
            with self._turn:
                self._busy = b""
                self._stalled = self._stalled and bool(self._queue)
                self._turn.notify_all()
                while not self._queue:
                    self._turn.wait()
                self._busy = data = self._queue.popleft()
            self._deliver(data)

    def _deliver(self, data: bytes) -> None:
        if self._gone:
            self._lose(data)
            return
        note = b""
        if self._gap and self.patience is not None:
            note = f"[{self._gap} lines are missing here: {self.why}]\n".encode("ascii", "replace")
        view = memoryview(note + data)
        while view:
            try:
                done = self._raw.write(view[:PIECE])
            except (OSError, ValueError) as error:  # a closed stream raises the latter
                self._fail(error)
                self._lose(bytes(view[max(len(view) - len(data), 0) :]))
                return
            if done is None:  # somebody has made the descriptor one that does not wait
                self._wait_for_room()
                continue
            if len(view) >= len(data) > len(view) - done:
                self._gap = 0  # the note is out
            view = view[done:]

    def _fail(self, error: OSError | ValueError) -> None:
        number = error.errno if isinstance(error, OSError) else errno.EBADF
        self.why = os.strerror(number) if number else str(error)
        self.broken = number == errno.EPIPE or (number == errno.EINVAL and os.name == "nt")  # Windows' broken pipe
        self._gone = self._gone or number in GONE or self.broken

    def _lose(self, data: bytes, why: str = "") -> None:
        self.why = why or self.why
        lines = data.count(b"\n")
        self.lost_lines += lines
        self._gap += lines
        self._lost.append(data)
        while len(self._lost) > 1 and sum(map(len, self._lost)) > KEPT:
            self._lost.popleft()

    def _wait_for_room(self) -> None:
        try:
            select.select([], [self._raw.fileno()], [], 1.0)
        except (OSError, ValueError, AttributeError):
            time.sleep(0.05)
