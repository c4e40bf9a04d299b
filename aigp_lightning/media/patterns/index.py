"""Finds the patterns that a path fits, however many there are."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cached_property

from aigp_lightning.media.patterns.glob_regex import glob_regex, literal_parts

SHORT = 3
"""Texts shorter than this stand in many paths."""
_NONE: frozenset[int] = frozenset()


class PatternIndex:
    """Names and globs by number: names are looked up, and globs tried where a text of theirs stands in the path.

    All are added before the first path is asked about.

    Args:
        fold: applied to names and globs; the paths asked about are to be folded alike.

    Example:
        >>> index = PatternIndex()
        >>> index.add_name("garage", rooted=False, number=0)
        >>> index.add_glob("/data/*.png", rooted=True, number=1)
        >>> sorted(index.fitting("/data/garage/a.png")), sorted(index.fitting("/data/a.jpg"))
        ([0, 1], [])
    """

    def __init__(self, fold: Callable[[str], str] = str) -> None:
        self._fold = fold
        self._rooted: dict[str, set[int]] = defaultdict(set)
        self._floating: dict[str, set[int]] = defaultdict(set)
        self._lengths: set[int] = set()
        self._globs: dict[tuple[str, bool], set[int]] = defaultdict(set)

    def add_name(self, name: str, rooted: bool, number: int) -> None:
        """Add the name of a file, or of a folder with all in it.

        Args:
            name: with forward slashes.
            rooted: it begins where the path begins; otherwise at any folder.
            number: of the pattern.
        """
        name = self._fold(name)
        if rooted:
            self._rooted[name.rstrip("/")].add(number)
        else:
            self._floating[name].add(number)
            self._lengths.add(name.count("/") + 1)

    def add_glob(self, glob: str, rooted: bool, number: int) -> None:
        """Add a glob, as `glob_regex` reads it; arguments as of `add_name`."""
        self._globs[self._fold(glob), rooted].add(number)

    @cached_property
    def _by_part(self) -> list[tuple[str, list[tuple[re.Pattern[str], set[int]]]]]:
        """The compiled globs by a text that stands in every path they fit: the one that fewest others have."""
        parts = {key: literal_parts(key[0]) for key in self._globs}
        common = Counter(part for each in parts.values() for part in set(each))
        groups: dict[str, list[tuple[re.Pattern[str], set[int]]]] = defaultdict(list)
        for key, numbers in self._globs.items():
            rarest = min(parts[key], key=lambda part: (len(part) < SHORT, common[part], -len(part)), default="")
            groups[rarest].append((glob_regex(*key), numbers))
        return list(groups.items())

    def fitting(self, path: str) -> set[int]:
        """Return the numbers of the patterns that a path fits, or a folder above it.

        Args:
            path: absolute, with forward slashes.
        """
        found: set[int] = set()
        parts = path.split("/")
        if self._rooted:
            for end in range(1, len(parts) + 1):
                found |= self._rooted.get("/".join(parts[:end]), _NONE)
        for length in self._lengths:
            for start in range(1, len(parts) - length + 1):
                found |= self._floating.get("/".join(parts[start : start + length]), _NONE)
        for part, globs in self._by_part:
            if part in path:
                found = found.union(*(numbers for regex, numbers in globs if regex.fullmatch(path)))
        return found
