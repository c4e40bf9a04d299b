"""Results of a model image by image, as they are kept in the store: without the paths and names of the pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import PurePath
from typing import Any

from aigp_lightning.modules.metrics.image_results import ImageResults

LENGTH = 16
NAMED = {"data": ("data_yaml",), "model": ("file",)}
"""Values that are paths, of which the name alone is kept."""


def as_kept(results: ImageResults) -> ImageResults:
    """Return results as the store keeps them: a hash in place of each picture's path, names in place of other paths.

    The hash is of the path below the folder that the pictures share, so that the same data set has the same hashes
    wherever it lies.

    Args:
        results: as an evaluation gives them.
    """
    about: dict[str, Any] = dict(results.about)
    for group, keys in NAMED.items():
        values = about.get(group)
        if isinstance(values, dict):
            short = {key: PurePath(str(values[key])).name for key in keys if values.get(key) is not None}
            about[group] = {**values, **short}
    return replace(results, files=tuple(_hashes(results.files)), about=about)


def _hashes(files: Sequence[str]) -> list[str]:
    if not files:
        return []
    folders = {os.path.dirname(file) for file in files}
    try:
        shared = os.path.commonpath(list(folders))
    except ValueError:  # of several drives, or none of them has a folder
        shared = ""
    below = (os.path.relpath(file, shared) if shared else file for file in files)
    return [sha256(name.replace(os.sep, "/").encode("utf-8", "surrogateescape")).hexdigest()[:LENGTH] for name in below]
