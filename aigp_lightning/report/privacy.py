"""Decides which pictures a report may show: those of private images only if that is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from aigp_lightning.logfiles.paths import resolved
from aigp_lightning.media.ledger.chain import Lines
from aigp_lightning.media.ledger.ledger import LEDGER_FILE
from aigp_lightning.media.ledger.lines import PRIVATE_IMAGE, Line
from aigp_lightning.media.renderer import MASKED
from aigp_lightning.report.folder import RunFacts
from aigp_lightning.run.private_images import PrivateImages

WITHOUT_IMAGES = re.compile(
    r"(Box|Pose|Mask)?(PR|F1|P|R)_curve|confusion_matrix(_normalized)?|corner_error|results|labels|labels_correlogram"
)
"""Keys of pictures that show no image of the data set."""

CUT_OFF = "is cut off"
"""Part of what is said of a ledger whose last line is not whole."""


class Privacy:
    """The private images of a run, and the pictures that show some.

    An image is private if `fit` recorded it, if a pattern of this or an earlier start means it, if the run itself has
    masked it, or if it is so in another run of the same report. A picture is known by its hash, in the ledger. When in
    doubt, it shows a private image.

    Args:
        facts: of the run.
        include: show private images, too.
        images: of its results.
    """

    def __init__(self, facts: RunFacts, include: bool, images: Iterable[str] = ()) -> None:
        self.include = include
        self.warnings: list[str] = []
        self._sources: dict[str, set[str]] = {}
        for line in facts.lines or ():
            self._sources.setdefault(line.sha256, set()).update(line.sources)
        self._private = PrivateImages(facts.path, facts.config, {*images}.union(*self._sources.values()))
        if self._private.told:
            self.warnings.append(f"{self._private.told}, so every image counts as private.")
        self._hidden = {resolved(Path(image)) for image in _masked_by_run(facts.lines or ())}
        self._group: Sequence[Privacy] = (self,)
        self._changed = bool(facts.lines is not None and changes_of(facts.lines))
        if self._changed:
            text = f"{LEDGER_FILE} was changed after it was written, so which images a picture shows is not certain"
            left_out = f"{text}; pictures of images are left out, since there are private ones."
            self.warnings.append(left_out if self._is_any and not include else f"{text}.")

    @property
    def _is_any(self) -> bool:
        return bool(self._private) or bool(self._hidden)

    @property
    def any(self) -> bool:
        """True if there are private images, or may be, in this run or another of the report."""
        return any(each._is_any for each in self._group)

    def join(self, group: Sequence[Privacy]) -> None:
        """Take an image for private that is so in another run of the report.

        Args:
            group: of all its runs.
        """
        self._group = group

    def is_private(self, image: str) -> bool:
        """True if an image of the data set is private, whether or not private images are asked for."""
        return any(each._is_private(image) for each in self._group)

    def _is_private(self, image: str) -> bool:
        return image in self._private or (bool(self._hidden) and resolved(Path(image)) in self._hidden)

    def shows_private(self, sha256: str, key: str) -> bool:
        """True if a picture shows a private image, or may.

        Args:
            sha256: of the file's bytes.
            key: of the picture.
        """
        if not self.any:
            return False
        if sha256 in self._sources and not self._changed:
            return any(map(self.is_private, self._sources[sha256]))
        return WITHOUT_IMAGES.fullmatch(key) is None

    def may_show(self, sha256: str, key: str) -> bool:
        """True if the report may have a picture."""
        return self.include or not self.shows_private(sha256, key)


def private_text(include: bool, masked: int, left_out: int, hidden: int, some: bool) -> str:
    """Say in a sentence what became of private images.

    Args:
        include: they were asked for.
        masked: pictures in which they are masked.
        left_out: pictures that are left out.
        hidden: validation images without pixels and name.
        some: whether the runs have private images at all.
    """
    if not some:
        return "The runs name no private images."
    if include:
        return "Private images are shown: this report was made with --include-private."
    parts = [
        f"masked in {_pictures(masked)}" if masked else "",
        f"{_pictures(left_out)} that would show them left out" if left_out else "",
        f"{hidden} validation image{'s' * (hidden != 1)} without pixels and name" if hidden else "",
    ]
    said = ", ".join(part for part in parts if part) or "none of the pictures here would show one"
    return f"Private images are not shown: {said}."


def _pictures(count: int) -> str:
    return f"{count} picture{'s' * (count != 1)}"


def changes_of(lines: Lines) -> list[str]:
    """Return what is wrong with a ledger, apart from a last line that a kill has cut off, or that is being written.

    Args:
        lines: of the ledger.
    """
    return [problem for problem in lines.problems if CUT_OFF not in problem]


def _masked_by_run(lines: Iterable[Line]) -> set[str]:
    """Return the images that the run left out of the masked variant of a picture, or for which it withheld one."""
    whole: dict[tuple[str, int], set[str]] = {}
    kept: dict[tuple[str, int], set[str]] = {}
    withheld: set[str] = set()
    for line in lines:
        place = line.key, line.epoch
        if line.file.startswith(f"{MASKED}/"):
            kept.setdefault(place, set(line.sources)).intersection_update(line.sources)
        elif line.destination == "file":
            whole.setdefault(place, set()).update(line.sources)
        if line.outcome == "withheld" and line.reason.startswith(PRIVATE_IMAGE) and len(line.sources) == 1:
            withheld.update(line.sources)
    return withheld.union(*(whole.get(place, set()) - some for place, some in kept.items()))
