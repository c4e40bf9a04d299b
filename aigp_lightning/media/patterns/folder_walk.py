"""Finds the further names that files have in a folder: by links to files and folders, and by hard links."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from aigp_lightning.errors import warn_user
from aigp_lightning.media.patterns.entries import shown
from aigp_lightning.media.patterns.image_paths import Identity, identity

MOST_INSIDE = 1_000_000
"""Files and folders below one folder that are looked at, those behind links included."""
NO_FILES = ("/proc", "/sys", "/dev")
"""Folders of Linux without images, and with links to everywhere."""


@dataclass
class FolderWalk:
    """What lies in a folder and in those below it, links to folders followed.

    Attributes:
        files: files that are there by no link.
        linked: by path from the folder, what has another name elsewhere, or may have: what a link leads to, all below
            a linked folder, and files with hard links.
        whole: False if there was more than is looked at.
    """

    files: set[Identity] = field(default_factory=set)
    linked: dict[str, Identity] = field(default_factory=dict)
    whole: bool = True


@dataclass
class _Folder:
    """A folder to look at: its path, its path from the top, whether a link leads there, and where it was found."""

    path: str
    inner: str
    by_link: bool
    parent: _Folder | None = None
    identity: Identity | None = None

    def is_cycle(self) -> bool:
        """True if the folder lies in itself."""
        above = self.parent
        while above is not None:
            if above.identity == self.identity:
                return True
            above = above.parent
        return False


def walk_folder(top: str, by_link: bool) -> FolderWalk:
    """Look at all that lies in a folder, the nearest first; warns if there is too much.

    Args:
        top: the folder.
        by_link: its path leads over a link, so all in it has another name.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     os.mkdir(os.path.join(folder, "garage"))
        ...     os.symlink("garage", os.path.join(folder, "link"))
        ...     _ = open(os.path.join(folder, "garage", "a.jpg"), "x").close()
        ...     sorted(walk_folder(folder, by_link=False).linked)
        ['link', 'link/a.jpg']
    """
    result, waiting, left = FolderWalk(), deque([_Folder(top, "", by_link)]), MOST_INSIDE
    while waiting:
        here = waiting.popleft()
        here.identity = identity(here.path)
        if here.identity is None or here.is_cycle() or (here.by_link and _without_files(here.path)):
            continue
        for entry in _listed(here.path):
            if (left := left - 1) < 0:
                warn_user(
                    f"{shown(top)} has too much in it to look for links: what they lead to is not taken for named"
                )
                result.whole = False
                return result
            waiting += _look(entry, here, result)
    return result


def _look(entry: os.DirEntry[str], here: _Folder, result: FolderWalk) -> list[_Folder]:
    """Note what an entry of a folder is; returns it if it is a folder to look at."""
    inner = here.inner + entry.name
    try:
        link, folder = entry.is_symlink(), entry.is_dir()
        if link or here.by_link:
            found = identity(entry.path)
            if found is not None:
                result.linked[inner] = found
        elif not folder:
            # Windows tells neither number nor count of links where it lists a folder.
            status = os.stat(entry.path) if os.sep == "\\" else entry.stat(follow_symlinks=False)
            if status.st_ino:
                result.files.add((status.st_dev, status.st_ino))
                if status.st_nlink > 1:
                    result.linked[inner] = (status.st_dev, status.st_ino)
    except OSError:  # a link that leads nowhere or to itself; what was deleted just now
        return []
    return [_Folder(entry.path, f"{inner}/", link or here.by_link, here)] if folder else []


def _listed(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:  # a folder that may not be listed: images in it are known by its own name
        return


def _without_files(folder: str) -> bool:
    real = os.path.realpath(folder)
    return any(real == each or real.startswith(each + "/") for each in NO_FILES)
