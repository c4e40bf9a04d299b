"""What ended a run, in one line: the disk, memory, a process that is gone. Nothing heavy is imported here."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from aigp_lightning.errors import RunError, UserError
from aigp_lightning.run.folder import ENV_FOLDER, LAST

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
BROKEN = (errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN)
SHARED_MEMORY = ("Bus error", "shared memory", "unable to write to file </torch", "unable to mmap")
WORKER = "DataLoader worker (pid"


def explained(error: BaseException) -> UserError | None:
    """What to tell the user of an exception, and what to do.

    Args:
        error: what ended the verb.

    Returns:
        One of ours, from the chain of its causes or made of what is known of it; None for what nobody foresaw, which
        is a defect of the package and deserves its traceback.
    """
    each: BaseException | None = error
    while each is not None and not isinstance(each, UserError):
        each = each.__cause__
    if each is not None:
        return each
    text = _known(error)
    return RunError(text) if text is not None else None


def _known(error: BaseException) -> str | None:
    text = str(error)
    if isinstance(error, OSError):
        return _of_system(error)
    if out_of_gpu_memory(error):
        return f"the GPU's memory is full ({_first(text)}). A smaller --data.batch_size needs less.{resume_hint()}"
    if isinstance(error, MemoryError):
        return (
            f"the machine's memory is full{_in_brackets(text)}. Fewer --data.workers or a smaller --data.batch_size "
            f"need less; see what else runs on it.{resume_hint()}"
        )
    if isinstance(error, RuntimeError) and "Too many open files" in text:
        return (
            f"too many open files: allow more of them, `ulimit -n 65536`, or take fewer --data.workers.{resume_hint()}"
        )
    if isinstance(error, RuntimeError) and (WORKER in text or any(words in text for words in SHARED_MEMORY)):
        return _of_worker(text)
    return None


def _of_system(error: OSError) -> str | None:
    where, folder = error.filename or error.filename2, os.environ.get(ENV_FOLDER)
    if error.errno in FULL:
        return disk_full(error, where)
    if error.errno == errno.ENOMEM:
        return _known(MemoryError())
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return _known(RuntimeError("Too many open files"))
    advice = ""
    if where is not None and folder and str(where).startswith(folder) and not os.path.isdir(folder):
        advice = f"the run folder {folder} was deleted or moved while the run wrote to it."
    elif error.errno in FORBIDDEN:
        advice = "see who owns the folder and whether the disk is writable; --run.root chooses where runs go."
    elif error.errno in BROKEN:
        advice = f"the disk or the network share does not answer.{resume_hint()}"
    return f"{where}: {error.strerror}; {advice}" if where is not None and advice else None


def disk_full(error: OSError, where: Any, needed: int | None = None) -> str:
    """What to say when something could not be written.

    Args:
        error: of the system's.
        where: the file; None if not known.
        needed: its size, bytes.
    """
    what = f" while writing {where}" if where else ""
    facts = [f"{needed / 1e6:.1f} MB are needed"] if needed is not None else []
    if error.errno == errno.EFBIG:
        happened, advice = f"a file reached the largest size allowed{what}", "raise the limit (`ulimit -f`)"
    else:
        happened, advice = f"the disk is full{what}", "free some space"
        free = free_bytes(where or os.environ.get(ENV_FOLDER))
        facts += [f"{free / 1e6:.1f} MB are free"] if free is not None else []
        if error.errno == errno.EDQUOT:
            happened, advice = f"your share of the disk is used up{what}", "free some of yours, or ask for more"
    told = f" ({', '.join(facts)})" if facts else ""
    return f"{happened}{told}. Everything written before is intact: {advice}.{resume_hint()}"


def free_bytes(where: Any) -> int | None:
    """Bytes free where a file is, or would be; None if that is not known."""
    place = Path(str(where)) if where else None
    while place is not None and not place.exists():
        place = place.parent if place.parent != place else None
    try:
        return shutil.disk_usage(place).free if place is not None else None
    except OSError:
        return None


def out_of_gpu_memory(error: BaseException) -> bool:
    """Whether an exception says that an accelerator has no memory left."""
    kind = getattr(sys.modules.get("torch"), "OutOfMemoryError", None)
    text = str(error)
    return (kind is not None and isinstance(error, kind)) or (
        isinstance(error, RuntimeError) and ("CUDA error: out of memory" in text or "_STATUS_ALLOC_FAILED" in text)
    )


def resume_hint() -> str:
    """How to go on, where there is something to go on from; starts with a blank."""
    folder = os.environ.get(ENV_FOLDER)
    places = [Path(folder) / LAST, (Path(folder) / LAST).with_name("best.ckpt")] if folder else []
    found = next((path for path in places if path.is_file()), None)
    return f" Then go on with --ckpt_path {found}." if found is not None else ""


def _of_worker(text: str) -> str:
    if any(words in text for words in SHARED_MEMORY):
        return (
            f"a process that loads images found no shared memory ({_first(text)}). Give the container more "
            f"(`docker run --shm-size=8g`, or `--ipc=host`), or take fewer --data.workers; 0 needs none.{resume_hint()}"
        )
    if "Killed" in text or "exited unexpectedly" in text:
        return (
            f"a process that loads images was killed ({_first(text)}), most likely by the system because memory ran "
            "out (`dmesg | grep -i kill` says so). Take fewer --data.workers, or give the job more memory."
            f"{resume_hint()}"
        )
    return f"a process that loads images ended by itself ({_first(text)}). --data.workers 0 shows why.{resume_hint()}"


def _first(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0].rstrip(".") if lines else "no details"


def _in_brackets(text: str) -> str:
    return f" ({_first(text)})" if text.strip() else ""
