"""Reads the names of images that a user gives: entries of an option, and lines of list files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from aigp_lightning.errors import ConfigError
from aigp_lightning.paths import decode_list, is_text, list_lines, name_cuts, without_comment

LIST_SUFFIXES = (".txt", ".lst")


@dataclass(frozen=True)
class PatternEntry:
    """One name, as it was written.

    Attributes:
        text: the name for messages, without a comment; empty where the line is nothing but one.
        whole: the line with what looks like a comment: `x #1.jpg` may be a file's name.
        folder: of the list file; empty for an entry of the option itself.
        where: list file and line, for messages; empty for an entry of the option itself.

    Example:
        >>> PatternEntry("x", "x #1.jpg", "/data", "/data/private.txt:3").named
        'x (/data/private.txt:3)'
    """

    text: str
    whole: str
    folder: str = ""
    where: str = ""

    def check_text(self, option: str, bases: Sequence[str]) -> None:
        """Refuse a line of bytes that no text has, unless a file is named so.

        Args:
            option: that named the list, for the message.
            bases: folders from which relative names start, besides the list's own.

        Raises:
            ConfigError: the list is in another encoding, or none.
        """
        if not self.where or is_text(self.text):
            return
        names, folders = (self.whole, self.whole.strip()), (self.folder, *bases)
        if not any(os.path.lexists(os.path.join(folder, name)) for name in names for folder in folders):
            raise ConfigError(f"{option} {shown(self.where)}: it is not UTF-8 text, and no file is named so.")

    @property
    def cuts(self) -> list[str]:
        """The names that may be meant, the longest first: `garage #2/* # all of it` has two `#`."""
        return name_cuts(self.whole) if self.where else [self.whole]

    @property
    def named(self) -> str:
        """The name for messages, with the line it stands in; without characters that steer a terminal."""
        return shown(f"{self.text} ({self.where})" if self.where else self.text)


def shown(text: str) -> str:
    r"""Return a name as a message may show it: control characters and broken Unicode are escaped.

    Example:
        >>> shown("two\nlines"), shown("höf")
        ('two\\nlines', 'höf')
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def read_entries(patterns: str | Sequence[str] | None, option: str, bases: Sequence[str] = ()) -> list[PatternEntry]:
    """Read an option's names; those of list files in place of the lists.

    Args:
        patterns: of the option.
        option: its name, for messages.
        bases: folders in which lists are looked for, besides the working directory.

    Raises:
        ConfigError: an entry is empty, a list cannot be read, or what was meant as a list is none.

    Example:
        >>> [entry.text for entry in read_entries(["garage/*", "a#b.jpg"], "--media.private")]
        ['garage/*', 'a#b.jpg']
    """
    given = [patterns] if isinstance(patterns, str) else [os.fspath(each) for each in patterns or ()]
    entries: list[PatternEntry] = []
    for entry in given:
        places = (os.path.join(base, each) for each in spellings(entry) for base in ("", *bases))
        path = next(filter(os.path.exists, places), "")
        if not entry.strip() and not path:
            raise ConfigError(f"{option} has an empty entry, which names nothing. For no images at all write null.")
        if entry.strip().lower().endswith(LIST_SUFFIXES) and not os.path.isdir(path):
            entries += _read_list(path or entry, option)
        elif entry.startswith("[") and entry.endswith("]") and not path:
            raise ConfigError(
                f'{option} {shown(entry)} was not read as a list. Quote its items: \'["a/*", "b.jpg"]\'. '
                f"If it is the name of a file, write ./{shown(entry)}"
            )
        else:
            entries.append(PatternEntry(entry, entry))
    return entries


def spellings(text: str) -> list[str]:
    r"""List what a name may mean, the name as it is first: quoted, a `file://` URL, with `~` or variables, or Windows'.

    Args:
        text: as written.

    Example:
        >>> spellings(" 'garage/a.jpg'"), spellings("file:///data/a%20b.jpg")[1]
        ([" 'garage/a.jpg'", "'garage/a.jpg'", 'garage/a.jpg'], '/data/a b.jpg')
    """
    found = [text, text.strip()]
    bare = found[-1]
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        found.append(bare := bare[1:-1])
    if bare.lower().startswith("file:"):
        found.append(bare := _url_path(bare))
    found += [os.path.expanduser(bare), os.path.expandvars(os.path.expanduser(bare))]
    if os.sep == "/" and "\\" in bare:  # written on Windows
        found.append(found[-1].replace("\\", "/"))
    return [each for each in dict.fromkeys(found) if each]


def _url_path(url: str) -> str:
    for character in "#?\n\r\t":  # of which a URL has none, and `urlsplit` drops some; a name may have any
        url = url.replace(character, f"%{ord(character):02X}")
    try:
        parts = urlsplit(url)
    except ValueError:  # such as an unfinished IPv6 address
        return url
    host = "" if parts.netloc.lower() in ("", "localhost") else f"//{parts.netloc}"
    path = host + unquote(parts.path, errors="surrogateescape")
    return path[1:] if re.match("/[A-Za-z]:", path) and os.sep == "\\" else path


def _read_list(path: str, option: str) -> Iterator[PatternEntry]:
    """Read a list file: one name a line."""
    text, folder, found = _list_text(path, option), os.path.dirname(os.path.abspath(path)), False
    for number, line in list_lines(text):
        where = f"{path}:{number}"
        if "\0" in line:
            raise ConfigError(f"{option} {shown(where)}: a zero byte; this is no list of names, one on each line.")
        text = without_comment(line, (folder, os.getcwd()))
        found = found or bool(text)
        yield PatternEntry(text, line, folder, where)
    if not found:
        raise ConfigError(f"{option} {shown(path)}: the list is empty; write one name a line, or null for no images.")


def _list_text(path: str, option: str) -> str:
    """Decode a list: UTF-8, or what its byte order mark says; bytes that no text has are kept, as in file names."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise ConfigError(f"{option} {shown(path)}: the list cannot be read: it is not a file.")
        with open(path, "rb") as file:
            return decode_list(file.read())
    except (OSError, ValueError) as error:
        hint = "" if os.path.exists(path) else f" If it is a folder of the data set, write {shown(path)}/"
        reason = error.strerror if isinstance(error, OSError) else "its mark says UTF-16, and it is not UTF-8 either"
        raise ConfigError(f"{option} {shown(path)}: the list cannot be read: {reason}.{hint}") from error
