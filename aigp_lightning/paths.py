"""Finds the file that a path means: what exists as it is written comes before `~`, patterns and other spellings."""

from __future__ import annotations

import codecs
import glob
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Literal

BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
        (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))  # fmt: skip
"""Byte order marks with which a list may begin; the longer ones first."""
DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
"""Beginning of an absolute path of Windows."""
HISTORY = "history"
"""Folder of a run's in which it keeps the pictures of every epoch, if it is asked to."""
MOST_NAME = 200
"""Bytes of UTF-8 in a name that is taken from elsewhere: file systems have 255, and a number and a suffix follow."""
LINE_END = re.compile(r"\r\n|\r|\n")
COMMENT = re.compile(r"(?:^|(?<=\s))#")
SET = re.compile(r"\[([!^]?)(\]?[^]/]*\])")
FORMS: tuple[Literal["NFC"], Literal["NFD"]] = ("NFC", "NFD")


def expand_home(path: str | os.PathLike[str]) -> str:
    """Return a path with `~` as the user's folder, unless a folder is called `~`.

    Example:
        >>> expand_home("~/gates") == os.path.expanduser("~/gates")
        True
        >>> os.mkdir("~")
        >>> expand_home("~/gates")
        '~/gates'
    """
    written = os.fspath(path)
    first = re.split(r"[/\\]" if os.sep == "\\" else "/", written)[0]
    return written if first and os.path.lexists(first) else os.path.expanduser(written)


def matches(pattern: str) -> list[str]:
    """List the files and folders that a glob fits, sorted.

    Folders at its beginning that exist as they are written are not read as patterns. Letters with accents fit however
    they are composed.

    Args:
        pattern: `**` is any number of folders.

    Example:
        >>> os.makedirs("[x]/a")
        >>> matches("[x]/*")
        ['[x]/a']
    """
    fixed, rest = _fixed(pattern)
    if not rest:
        return [pattern]
    found: set[str] = set()
    for form in [rest] if rest.isascii() else [rest, *(unicodedata.normalize(form, rest) for form in FORMS)]:
        found.update(glob.glob(glob.escape(fixed) + with_exclamation(form), recursive=True))
    return sorted(found)


def with_exclamation(pattern: str) -> str:
    """Return a glob with `[^ab]`, which is any character but these in shells and `.gitignore`, as Python writes it.

    Example:
        >>> with_exclamation("[^a]/[b^]/[[^]/[^]].jpg")
        '[!a]/[b^]/[[^]/[!]].jpg'
    """
    return SET.sub(lambda found: f"[{'!' if found[1] else ''}{found[2]}", pattern)


def is_glob(path: str) -> bool:
    """True if a path has to be read as a pattern: it has a wildcard behind the folders that exist as written.

    Example:
        >>> os.mkdir("[y]")
        >>> is_glob("[y]"), is_glob("[y]/a.jpg"), is_glob("[y]/*.jpg"), is_glob("[z]")
        (False, False, True, True)
    """
    return glob.has_magic(_fixed(path)[1])


def _fixed(pattern: str) -> tuple[str, str]:
    """Cut a pattern behind the folders that exist as they are written."""
    parts = re.split(r"(?<=[/\\])" if os.sep == "\\" else "(?<=/)", pattern)
    end = len(parts)
    while end and not os.path.lexists("".join(parts[:end]) or os.curdir):
        end -= 1
    return "".join(parts[:end]), "".join(parts[end:])


