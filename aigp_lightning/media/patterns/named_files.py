"""From the entries of a pattern option to the files they name, and to the texts that paths are held against."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import takewhile

from aigp_lightning.media.patterns.entries import PatternEntry, spellings
from aigp_lightning.media.patterns.folder_walk import FolderWalk, walk_folder
from aigp_lightning.media.patterns.glob_regex import has_magic, literal_parts
from aigp_lightning.media.patterns.image_paths import Identity, canonical, hops, identity
from aigp_lightning.media.patterns.index import PatternIndex
from aigp_lightning.paths import with_exclamation


class PatternFiles:
    """The files and folders that entries name, and their texts for paths that nothing exists under.

    Args:
        entries: as they were written.
        bases: folders from which relative names start, besides that of the list an entry stands in.
        root: the data set's folder, one of these: a link anywhere in it is one more name of what it leads to.

    Attributes:
        named: numbers of entries by the identity of the file or folder that they name.
        count: how many entries there are. The number of an entry with a multiple of this added stands for what it may
            mean as well, should no image be named just so: `x[1].jpg` is a name before it is a pattern, and a `#` in a
            list belongs to a name before it begins a comment. Cut k of an entry is 2 k times as a name, 2 k + 1 times
            as anything else.

    Example:
        >>> files = PatternFiles([PatternEntry("garage/*", "garage/*")], bases=[os.getcwd()])
        >>> files.named, files.index.fitting("/data/garage/a.jpg")
        ({}, {0})
    """

    def __init__(self, entries: Sequence[PatternEntry], bases: Sequence[str], root: str | None = None) -> None:
        self.count = len(entries)
        self.named: dict[Identity, set[int]] = {}
        self._texts: list[tuple[bool, str, bool, int]] = []  # glob or name; text; rooted; number
        self._walks: dict[tuple[str, bool], FolderWalk] = {}
        self._globbed: dict[str, list[str]] = {}
        self._matches: list[tuple[str, Identity]] = []
        self._tops: dict[str, None] = {root: None} if root else {}  # folders in which globs are looked for
        for number, entry in enumerate(entries):
            folders = list(dict.fromkeys([*([entry.folder] if entry.folder else []), *bases]))
            self._add(entry, folders, number)
        self._add_linked_names()

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
        """Add an entry: all of a list's line, and the line up to each `#`."""
        for place, cut in enumerate(entry.cuts):
            self._add_cut(cut, bases, number + 2 * place * self.count)

    def _add_cut(self, cut: str, bases: Sequence[str], number: int) -> None:
        """Add one name of an entry: the files that it names as it is written, or else all that it may mean."""
        for reading in spellings(cut):
            if there := [path for base in bases if os.path.exists(path := os.path.join(base, reading))]:
                for path in there:
                    self._add_file(path, number)
                if all(identity(os.path.normpath(path)) == identity(path) for path in there):  # no `..` behind a link
                    self._add_name(reading, bases, number)
                if is_pattern(reading):
                    self._add_glob(reading, bases, number)
                return
        for reading in {cut, cut.strip()}:
            self._add_name(reading, bases, number)
        for reading in spellings(cut):
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
            walk = self._walk(real, by_link=False)
            for found in [*walk.linked.values(), *walk.files]:
                self._identify(found, number)

    def _identify(self, found: Identity | None, number: int) -> None:
        if found is not None:
            self.named.setdefault(found, set()).add(number)

    def _walk(self, top: str, by_link: bool) -> FolderWalk:
        if (top, by_link) not in self._walks:
            self._walks[top, by_link] = walk_folder(top, by_link)
        return self._walks[top, by_link]

    def _add_linked_names(self) -> None:
        """Hold the further names that files have in the folders where globs begin against all patterns.

        A glob means what its matches are: the files that links lead to, those below a linked folder, hard links. What
        is only where it seems to be needs none of this: its path is held against the patterns.
        """
        for name, found in dict(self._matches).items():
            self._identify_by(name, found)
        walked: set[str] = set()
        for real, top in sorted((os.path.realpath(top), top) for top in self._tops):
            by_link = os.path.abspath(top) != real
            if os.path.dirname(real) == real or (not by_link and not walked.isdisjoint(_with_parents(real))):
                continue
            walk = self._walk(top if by_link else real, by_link)
            if walk.whole:
                walked.add(real)
            for name in hops(os.path.join(os.getcwd(), top)):
                self._identify_by(name, identity(real))
                for inner, found in walk.linked.items():
                    self._identify_by(os.path.join(name, inner), found)

    def _identify_by(self, name: str, found: Identity | None) -> None:
        """Note which patterns one name of a file fits."""
        text = canonical(name)
        fitting = self.index.fitting(text)
        if os.path.normcase("A") == "a":
            fitting = fitting | self.caseless_index.fitting(text.casefold())
        for number in fitting:
            self._identify(found, number)

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
            whole = os.path.abspath(pattern) if rooted else pattern
            self._tops.update(dict.fromkeys(self._beginnings(base, whole)))
            folder, rest = _beginning(base, whole)
            if not folder or not rest:
                continue
            self._tops[folder] = None
            for name in hops(folder):
                self._add_globs(f"{glob.escape(canonical(name)).rstrip('/')}/{canonical(rest)}", True, number)

    def _beginnings(self, base: str, pattern: str) -> Iterator[str]:
        """Yield the folders below which all that a glob fits lies, if it starts from here.

        That is the folder before its first wildcard; if it begins with one, all folders that fit up to the first part
        with some text in it, as `gar*` in `*/gar*/*.jpg`.
        """
        start, parts = _parts(base, pattern)
        fixed = list(takewhile(lambda part: not has_magic(part), parts))
        if fixed:
            yield from filter(os.path.isdir, [os.path.join(start, *fixed)])
            return
        parts = [part for part in parts if part != "**"]
        texts = [bool(literal_parts(part)) for part in parts]
        if not any(texts) and os.path.dirname(start) == start:  # `/*` is everything
            return
        taken = parts[: texts.index(True) + 1 if any(texts) else len(parts)]
        wanted = os.path.join(glob.escape(start), *taken)
        if wanted not in self._globbed:
            self._globbed[wanted] = glob.glob(with_exclamation(wanted))
        for found in self._globbed[wanted]:
            if os.path.isdir(found):
                yield found
            elif len(taken) == len(parts) and (mine := identity(found)) is not None:
                self._matches.append((found, mine))

    def _add_globs(self, text: str, rooted: bool, number: int) -> None:
        """Add a glob as it is, and with its brackets as part of the name."""
        for each in dict.fromkeys((text, text.replace("[[]", "[").replace("[", "[[]"))):
            self._texts.append((True, each, rooted, number))


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
    start, parts = _parts(base, pattern)
    folder = start
    taken = 0
    for part in parts:
        if not os.path.isdir(deeper := os.path.join(folder, part)):
            break
        folder, taken = deeper, taken + 1
    return ("", "") if folder == start else (folder, "/".join(parts[taken:]))


def _parts(base: str, pattern: str) -> tuple[str, list[str]]:
    """Return the folder from which a glob starts and the glob's parts; see `_beginning`."""
    drive, tail = os.path.splitdrive(pattern)
    parts = tail.replace("\\" if os.sep == "\\" else "/", "/").split("/")
    return base or drive + os.sep, [part for part in parts if part]


def _with_parents(path: str) -> set[str]:
    found = set()
    while path not in found:
        found.add(path)
        path = os.path.dirname(path)
    return found
