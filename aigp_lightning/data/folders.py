"""Names in the folders of a data set, each folder read once however many ask for it."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict


class Folders:
    """Folders that were read, without hidden names.

    Attributes:
        passed: files found where images were looked for that do not end like one, nor like a label file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     os.mkdir(f"{folder}/Labels")
        ...     folders = Folders()
        ...     folders.read(folder), folders.spelled(folder, "labels") == [f"{folder}/Labels"]
        (([], ['Labels']), True)
    """

    def __init__(self) -> None:
        self.passed: list[str] = []
        self._read: dict[str, tuple[list[str], list[str]]] = {}
        self._folded: dict[str, dict[str, list[str]]] = {}

    def read(self, folder: str) -> tuple[list[str], list[str]]:
        """List a folder.

        Args:
            folder: its path.

        Returns:
            Names of files and of subfolders; a link counts as what it leads to.

        Raises:
            OSError: it cannot be listed.
        """
        if folder not in self._read:
            files: list[str] = []
            below: list[str] = []
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        (below if _is_folder(entry) else files).append(entry.name)
            self._read[folder] = files, below
        return self._read[folder]

    def files(self, folder: str) -> list[str]:
        """Return the names of a folder's files; none where it cannot be listed."""
        return self._names(folder)[0]

    def below(self, folder: str) -> list[str]:
        """Return the names of a folder's subfolders; none where it cannot be listed."""
        return self._names(folder)[1]

    def spelled(self, folder: str, name: str) -> list[str]:
        """Find the subfolders with this name, in whatever case and form of Unicode.

        Args:
            folder: the folder above.
            name: the name.

        Returns:
            Paths.
        """
        if folder not in self._folded:
            found: dict[str, list[str]] = defaultdict(list)
            for other in self.below(folder):
                found[folded(other)].append(os.path.join(folder, other))
            self._folded[folder] = found
        return self._folded[folder].get(folded(name), [])

    def _names(self, folder: str) -> tuple[list[str], list[str]]:
        try:
            return self.read(folder)
        except OSError:
            return [], []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """True if an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle, say
        return False


def folded(name: str) -> str:
    """Return what is the same for names that differ in case or in the form of Unicode alone.

    Args:
        name: of a file or folder.

    Example:
        >>> folded("A.TXT"), folded("u" + chr(0x308)) == folded(chr(0xDC))
        ('a.txt', True)
    """
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()
