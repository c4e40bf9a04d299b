"""Decides which pictures a report may show: those of private images only if that is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aigp_lightning.errors import DataError, UserError
from aigp_lightning.logfiles.paths import resolved
from aigp_lightning.media.ledger.lines import Line
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.renderer import MASKED
from aigp_lightning.report.folder import RunFacts

WITHOUT_IMAGES = re.compile(
    r"(Box|Pose)?(PR|F1|P|R)_curve|confusion_matrix(_normalized)?|corner_error|results|labels|labels_correlogram"
)
"""Keys of pictures that show no image of the data set."""
WITHHELD = "private image"
"""Beginning of the reason for which such a picture was withheld."""


class Privacy:
    """The private images of a run, and the pictures that show some.

    An image is private if one of the run's patterns, then or in an earlier start, means it, or if the run itself has
    masked it. A picture is known by its hash, in the ledger. When in doubt, it shows a private image.

    Args:
        facts: of the run.
        include: show private images, too.
    """

    def __init__(self, facts: RunFacts, include: bool) -> None:
        self.include = include
        self.warnings: list[str] = []
        self._all = False
        self._patterns: list[ImagePatterns] = []
        configs = [facts.config, *facts.earlier]
        self.entries = sum(_count(config) for config in configs)
        self._read(configs)
        self._sources: dict[str, set[str]] = {}
        for line in facts.lines or ():
            self._sources.setdefault(line.sha256, set()).update(line.sources)
        self._hidden = {resolved(Path(image)) for image in _masked_by_run(facts.lines or ())}
        self.any = self._all or bool(self._patterns) or bool(self._hidden)

    def _read(self, configs: list[dict[str, Any] | None]) -> None:
        if configs[0] is None:
            self._all = True
            self.warnings.append("Which images are private is not known, so every image counts as private.")
        for config in configs:
            named = _group(config, "media").get("private")
            if not named:
                continue
            try:
                patterns = ImagePatterns(named, "--media.private")
                patterns.survey([], _root(config))
                self._patterns.append(patterns)
            except (UserError, OSError, TypeError, ValueError):
                self._all = True
                text = "The list of private images cannot be read any more, so every image counts as private."
                self.warnings.append(text)

    def is_private(self, image: str) -> bool:
        """True if an image of the data set is private, whether or not private images are asked for."""
        if self._all:
            return True
        return any(image in patterns for patterns in self._patterns) or (
            bool(self._hidden) and resolved(Path(image)) in self._hidden
        )

    def shows_private(self, sha256: str, key: str) -> bool:
        """True if a picture shows a private image, or may.

        Args:
            sha256: of the file's bytes.
            key: of the picture.
        """
        if not self.any:
            return False
        if sha256 in self._sources:
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


def _count(config: dict[str, Any] | None) -> int:
    named = _group(config, "media").get("private")
    return len(named) if isinstance(named, list) else int(bool(named))


def _group(config: dict[str, Any] | None, name: str) -> dict[str, Any]:
    group = (config or {}).get(name)
    return group if isinstance(group, dict) else {}


def _root(config: dict[str, Any] | None) -> str | None:
    """Return the data set's folder, from which relative names start, too; None where it is gone."""
    from aigp_lightning.data.data_yaml import read_data_yaml

    file = _group(config, "data").get("data_yaml")
    try:
        return str(read_data_yaml(file).root) if isinstance(file, str) else None
    except (DataError, OSError, ValueError):
        return None


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
        if line.outcome == "withheld" and line.reason.startswith(WITHHELD) and len(line.sources) == 1:
            withheld.update(line.sources)
    return withheld.union(*(whole.get(place, set()) - some for place, some in kept.items()))
