"""The record of a run's private images: those that `fit` found, by which they stay private later on, from anywhere.

It lies beside the ledger, names images as the ledger does, and is sent nowhere.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.files import read_regular, write_atomic
from aigp_lightning.media.data_facts import image_files_of_all_splits
from aigp_lightning.types import HasImageFiles

if TYPE_CHECKING:
    from aigp_lightning.media.patterns.image_patterns import ImagePatterns

RECORD_FILE = "private_images.json"
KEYS = ("given", "entries", "images")


@dataclass(frozen=True)
class PrivateRecord:
    """The private images of all starts of a run.

    Attributes:
        given: values of `media.private` of which every entry fitted an image; of a list, all of its lines.
        entries: those that fitted an image, of an option or a list.
        images: paths of the private images: as the data set names them, and what links lead to.

    Example:
        >>> PrivateRecord(images=frozenset({"/data/a.jpg"})).images
        frozenset({'/data/a.jpg'})
    """

    given: frozenset[str] = frozenset()
    entries: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()


def read_private_record(folder: Path) -> tuple[PrivateRecord | None, str]:
    """Read the record in a run folder.

    Args:
        folder: the run folder.

    Returns:
        The record, None where there is none; and what is wrong with it, if anything.

    Example:
        >>> read_private_record(Path("no such run"))
        (None, '')
    """
    path = folder / RECORD_FILE
    if not os.path.lexists(path):
        return None, ""
    try:
        content = json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError):
        return None, f"{RECORD_FILE} cannot be read"
    if not isinstance(content, dict) or not all(_is_texts(content.get(key)) for key in KEYS):
        return None, f"{RECORD_FILE} is no record of private images"
    return PrivateRecord(*(frozenset(content[key]) for key in KEYS)), ""


def record_private_images(folder: Path, private: ImagePatterns, data: object) -> None:
    """Add the private images of a data set to the record in a run folder. Without any pattern nothing is written.

    Args:
        folder: the run folder.
        private: which images are private; it has looked at the data set.
        data: the datamodule, its splits read; of one without `image_files` nothing is known.

    Raises:
        ConfigError: there is a record that cannot be read, or it cannot be written.

    Example:
        >>> import tempfile
        >>> from aigp_lightning.media.patterns.image_patterns import ImagePatterns
        >>> class Data:
        ...     def image_files(self, split):
        ...         return [f"/{split}/home/0.jpg", f"/{split}/hall/0.jpg"]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     record_private_images(Path(folder), ImagePatterns("home/*", "--media.private"), Data())
        ...     sorted(read_private_record(Path(folder))[0].images)
        ['/train/home/0.jpg', '/val/home/0.jpg']
    """
    if not private or not isinstance(data, HasImageFiles):
        return
    known, problem = read_private_record(folder)
    if problem:
        raise ConfigError(f"{folder / RECORD_FILE}: {problem}; restore it, or start a new run with another --run.name.")
    known = known or PrivateRecord()
    images = dict.fromkeys([*data.image_files("train"), *data.image_files("val"), *image_files_of_all_splits(data)])
    ours = [image for image in images if image in private]
    idle = {entry.text for entry in private.unused_entries()}
    fitting = {entry.text for entry in private.entries if entry.text} - idle
    given = {text for text in private.given if not idle or text in fitting}
    content = {
        "given": sorted(known.given | given),
        "entries": sorted(known.entries | fitting),
        "images": sorted(known.images | {*ours, *map(os.path.realpath, ours)}),
    }
    try:
        write_atomic(folder / RECORD_FILE, (json.dumps(content, indent=0) + "\n").encode(), own=True)
    except OSError as error:
        raise ConfigError(f"{folder / RECORD_FILE} cannot be written: {error.strerror}.") from error


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
