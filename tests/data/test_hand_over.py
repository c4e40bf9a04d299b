"""Loaders end with an error, soon, when a worker is gone or cannot send: full shared memory, no handles, a kill."""

from __future__ import annotations

import contextlib
import errno
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forked_python import executable
from helpers import REPO

from aigp_lightning.data import workers as workers_module
from aigp_lightning.data.hand_over import NotSent
from aigp_lightning.data.images import read_image
from aigp_lightning.data.items import Item, unlabelled
from aigp_lightning.data.loaders import make_loader
from aigp_lightning.data.verify import check_image
from aigp_lightning.data.workers import Workers
from aigp_lightning.errors import DataError
from aigp_lightning.run.exhausted import Exhausted, exhausted
from aigp_lightning.run.failures import explained

resource = pytest.importorskip("resource", reason="limits of the system's, as POSIX has them")
BATCHES = 24
SOON = 20.0


def item(name: str) -> Item:
    return unlabelled(np.zeros((64, 64, 3), np.uint8), name, (64, 64), ((1.0, 1.0), (0.0, 0.0)))


class Spoiled:
    """Images whose sixth is preceded by something that happens to its worker."""

    def __init__(self, happens: Callable[[], object] = int, name: str = "") -> None:
        self.happens, self.name = happens, name

    def __getitems__(self, indices: list[int]) -> list[Item]:
        if 5 in indices:
            self.happens()
        return [item(f"{index}{self.name * (index in (3, 5))}.png") for index in indices]


def loader(dataset: Any, batches: int = BATCHES) -> Any:
    return make_loader(dataset, [[index] for index in range(batches)], workers=2, seed=0)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A loader that fails stops watching its processes by a signal; the next test starts as if it had not."""
    before, others = signal.getsignal(signal.SIGCHLD), set(multiprocessing.active_children())
    yield
    signal.signal(signal.SIGCHLD, before)
    gc.collect()
    assert set(multiprocessing.active_children()) <= others


def failure(batches: Any) -> str:
    """The line with which a loader ends, soon."""
    start = time.monotonic()
    with pytest.raises(Exception) as raised:
        for _ in batches:
            pass
    assert time.monotonic() - start < SOON
    said = explained(raised.value)
    assert said is not None, repr(raised.value)
    assert said.status == 1
    return str(said)


def no_large_files() -> None:
    """Files in shared memory obey this limit, as all others do."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


class NoHandles:
    """Leaves so many file handles."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self) -> None:
        top = max(map(int, os.listdir("/proc/self/fd")))
        while (last := os.dup(0)) <= top:
            pass  # fill the gaps
        # with none left, none of those that are closed later, of batches sent before, may be used again either
        limit = last + 1 + self.left if self.left else 3
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def test_no_file_is_large_enough_for_a_batch(capfd: pytest.CaptureFixture[str]) -> None:
    said = failure(loader(Spoiled(no_large_files)))
    assert "the largest size allowed, and shared memory obeys that limit" in said
    assert "ulimit -f" in said
    assert "--shm-size" not in said
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for handles")
@pytest.mark.parametrize("left", range(4))
def test_no_file_handles_in_a_worker(left: int, capfd: pytest.CaptureFixture[str]) -> None:
    """Wherever it is that one lacks: the memory, its copy, the socket. A few are enough for a slow loader."""
    batches = loader(Spoiled(NoHandles(left)))
    found: list[Any] = []
    start = time.monotonic()
    try:
        found.extend(batches)
    except Exception as error:
        assert str(explained(error)).startswith("too many open files: ")
    assert time.monotonic() - start < SOON
    assert left or len(found) < BATCHES
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for handles")
def test_no_file_handles_in_the_loader() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    kept, batches = [], iter(loader(Spoiled()))
    held = set(os.listdir("/proc/self/fd"))

    def keep() -> Iterator[Any]:
        for batch in batches:
            kept.append(batch)
            yield batch
            if len(kept) == 2:
                NoHandles(3)()

    try:
        said = failure(keep())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for handle in set(os.listdir("/proc/self/fd")) - held:
            with contextlib.suppress(OSError):  # the folder's own is closed by now
                if os.fstat(int(handle)).st_rdev == os.fstat(0).st_rdev and os.path.sameopenfile(int(handle), 0):
                    os.close(int(handle))
    assert said.startswith("too many open files: ")


def bytes_waiting(batches: Any) -> int:
    import fcntl
    import termios

    waiting = array("i", [0])
    fcntl.ioctl(batches._iterator._worker_result_queue._reader.fileno(), termios.FIONREAD, waiting)
    return waiting[0]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into a pipe")
@pytest.mark.parametrize("noticed", [True, False])
def test_a_worker_killed_with_half_a_message_sent(noticed: bool) -> None:
    """Also where the error of the signal's handler was lost: it is raised wherever the main thread is."""
    batches = loader(Spoiled(name="x" * 300_000))
    iterator = iter(batches)
    next(iterator)
    next(iterator)
    wait_for(lambda: bytes_waiting(batches) > 60_000)  # the fourth, of the second worker, fills the pipe
    workers = batches._iterator._workers
    if not noticed:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def go_on() -> Iterator[Any]:
        os.kill(workers[1].pid, signal.SIGKILL)
        yield from iterator

    said = failure(go_on())
    assert f"a process that loads images was killed (DataLoader worker (pid {workers[1].pid}) is killed" in said
    assert not workers[0].is_alive()


