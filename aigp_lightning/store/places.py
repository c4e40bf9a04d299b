"""Paths in a store, and the links of `latest/`: a symbolic link, or a text file with the path where there are none."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from aigp_lightning.errors import ConfigError
from aigp_lightning.files import is_plain_name, write_atomic

VERSIONS, LATEST, JOURNAL = "versions", "latest", "journal.jsonl"
LOCK, UNFINISHED = ".lock", ".unfinished"
STAGING = ".staging-"
"""Begins the names of folders in `versions/` that are no version: not yet, or no longer."""
VERSION = re.compile(r"[0-9a-f]{16}")
LINK = re.compile(r"\.\./versions/([0-9a-f]{16})\s*")
LONGEST_LINK = 256
"""Bytes of a link that is a text file, at most."""
LONGEST_NAME, LONGEST_SHOWN = 128, 40
"""Bytes of a model's name, with which any file system has room for what is put around it; characters of one in a
message."""
DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices, with whichever suffix."""
NOT_ON_WINDOWS = '<>:"/\\|?*'
NO_LINKS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""Errors of file systems that keep no symbolic links."""
LINKS = sys.platform != "win32"
"""Windows replaces no link to a folder in one step, whatever rights the user has."""


class StorePlaces:
    """Paths in a store; nothing is made or changed by asking for them.

    Args:
        root: the folder of the store.

    Example:
        >>> StorePlaces("models").version("0123456789abcdef").as_posix()
        'models/versions/0123456789abcdef'
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self.versions = self.root / VERSIONS
        self.links = self.root / LATEST
        self.journal = self.root / JOURNAL
        self.lock = self.root / LOCK
        self.unfinished = self.root / UNFINISHED

    def version(self, version: str) -> Path:
        """Return the folder of a version."""
        return self.versions / version

    def link(self, name: str) -> Path:
        """Return the path of a name's link."""
        return self.links / name

    def latest(self, name: str) -> Path | None:
        """Return the folder of the version that is latest, the link followed; None if there is none.

        Args:
            name: of the model.
        """
        version = read_link(self.link(name))
        return None if version is None else self.version(version)

    def names(self) -> list[str]:
        """List the names that have a link."""
        if not self.links.is_dir():
            return []
        return sorted(name for name in os.listdir(self.links) if not name.startswith("."))

    def version_ids(self) -> list[str]:
        """List the versions that have a folder."""
        if not self.versions.is_dir():
            return []
        return sorted(name for name in os.listdir(self.versions) if VERSION.fullmatch(name))

    def leftovers(self) -> list[Path]:
        """List what promotions that were killed have left beside versions and links."""
        found = []
        for folder, start in ((self.versions, STAGING), (self.links, ".")):
            if folder.is_dir():
                found += [folder / name for name in sorted(os.listdir(folder)) if name.startswith(start)]
        return found


def read_link(path: Path) -> str | None:
    """Return the version that a link names, whichever form it has; None if there is no link, or it names none.

    Args:
        path: of the link.
    """
    with suppress(OSError, UnicodeDecodeError):
        if path.is_symlink():
            target = os.readlink(path).replace(os.sep, "/")
        elif path.is_file() and path.stat().st_size <= LONGEST_LINK:
            target = path.read_text(encoding="utf-8")
        else:
            return None
        found = LINK.fullmatch(target)
        return None if found is None else found[1]
    return None


def make_link(path: Path, version: str, links: bool = LINKS) -> None:
    """Make a link to a version; nothing is at its path.

    Args:
        path: of the link, in `latest/`.
        version: that it names.
        links: as a symbolic link, if the file system has them; else as a text file.

    Raises:
        OSError: the disk is full.
    """
    target = f"../{VERSIONS}/{version}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if links:
        try:
            os.symlink(target, path, target_is_directory=True)
            return
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
    write_atomic(path, f"{target}\n".encode("ascii"), own=True)


def through_links(path: str | os.PathLike[str]) -> Path:
    """Return a path with a link of a store's that is a text file followed; any other path as it is.

    Args:
        path: such as `models/latest/gates/best.ckpt`, or `models/latest/gates`.
    """
    given = Path(path)
    for place in (given, *given.parents):
        if place.parent.name == LATEST and place.is_file() and (version := read_link(place)) is not None:
            return StorePlaces(place.parent.parent).version(version) / given.relative_to(place)
    return given


def follow_text_links(words: Sequence[str]) -> list[str]:
    """Return the words of a command line with links of stores that are text files followed, so that all verbs do.

    Args:
        words: such as `--ckpt_path` and `models/latest/gates/best.ckpt`, or both joined by `=`.
    """
    followed = []
    for word in words:
        option, joined, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if LATEST in value and "\0" not in value and (path := through_links(value)) != Path(value):
            value = str(path)
        followed.append(f"{option}{joined}{value}")
    return followed


def check_model_name(name: str, option: str = "--name") -> None:
    """Refuse a name that cannot be that of a link.

    Args:
        name: of the model.
        option: that gave it.

    Raises:
        ConfigError: it is no plain name, or none on every system that may read the store.
    """
    shown = name if len(name) <= LONGEST_SHOWN else f"{name[:LONGEST_SHOWN]}…"
    if not is_plain_name(name) or name.startswith((".", "-")) or not name.isprintable():
        raise ConfigError(f"{option} {shown!r} must be a plain name, such as gates.")
    if (length := len(os.fsencode(name))) > LONGEST_NAME:
        raise ConfigError(f"{option} {shown!r} has {length} bytes, and may have {LONGEST_NAME}.")
    if DEVICE.fullmatch(name) or set(name) & set(NOT_ON_WINDOWS) or name[-1] in ". ":
        raise ConfigError(f"{option} {shown!r} is no file's name on Windows; take one such as gates.")


def sync_folder(path: Path) -> None:
    """Wait until the disk has the names in a folder, where the system can tell."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
