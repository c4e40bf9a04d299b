"""Hashes of files, whatever their size."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

LARGEST = 1 << 30
"""Bytes of a file that is read; a picture has a few millions."""
CHUNK = 1 << 20


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal; of one that is too large to be a picture, a text that says so."""
    size = path.stat().st_size
    if size > LARGEST:
        return f"not read: {size} bytes"
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