def test_a_worker_that_leaves_by_itself() -> None:
    said = failure(loader(Spoiled(lambda: os._exit(7))))
    assert "a process that loads images ended by itself" in said
    assert "exit code 7" in said


def test_no_memory_in_a_worker() -> None:
    said = failure(loader(Spoiled(lambda: np.empty(2**60, np.uint8))))
    assert said.startswith("the machine's memory is full (")
    assert "Unable to allocate 1.00 EiB" in said
    assert "\n" not in said


def test_a_stopped_worker_is_said_and_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers_module, "SLOW", 0.3)
    monkeypatch.setattr(workers_module, "PERIOD", 0.1)
    batches = loader(Spoiled())
    iterator = iter(batches)
    next(iterator)
    pid = batches._iterator._workers[1].pid
    os.kill(pid, signal.SIGSTOP)

    def told() -> list[str]:
        return [message for message in caplog.messages if "no batch for" in message]

    with caplog.at_level("INFO"):

        def wake() -> None:
            wait_for(lambda: bool(told()))
            os.kill(pid, signal.SIGCONT)

        waker = threading.Thread(target=wake)
        waker.start()
        assert 1 + sum(1 for _ in iterator) == BATCHES
        waker.join()
    assert len(told()) == 1
    assert sys.platform != "linux" or f"{pid} (stopped)" in told()[0]


ORPHANS = """
import os, signal, sys
sys.path.insert(0, "{tests}")
import data.test_hand_over as test
if __name__ == "__main__":
    batches = test.loader(test.Spoiled(name="x" * 300_000))
    iterator = iter(batches)
    next(iterator), next(iterator)
    test.wait_for(lambda: test.bytes_waiting(batches) > 60_000)
    print(*(worker.pid for worker in batches._iterator._workers), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into a pipe")
def test_no_worker_outlives_a_killed_loader() -> None:
    """One waits for room in a pipe that nobody reads any more."""
    code = ORPHANS.format(tests=REPO / "tests")
    done = subprocess.run([executable(), "-c", code], capture_output=True, text=True, check=False, timeout=60)
    pids = done.stdout.split()
    assert len(pids) == 2, done.stderr
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_a_stopped_worker_can_be_ended() -> None:
    """So that the end of the program, which waits for all, does not wait for it."""
    batches = loader(Spoiled())
    next(iter(batches))
    first, second = batches._iterator._workers
    os.kill(first.pid, signal.SIGSTOP)
    start = time.monotonic()
    batches.multiprocessing_context.kill()
    assert time.monotonic() - start < 1
    assert (first.exitcode, second.exitcode) == (-signal.SIGKILL, -signal.SIGKILL)


def test_what_the_system_lacks_is_not_the_fault_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image is not set aside for want of handles or memory; one that asks for more than any machine has, is."""
    import builtins

    file = tmp_path / "0.avif"
    file.write_bytes(b"\x89PNG\r\n\x1a\n")

    def failing(error: Exception) -> None:
        def fail(*arguments: Any, **options: Any) -> Any:
            raise error

        monkeypatch.setattr(builtins, "open", fail)

    failing(OSError(24, "Too many open files", str(file)))
    with pytest.raises(OSError, match="Too many") as raised:
        check_image(str(file))
    assert exhausted(raised.value) is Exhausted.HANDLES
    failing(MemoryError("8 EiB"))
    _, problem = check_image(str(file))
    assert problem is not None
    with pytest.raises(DataError, match="8 EiB"):
        read_image(str(file))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, "may not write to shared memory"),
        (errno.EACCES, "may not write to shared memory"),
        (errno.EFBIG, "`ulimit -f unlimited`"),
        (errno.ENOSPC, "found no shared memory"),
    ],
)
def test_a_batch_that_the_system_refused_to_hand_over(number: int, words: str) -> None:
    """The error of the worker's thread names no file; of one that does, the file is to blame."""
    refused = NotSent(number, os.strerror(number), None).error()
    assert words in str(explained(Workers().explain(refused)))
    of_a_file = OSError(number, os.strerror(number), "a.png")
    assert Workers().explain(of_a_file) is of_a_file
