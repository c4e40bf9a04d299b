"""Finds label files that are there and are not used: beside their images, spelled otherwise, without an image.

Their images train as backgrounds, which teaches that there is nothing to be found in them.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from aigp_lightning.data.folders import Folders, folded
from aigp_lightning.data.images import is_image, label_path
from aigp_lightning.data.labels_elsewhere import labels_elsewhere
from aigp_lightning.data.problems import BESIDE, MISPLACED, ORPHAN, OTHER_FORMAT, Problem

SUFFIX = ".txt"
LABELS, IMAGES = "labels", "images"
LOOKED_INTO = 1000
"""Files without an image that are opened in one folder, to tell labels from other text; more count as labels unseen."""
START_BYTES = 4096
MIN_COLUMNS = 5


def unused_labels(
    images: Sequence[str], labels: Sequence[str], folders: Folders, root: str | None = None
) -> list[Problem]:
    """Find the label files of a split that nothing reads.

    Args:
        images: images of the split.
        labels: the label file of each, whether it is there or not.
        folders: the folders that were read to find the images.
        root: folder of the data set, all of which is searched if an image in it has no label; None: no search.

    Returns:
        One problem a file, sorted by file; none is fatal.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp(dir="."))
        >>> for name in ("images/a.jpg", "images/a.txt", "labels/A.TXT", "labels/b.txt"):
        ...     (folder / name).parent.mkdir(exist_ok=True)
        ...     _ = (folder / name).write_text("0 0.5 0.5 0.25 0.25")
        >>> image = str(folder / "images" / "a.jpg")
        >>> [problem.kind for problem in unused_labels([image], [label_path(image)], Folders())]
        ['label beside its image', 'label not looked for', 'label without an image']
    """
    search = _Search(images, labels, folders)
    found = {problem.file: problem for problem in search.without_image()}
    for pictures in search.picture_folders:
        found.update((problem.file, problem) for problem in search.elsewhere(pictures))
    for problem in search.anywhere(root) if root else ():
        found.setdefault(problem.file, problem)
    return [found[file] for file in sorted(found)]


class _Search:
    """A search for unused label files; all is looked up when it is needed, since most data sets have none.

    Args:
        images: images of the split.
        labels: the label file of each.
        folders: folders that were read.
    """

    def __init__(self, images: Sequence[str], labels: Sequence[str], folders: Folders) -> None:
        self.images, self.labels, self.folders = images, labels, folders
        self.used = set(labels)
        self.picture_folders = sorted({image.rpartition(os.sep)[0] for image in images})
        self.owners: dict[str, list[str]] = defaultdict(list)
        for pictures in self.picture_folders:
            self.owners[_label_folder(pictures)].append(pictures)
        self._unused: dict[str, list[str]] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._images_of: dict[str, tuple[set[str], set[str]]] = {}

    def elsewhere(self, pictures: str) -> Iterator[Problem]:
        """Find labels of the images in one folder that are not where they are looked for."""
        home = _label_folder(pictures)
        for place in dict.fromkeys((home, pictures, *self._other_places(pictures, home))):
            kind = BESIDE if place == pictures != home else MISPLACED
            for name in self._unused_in(place):
                stem = name[: -len(SUFFIX)]
                exact, by_folded = self._wanted[pictures]
                wanted = exact.get(stem) or by_folded.get(folded(stem))
                file = os.path.join(place, name)
                if wanted and not self._is_anothers(place, name) and not _same(file, wanted):
                    yield Problem(file, None, kind, f"the file that is looked for is {wanted}", False, "not used")

    def without_image(self) -> Iterator[Problem]:
        """Find label files without an image, in the folders of the split's labels and below them."""
        waiting = list(self.owners)
        seen = {os.path.realpath(place) for place in waiting}
        while waiting:
            place = waiting.pop()
            own = place not in self.owners or place not in self.owners[place]  # of labels only
            lost = [
                name for name in self._unused_in(place) if folded(name[: -len(SUFFIX)]) not in self._stems(place)[1]
            ]
            for number, name in enumerate(lost):
                file = os.path.join(place, name)
                if number >= LOOKED_INTO or _is_label(file, empty=own):
                    where = self._folders_of_images(place)[0]
                    yield Problem(file, None, ORPHAN, f"no image of this name is in {where}", False, "not used")
            for name in self.folders.below(place) if own else []:
                below = os.path.join(place, name)
                if (real := os.path.realpath(below)) not in seen:
                    seen.add(real)
                    waiting.append(below)

    def anywhere(self, root: str) -> Iterator[Problem]:
        """Find files below a folder that are called as images without a label are, whatever they end like."""
        start = os.path.join(root, "")
        lost = {
            folded(_stem(image)): (image, label)
            for image, label in zip(self.images, self.labels, strict=True)
            if image.startswith(start) and self._is_missing(label)
        }
        if not lost:
            return
        wanted = {stem: label for stem, (_, label) in lost.items()}
        for file, label, other in labels_elsewhere(
            root, wanted, self.folders, lambda file: _is_label(file, empty=False)
        ):
            place, name = os.path.split(file)
            if file in self.used or self._has_other_owner(place, name, lost) or _same(file, label):
                continue
            if other is None:
                yield Problem(file, None, MISPLACED, f"the file that is looked for is {label}", False, "not used")
            else:
                text = f"{other} is not read; convert it to YOLO's text format, {label}"
                yield Problem(file, None, OTHER_FORMAT, text, False, "not used")

    def _is_missing(self, label: str) -> bool:
        """True if there is no such label file; each folder is read once."""
        place, _, name = label.rpartition(os.sep)
        if place not in self._names:
            self._names[place] = frozenset(self.folders.files(place))
        return name not in self._names[place]

    def _has_other_owner(self, place: str, name: str, lost: Mapping[str, tuple[str, str]]) -> bool:
        """True if a file lies where the labels of another image of the same name lie, or beside it."""
        stems = {folded(os.path.splitext(name.rstrip())[0]), folded(name.rstrip())}
        ours = {lost[stem][0].rpartition(os.sep)[0] for stem in stems if stem in lost}
        mirrored = self._folders_of_images(place)
        return not ours.intersection(mirrored) and not stems.isdisjoint(self._stems(place)[1])

    @cached_property
    def _wanted(self) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
        """By folder of images: the label file of every name without its ending, as it is and folded."""
        found: dict[str, tuple[dict[str, str], dict[str, str]]] = defaultdict(lambda: ({}, {}))
        for image, label in zip(self.images, self.labels, strict=True):
            exact, by_folded = found[image.rpartition(os.sep)[0]]
            stem = label.rpartition(os.sep)[2][: -len(SUFFIX)]
            exact[stem] = by_folded[folded(stem)] = label
        return found

    def _other_places(self, pictures: str, home: str) -> Iterator[str]:
        """Yield folders where labels might lie by mistake: `Labels/train` or `labels` instead of `labels/train`."""
        parts = pictures.split(os.sep)
        for at in (i for i, part in enumerate(parts) if folded(part) == IMAGES):
            places = [os.sep.join(parts[:at]) or os.sep]
            for part in (LABELS, *parts[at + 1 :]):
                places = [spelled for place in places for spelled in self.folders.spelled(place, part)]
                yield from (place for place in places if not _same(place, home))

    def _unused_in(self, folder: str) -> list[str]:
        """Return the names in a folder that end like a label file's, in whatever case, and are not used."""
        if folder not in self._unused:
            names = [name for name in self.folders.files(folder) if name[-len(SUFFIX) :].lower() == SUFFIX]
            start = folder + os.sep
            self._unused[folder] = [name for name in names if start + name not in self.used]
        return self._unused[folder]

    def _folders_of_images(self, place: str) -> list[str]:
        """Return the folders whose images have their labels in this one."""
        head, found, tail = f"{place}{os.sep}".rpartition(f"{os.sep}{LABELS}{os.sep}")
        mirrored = [f"{head}{os.sep}{IMAGES}{os.sep}{tail}".rstrip(os.sep)] if found else []
        return list(dict.fromkeys([*mirrored, *self.owners.get(place, []), *([] if found else [place])]))

    def _stems(self, place: str) -> tuple[set[str], set[str]]:
        """Return names of the images whose labels are in a folder, without endings: as they are, and folded."""
        if place not in self._images_of:
            names = [name for folder in self._folders_of_images(place) for name in self.folders.files(folder)]
            stems = {name.rpartition(".")[0] for name in names if is_image(name)}
            self._images_of[place] = stems, {folded(stem) for stem in stems}
        return self._images_of[place]

    def _is_anothers(self, place: str, name: str) -> bool:
        """True if a label file is that of an image which is there, though not in this split."""
        return (
            name.endswith(SUFFIX)
            and name[: -len(SUFFIX)] in self._stems(place)[0]
            and label_path(os.path.join(self._folders_of_images(place)[0], name)) == os.path.join(place, name)
        )


def _stem(image: str) -> str:
    """Return the name of an image without its ending."""
    return image.rpartition(os.sep)[2].rpartition(".")[0]


def _label_folder(pictures: str) -> str:
    """Return the folder of the labels of the images in a folder."""
    return os.path.dirname(label_path(os.path.join(pictures, "x.x")))


def _same(one: str, other: str) -> bool:
    """True if two paths lead to the same file or folder, as where case does not count."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _is_label(file: str, *, empty: bool) -> bool:
    """True if the first line of a file looks like a label: five numbers or more; or `empty`, where nothing is in it."""
    try:
        with open(file, "rb") as stream:
            lines = stream.read(START_BYTES).decode("utf-8-sig", "replace").split("\n")
        words = next((words for line in lines if (words := line.split())), None)
        return empty if words is None else len(words) >= MIN_COLUMNS and [float(word) for word in words] != []
    except (OSError, ValueError):
        return False
