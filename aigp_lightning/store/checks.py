"""One thing that a receipt says, held against what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from aigp_lightning.errors import first_line
from aigp_lightning.files import read_regular
from aigp_lightning.store.receipt import FileFact, file_fact

Outcome = Literal["right", "wrong", "missing"]


@dataclass(frozen=True)
class Checked:
    """One thing that a receipt says, and whether it is so.

    Attributes:
        name: of the thing.
        outcome: `right`, `wrong`, or `missing`: it is not there any more, or was never recorded, and says nothing.
        message: in a line.
    """

    name: str
    outcome: Outcome
    message: str

    def as_dict(self) -> dict[str, str]:
        """Return plain values."""
        return asdict(self)


def check_content(name: str, path: Path, fact: FileFact) -> Checked:
    """Compare a file with what a receipt says of it.

    Args:
        name: of the check.
        path: of the file.
        fact: that the receipt has.
    """
    try:
        found = file_fact(path)
    except FileNotFoundError:
        return Checked(name, "missing", "the file is not there")
    except (OSError, ValueError) as error:  # also a name that no file can have
        return Checked(
            name, "wrong", f"the file cannot be read ({getattr(error, 'strerror', '') or first_line(error)})"
        )
    if found == fact:
        return Checked(name, "right", f"{found.bytes:,} bytes, SHA-256 {found.sha256}")
    if found.bytes != fact.bytes:
        return Checked(name, "wrong", f"has {found.bytes:,} bytes, not {fact.bytes:,}: it is another file")
    return Checked(name, "wrong", f"was changed: its SHA-256 is {found.sha256}, not {fact.sha256}")


def check_hash(name: str, path: Path, digest: str | None) -> Checked:
    """Compare a file of the run with the hash in a receipt.

    Args:
        name: of the check.
        path: of the file.
        digest: that the receipt has.
    """
    try:
        found = sha256(read_regular(path)).hexdigest()
    except FileNotFoundError:
        return Checked(name, "missing", "the file is not there")
    except (OSError, ValueError) as error:  # also a name that no file can have
        return Checked(
            name, "wrong", f"the file cannot be read ({getattr(error, 'strerror', '') or first_line(error)})"
        )
    if found == digest:
        return Checked(name, "right", f"SHA-256 {found}")
    return Checked(name, "wrong", f"was changed since: its SHA-256 is {found}, not {digest}")


def group_of(value: object) -> Mapping[str, Any]:
    """Return a value of a file that anybody may have written, if it is a group of values; else an empty one.

    Args:
        value: of JSON.
    """
    return value if isinstance(value, Mapping) else {}
