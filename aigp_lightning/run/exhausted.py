"""What the system ran out of: memory, shared memory, file handles, processes. Nothing heavy is imported here."""

from __future__ import annotations

import errno
import re
import sys
from enum import IntEnum

ERRNO = re.compile(r"\[Errno (\d+)\]")
"""How Python writes the number of a system's error."""
SHARED = ("shared memory", "</torch_")
"""Parts of errors about shared memory; torch's end with the number in brackets, ours have Python's."""
LAST_NUMBER = re.compile(r"\((\d+)\)\.?\s*$")
ROOM = 64 * 2**20
"""Bytes that a machine has whose memory is not full."""
WORKER_STATUS = re.compile(r"exited unexpectedly with exit code (\d+)")


class Exhausted(IntEnum):
    """Something that the system has no more of; the number is the exit status of a loader's worker that ends for it."""

    HANDLES = 81
    MEMORY = 82
    SHARED_MEMORY = 83
    PROCESSES = 84
    FILE_SIZE = 85
    WRITABLE_SHARED_MEMORY = 86


WORDS = {
    Exhausted.HANDLES: ("Too many open files", "items of ancdata"),
    Exhausted.MEMORY: (
        *("DefaultCPUAllocator", "not enough memory: you tried to allocate", "bad_alloc", "bad allocation"),
        *("Insufficient memory", "Cannot allocate memory", "failed to map segment", "could not create a primitive"),
        *("could not create a memory object", "could not execute a primitive"),
    ),
    Exhausted.SHARED_MEMORY: ("Bus error", *SHARED),
    Exhausted.PROCESSES: ("can't start new thread", "Resource temporarily unavailable"),
}
"""How Python, torch, C++, OpenCV, oneDNN and the system say it."""
NUMBERS = {
    errno.ENOMEM: Exhausted.MEMORY,
    errno.EMFILE: Exhausted.HANDLES,
    errno.ENFILE: Exhausted.HANDLES,
    errno.EAGAIN: Exhausted.PROCESSES,
}
SHARED_NUMBERS = {
    **NUMBERS,
    errno.ENOSPC: Exhausted.SHARED_MEMORY,
    errno.EFBIG: Exhausted.FILE_SIZE,
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), Exhausted.WRITABLE_SHARED_MEMORY),
}
"""The same, where the text is about shared memory: its files obey limits and rights as all files do."""


def exhausted(error: BaseException) -> Exhausted | None:
    """Return what there was too little of when an exception was raised, here or in a loader's worker.

    Args:
        error: any exception. The memory of a GPU is not looked at, see `out_of_gpu_memory`.

    Returns:
        None for another reason, or where it is not known.

    Example:
        >>> exhausted(OSError(24, "Too many open files")).name
        'HANDLES'
        >>> exhausted(RuntimeError("DataLoader worker (pid 7) exited unexpectedly with exit code 83.")).name
        'SHARED_MEMORY'
        >>> exhausted(ZeroDivisionError()) is None
        True
    """
    text = original_text(error)
    if found := WORKER_STATUS.search(text):
        return next((each for each in Exhausted if each == int(found[1])), None)
    if isinstance(error, (RuntimeError, OSError)) and any(word in text for word in SHARED):
        number = _number(error, text) or _last_number(text)
        if number in SHARED_NUMBERS:
            return SHARED_NUMBERS[number]
    number = _number(error, text)
    if isinstance(error, MemoryError) or re.match(r"[\w.]*MemoryError\b", text) or number == errno.ENOMEM:
        return Exhausted.MEMORY
    if isinstance(error, OSError) and number is not None:
        return NUMBERS.get(number)
    if not (isinstance(error, (RuntimeError, OSError, ImportError)) or _from_opencv(error)):
        return None
    text = text.replace("primitive descriptor", "")  # oneDNN's words for an operation that it does not have
    return next((kind for kind, words in WORDS.items() if any(word in text for word in words)), None)


def raise_if_exhausted(error: BaseException) -> None:
    """Raise an exception again that a file caused only because the system ran out of something: another would, too.

    Args:
        error: met while a file was read. Memory counts if `ROOM` bytes are not to be had: a broken file may ask for
            more than any machine has.

    Example:
        >>> raise_if_exhausted(MemoryError())
        >>> raise_if_exhausted(OSError(24, "Too many open files"))
        Traceback (most recent call last):
        OSError: [Errno 24] Too many open files
    """
    lacking = exhausted(error)
    if lacking is None:
        return
    if lacking is Exhausted.MEMORY:
        try:
            bytearray(ROOM)
            return
        except MemoryError:
            pass
    raise error


def original_text(error: BaseException) -> str:
    r"""Return what an exception says; of one that torch wrapped in a loader's worker, what that said.

    Example:
        >>> wrapped = "Caught OSError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
        >>> original_text(RuntimeError(wrapped + '  File "a.py", line 1, in f\n    g()\nOSError: [Errno 24] Many\n'))
        'OSError: [Errno 24] Many'
    """
    text = str(error).strip()
    if not from_worker(error):
        return text
    lines = text.splitlines()
    inner = max((number for number, line in enumerate(lines) if line.startswith("  ")), default=0)
    return "\n".join(lines[inner + 1 :]) or lines[-1]


def from_worker(error: BaseException) -> bool:
    """True if torch raised the exception for one of a loader's worker process."""
    return "in DataLoader worker process" in str(error) and "\nOriginal Traceback" in str(error)


def _number(error: BaseException, text: str) -> int | None:
    """Return the number of the system's error, which some only write into their text."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = ERRNO.search(text)
    return int(found[1]) if found else None


def _last_number(text: str) -> int | None:
    found = LAST_NUMBER.search(text)
    return int(found[1]) if found else None


def _from_opencv(error: BaseException) -> bool:
    kind = getattr(sys.modules.get("cv2"), "error", None)
    return kind is not None and isinstance(error, kind)
