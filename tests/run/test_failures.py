"""What is said of exceptions that end a run; the runs themselves are in `test_faults.py`."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import cv2
import pytest

from aigp_lightning.cli.main import _print_error
from aigp_lightning.errors import ConfigError, RunError
from aigp_lightning.run.failures import explained

WORKER = "DataLoader worker (pid 7) is killed by signal: "
EXITED = "DataLoader worker (pid 7) exited unexpectedly with exit code"
ALLOCATOR = (
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 "
    "bytes. Error code 12 (Cannot allocate memory)"
)
RESIZE = "unable to resize file </torch_7_1_2> to the right size: File too large (27)"
OPEN = "unable to open shared memory object </torch_7_1_2> in read-write mode: "
HANDED_OVER = "no shared memory to hand over batches with: "
TOO_LARGE = ["largest size allowed", "`ulimit -f unlimited`", "--data.workers 0"]
RO = ["may not write to shared memory", "/dev/shm", "TMPDIR", "--data.workers 0"]
IN_WORKER = """Caught OSError in DataLoader worker process 0.
Original Traceback (most recent call last):
  File "a.py", line 1, in _worker_loop
    data = fetcher.fetch(index)
{}
"""


def system(number: int, file: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), file)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (system(errno.ENOSPC), ["the disk is full (", " MB are free)", "free some space"]),
        (system(errno.EDQUOT, "a.ckpt"), ["your share of the disk is used up while writing a.ckpt"]),
        (system(errno.EFBIG, "a.ckpt"), ["a file reached the largest size allowed", "ulimit -f"]),
        (system(errno.EROFS, "a.csv"), [f"a.csv: {os.strerror(errno.EROFS)}", "--run.root"]),
        (system(errno.EACCES, "a.csv"), [f"a.csv: {os.strerror(errno.EACCES)}", "who owns the folder"]),
        (system(errno.ESTALE, "a.png"), [f"a.png: {os.strerror(errno.ESTALE)}", "network share"]),
        (system(errno.EMFILE), ["too many open files", "ulimit -n", "--data.workers"]),
        (system(errno.ENOMEM), ["the machine's memory is full", "--data.workers"]),
        (system(errno.ENOENT, "{folder}/results.csv"), ["the run folder", "was deleted or moved"]),
        (MemoryError(), ["the machine's memory is full. Fewer --data.workers"]),
        (system(errno.ENFILE), ["too many open files", "ulimit -n"]),
        (system(errno.EAGAIN), ["the system starts no more processes or threads", "ulimit -u"]),
        (RuntimeError("can't start new thread"), ["the system starts no more processes or threads", "--data.workers"]),
        (RuntimeError("received 0 items of ancdata"), ["too many open files"]),
        (RuntimeError(ALLOCATOR), ["the machine's memory is full ([enforce fail at alloc_cpu.cpp:127]"]),
        (RuntimeError("std::bad_alloc"), ["the machine's memory is full (std::bad_alloc)"]),
        (RuntimeError("could not create a primitive"), ["the machine's memory is full"]),
        (ImportError("libcublas.so: failed to map segment from shared object"), ["the machine's memory is full"]),
        (cv2.error("(-4:Insufficient memory) Failed to allocate 8 bytes"), ["the machine's memory is full"]),
        (
            RuntimeError(IN_WORKER.format("cv2.error: (-4:Insufficient memory) 8 bytes")),
            ["the machine's memory is full"],
        ),
        (OSError(IN_WORKER.format("OSError: [Errno 24] Too many open files: 'a.png'")), ["too many open files"]),
        (OSError(IN_WORKER.format("OSError: [Errno 12] Cannot allocate memory")), ["the machine's memory is full"]),
        (RuntimeError(f"{EXITED} 81."), ["too many open files", "ulimit -n"]),
        (RuntimeError(f"{EXITED} 82."), ["the machine's memory is full (for process 7, which loads images)"]),
        (RuntimeError(f"{EXITED} 83."), ["no shared memory (for process 7", "--shm-size"]),
        (RuntimeError(f"{EXITED} 84."), ["the system starts no more processes"]),
        (RuntimeError(f"{EXITED} 3."), ["ended by itself", "exit code 3"]),
        (RuntimeError("unable to mmap 8 bytes from file </torch_1>: Cannot allocate memory (12)"), ["memory is full"]),
        (
            RuntimeError("unable to open shared memory object </torch_1> in read-write mode: Too many open files (24)"),
            ["too many open"],
        ),
        (RuntimeError(f"{WORKER}Killed. "), ["was killed", "memory ran out", "--data.workers"]),
        (RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"), ["was killed", "memory ran out"]),
        (RuntimeError(f"{WORKER}Bus error. It is possible that"), ["no shared memory", "--shm-size"]),
        (RuntimeError("unable to write to file </torch_1_2>: No space left on device (28)"), ["no shared memory"]),
        (RuntimeError(RESIZE), TOO_LARGE),
        (RuntimeError(IN_WORKER.format(f"RuntimeError: {RESIZE}")), TOO_LARGE),
        (RuntimeError(f"{EXITED} 85."), TOO_LARGE),
        (
            RuntimeError(f"{OPEN}Read-only file system (30)"),
            RO,
        ),
        (RuntimeError(f"{OPEN}Permission denied (13)"), RO),
        (RuntimeError(f"{HANDED_OVER}[Errno 30] Read-only file system"), RO),
        (RuntimeError(f"{HANDED_OVER}[Errno 27] File too large"), TOO_LARGE),
        (
            RuntimeError(f"{HANDED_OVER}[Errno 28] No space left on device"),
            ["--shm-size"],
        ),
        (RuntimeError(f"{EXITED} 86."), RO),
        (RuntimeError(f"{WORKER}Segmentation fault. "), ["ended by itself", "--data.workers 0 shows why"]),
        (RuntimeError("CUDA error: out of memory"), ["the GPU's memory is full", "--data.batch_size"]),
    ],
)
def test_one_line_with_the_cause_and_what_to_do(error: Exception, words: list[str], tmp_path: Path) -> None:
    folder = tmp_path / ("gone" if isinstance(error, OSError) and error.errno == errno.ENOENT else "")
    if isinstance(error, OSError) and error.filename:
        error.filename = error.filename.format(folder=folder)
    said = explained(error, folder)
    assert isinstance(said, RunError)
    assert said.status == 1
    assert [word for word in words if word not in str(said)] == [], str(said)
    assert "\n" not in str(said)
    if "memory" in str(said):
        assert "Then go on" not in str(said), "there is no checkpoint"
        (tmp_path / "weights").mkdir()
        (tmp_path / "weights" / "last.ckpt").touch()
        how = f" To go on then: the same command with --ckpt_path {tmp_path / 'weights' / 'last.ckpt'}"
        assert str(explained(error, folder)).endswith(how)


def test_ours_is_found_behind_others() -> None:
    mine = ConfigError("--data.imgsz is 100")
    outer = ValueError("Parser key")
    outer.__cause__ = TypeError("in between")
    outer.__cause__.__cause__ = mine
    assert explained(outer) is mine


def test_what_ran_out_is_found_behind_what_failed_for_it() -> None:
    """PyTorch's writer of files closes what it could not write for want of memory, and fails at that."""
    try:
        try:
            raise MemoryError
        finally:
            raise ValueError("I/O operation on closed file.")
    except ValueError as error:
        assert str(explained(error)).startswith("the machine's memory is full. ")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("could not create a primitive descriptor for a matmul"),
        RuntimeError("shape"),
        system(errno.ENOENT, "x"),
        KeyError("x"),
        OSError("x"),
    ],
)
def test_what_nobody_foresaw_keeps_its_traceback(error: Exception) -> None:
    assert explained(error) is None


@pytest.mark.parametrize(
    ("rank", "shared", "line"),
    [
        (None, True, "error: it\n"),
        ("1", True, ""),
        ("1", False, "error: process 1: it\n"),
        ("0", False, "error: it\n"),
    ],
)
def test_what_all_processes_say_is_said_once(
    rank: str | None, shared: bool, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lightning_utilities.core.rank_zero import rank_zero_only

    monkeypatch.setattr(rank_zero_only, "rank", 0 if rank is None else int(rank), raising=False)
    assert _print_error("it", 1, shared) == 1
    assert capsys.readouterr().err == line
