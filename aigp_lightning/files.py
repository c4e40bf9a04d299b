"""Atomic writes: a file is there whole, or as it was before."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomic(path: Path, data: bytes | memoryview, sync: bool = True) -> None:
    """Write beside the target and move into place: a full disk or a kill leaves the old file as it was.

    Args:
        path: the file; its folder is made.
        data: what it will hold.
        sync: wait until the disk has it, so that a power cut leaves no empty file either. Pictures do without.

    Raises:
        OSError: it names the file, and nothing was changed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
