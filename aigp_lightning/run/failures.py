"""Errors that ended a run, in one line: the disk, memory, a lost process. Nothing heavy is imported here."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from aigp_lightning.checkpoints.paths import resume_hint
from aigp_lightning.errors import ConfigError, RunError, UserError
from aigp_lightning.files import DISK_FULL, disk_full
from aigp_lightning.run.exhausted import WORKER_STATUS, Exhausted, exhausted, original_text

FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
BROKEN = (errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN)
WORKER = "DataLoader worker (pid"
PID = re.compile(r"\(pid\D*(\d+)\)")
RAN_OUT = {
    Exhausted.MEMORY: (
        "the machine's memory is full{why}. Fewer --data.workers or a smaller --data.batch_size need less; see what "
        "else runs on it.{hint}"
    ),
    Exhausted.HANDLES: (
        "too many open files: allow more of them, `ulimit -n 65536`, or take fewer --data.workers.{hint}"
    ),
    Exhausted.SHARED_MEMORY: (
        "a process that loads images found no shared memory{why}. Give the container more (`docker run "
        "--shm-size=8g`, or `--ipc=host`), or take fewer --data.workers; 0 needs none.{hint}"
    ),
    Exhausted.FILE_SIZE: (
        "a file reached the largest size allowed, and shared memory obeys that limit, too{why}: lift it, `ulimit -f "
        "unlimited`, or take --data.workers 0, which needs none.{hint}"
    ),
    Exhausted.WRITABLE_SHARED_MEMORY: (
        "a process that loads images may not write to shared memory{why}. /dev/shm and the folder for temporary files "
        "(TMPDIR) must be writable; --data.workers 0 needs neither.{hint}"
    ),
    Exhausted.PROCESSES: (
        "the system starts no more processes or threads{why}: allow more of them, `ulimit -u`, or take fewer "
        "--data.workers.{hint}"
    ),
}


def explained(error: BaseException, folder: Path | None = None, otherwise: UserError | None = None) -> UserError | None:
    """Describe an exception to the user: what happened, and what to do.

    Args:
        error: what ended the verb.
        folder: of the run that it ended, if there was one.
        otherwise: what to say of it if it is none of those that a machine's state explains.

    Returns:
        One of ours, from the chain of its causes or made of what is known of it; None for what nobody foresaw, which
        is a defect of the package and deserves its traceback.

    Example:
        >>> print(explained(MemoryError()))
        the machine's memory is full. Fewer --data.workers or a smaller --data.batch_size need less; see what else \
runs on it.
        >>> explained(ZeroDivisionError()) is None
        True
    """
    each: BaseException | None = error
    while each is not None and not isinstance(each, UserError):
        each = each.__cause__
    if each is not None:
        return each
    texts = (_described(each, folder) for each in _with_what_led_to_it(error))
    text = next((text for text in texts if text is not None), None)
    if text is not None:
        return RunError(text)
    if otherwise is not None:
        return otherwise
    wrong = next((each for each in _with_what_led_to_it(error) if is_misconfiguration(each)), None)
    return ConfigError(" ".join(str(wrong).split())) if wrong is not None else None


def is_misconfiguration(error: BaseException) -> bool:
    """True if Lightning says by an exception that the user's options do not go together."""
    module = sys.modules.get("lightning.fabric.utilities.exceptions")
    kind = getattr(module, "MisconfigurationException", None)
    return kind is not None and isinstance(error, kind)


def _with_what_led_to_it(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, and those during whose handling it was raised: clean-up fails for want of memory, too."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__


def _described(error: BaseException, folder: Path | None) -> str | None:
    return _describe_system_error(error, folder) if isinstance(error, OSError) else _describe(error, folder)


def _describe(error: BaseException, folder: Path | None) -> str | None:
    text, hint = original_text(error), resume_hint(folder)
    if out_of_gpu_memory(error):
        return f"the GPU's memory is full ({_sentence(text)}). A smaller --data.batch_size needs less.{hint}"
    lacking = exhausted(error)
    if lacking is not None:
        return RAN_OUT[lacking].format(why=_why(text), hint=hint)
    if isinstance(error, RuntimeError) and WORKER in text:
        return _describe_worker(text) + hint
    return None


def _describe_system_error(error: OSError, folder: Path | None) -> str | None:
    path, hint = error.filename or error.filename2, resume_hint(folder)
    if error.errno in DISK_FULL:
        return disk_full(error, path, folder=folder) + hint
    if (lacking := exhausted(error)) is not None:
        return RAN_OUT[lacking].format(why=_in_brackets(original_text(error) if error.errno is None else ""), hint=hint)
    advice = ""
    if path is not None and folder and str(path).startswith(str(folder)) and not os.path.isdir(folder):
        advice = f"the run folder {folder} was deleted or moved while the run wrote to it."
    elif error.errno in FORBIDDEN:
        advice = "see who owns the folder and whether the disk is writable; --run.root chooses where runs go."
    elif error.errno in BROKEN:
        advice = f"the disk or the network share does not answer.{hint}"
    return f"{path}: {error.strerror}; {advice}" if path is not None and advice else None


def out_of_gpu_memory(error: BaseException) -> bool:
    """True if an exception says that an accelerator has no memory left."""
    kind = getattr(sys.modules.get("torch"), "OutOfMemoryError", None)
    text = str(error)
    return (kind is not None and isinstance(error, kind)) or (
        isinstance(error, RuntimeError) and ("CUDA error: out of memory" in text or "_STATUS_ALLOC_FAILED" in text)
    )


def _why(text: str) -> str:
    """Return what an exception said, in brackets; of a worker that could not say it, that it was one."""
    pid = PID.search(text) if WORKER_STATUS.search(text) else None
    return f" (for process {pid[1]}, which loads images)" if pid else _in_brackets(text)


def _describe_worker(text: str) -> str:
    if "Killed" in text or re.search("exited unexpectedly(?! with exit code)", text):
        return (
            f"a process that loads images was killed ({_sentence(text)}), most likely by the system because memory "
            "ran out (`dmesg | grep -i kill` says so). Take fewer --data.workers, or give the job more memory."
        )
    return f"a process that loads images ended by itself ({_sentence(text)}). --data.workers 0 shows why."


def _sentence(text: str) -> str:
    """Return the first line without its full stop."""
    lines = text.strip().splitlines()
    return lines[0].rstrip(".") if lines else "no details"


def _in_brackets(text: str) -> str:
    return f" ({_sentence(text)})" if text.strip() else ""
