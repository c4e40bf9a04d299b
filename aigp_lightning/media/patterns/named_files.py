"""From the entries of a pattern option to the files they name, and to the texts that paths are held against."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from functools import cached_property

from aigp_lightning.errors import warn_user
from aigp_lightning.media.patterns.entries import PatternEntry, shown, spellings
from aigp_lightning.media.patterns.glob_regex import glob_regex, has_magic
from aigp_lightning.media.patterns.image_paths import Identity, canonical, hops, identity
from aigp_lightning.media.patterns.index import PatternIndex

MOST_INSIDE = 1_000_000
"""Files below a named folder that are looked at for links to files elsewhere."""


class PatternFiles:
    """The files and folders that entries name, and their texts for paths that nothing exists under.

    Args:
        entries: as they were written.
        bases: folders from which relative names start, besides that of the list an entry stands in.

    Attributes:
        named: numbers of entries by the identity of the file or folder that they name.
        count: how many entries there are. The number of an entry with this added stands for what it may mean as well,
            should no image be named just so: `x[1].jpg` is a name before it is a pattern.

    Example:
        >>> files = PatternFiles([PatternEntry("garage/*", "garage/*")], bases=[os.getcwd()])
        >>> files.named, files.index.fitting("/data/garage/a.jpg")
        ({}, {0})
    """

    def __init__(self, entries: Sequence[PatternEntry], bases: Sequence[str]) -> None:
        self.count = len(entries)
        self.named: dict[Identity, set[int]] = {}
        self._texts: list[tuple[bool, str, bool, int]] = []  # glob or name; text; rooted; number
        self._insides: dict[tuple[str, bool], _Inside] = {}
        self._globbed: dict[str, list[str]] = {}
        for number, entry in enumerate(entries):
            folders = list(dict.fromkeys([*([entry.folder] if entry.folder else []), *bases]))
            self._add(entry, folders, number)

    @cached_property
    def index(self) -> PatternIndex:
        """The texts of all entries."""
        return self._filled(PatternIndex())

    @cached_property
    def caseless_index(self) -> PatternIndex:
        """The same for paths whose case does not matter."""
        return self._filled(PatternIndex(str.casefold))

    def _filled(self, index: PatternIndex) -> PatternIndex:
        for is_glob, text, rooted, number in self._texts:
            (index.add_glob if is_glob else index.add_name)(text, rooted, number)
        return index

    def _add(self, entry: PatternEntry, bases: Sequence[str], number: int) -> None:
        """Add an entry: the files that it names as it is written, or else all that it may mean."""
        for reading in spellings(entry.whole):
            if there := [path for base in bases if os.path.exists(path := os.path.join(base, reading))]:
                for path in there:
                    self._add_file(path, number)
                if all(identity(os.path.normpath(path)) == identity(path) for path in there):  # no `..` behind a link
                    self._add_name(reading, bases, number)
                if is_pattern(reading):
                    self._add_glob(reading, bases, number)
                return
        for reading in {entry.whole, entry.whole.strip()}:
            self._add_name(reading, bases, number)
        for reading in spellings(entry.text):
            also = number if is_pattern(reading) else number + self.count
            self._add_name(reading, bases, also)
            if has_magic(reading):
                self._add_glob(reading, bases, also)

    # ---- what exists ------------------------------------------------------------------------------------------------

    def _add_file(self, path: str, number: int) -> None:
        """Add a file or folder that exists; for a folder, also what links in it lead to."""
        self._texts += [(False, canonical(name), True, number) for name in hops(path)]
        self._identify(identity(path), number)
        if os.path.isdir(path) and os.path.dirname(real := os.path.realpath(path)) != real:  # below / is everything
            inside = self._inside(real)
            for found in [*inside.links.values(), *inside.files]:
                self._identify(found, number)

    def _identify(self, found: Identity | None, number: int) -> None:
        if found is not None:
            self.named.setdefault(found, set()).add(number)

    def _inside(self, folder: str, deep: bool = True) -> _Inside:
        real = os.path.realpath(folder)
        if (real, deep) not in self._insides:
            self._insides[real, deep] = _Inside(real, deep)
        return self._insides[real, deep]

    # ---- texts ------------------------------------------------------------------------------------------------------

    def _add_name(self, name: str, bases: Sequence[str], number: int) -> None:
        if _is_rooted(name):
            self._texts.append((False, canonical(os.path.abspath(name)), True, number))
        elif (text := canonical(name)).split("/")[0] in (".", ".."):
            self._texts += [(False, canonical(os.path.join(base, name)), True, number) for base in bases]
        else:
            self._texts.append((False, text, False, number))

    def _add_glob(self, pattern: str, bases: Sequence[str], number: int) -> None:
        """Add a glob, in the folder where it begins by each of this folder's names, or anywhere in a path.

        A bracket may belong to a name: the glob in which it does is added as well.
        """
        rooted = _is_rooted(pattern)
        if rooted or canonical(pattern).split("/")[0] != "..":
            text = os.path.abspath(pattern) if rooted else pattern
            self._add_globs(canonical(text), rooted, number)
        for base in [""] if rooted else bases:
            folder, rest = _beginning(base, os.path.abspath(pattern) if rooted else pattern)
            if not folder:
                self._add_links_in_fitting_folders(base, pattern, number)
            if not folder or not rest:
                continue
            for name in hops(folder):
                self._add_globs(f"{glob.escape(canonical(name)).rstrip('/')}/{canonical(rest)}", True, number)
            self._add_links(folder, rest, number)

    def _add_globs(self, text: str, rooted: bool, number: int) -> None:
        """Add a glob as it is, and with its brackets as part of the name."""
        for each in dict.fromkeys((text, text.replace("[[]", "[").replace("[", "[[]"))):
            self._texts.append((True, each, rooted, number))

    def _add_links_in_fitting_folders(self, base: str, pattern: str, number: int) -> None:
        """Add what links lead to that a relative glob fits which begins with a wildcard, such as `gar*/*.jpg`."""
        folder, name = os.path.split(os.path.normpath(pattern))
        wanted = os.path.join(glob.escape(base), folder)
        if base and folder and wanted not in self._globbed:
            self._globbed[wanted] = [found for found in glob.glob(wanted) if os.path.isdir(found)]
        for found in self._globbed.get(wanted, ()):
            self._add_links(found, name, number, deep=False)

    def _add_links(self, folder: str, rest: str, number: int, deep: bool = True) -> None:
        """Add what the links that fit a glob lead to."""
        links = self._inside(folder, deep).links
        regex = glob_regex(canonical(rest), rooted=True) if links else None
        for path, found in links.items():
            if regex is not None and regex.fullmatch(path):
                self._identify(found, number)


class _Inside:
    """What lies in a folder, and if `deep` below it: `links`, by path from there, to what they lead to; the `files`."""

    def __init__(self, folder: str, deep: bool) -> None:
        self.links: dict[str, Identity | None] = {}
        self.files: set[Identity] = set()
        waiting, seen = [folder], set[Identity | None]()
        device = (identity(folder) or (0, 0))[0]
        while waiting and len(self.files) < MOST_INSIDE:
            here = waiting.pop()
            mine = identity(here)
            if mine is not None and mine not in seen and mine[0] == device:  # not into what is mounted there
                seen.add(mine)
                deeper = self._look(here, folder, mine[0])
                waiting += deeper if deep else []
        if waiting:
            warn_user(f"{shown(folder)} has too much in it to look for links: what they lead to is not taken for named")

    def _look(self, here: str, top: str, device: int) -> list[str]:
        """Note the files and links of a folder; returns the folders in it."""
        folders = []
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        self.links[canonical(os.path.relpath(entry.path, top))] = identity(entry.path)
                    elif entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        self.files.add((device, entry.inode()))
        except OSError:  # a folder that may not be listed: images in it are known by its own name
            return folders
        return folders


def is_pattern(text: str) -> bool:
    """True if a text is a pattern even where a file is named so: names hardly ever have a `*` or `?` in them.

    Example:
        >>> is_pattern("garage/*"), is_pattern("x[1].jpg")
        (True, False)
    """
    return "*" in text or "?" in text


def _is_rooted(name: str) -> bool:
    return os.path.isabs(name) or name.startswith(("/", os.sep))


def _beginning(base: str, pattern: str) -> tuple[str, str]:
    """Cut a glob after the folder in which it begins, which exists; empty if it begins in the base or the root itself.

    Args:
        base: folder from which it starts; empty for an absolute one.
        pattern: the glob.
    """
    drive, tail = os.path.splitdrive(pattern)
    parts = [part for part in tail.replace("\\" if os.sep == "\\" else "/", "/").split("/") if part]
    start = folder = base or drive + os.sep
    taken = 0
    for part in parts:
        if not os.path.isdir(deeper := os.path.join(folder, part)):
            break
        folder, taken = deeper, taken + 1
    return ("", "") if folder == start else (folder, "/".join(parts[taken:]))