class Spellings:
    """Finds files whose names have letters with accents, composed otherwise than on the disk.

    What is known of a folder is found out once.

    Example:
        >>> _ = open("e\u0301.jpg", "x").close()
        >>> Spellings().find("\u00e9.jpg") == "e\u0301.jpg"
        True
    """

    def __init__(self) -> None:
        self._names: dict[str, dict[str, str]] = {}

    def find(self, path: str) -> str:
        """Return the path of what exists: as it is written, or composed otherwise; the path itself where nothing is."""
        if path.isascii() or os.path.lexists(path):
            return path
        folder, name = os.path.split(path)
        if not name:
            return path
        folder = self.find(folder) if folder else folder
        return os.path.join(folder, self._listed(folder).get(unicodedata.normalize("NFC", name), name))

    def _listed(self, folder: str) -> dict[str, str]:
        if folder not in self._names:
            try:
                names = os.listdir(folder or os.curdir)
            except (OSError, ValueError):
                names = []
            self._names[folder] = {unicodedata.normalize("NFC", name): name for name in names if not name.isascii()}
        return self._names[folder]


def decode_list(data: bytes) -> str:
    r"""Decode a list of names: UTF-8, or what its byte order mark says; bytes that no text has are kept as in names.

    Raises:
        UnicodeDecodeError: the mark is of an encoding that the rest is not in.

    Example:
        >>> decode_list(b"\xff\xfea\x00"), decode_list(b"\xe9.jpg")
        ('a', '\udce9.jpg')
    """
    mark, encoding = next(((mark, name) for mark, name in BOMS if data.startswith(mark)), (b"", "utf-8"))
    return data[len(mark) :].decode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")


def list_lines(text: str) -> Iterator[tuple[int, str]]:
    r"""Yield the lines of a list that are not blank, with their numbers.

    Example:
        >>> list(list_lines("a\r\n \nb\x0b"))
        [(1, 'a'), (3, 'b\x0b')]
    """
    return ((number, line) for number, line in enumerate(LINE_END.split(text), 1) if line.strip())


def name_cuts(line: str) -> list[str]:
    """List the names that a line of a list may have: all of it, then cut before each `#`, the longest first.

    Args:
        line: of the list.

    Example:
        >>> name_cuts("x #1.jpg # dark"), name_cuts("x#2.jpg"), name_cuts("# all")
        (['x #1.jpg # dark', 'x #1.jpg', 'x'], ['x#2.jpg'], ['# all'])
    """
    cuts = (line[: found.start()].strip() for found in reversed(list(COMMENT.finditer(line))))
    return [name for name in (line, *cuts) if name]


def without_comment(line: str, folders: Sequence[str]) -> str:
    """Return the name in a line of a list, without a comment and the blanks around it, unless a file is named so.

    Args:
        line: of the list.
        folders: in which names begin.

    Example:
        >>> _ = open("x #1.jpg", "x").close()
        >>> [without_comment(line, ["."]) for line in ("x #1.jpg # dark", "x#2.jpg", "y.jpg # dark", "# all")]
        ['x #1.jpg', 'x#2.jpg', 'y.jpg', '']
    """
    for cut in name_cuts(line):
        for name in (cut, cut.strip()):
            if any(os.path.lexists(os.path.join(folder, name)) for folder in folders):
                return name
    return COMMENT.split(line, maxsplit=1)[0].strip()


def is_text(name: str) -> bool:
    r"""True if a name has none of the bytes that no text has.

    Example:
        >>> is_text("h\u00f6f.jpg"), is_text("h\udcf6f.jpg")
        (True, False)
    """
    return not any("\udc80" <= character <= "\udcff" for character in name)


def short_name(name: str, most: int = MOST_NAME) -> str:
    """Cut a long name of a file or folder between characters; a hash of all of it keeps it apart from others.

    Args:
        name: without a suffix that has to stay.
        most: bytes of UTF-8 that it may have.

    Example:
        >>> short_name("gate"), short_name("ü" * 190, 30)
        ('gate', 'üüüüüüüüüü~b706433e')
    """
    data = name.encode("utf-8", "surrogatepass")  # also of bytes that are no text
    if len(data) <= most:
        return name
    mark = f"~{sha256(data).hexdigest()[:8]}"
    return data[: most - len(mark)].decode("utf-8", "ignore") + mark
