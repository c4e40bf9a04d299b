"""Search of the ledger for the pictures that show a given image."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aigp_lightning.audit.places import MASKED
from aigp_lightning.errors import DataError
from aigp_lightning.logfiles.paths import resolved
from aigp_lightning.media.ledger.ledger import LEFT, Line

LIKE, NEAREST = 0.6, 3
"""Likeness from which on a path is named as one that may have been meant, and how many are named."""
SHOWN = 5
"""Candidates that an error names at most."""


@dataclass(frozen=True)
class Appearances:
    """The appearances of an image in the pictures of a run.

    Attributes:
        image: path asked for.
        source: path in the ledger; empty if it is not there.
        matched: how the two were matched, in words.
        lines: of the ledger about every picture that shows it; masked images are not shown.
        masked: of the ledger about every picture that a logger got, in which it is masked.
    """

    image: str
    source: str
    matched: str
    lines: Sequence[Line]
    masked: Sequence[Line] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the appearances for JSON."""
        names = ("epoch", "step", "kind", "file", "sha256", "destination", "outcome", "reason", "number")
        rows = [{name: value for name, value in asdict(line).items() if name in names} for line in self.lines]
        return {
            "image": self.image,
            "source": self.source,
            "matched": self.matched,
            "rows": rows,
        }


def find_image(lines: Sequence[Line], image: str) -> Appearances:
    """Find every picture that shows an image.

    Args:
        lines: of the ledger.
        image: its path as the ledger has it, any path to the same file, or the end of its path if that is unique.

    Returns:
        The lines of those pictures; none, and no source, if no picture of the run shows such an image.

    Raises:
        DataError: the paths of several images end so, or it is a folder.
    """
    matches, how = match_image({source for line in lines for source in line.sources}, image)
    if not matches and os.path.isdir(image):
        raise DataError(f"--image {image}: it is a folder; give the path of an image.")
    found = [line for line in lines if matches.intersection(line.sources)]
    pictures, shown = {(line.key, line.epoch) for line in found}, {line.number for line in found}
    masked = [
        line
        for line in lines
        if line.file.startswith(MASKED)
        and line.outcome in LEFT
        and line.number not in shown
        and (line.key, line.epoch) in pictures
    ]
    return Appearances(image, ", ".join(sorted(matches)), how, found, masked)


def match_image(sources: Collection[str], image: str) -> tuple[set[str], str]:
    """Find an image among paths.

    Args:
        sources: the paths.
        image: one of them, any path to the same file, or the end of its path.

    Returns:
        The paths that are the image, and how they were matched, in words; none if there is none.

    Raises:
        DataError: several images' paths end so.
    """
    matches, how = _match(sources, image)
    if len(matches) > 1 and how == "by name":
        shown = ", ".join(sorted(matches)[:SHOWN]) + (" …" if len(matches) > SHOWN else "")
        raise DataError(f"--image {image}: {len(matches)} images are named so: {shown}. Give more of the path.")
    return matches, how


def nearest_images(sources: Collection[str], image: str) -> list[str]:
    """Return the few paths that are most like a mistyped one, the likest first; none if none is like it.

    Args:
        sources: the paths that there are.
        image: the mistyped one.

    Example:
        >>> nearest_images(["/gates/images/val/000003.jpg", "/gates/hall.png"], "images/val/00003.jpg")
        ['/gates/images/val/000003.jpg']
    """
    wanted = _text(image).split("/")
    same = [source for source in sources if _text(source).split("/")[-1] == wanted[-1]]
    if same:
        return sorted(same, key=lambda source: -SequenceMatcher(None, _text(source), _text(image)).ratio())[:NEAREST]
    tails = {"/".join(_text(source).split("/")[-len(wanted) :]): source for source in sorted(sources)}
    return [tails[tail] for tail in get_close_matches("/".join(wanted), tails, NEAREST, LIKE)]


def _match(sources: Collection[str], image: str) -> tuple[set[str], str]:
    same = _same_file(sources, image)
    if exact := {source for source in sources if source == image or _text(source) == _text(image)}:
        return exact | same, "by the path in the ledger"
    if same:
        return same, "by the file that the path leads to"
    if not (tail := _text(image).split("/")) or tail[0] in ("", ".", ".."):
        return set(), ""
    ends = {source for source in sources if _text(source).split("/")[-len(tail) :] == tail}
    return ends, "by name" if ends else ""


def _same_file(sources: Collection[str], image: str) -> set[str]:
    """Return the sources that are the same file as an image: links followed, by another link to it, in another case."""
    path = os.path.expanduser(_without_scheme(image)) if not os.path.exists(image) else image
    wanted, number = _text(str(resolved(Path(path)))), _identity(path)
    return {
        source
        for source in sources
        if _text(str(resolved(Path(source)))) == wanted or (number is not None and _identity(source) == number)
    }


def _text(path: str) -> str:
    """Return a path as text to compare: without detours, composed Unicode, in one case where case does not count."""
    plain = os.path.normcase(os.path.normpath(_without_scheme(path))).replace(os.sep, "/")
    return unicodedata.normalize("NFC", re.sub("^/+", "/", plain))


def _without_scheme(path: str) -> str:
    return unquote(path[len("file://") :]) if path.startswith("file:///") else path


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if found.st_ino else None
