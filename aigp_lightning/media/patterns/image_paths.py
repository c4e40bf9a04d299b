"""Every name that a path goes by: links followed step by step, and the file itself, however it is named."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator

Identity = tuple[int, int]
"""Device and number of a file or folder: the same for all its names."""
MOST_LINKS = 40


def canonical(path: str) -> str:
    """Return a path as text to compare: forward slashes as this system has them, no detours, composed Unicode.

    Example:
        >>> canonical("a//b/./c/../d/"), canonical("//data/a.jpg") if os.sep == "/" else "/data/a.jpg"
        ('a/b/d', '/data/a.jpg')
    """
    plain = os.path.normpath(path)
    if os.sep == "\\":
        plain = plain.removeprefix("\\\\?\\").replace("\\", "/")
    elif plain.startswith("//"):  # which POSIX leaves open; Linux and macOS take it for one
        plain = plain[1:]
    return plain if plain.isascii() else unicodedata.normalize("NFC", plain)


def identity(path: str, follow: bool = True) -> Identity | None:
    """Return the identity of a file or folder; None where there is none, or its file system tells none.

    Args:
        path: of it.
        follow: of what a link leads to, rather than of the link.
    """
    try:
        found = os.stat(path, follow_symlinks=follow)
    except (OSError, ValueError):  # no such file; a name that cannot be one
        return None
    return (found.st_dev, found.st_ino) if found.st_ino else None


def hops(path: str) -> Iterator[str]:
    """Yield an absolute path, then what it becomes as its links are followed one after another.

    `..` behind a link is the folder above what the link leads to, so such a path is not yielded before that is known.

    Args:
        path: absolute.
    """
    path = path if os.sep == "/" else os.path.abspath(path)  # on Windows `..` means the folder above as it is written
    for _ in range(MOST_LINKS):
        drive, tail = os.path.splitdrive(path)
        parts, at = ["", *(part for part in tail.split(os.sep) if part not in ("", "."))], 1
        while at < len(parts):
            if parts[at] == "..":  # what is before it is no link
                at = max(at - 1, 1)
                del parts[at : at + 2]
            elif os.path.islink(front := drive + os.sep.join(parts[: at + 1])):
                break
            else:
                at += 1
        if ".." not in parts:
            yield drive + (os.sep.join(parts) or os.sep)
        if at >= len(parts):
            return
        path = os.path.join(os.path.dirname(front), os.readlink(front), *parts[at + 1 :])


class ImagePaths:
    """Names and identities of images; what is known of a folder is found out once.

    Example:
        >>> os.path.abspath("images/a.jpg") in ImagePaths().names("images/../images/a.jpg")
        True
    """

    def __init__(self) -> None:
        self._folders: dict[str, tuple[str, ...]] = {}
        self._above: dict[str, frozenset[Identity]] = {}
        self._caseless: dict[str, bool] = {}

    def names(self, path: str) -> list[str]:
        """Return the absolute names of an image, by every link on the way to its file."""
        names: list[str] = []
        for _ in range(MOST_LINKS):
            whole = os.path.join(os.getcwd(), path)
            folder, name = os.path.split(whole)
            if name in ("", ".", ".."):
                return [*names, *hops(whole)]
            folders = self._names_of_folder(folder)
            names += [os.path.join(each, name) for each in folders]
            if not os.path.islink(names[-1]):
                break
            path = os.path.join(folders[-1], os.readlink(names[-1]))
        return names

    def above(self, names: Iterable[str]) -> frozenset[Identity]:
        """Return the identities of all folders that an image lies in.

        Args:
            names: of the image, from `names`.
        """
        return frozenset().union(*(self._folders_above(folder) for folder in {os.path.dirname(name) for name in names}))

    def caseless(self, path: str) -> bool:
        """True if upper and lower case are one in the name of this image, or in that of a folder it lies in."""
        if os.path.normcase("A") == "a":
            return True
        folder, name = os.path.split(os.path.abspath(path))
        if folder not in self._caseless:
            self._caseless[folder] = _same_in_other_case(folder, name) or (folder != path and self.caseless(folder))
        return self._caseless[folder]

    def _names_of_folder(self, folder: str) -> tuple[str, ...]:
        """Return a folder's names, the one without links last."""
        if folder not in self._folders:
            self._folders[folder] = tuple(hops(folder)) or (os.path.abspath(folder),)
        return self._folders[folder]

    def _folders_above(self, folder: str) -> frozenset[Identity]:
        """Return the identities of a folder and of those above it."""
        if folder not in self._above:
            mine, parent = identity(folder), os.path.dirname(folder)
            own = frozenset() if mine is None else frozenset({mine})
            self._above[folder] = own if parent == folder else own | self._folders_above(parent)
        return self._above[folder]


def _same_in_other_case(folder: str, name: str) -> bool:
    """True if a name in the other case is the same file."""
    other = "".join(c.swapcase() if c.isascii() else c for c in name)
    if other == name:
        return False
    mine = identity(os.path.join(folder, name))
    return mine is not None and mine == identity(os.path.join(folder, other))
