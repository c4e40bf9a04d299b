"""One thing that a receipt says, held against what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from aigp_lightning.errors import first_line
from aigp_lightning.files import read_regular
from aigp_lightning.ranges import is_finite_number
from aigp_lightning.store.receipt import FileFact, file_fact

TOLERANCE = 1e-9
"""By which numbers may differ that are the same."""
LISTED = 5
"""Names of values that a message has at most."""
ABSENT = object()
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


def differing(said: object, found: object, name: str = "") -> list[str]:
    """Return the names of values that are not the same in a receipt and in what it was made of.

    Args:
        said: by the receipt: plain values of any form.
        found: plain values.
        name: of both.
    """
    if isinstance(said, Mapping) and isinstance(found, Mapping):
        both = sorted({*map(str, said), *map(str, found)})
        pairs = [(said.get(key, ABSENT), found.get(key, ABSENT), f"{name}.{key}" if name else key) for key in both]
        return [each for pair in pairs for each in differing(*pair)]
    if isinstance(said, list) and isinstance(found, list) and len(said) == len(found):
        pairs = [(one, other, f"{name}[{place}]") for place, (one, other) in enumerate(zip(said, found, strict=True))]
        return [each for pair in pairs for each in differing(*pair)]
    if is_finite_number(said) and is_finite_number(found):
        return [] if said == found or abs(said - found) <= TOLERANCE else [name]
    return [] if type(said) is type(found) and said == found else [name]


def compared(name: str, said: object, found: object, source: str) -> Checked:
    """Compare values of a receipt with those of a file.

    Args:
        name: of the check.
        said: by the receipt.
        found: in the file.
        source: name of the file.
    """
    wrong = differing(said, found)
    if not wrong:
        return Checked(name, "right", f"as in {source}")
    listed = ", ".join(each for each in wrong[:LISTED] if each)
    more = f" and {len(wrong) - LISTED} more" if len(wrong) > LISTED else ""
    return Checked(name, "wrong", f"{listed}{more}{': ' if listed else ''}other values than in {source}")


def group_of(value: object) -> Mapping[str, Any]:
    """Return a value of a file that anybody may have written, if it is a group of values; else an empty one.

    Args:
        value: of JSON.
    """
    return value if isinstance(value, Mapping) else {}
