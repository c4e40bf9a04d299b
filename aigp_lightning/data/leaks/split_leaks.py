"""Measures how many pictures of a split have a near neighbour in another: what a split leaks.

A picture has a near neighbour in another split if that has a picture that shows nearly the same view
(`near_duplicates`), or a frame of the same recording so few frames away that frames so far apart mostly show nearly the
same view (`frame_runs`). Neighbours by name count only where their pictures resemble each other more than chance.
"""

from __future__ import annotations

import filecmp
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.leaks.frame_names import recordings
from aigp_lightning.data.leaks.frame_runs import SAMPLES, FrameRun, chance_bar, frame_runs
from aigp_lightning.data.leaks.near_duplicates import SAME, Comparable, correlations, near_pairs, prepare
from aigp_lightning.data.leaks.thumbnails import Thumbnails, read_thumbnails, thumbnail_folders

SPLIT_PAIRS = (("val", "train"), ("test", "train"), ("test", "val"))
"""Splits that are measured, each with the one that must not have the same."""
IDENTICAL, COPY, ALIKE, FRAME = "identical", "copy", "nearly the same view", "neighbouring frame"
"""Kinds of near neighbours, the worst first."""
EPSILON = 1e-6


@dataclass(frozen=True)
class NearPair:
    """A picture and its near neighbour in another split.

    Attributes:
        file: the picture.
        other: its neighbour.
        kind: `identical` bytes, a `copy` of another size or quality, `nearly the same view`, or a `neighbouring frame`
            of one recording.
        alike: correlation of their thumbnails, -1 to 1.
    """

    file: str
    other: str
    kind: str
    alike: float


