"""The private images of a finished run: those that `fit` recorded, and those that its configurations mean now.

The patterns may be read elsewhere than where the run was started, by other links and other variables. So an entry that
fits no image is a doubt, unless the record says which images it fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aigp_lightning.errors import UserError, first_line
from aigp_lightning.logfiles.paths import listing, resolved
from aigp_lightning.logfiles.run_config import CONFIG_FILE, read_yaml
from aigp_lightning.logfiles.run_data import find_data_yaml, start_folders
from aigp_lightning.media.checks import MOST_NAMED
from aigp_lightning.media.patterns.entries import PatternEntry, shown
from aigp_lightning.media.patterns.image_patterns import ImagePatterns
from aigp_lightning.media.private_record import PrivateRecord, read_private_record
from aigp_lightning.run.folder import EARLIER_CONFIG

OPTION = "media.private"
UNREADABLE = "Which images are private is not known"
UNREADABLE_LIST = "The list of private images cannot be read any more"


class PrivateImages:
    """Tells which images of a finished run are private. When in doubt, one is.

    Args:
        run: the run folder.
        config: the run's; None is one that cannot be read.
        images: that are known, by the names in the ledger.
        more: gives further images that are known, such as those of results; asked only if an entry fits none yet.

    Attributes:
        doubt: why any image may be private, naming entries; empty if that is not so.
        told: the same without a name, for a report.
        entries: how many entries the configurations have, lists counted as one.
    """

    def __init__(
        self,
        run: Path,
        config: Mapping[str, Any] | None,
        images: Iterable[str],
        more: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self.run, self.doubt, self.told, self.entries = run, "", "", 0
        self._images, self._more = frozenset(images), more
        self._patterns: list[ImagePatterns] = []
        self._known: dict[str, bool] = {}
        record, problem = read_private_record(run)
        self._record = record or PrivateRecord()
        if problem:
            self._doubt(problem, f"{UNREADABLE} ({problem})")
        configs = {CONFIG_FILE: config, **{path.name: read_yaml(path)[0] for path in listing(run, EARLIER_CONFIG)}}
        for name, content in configs.items():
            if isinstance(content, Mapping):
                self._add(name, content)
            else:
                self._doubt(f"{name} cannot be read", UNREADABLE)

    def __bool__(self) -> bool:
        """True if there are private images, or may be."""
        return bool(self.doubt or self._patterns or self._record.images)

    def __contains__(self, image: object) -> bool:
        """True if an image, by its path, is private or may be."""
        path = str(image)
        if path not in self._known:
            self._known[path] = bool(self.doubt) or self._is_recorded(path) or any(path in x for x in self._patterns)
        return self._known[path]

    def _is_recorded(self, path: str) -> bool:
        names = self._record.images
        return bool(names) and (path in names or str(resolved(Path(path))) in names)

    def _doubt(self, text: str, told: str) -> None:
        self.doubt, self.told = self.doubt or text, self.told or told

    def _add(self, name: str, config: Mapping[str, Any]) -> None:
        """Add the patterns of a configuration."""
        group = config.get("media")
        named = group.get("private") if isinstance(group, Mapping) else None
        given = [named] if isinstance(named, str) else named
        if not given:
            return
        if not isinstance(given, list) or not all(isinstance(entry, str) for entry in given):
            self._doubt(f"{OPTION} in {name} is no list of names", UNREADABLE_LIST)
            return
        self.entries += len(given)
        bases = [str(folder) for folder in start_folders(self.run, config)]
        readable = [entry for entry in given if self._is_readable(entry, bases)]
        data_yaml = find_data_yaml(self.run, config)
        try:
            patterns = ImagePatterns(readable, OPTION, bases)
            patterns.survey(self._images, _root(data_yaml))
            self._patterns += [patterns, *_as_folders(patterns, bases)]
        except (UserError, OSError, ValueError) as error:
            self._doubt(first_line(error), UNREADABLE_LIST)
            return
        if idle := self._idle(patterns, data_yaml):
            names = ", ".join(entry.named for entry in idle[:MOST_NAMED])
            more = f" and {len(idle) - MOST_NAMED} more" if len(idle) > MOST_NAMED else ""
            self._doubt(
                f"{OPTION}: no image of this run's data set fits {names}{more}",
                f"{len(idle)} of {len(patterns.entries)} entries of {OPTION} fit no image that is known here",
            )

    def _is_readable(self, entry: str, bases: Sequence[str]) -> bool:
        """True if an entry can be read now; one that cannot is a doubt, unless the record has all that it fitted."""
        try:
            return bool(ImagePatterns(entry, OPTION, bases))
        except (UserError, OSError, ValueError) as error:
            if entry not in self._record.given:
                self._doubt(first_line(error), UNREADABLE_LIST)
            return False

    def _idle(self, patterns: ImagePatterns, data_yaml: Path | None) -> list[PatternEntry]:
        """Return the entries that fit no known image, and fitted none when the run was started."""
        if not self._left(patterns, ()) or not self._left(patterns, self._more()):
            return []
        images = {*_images_of(data_yaml)}
        if not self._images <= images:  # it was moved or copied: its names are not the ledger's
            images.clear()
        return self._left(patterns, images.union(self._more()))

    def _left(self, patterns: ImagePatterns, others: Iterable[str]) -> list[PatternEntry]:
        return [entry for entry in patterns.unused_entries(others) if entry.text not in self._record.entries]

    def refusal(self) -> str:
        """Return why nothing of the run may leave this machine, and what to do; empty if it may."""
        return self.doubt and (
            f"{shown(str(self.run))}: {self.doubt}. Before anything leaves unmasked: call it from the folder and with "
            f"the variables that the run was started with, or mend or remove what fits nothing under {OPTION} in its "
            f"{CONFIG_FILE}."
        )


def _as_folders(patterns: ImagePatterns, bases: Sequence[str]) -> list[ImagePatterns]:
    """Return the same names as folders': what is none now may have been one where the run was started."""
    below = [f"{name.rstrip('/')}/*" for name in patterns.patterns if name.strip("/ ")]
    return [ImagePatterns(below, OPTION, bases)] if below else []


def _root(data_yaml: Path | None) -> str | None:
    """Return the folder of a data set, from which names of images start too; None if it cannot be read."""
    from aigp_lightning.data.data_yaml import read_data_yaml

    try:
        return None if data_yaml is None else str(read_data_yaml(data_yaml).root)
    except (UserError, OSError, ValueError):
        return None


def _images_of(data_yaml: Path | None) -> list[str]:
    """Return all images of a data set; none if it cannot be read."""
    from aigp_lightning.data.data_yaml import read_data_yaml
    from aigp_lightning.data.listing import all_images

    try:
        return [] if data_yaml is None else all_images(read_data_yaml(data_yaml))
    except (UserError, OSError, ValueError):
        return []
