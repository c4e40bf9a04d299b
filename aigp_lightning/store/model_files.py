"""The files of a version: copied and hashed at once, synced; the version's id from their names and hashes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from aigp_lightning.files import RECEIPT_FILE, open_regular
from aigp_lightning.modules.metrics.image_results import RESULTS_FILE
from aigp_lightning.store.receipt import FileFact

PIECE = 1 << 20
"""Bytes copied at a time."""
BESIDE = (RECEIPT_FILE, RESULTS_FILE)
"""Files that say something of the model, and are none of it: a version's id does without them."""
ID_LENGTH = 16


def version_id(facts: Mapping[str, FileFact]) -> str:
    """Return the id of the version that has these files.

    Args:
        facts: by file name; those that are `BESIDE` the model do not count.
    """
    digest = hashlib.sha256()
    for name, fact in sorted(facts.items()):
        if name not in BESIDE:
            digest.update(f"{name}\0{fact.sha256}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:ID_LENGTH]


def copy_hashed(source: Path, target: Path) -> FileFact:
    """Copy a file, and hash what is copied; it is on the disk when this returns.

    Args:
        source: a regular file, and no link to one.
        target: not there yet.

    Raises:
        OSError: it names the file that could not be read, or the target.
    """
    digest, size = hashlib.sha256(), 0
    with os.fdopen(open_regular(source, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as reading:
        try:
            with target.open("xb") as writing:
                while piece := reading.read(PIECE):
                    digest.update(piece)
                    size += len(piece)
                    writing.write(piece)
                writing.flush()
                os.fsync(writing.fileno())
        except OSError as error:
            error.filename = error.filename or str(target)
            raise
    return FileFact(digest.hexdigest(), size)
