"""What is known of the weights in a folder: from where they came, and their hashes, in `weights.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from aigp_lightning.errors import WeightsError, printable
from aigp_lightning.files import write_atomic

FILE = "weights.json"


@dataclass(frozen=True)
class Record:
    """One file that was fetched.

    Attributes:
        url: from where, without user, password and query.
        size: bytes.
        sha256: hexadecimal.
        fetched: when, UTC.
    """

    url: str
    size: int
    sha256: str
    fetched: str


def read_record(folder: Path, name: str) -> Record | None:
    """Return what is recorded of a file; None where nothing is.

    Args:
        folder: of the file.
        name: of the file.

    Raises:
        WeightsError: the list cannot be read.
    """
    found = _read(folder).get(name)
    if found is None:
        return None
    types = {"url": str, "size": int, "sha256": str, "fetched": str}
    if not isinstance(found, dict) or {key: type(value) for key, value in found.items()} != types:
        raise WeightsError(f"{printable(folder / FILE)}: the entry of {printable(name)} is damaged; remove it.")
    return Record(**found)


def write_record(folder: Path, name: str, url: str, size: int, sha256: str) -> Record:
    """Record a file that has just been fetched.

    Args:
        folder: of the file.
        name: of the file.
        url: see `Record`.
        size: bytes.
        sha256: hexadecimal.

    Raises:
        WeightsError: the list cannot be read.
        OSError: it cannot be written.
    """
    record = Record(url, size, sha256, datetime.now(timezone.utc).isoformat(timespec="seconds"))
    content = {**_read(folder), name: asdict(record)}
    text = json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    write_atomic(folder / FILE, text.encode("utf-8", errors="backslashreplace"))
    return record


def _read(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{printable(path)} is no JSON any more; remove it, or mend it.") from error
    except OSError as error:
        raise WeightsError(f"{printable(path)} cannot be read: {error.strerror}.") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{printable(path)} is no list of weights; remove it.")
    return content
