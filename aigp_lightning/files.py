"""Atomic writes, reads that never wait, hashes. What to say of a full disk; how a shell takes a path.

Longer than 250 lines: whatever writes or reads a file looks here first.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path

from aigp_lightning.paths import short_name

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of the operating system by which a file could not grow."""
MOST_TEMPORARY = 100
"""Bytes of the target's name in that of the file which is written first, and moved into its place."""
CHUNK = 1 << 20
"""Bytes of a file that are read at a time."""
DEBUG_RECORDS = ".debug_pkl"
"""Ending of the members of a TorchScript archive that name the source file of every operation."""
RECEIPT_FILE = "receipt.json"
"""In the folder of a promoted model, in a store: what the folder holds, with hashes."""
ALIGNMENT, LOCAL_HEADER, EXTRA_HEADER = 64, 30, 4
"""Alignment of the data in PyTorch's archives, and sizes of a zip's headers, bytes."""


def is_plain_name(name: str) -> bool:
    r"""True if a text names a file in a folder, and neither the folder, its parent nor a place elsewhere.

    Args:
        name: of the file.

    Example:
        >>> is_plain_name("results.csv"), is_plain_name("../x"), is_plain_name("."), is_plain_name("\x00")
        (True, False, False, False)
    """
    return bool(name) and name not in (".", "..") and "\x00" not in name and Path(name).name == name


def write_atomic(path: Path, data: bytes | memoryview, sync: bool = True, own: bool = False) -> None:
    """Write beside the target and move into place: a full disk or a kill leaves the old file as it was.

    Args:
        path: the file, which the user may have named; its folder is made. Of a link, the file that it names is
            replaced. A pipe, or what stands below `/dev` and `/proc`, is written to as it is.
        data: what it will hold.
        sync: wait until the disk has it, so that a power cut leaves no empty file either. Pictures do without.
        own: it is a file of a run's, and never a pipe or a device: what else stands in its place is replaced.

    Raises:
        OSError: it names the file, and nothing was changed.
    """
    special = path.exists() and not path.is_file()
    if not own and (special or (path.is_absolute() and path.parts[1:2] in (("dev",), ("proc",)))):
        path.write_bytes(data)
        return
    if path.is_symlink() and not special:
        path = path.resolve()
    temporary = temporary_of(path)
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


def temporary_of(path: Path) -> Path:
    """Return the file beside a target that is written first: `.NAME.PROCESS.part`, of a long name the beginning.

    Args:
        path: the target; where its name is as long as the file system allows, this one is shorter.

    Example:
        >>> len(temporary_of(Path("z" * 251 + ".jpg")).name) < 150
        True
    """
    return path.with_name(f".{short_name(path.name, MOST_TEMPORARY)}.{os.getpid()}.part")


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a file, or what a link names, if it is a regular one: a pipe in its place would keep whoever reads waiting.

    Args:
        path: the file.
        flags: of `os.open`.

    Returns:
        Its descriptor.

    Raises:
        OSError: it cannot be opened, or is something else: a pipe, a device, a socket, a folder.
    """
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0), 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return handle


def read_regular(path: Path) -> bytes:
    """Read a file, or what a link names, if it is a regular one.

    Args:
        path: the file.

    Raises:
        OSError: see `open_regular`.

    Example:
        >>> read_regular(Path(os.devnull))
        Traceback (most recent call last):
        OSError: [Errno 22] it is no regular file: '/dev/null'
    """
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Args:
        path: of the file.

    Raises:
        OSError: it cannot be read.
    """
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def is_half_written(path: Path, names: Collection[str]) -> bool:
    """True if a file's name is one under which `write_atomic` writes: `.NAME.PROCESS.part`.

    Args:
        path: of the file.
        names: patterns of what the caller writes in this folder; other files are not the caller's.

    Example:
        >>> names = (".labels.jpg.77.part", ".labels.jpg.part", ".mine.jpg.7.part")
        >>> [is_half_written(Path(name), ["labels*.jpg"]) for name in names]
        [True, False, False]
    """
    found = re.fullmatch(r"\.(.+)\.[0-9]+\.part", path.name, re.DOTALL)
    return found is not None and any(fnmatchcase(found[1], name) for name in names)


def is_stored(folder: Path) -> bool:
    """True if a folder is a version in a store of models: nothing is added to it, nor written over."""
    return (folder / RECEIPT_FILE).is_file()


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


def typed_command(*words: str | Path, variables: Mapping[str, str] | None = None) -> str:
    """Return a command line of this program as it can be typed, in whatever folder.

    Args:
        words: after the program's name: a verb and its options.
        variables: to be set for it; left out on Windows, whose shells set none for one command.

    Example:
        >>> typed_command("fit").endswith(" -m aigp_lightning fit")
        True
    """
    python = "python" if shutil.which("python") == sys.executable else sys.executable
    command, here = shell_quoted(python, "-m", "aigp_lightning", *words), shell_quoted(Path.cwd())
    if os.name != "posix":
        return f"cd /d {here} && {command}"
    before = "".join(f"{name}={shell_quoted(value)} " for name, value in (variables or {}).items())
    return f"cd {here} && {before}{command}"


def shell_quoted(*words: str | Path) -> str:
    r"""Return words as this system's shell takes them, so that a printed command can be run.

    What a terminal would not show as it is (a newline, an escape code, bytes that are no text) is written by its
    number, in the `$'…'` of bash and zsh.

    Args:
        words: of a command; or one path.

    Example:
        >>> shell_quoted("fit", Path("my runs/it's") / "last.ckpt") if os.name == "posix" else ""
        'fit \'my runs/it\'"\'"\'s/last.ckpt\''
        >>> print(shell_quoted("a\nb"))
        $'a\x0ab'
    """
    return " ".join(map(_quote, map(str, words)))


def _quote(word: str) -> str:
    if not word.isprintable():
        coded = (
            c if c.isprintable() and c not in "'\\" else "".join(f"\\x{b:02x}" for b in os.fsencode(c)) for c in word
        )
        return "$'" + "".join(coded) + "'"
    if os.name == "posix":
        return shlex.quote(word)
    return f'"{word}"' if not word or any(c in word for c in " &|<>^()%!;,='") else word
