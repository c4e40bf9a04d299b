"""Atomic writes: a file is there whole, or as it was before; and what to say of a disk that is full."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of the operating system by which a file could not grow."""
DEBUG_RECORDS = ".debug_pkl"
"""How the members of a TorchScript archive end that name the source files, on this machine, of every operation."""
ALIGNMENT, LOCAL_HEADER, EXTRA_HEADER = 64, 30, 4
"""Of the data in PyTorch's archives, and sizes of a zip's headers, bytes."""


def write_atomic(path: Path, data: bytes | memoryview, sync: bool = True) -> None:
    """Write beside the target and move into place: a full disk or a kill leaves the old file as it was.

    Args:
        path: the file; its folder is made. Of a link, the file that it names is replaced. A pipe, or what stands below
            `/dev` and `/proc`, is written to as it is.
        data: what it will hold.
        sync: wait until the disk has it, so that a power cut leaves no empty file either. Pictures do without.

    Raises:
        OSError: it names the file, and nothing was changed.
    """
    if (path.is_absolute() and path.parts[1:2] in (("dev",), ("proc",))) or (path.exists() and not path.is_file()):
        path.write_bytes(data)
        return
    if path.is_symlink():
        path = path.resolve()
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


def disk_full(error: OSError, path: Path | str | None, needed: int | None = None, folder: Path | None = None) -> str:
    """Describe in a line why a file could not be written, and what to do.

    Args:
        error: of the system's, one of `DISK_FULL`.
        path: the file; None if not known.
        needed: its size, bytes.
        folder: asked for its free space where the file is not known.

    Example:
        >>> disk_full(OSError(errno.EFBIG, ""), "best.ckpt")
        'a file reached the largest size allowed while writing best.ckpt. Everything written before is intact: raise \
the limit (`ulimit -f`).'
    """
    target = f" while writing {path}" if path else ""
    facts = [f"{needed / 1e6:.1f} MB are needed"] if needed is not None else []
    if error.errno == errno.EFBIG:
        happened, advice = f"a file reached the largest size allowed{target}", "raise the limit (`ulimit -f`)"
    else:
        happened, advice = f"the disk is full{target}", "free some space"
        free = free_bytes(path or folder)
        facts += [f"{free / 1e6:.1f} MB are free"] if free is not None else []
        if error.errno == errno.EDQUOT:
            happened, advice = f"your share of the disk is used up{target}", "free some of yours, or ask for more"
    numbers = f" ({', '.join(facts)})" if facts else ""
    return f"{happened}{numbers}. Everything written before is intact: {advice}."


def free_bytes(path: Path | str | None) -> int | None:
    """Return the bytes free where a file is, or would be; None if that is not known."""
    place = Path(path) if path else None
    while place is not None and not place.exists():
        place = place.parent if place.parent != place else None
    try:
        return shutil.disk_usage(place).free if place is not None else None
    except OSError:
        return None


def without_members(archive: bytes, suffix: str) -> bytes:
    """Copy a zip archive without the members whose names end in a certain way.

    Args:
        archive: its members are not compressed, as PyTorch writes them; their data stay aligned to 64 bytes, so that
            the copy can be mapped into memory too.
        suffix: end of the names.

    Example:
        >>> import io
        >>> import zipfile
        >>> with zipfile.ZipFile(buffer := io.BytesIO(), "w") as file:
        ...     file.writestr("code.py", "x = 1")
        ...     file.writestr("code.py.debug_pkl", "/home/me/code.py")
        >>> zipfile.ZipFile(io.BytesIO(without_members(buffer.getvalue(), ".debug_pkl"))).namelist()
        ['code.py']
    """
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as new:
        for member in old.infolist():
            if member.filename.endswith(suffix):
                continue
            header = zipfile.ZipInfo(member.filename)  # with the oldest date there is, as PyTorch's have
            name = len(member.filename.encode())
            padding = -(buffer.tell() + LOCAL_HEADER + name + EXTRA_HEADER) % ALIGNMENT
            header.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
            new.writestr(header, old.read(member))
    return buffer.getvalue()
