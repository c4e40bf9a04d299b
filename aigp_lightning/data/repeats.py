"""Finds what a data set has more than once: images listed twice, in two splits, or sharing one label file."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from aigp_lightning.data.problems import IN_TWO_SPLITS, LISTED_TWICE, SHARED, Problem


def repeated(images: Sequence[str], labels: Mapping[str, str]) -> list[Problem]:
    """Find the images of a split that are listed more than once, and label files that several images share.

    Args:
        images: as they are listed.
        labels: image to its label file.

    Returns:
        One problem an image or a label file; none is fatal.

    Example:
        >>> [(p.file, p.text) for p in repeated(["a.png", "b.png", "a.png"], {"a.png": "a.txt", "b.png": "b.txt"})]
        [('a.png', 'it is listed 2 times, and read as often in each epoch')]
    """
    found = []
    if len(labels) < len(images):
        found += [
            Problem(
                image, None, LISTED_TWICE, f"it is listed {n} times, and read as often in each epoch", False, "kept"
            )
            for image, n in Counter(images).items()
            if n > 1
        ]
    if len(set(labels.values())) < len(labels):
        users: dict[str, list[str]] = defaultdict(list)
        for image, label in labels.items():
            users[label].append(os.path.basename(image))
        for label, names in users.items():
            if len(names) > 1 and os.path.exists(label):
                text = f"{' and '.join(names[:3])} have it both; rename all but one and give each its own"
                text = text if len(names) == 2 else text.replace(" have it both", f", {len(names)} in all, have it")  # noqa: PLR2004
                found.append(Problem(label, None, SHARED, text, False, "read for each"))
    return found


def in_two_splits(splits: Mapping[str, Sequence[str]]) -> list[Problem]:
    """Find the images that are in more than one split: what is trained on tells nothing about new images.

    Args:
        splits: name to images; two paths that lead to one file are one image.

    Returns:
        One problem an image, none fatal.

    Example:
        >>> splits = {"train": ["/gates/a.png", "/gates/b.png"], "val": ["/gates/b.png"]}
        >>> [(p.file, p.text) for p in in_two_splits(splits)]
        [('/gates/b.png', 'it is in train and val; leave it in one of them')]
    """
    folders: dict[str, str] = {}
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for split, images in splits.items():
        for image in images:
            found[_real(image, folders)].setdefault(split, image)
    return [
        Problem(next(iter(by.values())), None, IN_TWO_SPLITS, f"it is in {' and '.join(by)}; leave it in one of them",
                False, "kept")
        for by in found.values()
        if len(by) > 1
    ]  # fmt: skip


def _real(image: str, folders: dict[str, str]) -> str:
    """Return the path of an image without links, each folder resolved once."""
    folder, name = os.path.split(image)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    file = os.path.join(folders[folder], name)
    return os.path.realpath(file) if os.path.islink(file) else file
