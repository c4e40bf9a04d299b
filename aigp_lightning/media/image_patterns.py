"""Patterns by which a user names images: private ones, or ones to show."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from pathlib import Path

from aigp_lightning.errors import ConfigError

LIST_SUFFIXES = (".txt", ".lst")


class ImagePatterns:
    """Patterns that are held against the paths of images.

    Args:
        patterns: globs (`*` crosses folders), paths of images or folders, or list files (`.txt`) with one of these a
            line; `#` begins a comment. A pattern that is not absolute fits anywhere in a path: `garage/*` fits
            `/data/garage/a.jpg`. It is held against the path as the data set names it and against the file behind
            symbolic links. A folder means all in it. When in doubt, an image is meant.
        option: the option's name, for messages.

    Raises:
        ConfigError: a list file cannot be read, or what was meant as a list is none.

    Example:
        >>> private = ImagePatterns(["garage/*", "secret.jpg"], "--media.private")
        >>> "/data/garage/a.jpg" in private, "/data/street/a.jpg" in private
        (True, False)
    """

    def __init__(self, patterns: str | Sequence[str] | None, option: str) -> None:
        given = [patterns] if isinstance(patterns, str) else list(patterns or ())
        for entry in given:
            if entry.startswith("[") and entry.endswith("]"):
                raise ConfigError(f'{option} {entry} was not read as a list. Quote its items: \'["a/*", "b.jpg"]\'.')
        self.patterns = [pattern for entry in given for pattern in _expand(entry, option)]
        self._tests = [(pattern, _compiled(pattern)) for pattern in self.patterns]
        self._known: dict[str, bool] = {}
        self._used: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def __contains__(self, image: object) -> bool:
        """True if an image, by its path, is one of them."""
        path = str(image)
        if path not in self._known:
            forms = {_posix(os.path.abspath(path)), _posix(os.path.realpath(path))}
            hits = [name for name, test in self._tests if any(test.match(form) for form in forms)]
            self._used.update(hits)
            self._known[path] = bool(hits)
        return self._known[path]

    def any(self, images: Iterable[str]) -> bool:
        """True if one of these images is one of them."""
        return any(image in self for image in images)

    def unused(self) -> list[str]:
        """List the patterns that fitted none of the images asked about so far: perhaps a typing error."""
        return [pattern for pattern in self.patterns if pattern not in self._used]


def _expand(entry: str, option: str) -> list[str]:
    if not entry.lower().endswith(LIST_SUFFIXES):
        return [entry]
    try:
        lines = Path(entry).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8 text"
        raise ConfigError(f"{option} {entry}: the list cannot be read: {reason}.") from error
    return [stripped for line in lines if (stripped := line.split("#")[0].strip())]


def _posix(path: str) -> str:
    return os.path.normcase(path).replace("\\", "/")


def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern; it matches a path that fits it or lies below what fits."""
    rooted = os.path.isabs(pattern)
    text = _posix(os.path.normpath(pattern) if rooted else pattern.removeprefix("./")).rstrip("/")
    tail = translate(text)
    below = translate(text + "/*")
    anywhere = "" if rooted else "(?:.*/)?"
    return re.compile(f"{anywhere}(?:{tail}|{below})")
