"""A partial file of a download, and the note beside it by which the rest can be asked for."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

from aigp_lightning.fetching.address import public
from aigp_lightning.files import write_atomic


@dataclass(frozen=True)
class Begun:
    """Bytes that an earlier download has left, and by which the server tells that its file is still the same.

    Attributes:
        size: bytes; 0 where nothing is there.
        validator: tag or time.
    """

    size: int = 0
    validator: str = ""


def forget(part: Path) -> None:
    """Remove a partial file and what is noted of it.

    Args:
        part: the partial file.
    """
    part.unlink(missing_ok=True)
    _notes(part).unlink(missing_ok=True)


def _notes(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def read_begun(part: Path, address: str) -> Begun:
    """Return what is there of an address, if its server said by what it can be recognised; else remove it.

    Args:
        part: the partial file.
        address: of the whole one.
    """
    with suppress(OSError, ValueError, RecursionError):
        notes: Any = json.loads(_notes(part).read_text(encoding="utf-8"))
        size = part.stat().st_size
        if isinstance(notes, dict) and notes.get("url") == public(address) and notes.get("validator") and size:
            return Begun(size, str(notes["validator"]))
    forget(part)
    return Begun()


def note(part: Path, address: str, headers: HTTPMessage) -> None:
    """Note by what the server recognises its file: a strong tag, or when it was changed.

    Args:
        part: the partial file.
        address: of the whole one.
        headers: of the server's answer.
    """
    tag = headers.get("ETag", "")
    validator = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
    text = json.dumps({"url": public(address), "validator": validator})
    write_atomic(_notes(part), text.encode(), sync=False, own=True)
