"""The place in which `fetch` puts a file, and what is there already."""

from __future__ import annotations

from pathlib import Path

from aigp_lightning.errors import ConfigError, WeightsError, printable
from aigp_lightning.fetching.record import FILE, read_record
from aigp_lightning.files import DISK_FULL, sha256_of
from aigp_lightning.terminal.output import print_line

LONGEST = 200
"""Bytes of a name; file systems take 255, with the endings of what lies beside an unfinished file."""


def is_there(target: Path) -> bool:
    """True if something has the file's name already.

    Args:
        target: the file.

    Raises:
        ConfigError: its folder is none, and cannot be made.
    """
    folder = target.parent
    try:
        near = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        there = target.exists()
    except OSError as error:
        raise ConfigError(f"--out {_cut(folder)}: {error.strerror}.") from error
    if not near.is_dir():
        raise ConfigError(f"--out {_cut(folder)}: {_cut(near)} is a file, and no folder.")
    return there


def make_folder(folder: Path) -> None:
    """Make the folder that a file goes to.

    Args:
        folder: which need not be there.

    Raises:
        ConfigError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise ConfigError(f"--out {_cut(folder)}: {error.strerror}.") from error


def tell_there(target: Path, asked: str) -> None:
    """Say that a file is there already, if it is the one that is meant; no connection is opened.

    Args:
        target: the file.
        asked: its SHA-256, or nothing.

    Raises:
        ConfigError: it is no file.
        WeightsError: it is another one.
    """
    if not target.is_file():
        raise ConfigError(f"{target} is in the way, and no file.")
    digest, recorded = sha256_of(target), read_record(target.parent, target.name)
    meant = {"given by --sha256": asked, f"recorded in {target.parent / FILE}": recorded.sha256 if recorded else ""}
    for what, other in meant.items():
        if other and other != digest:
            raise WeightsError(
                f"{target} is there, and not the file {what}: its SHA-256 is {digest}, not {other}. Move it away to "
                "fetch it again."
            )
    known = "as recorded" if recorded else "not recorded, since it was not fetched here"
    print_line(f"{target} is there already; nothing was fetched", f"sha256 {digest}, {known}")


def _cut(path: Path) -> str:
    """Return a path for a message, which need not be a possible one."""
    text = printable(path)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
