"""Tells paths on a disk of this machine from addresses of buckets."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-_]+:")
"""How a URL begins; one letter is a drive of Windows."""
NO_FOLDERS = ("databricks", "databricks-uc", "uc")
"""Words that MLflow takes for servers."""


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


def folder_of_address(address: str) -> Path | None:
    """Return the folder on a disk of this machine that MLflow takes an address for; None for anything else.

    Args:
        address: a path, or a URL: `file:` names a folder, every other scheme something elsewhere.

    Example:
        >>> folder_of_address("file:///srv/my%20runs").as_posix(), folder_of_address("http://localhost:5000")
        ('/srv/my runs', None)
        >>> folder_of_address("mlflow-artifacts:/0/artifacts"), folder_of_address("file://host/srv")
        (None, None)
    """
    if address[:5].lower() == "file:":
        parts = urlsplit(address)
        if parts.netloc not in ("", "localhost"):
            return None
        address = parts.path
    elif address in NO_FOLDERS or not is_on_disk(address):
        return None
    return Path(os.path.abspath(url2pathname(address)))


def file_of_database(address: str) -> Path | None:
    """Return the file of an SQLite address; None for anything else.

    Args:
        address: as MLflow and SQLAlchemy take it: three slashes and a path, which four make absolute.

    Example:
        >>> file_of_database("sqlite:////srv/mlflow.db").as_posix(), file_of_database("postgresql://host/runs")
        ('/srv/mlflow.db', None)
    """
    head, sign, path = address.partition(":///")
    if not sign or head.partition("+")[0] != "sqlite" or not path:
        return None
    return Path(os.path.abspath(path.partition("?")[0]))
