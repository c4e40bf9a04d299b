"""Searches a whole data set for the labels of images that have none: in other folders, with other endings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from aigp_lightning.data.folders import Folders, folded
from aigp_lightning.data.images import is_image

MOST_FOLDERS = 10_000
"""Folders that are read, the upper ones first."""
NOT_DATA = frozenset(("runs", "predictions", "node_modules", "site-packages"))
"""Folders that hold no data set, in lower case: there, boxes are those of a model."""
LOOKED_INTO = 1000
OTHER_FORMATS = {".xml": "Pascal VOC", ".json": "JSON, as of labelme or COCO"}


def labels_elsewhere(
    root: str, wanted: Mapping[str, str], folders: Folders, is_label: Callable[[str], bool]
) -> Iterator[tuple[str, str, str | None]]:
    """Find files below a folder that are called as images without a label are.

    Args:
        root: the folder.
        wanted: folded name without ending of each image, to the label file that is looked for and not there.
        folders: folders that were read.
        is_label: tells if a text file's content looks like labels.

    Yields:
        File, the label file that is looked for, and the format where it is another one.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp(dir="."))
        >>> for name in ("a.xml", "a.label", "b.txt", "a.jpg"):
        ...     (folder / name).touch()
        >>> found = labels_elsewhere(str(folder), {"a": "labels/a.txt"}, Folders(), lambda file: True)
        >>> sorted((Path(file).name, label, format) for file, label, format in found)
        [('a.label', 'labels/a.txt', None), ('a.xml', 'labels/a.txt', 'Pascal VOC')]
    """
    looked_into = 0
    for folder in islice(_below(root, folders), MOST_FOLDERS):
        for name in folders.files(folder):
            stem, ending = os.path.splitext(name.rstrip())
            label = wanted.get(folded(stem)) or wanted.get(folded(name.rstrip()))
            if label is None or is_image(name):
                continue
            file = os.path.join(folder, name)
            if ending.lower() in OTHER_FORMATS:
                yield file, label, OTHER_FORMATS[ending.lower()]
            elif looked_into < LOOKED_INTO:
                looked_into += not ending.lower().startswith(".txt")
                if is_label(file):
                    yield file, label, None


def _below(root: str, folders: Folders) -> Iterator[str]:
    """Yield a folder and those below it, level by level, each once however many links lead to it."""
    level, seen = [root], {os.path.realpath(root)}
    while level:
        yield from level
        below = []
        for folder in level:
            for name in folders.below(folder):
                path = os.path.join(folder, name)
                if name.lower() not in NOT_DATA and (real := os.path.realpath(path)) not in seen:
                    seen.add(real)
                    below.append(path)
        level = below
