"""Patterns by which a user names images: private ones, or ones to show."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from aigp_lightning.media.patterns.entries import PatternEntry, read_entries
from aigp_lightning.media.patterns.image_paths import Identity, ImagePaths, canonical, identity
from aigp_lightning.media.patterns.named_files import PatternFiles, is_pattern

FRAME = re.compile(r"(.+)#\d+", re.DOTALL)
"""A frame of a video, as `predict` names it."""


class ImagePatterns:
    """Patterns that are held against the paths of images. When in doubt, an image is meant.

    A name of something that exists means that file or folder, by whatever name the image comes: by a link, with
    detours, in another case where the file system ignores it. A folder means all in it. Besides, a name that is not
    absolute fits anywhere in a path: `garage/*` fits `/data/garage/a.jpg`. It starts from the list file's folder, the
    working directory and the data set's folder, too.

    Args:
        patterns: globs (`*` crosses folders, `**/` is zero or more of them), paths of images or folders, or list files
            (`.txt`, `.lst`) with one of these a line; `#` at the start of a line or after a blank begins a comment,
            unless what stands behind it belongs to a name or glob that fits.
        option: the option's name, for messages.
        bases: folders from which names start as well, such as that which a run was started from.

    Raises:
        ConfigError: an entry is empty, a list file cannot be read, or what was meant as a list is none.

    Example:
        >>> private = ImagePatterns(["garage/*", "secret.jpg"], "--media.private")
        >>> "/data/garage/a.jpg" in private, "/data/street/a.jpg" in private
        (True, False)
    """

    def __init__(self, patterns: str | Sequence[str] | None, option: str, bases: Sequence[str] = ()) -> None:
        self.given = [patterns] if isinstance(patterns, str) else [os.fspath(each) for each in patterns or ()]
        self.entries, self.folder, self._option = read_entries(self.given, option, bases), os.getcwd(), option
        self._further = tuple(bases)
        self.patterns = [entry.text for entry in self.entries if entry.text]
        self._root: str | None = None
        self._files: PatternFiles | None = None
        self._paths = ImagePaths()
        self._known: dict[str, bool] = {}
        self._used: set[int] = set()
        self._exact: dict[int, int] = {}
        self._shared: set[Identity] = set()

    def __bool__(self) -> bool:
        return bool(self.entries)

    def __contains__(self, image: object) -> bool:
        """True if an image, by its path, is one of them."""
        path = str(image)
        if path not in self._known:
            self._known[path] = self._decide(path, self._hits(path))
        return self._known[path]

    def any(self, images: Iterable[str]) -> bool:
        """True if one of these images is one of them."""
        return any(image in self for image in images)

    def survey(self, images: Iterable[str], root: str | None = None) -> None:
        """Look at all images of a data set at once.

        A file that one of its names makes one of them is one by every name; an entry that is an image's name is not
        read as a pattern, nor up to a `#` in it. A glob that fits takes nothing away: up to its `#` it counts as well.

        Args:
            images: their paths.
            root: the data set's folder, from which relative names start too; None leaves it as it is.

        Raises:
            ConfigError: a line of a list is not UTF-8, and neither an image nor another file is named so.
        """
        self._root = root or self._root
        self._files, self._paths = None, ImagePaths()
        self._known, self._used, self._exact, self._shared = {}, set(), {}, set()
        if self:
            hits = {image: self._hits(image) for image in images}
            self._exact = self._exact_ranks(set().union(*hits.values()))
            ours = [image for image, each in hits.items() if self._decide(image, each)]
            self._shared = {found for image in ours if (found := identity(image)) is not None}
            self._known = {image: self._decide(image, each) for image, each in hits.items()}
            for number in {*range(len(self.entries))} - self._used:
                self.entries[number].check_text(self._option, self._bases)

    def _decide(self, path: str, hits: set[int]) -> bool:
        """Return whether an image is meant, and note by which entries."""
        count = len(self.entries)
        meant = {number % count for number in hits if number // count <= self._exact.get(number % count, number)}
        self._used |= meant
        return bool(meant) or (bool(self._shared) and identity(path) in self._shared)

    def _exact_ranks(self, hits: set[int]) -> dict[int, int]:
        """Return the entries that name an image, and as which of their meanings, the first that does."""
        exact: dict[int, int] = {}
        for hit in sorted(hits):
            rank, number = divmod(hit, len(self.entries))
            if not is_pattern(self.entries[number].cuts[rank // 2]):
                exact.setdefault(number, rank)
        return exact

    def unused(self, others: Iterable[str] = ()) -> list[str]:
        """List the entries that fitted none of the images asked about so far: perhaps typing errors.

        Args:
            others: further images that an entry may fit.
        """
        return [entry.named for entry in self.unused_entries(others)]

    def unused_entries(self, others: Iterable[str] = ()) -> list[PatternEntry]:
        """Return the entries that `unused` lists; see there."""
        left = {number for number, entry in enumerate(self.entries) if entry.text} - self._used
        for image in others:
            if not left:
                break
            left -= {number % len(self.entries) for number in self._hits(image)}
        return [self.entries[number] for number in sorted(left)]

    @property
    def _bases(self) -> list[str]:
        """The folders from which relative names start."""
        return [self.folder, *self._further, *([self._root] if self._root else [])]

    def _hits(self, path: str) -> set[int]:
        """Return the numbers of the entries that an image fits, as `PatternFiles` has them."""
        if self._files is None:
            self._files = PatternFiles(self.entries, self._bases, self._root)
        files, names = self._files, self._paths.names(path)
        if (frame := FRAME.fullmatch(path)) and not os.path.exists(path):
            names += self._paths.names(frame[1])
        texts = {canonical(name) for name in names}
        hits: set[int] = set().union(*(files.index.fitting(text) for text in texts))
        if self._paths.caseless(path):
            hits |= set().union(*(files.caseless_index.fitting(text.casefold()) for text in texts))
        if files.named:
            mine = identity(names[-1])
            hits = hits.union(*(files.named.get(found, ()) for found in {mine, *self._paths.above(names)} if found))
        return hits
