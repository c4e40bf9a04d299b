"""A loader's worker processes: made, looked after, and ended so that nothing waits for them."""

from __future__ import annotations

import atexit
import errno
import mmap
import multiprocessing
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aigp_lightning.data.hand_over import PERIOD, POSIX, BatchQueue
from aigp_lightning.errors import warn_user
from aigp_lightning.run.exhausted import SHARED_NUMBERS, exhausted, from_worker
from aigp_lightning.run.signals import ignore_child_deaths

if TYPE_CHECKING:
    from aigp_lightning.data.slots import Slots

SLOW = 30.0
"""Seconds without a batch after which it is said that there is none. It is no error: a disk may be as slow."""
STATES = {"R": "running", "S": "waiting", "D": "waiting for a disk", "T": "stopped", "t": "stopped", "Z": "gone"}
"""Linux's letters for the state of a process, in words."""


class DoneFlag:
    """A flag between a process and those that it forks. An `Event` has a lock, which a killed process would keep.

    Example:
        >>> flag = DoneFlag()
        >>> flag.set()
        >>> flag.is_set()
        True
    """

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)  # of no file: it needs neither a handle nor room in /dev/shm

    def set(self) -> None:
        """Set it."""
        self._byte[0] = 1

    def is_set(self) -> bool:
        """True if it is set."""
        return bool(self._byte[0])


class Workers(BaseContext):
    """Makes a loader's processes and the queues between them; torch takes it for a context of `multiprocessing`.

    Args:
        slots: memory in which forked workers leave the pixels of batches.

    Attributes:
        failure: an error of a thread of the loader's process, by which a request never reached its worker.
        unreceived: an error by which a batch could not be received.

    Example:
        >>> from torch.utils.data import DataLoader
        >>> workers = Workers()
        >>> list(DataLoader([1, 2, 3], batch_size=None, num_workers=1, multiprocessing_context=workers))
        [1, 2, 3]
    """

    def __init__(self, slots: Slots | None = None) -> None:
        super().__init__()
        self.slots = slots
        self.failure: BaseException | None = None
        self.unreceived: BaseException | None = None
        self._plain = multiprocessing.get_context()
        self._name = self._plain.get_start_method()  # `BaseContext` answers with it
        self._processes: list[tuple[BaseProcess, Any]] = []
        self._done: Any = None
        self._waiting_since: float | None = None
        self._watching = False
        atexit.register(_kill, weakref.ref(self))  # `multiprocessing` would wait for one that is stopped

    def Queue(self, maxsize: int = 0) -> Any:
        """Make a queue."""
        return BatchQueue(self, self._plain)

    def Event(self) -> Any:
        """Make the flag that tells the processes that are made next that no more is wanted of them."""
        forks = self.get_start_method() == "fork"
        self._done = DoneFlag() if forks else self._plain.Event()
        return self._done

    def Process(self, target: Callable[..., object], args: tuple[Any, ...]) -> Any:  # type: ignore[override]
        """Make a worker."""
        process = self._plain.Process(target=_run, args=(target, args))
        self._processes.append((process, self._done))
        return process

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Say so if what is done meanwhile, waiting for a batch, takes long."""
        if not self._watching:
            self._watching = True
            threading.Thread(target=_say_if_slow, args=(weakref.ref(self),), name="slow-batches", daemon=True).start()
        self._waiting_since = time.monotonic()
        try:
            yield
        finally:
            self._waiting_since = None

    def slow(self, seconds: float) -> float | None:
        """Return since when a batch is waited for, if for longer than so many seconds."""
        since = self._waiting_since
        return since if since is not None and time.monotonic() - since > seconds else None

    def states(self) -> str:
        """Return the numbers of the processes that run, and what they are at, where that is known."""
        alive = [process.pid for process, _ in self._processes if process.pid is not None and process.is_alive()]
        return ", ".join(f"{pid}{_state(pid)}" for pid in alive)

    def lost(self) -> str | None:
        """Return which worker is gone that should be there, as torch says it; None if none is."""
        for process, done in self._processes:
            if process.pid is None or done.is_set() or process.is_alive():
                continue
            code = process.exitcode or 0
            why = (
                f"is killed by signal: {_signal_name(-code)}"
                if code < 0
                else f"exited unexpectedly with exit code {code}"
            )
            return f"DataLoader worker (pid {process.pid}) {why}."
        return None

    def explain(self, error: Exception) -> Exception:
        """End all workers, and return what lies behind an error with which a loader ended.

        Args:
            error: as torch raised it; it is returned where nothing better is known.
        """
        ignore_child_deaths()  # torch would raise for them while this error is dealt with
        cut = isinstance(error, (EOFError, OSError)) and exhausted(error) is None
        deadline = time.monotonic() + 2 * PERIOD * isinstance(error, (EOFError, ConnectionError))
        while (lost := self.lost()) is None and time.monotonic() < deadline:  # the end of a process takes its time
            time.sleep(0.05)
        self.kill()
        if lost is not None:
            return RuntimeError(lost)
        if "Pin memory thread" in str(error) and isinstance(self.unreceived, Exception):
            return self.unreceived
        if cut and not from_worker(error) and getattr(error, "filename", None) is None:
            if getattr(error, "errno", None) in SHARED_NUMBERS:  # of no file: of a lock, a batch, or a socket for it
                return RuntimeError(f"no shared memory to hand over batches with: {error}")
            return RuntimeError(f"DataLoader worker (pid unknown) cannot be reached: {type(error).__name__}: {error}")
        return error

    def kill(self) -> None:
        """End all workers at once, whatever they are at; no error of torch's follows from that."""
        alive = [process for process, _ in self._processes if process.pid is not None and process.is_alive()]
        if alive:
            ignore_child_deaths()
        for process in alive:
            process.kill()
        for process in alive:
            process.join(timeout=PERIOD)


def _kill(workers: weakref.ref[Workers]) -> None:
    there = workers()
    if there is not None:
        there.kill()


def _say_if_slow(workers: weakref.ref[Workers]) -> None:
    """Warn once for every batch that is waited for too long, as long as there are workers."""
    said = None
    while (there := workers()) is not None:
        since = there.slow(SLOW)
        if since is not None and since != said:
            said = since
            warn_user(
                f"no batch for {SLOW:.0f} s; the run waits on. The processes that load images: {there.states()}. Is "
                "the disk with the data slow, or was one stopped?",
                everywhere=True,
            )
        del there
        time.sleep(PERIOD)


def _state(pid: int | None) -> str:
    """Return what a process is at, in brackets; nothing where the system does not say it."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            letter = file.read().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
    return f" ({STATES.get(letter, letter)})"


def _signal_name(number: int) -> str:
    try:
        return signal.strsignal(number) or str(number)
    except ValueError:
        return str(number)


def _run(target: Callable[..., object], args: tuple[Any, ...]) -> None:
    """Run a worker; what it cannot go on without ends it with an exit status that says so, and no traceback."""
    sys.excepthook = _end_if_exhausted
    parent = os.getppid() if POSIX else 0
    try:
        target(*args)
    except Exception as error:
        if (code := exhausted(error)) is not None:
            os._exit(code)
        raise
    if POSIX and os.getppid() != parent:
        os._exit(1)  # its queue may wait for a lock that another process took along


def _end_if_exhausted(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    """End a worker whose thread for handing over memory has no file handles or memory left; it would try for ever."""
    if (code := exhausted(error)) is not None:
        os._exit(code)
    if not isinstance(error, (EOFError, ConnectionError)) and getattr(error, "errno", None) != errno.EPIPE:
        sys.__excepthook__(kind, error, where)  # else the loader did not want it any more
