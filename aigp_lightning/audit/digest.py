"""Hashes of files, whatever their size."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from aigp_lightning.logfiles.paths import reason_of

LARGEST = 1 << 30
"""Bytes of a file that is read; a picture has a few millions."""
CHUNK = 1 << 20
UNREADABLE = "cannot be read"
SHOWN = 12


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal; of one that is too large or cannot be read, a text that says so."""
    digest = sha256()
    try:
        if (size := path.stat().st_size) > LARGEST:
            return f"not read: {size} bytes"
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except (OSError, ValueError) as error:
        return f"{UNREADABLE} ({reason_of(error)})"
    return digest.hexdigest()


def shortened(digest: str) -> str:
    """Return the beginning of a hash, or the whole text that stands for it.

    Example:
        >>> shortened("0123456789abcdef"), shortened("cannot be read (Permission denied)")
        ('0123456789ab…', 'cannot be read (Permission denied)')
    """
    return digest if " " in digest else f"{digest[:SHOWN]}…"