@dataclass(frozen=True)
class SplitLeak:
    """The outcome for two splits.

    Attributes:
        split: the one that is measured.
        other: the one in which near neighbours are looked for.
        pictures: of the split that could be compared.
        pairs: a near neighbour for each picture that has one, the worst first.
        cut: recordings of which neighbouring frames are in both.

    Example:
        >>> leak = SplitLeak("val", "train", 4, [NearPair("a.jpg", "b.jpg", "copy", 0.99)], [])
        >>> leak.share, leak.sentence()
        (0.25, '1 of 4 val pictures (25.0 %) has a near neighbour in train')
    """

    split: str
    other: str
    pictures: int
    pairs: list[NearPair]
    cut: list[str]

    @property
    def share(self) -> float:
        """Share of the split's pictures that have a near neighbour."""
        return len(self.pairs) / self.pictures if self.pictures else 0.0

    def leaks(self, limit: float) -> bool:
        """Return whether more than a share has one."""
        return self.share > limit

    @property
    def kinds(self) -> dict[str, int]:
        """Number of pairs of each kind that there is."""
        counts = {kind: sum(pair.kind == kind for pair in self.pairs) for kind in (IDENTICAL, COPY, ALIKE, FRAME)}
        return {kind: count for kind, count in counts.items() if count}

    def sentence(self) -> str:
        """Say the share."""
        have = "has" if len(self.pairs) == 1 else "have"
        return (
            f"{len(self.pairs)} of {self.pictures} {self.split} pictures ({self.share:.1%}) {have} a near neighbour in "
            f"{self.other}"
        ).replace("%)", " %)")

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, without names of files."""
        return {
            "split": self.split, "other": self.other, "pictures": self.pictures, "near": len(self.pairs),
            "share": self.share, "cut_recordings": len(self.cut),
        }  # fmt: skip


def find_leaks(
    splits: Mapping[str, Sequence[str]],
    root: str = "",
    *,
    folder: Path | None = None,
    workers: int = 8,
    progress: bool = False,
) -> list[SplitLeak]:
    """Measure what each split has in common with another.

    Args:
        splits: name to pictures; those that a scan found usable.
        root: folder of the data set, from which the folders in names of recordings count.
        folder: for the thumbnails, if the folder of the labels cannot be written to.
        workers: threads.
        progress: show a progress bar.

    Returns:
        One outcome for each pair in `SPLIT_PAIRS` of which both splits have pictures.

    Example:
        >>> import cv2
        >>> scene = np.random.default_rng(0).integers(0, 256, (2, 36, 64, 3), dtype=np.uint8)
        >>> for name, picture in (("a", scene[0]), ("b", scene[1]), ("c", scene[1] // 2)):
        ...     _ = cv2.imwrite(f"{name}.png", picture)
        >>> [leak] = find_leaks({"train": ["a.png", "b.png"], "val": ["c.png"]})
        >>> leak.share, [(pair.file, pair.other, pair.kind) for pair in leak.pairs]
        (1.0, [('c.png', 'b.png', 'copy')])
    """
    unique = {split: list(dict.fromkeys(files)) for split, files in splits.items()}
    files = [file for split in unique.values() for file in split]
    ids = np.repeat(np.arange(len(unique)), [len(split) for split in unique.values()])
    places = thumbnail_folders(files, folder)
    thumbnails, readable = read_thumbnails(files, places, workers=workers, progress=progress)
    pictures = prepare(thumbnails, readable)
    numbered = recordings(files, root)
    runs = frame_runs(pictures, numbered, (bar := chance_bar(pictures, numbered)), ids)
    compared = _Compared(files, thumbnails, readable, pictures, runs, bar)
    numbers = {split: np.flatnonzero(ids == number) for number, split in enumerate(unique)}
    return [
        compared.leak((split, other), numbers[split], numbers[other])
        for split, other in SPLIT_PAIRS
        if len(numbers.get(split, ())) and len(numbers.get(other, ()))
    ]


@dataclass(frozen=True)
class _Compared:
    """All pictures of a data set, ready to be compared."""

    files: list[str]
    thumbnails: Thumbnails
    readable: NDArray[np.bool_]
    pictures: Comparable
    runs: list[FrameRun]
    bar: float

    def leak(self, names: tuple[str, str], ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> SplitLeak:
        """Find a near neighbour for each picture of one split (n,) that has one among those of another (m,)."""
        ours, theirs = ours[self.readable[ours]], theirs[self.readable[theirs]]
        found: dict[int, NearPair] = {}
        frames, cut = self._neighbouring_frames(ours, theirs)
        for one, other, value in frames:
            found[one] = NearPair(self.files[one], self.files[other], FRAME, value)
        pairs, alike = near_pairs(self.pictures.part(ours), self.pictures.part(theirs))
        for at in np.argsort(alike, kind="stable"):  # the most alike last, which stays
            one, other, value = int(ours[pairs[at, 0]]), int(theirs[pairs[at, 1]]), float(alike[at])
            kind = COPY if value >= SAME and one not in found else found[one].kind if one in found else ALIKE
            found[one] = NearPair(self.files[one], self.files[other], kind, value)
        for one, other in self._identical(ours, theirs):
            found[one] = NearPair(self.files[one], self.files[other], IDENTICAL, 1.0)
        worst = sorted(found.values(), key=lambda pair: (pair.kind != IDENTICAL, -pair.alike, pair.file))
        return SplitLeak(*names, len(ours), worst, cut)

    def _neighbouring_frames(
        self, ours: NDArray[np.int64], theirs: NDArray[np.int64]
    ) -> tuple[list[tuple[int, int, float]], list[str]]:
        """Find frames of both splits that are near in their recording; with the recordings that are cut so."""
        found: list[tuple[int, int, float]] = []
        cut = []
        for run in self.runs:
            pairs = _pairs_of_run(run, ours, theirs)
            pairs = pairs[self.pictures.told[pairs].all(1)] if len(pairs) else pairs
            if not len(pairs):
                continue
            sample = np.unique(np.linspace(0, len(pairs) - 1, SAMPLES).astype(int))
            alike = correlations(self.pictures, self.pictures, pairs[sample])
            if np.median(alike) < self.bar:  # two recordings whose frames have the same names
                continue
            cut.append(run.recording.name)
            known = dict(zip(sample.tolist(), alike.tolist(), strict=True))
            found += [(int(one), int(other), known.get(at, self.bar)) for at, (one, other) in enumerate(pairs)]
        return found, cut

    def _identical(self, ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> list[tuple[int, int]]:
        """Find files of the same bytes."""
        known: dict[tuple[bytes, int], list[int]] = defaultdict(list)
        for place in theirs.tolist():
            known[self._key(place)].append(place)
        found = []
        for place in ours.tolist():
            same = (
                other for other in known.get(self._key(place), ()) if _same_bytes(self.files[place], self.files[other])
            )
            if (other := next(same, None)) is not None:
                found.append((place, other))
        return found

    def _key(self, place: int) -> tuple[bytes, int]:
        """Return what files of the same bytes have in common."""
        try:
            return self.thumbnails[place].tobytes(), os.path.getsize(self.files[place])
        except OSError:
            return b"", -1 - place


def _pairs_of_run(run: FrameRun, ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the frames of one split with the nearest of the other in the same run, if that is near, (n, 2)."""
    places, numbers = run.recording.places, run.recording.numbers
    mine, other = np.isin(places, ours), np.isin(places, theirs)
    if not mine.any() or not other.any():
        return np.zeros((0, 2), np.int64)
    there = numbers[other]
    after = np.searchsorted(there, numbers[mine])
    sides = np.stack([np.maximum(after - 1, 0), np.minimum(after, len(there) - 1)])
    distance = np.abs(there[sides] - numbers[mine])
    nearest = distance.argmin(0)
    columns = np.arange(len(nearest))
    pairs = np.column_stack([places[mine], places[other][sides[nearest, columns]]])
    return np.asarray(pairs[distance[nearest, columns] <= run.near * (1 + EPSILON)], np.int64)


def _same_bytes(one: str, other: str) -> bool:
    """True if two files have the same content, or are one."""
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False
