"""The way of batches from a loader's worker processes to the loader: nothing on it waits for a process that is gone.

Three things that torch's loaders leave to Python's `multiprocessing` wait for ever there. A batch that cannot be sent,
for want of shared memory or file handles, is dropped, and only its traceback is printed. The rest of a message whose
sender died is waited for. A worker that cannot open the file handle by which its memory is fetched tries without end
(`workers.py` ends it).
"""

from __future__ import annotations

import os
import queue
import select
import struct
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any, Protocol

from aigp_lightning.run.exhausted import exhausted

if TYPE_CHECKING:
    from aigp_lightning.data.slots import Slots

POSIX = sys.platform != "win32"  # elsewhere a pipe has whole messages alone
LENGTH = struct.Struct("!Q")
PERIOD = 1.0
"""Seconds after which whoever waits for a pipe looks whether the other side is still there."""


@dataclass(frozen=True)
class NotSent:
    """Takes the place of a batch that a worker could not send.

    Attributes:
        number: of the system's error; None for another kind.
        text: what it says.
        file: the file it names.

    Example:
        >>> raise_again = NotSent(28, "No space left on device", None)
        >>> raise_again.error()
        OSError(28, 'No space left on device')
    """

    number: int | None
    text: str
    file: str | None

    def error(self) -> Exception:
        """Return the error, to be raised where the batch was expected."""
        if self.number is None:
            return RuntimeError(self.text)
        return OSError(self.number, self.text, self.file) if self.file else OSError(self.number, self.text)


def not_sent(error: BaseException) -> NotSent:
    """Describe an error in a form that needs neither shared memory nor file handles to be sent.

    Example:
        >>> not_sent(MemoryError("8 GiB")).text
        'MemoryError: 8 GiB'
    """
    if isinstance(error, OSError) and error.errno is not None:
        return NotSent(error.errno, error.strerror or "", None if error.filename is None else str(error.filename))
    return NotSent(None, str(error) if type(error) is RuntimeError else f"{type(error).__name__}: {error}", None)


class Watched(Protocol):
    """The workers of a loader, as a queue sees them.

    Attributes:
        failure: an error of a thread of the loader's process, by which a request never reached its worker.
        unreceived: an error by which a batch could not be received.
        slots: memory in which they leave the pixels of batches; None where they send them.

    Example:
        >>> class NoWorkers(Watched):
        ...     failure = unreceived = slots = None
        ...     def lost(self):
        ...         return None
        >>> NoWorkers().lost() is None
        True
    """

    failure: BaseException | None
    unreceived: BaseException | None
    slots: Slots | None

    def lost(self) -> str | None:
        """Return which worker is gone that should be there; None if none is."""


class BatchQueue(Queue):  # type: ignore[type-arg]
    """A queue between a loader and its workers that notices when the other side is gone.

    Args:
        workers: the loader's processes; the queue looks after them.
        ctx: makes its locks.

    """

    workers: Watched | None = None
    _reader_thread: threading.Thread | None = None

    def __init__(self, workers: Watched, ctx: Any) -> None:
        super().__init__(ctx=ctx)
        self.workers, self._reader_thread = workers, threading.current_thread()

    def _reset(self, after_fork: bool = False) -> None:
        super()._reset(after_fork)  # type: ignore[misc]
        self._parent = os.getppid() if POSIX else 0
        if POSIX:
            self._send_bytes, self._recv_bytes = self._send_all, self._receive_all
        self._poll = self._is_message_coming

    # ---- sending ----------------------------------------------------------------------------------------------------

    def _send_all(self, message: Any) -> None:
        """Send a message, unless the receiver is gone. Called by one sender at a time."""
        handle: int = self._writer.fileno()  # type: ignore[attr-defined]
        poll = select.poll()
        poll.register(handle, select.POLLOUT)
        rest = memoryview(LENGTH.pack(len(message)) + bytes(message))
        while rest:
            while not poll.poll(1000 * PERIOD):
                self._check()
            rest = rest[os.write(handle, rest[: select.PIPE_BUF]) :]  # so much never blocks where a poll said yes

    def _on_queue_feeder_error(self, e: BaseException, obj: Any) -> None:  # type: ignore[override]
        """Send why a batch cannot be sent in its place, from the thread that sends."""
        if self._in_loader():
            if self.workers is not None:
                self.workers.failure = e
            return
        try:
            number, _ = obj
            message = ForkingPickler.dumps((number, not_sent(e)))
            self._sem.acquire(False)  # type: ignore[attr-defined] # it was released for the batch
            with self._wlock:  # type: ignore[attr-defined]
                self._send_bytes(message)
        except BaseException:
            os._exit(exhausted(e) or 1)  # it would keep the loader waiting

    # ---- receiving --------------------------------------------------------------------------------------------------

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return what was sent.

        Raises:
            Empty: nothing came in time.
            Exception: nothing will come any more.
        """
        try:
            found = super().get(block, timeout)
            if self._in_loader() and self.workers is not None and self.workers.slots is not None:
                number, batch = found
                return number, self.workers.slots.received(batch)
            return found
        except queue.Empty:
            if self._in_loader() and self.workers is not None and self.workers.failure is not None:
                raise self.workers.failure from None
            raise
        except Exception as error:
            if not self._in_loader() or self.workers is None:
                raise
            self.workers.unreceived = error
            if threading.current_thread() is not self._reader_thread:
                raise SystemExit from error  # torch's thread that copies to pinned memory: it ends without a traceback
            raise

    def _is_message_coming(self, timeout: float = 0.0) -> bool:
        """True if a message begins in time; raises where none will."""
        deadline = time.monotonic() + timeout
        while not self._reader.poll(max(0.0, min(PERIOD, deadline - time.monotonic()))):  # type: ignore[attr-defined]
            if time.monotonic() >= deadline:
                return False
            self._check()
        return True

    def _receive_all(self) -> bytearray:
        return self._read(LENGTH.unpack(self._read(LENGTH.size))[0])

    def _read(self, size: int) -> bytearray:
        handle: int = self._reader.fileno()  # type: ignore[attr-defined]
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        found = bytearray()
        while len(found) < size:
            while not poll.poll(1000 * PERIOD):
                self._check()
            part = os.read(handle, min(size - len(found), 1 << 20))
            if not part:
                raise EOFError("the other side closed the pipe")
            found += part
        return found

    # ---- the other side ---------------------------------------------------------------------------------------------

    def _in_loader(self) -> bool:
        return os.getpid() == self._opid  # type: ignore[attr-defined,no-any-return]

    def _check(self) -> None:
        """Raise if what is waited for cannot come.

        Raises:
            RuntimeError: a worker is gone, which may have been the one that was sending.
        """
        if not self._in_loader():
            if POSIX and os.getppid() != self._parent:
                os._exit(1)  # the loader's process is gone
        elif self.workers is not None and (lost := self.workers.lost()) is not None:
            raise RuntimeError(lost)
