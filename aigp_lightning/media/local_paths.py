"""Tells paths on a disk of this machine from addresses of buckets."""

from __future__ import annotations

import re

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-_]+:")
"""How a URL begins; one letter is a drive of Windows."""


def is_on_disk(path: str) -> bool:
    """True if every library that opens files by URL takes this for a path on a disk: TensorBoard, TensorFlow, fsspec.

    Each has its own idea of where a scheme ends, so anything that looks like one counts.

    Args:
        path: as it is opened, with variables expanded.

    Example:
        >>> is_on_disk("/runs/gates"), is_on_disk("gs://bucket/gates"), is_on_disk("s3:")
        (True, False, False)
    """
    if "://" in path or "::" in path or SCHEME.match(path.strip()):
        return False
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(url_to_fs(path)[0], LocalFileSystem)
