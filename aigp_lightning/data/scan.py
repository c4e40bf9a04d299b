"""Checks every image and label file of a split, in parallel, and caches the outcome."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data import file_stamps, scan_cache
from aigp_lightning.data.folders import Folders
from aigp_lightning.data.fraction import ALL, Part, count_of
from aigp_lightning.data.images import label_path
from aigp_lightning.data.label_bounds import Outside
from aigp_lightning.data.label_values import Arrays
from aigp_lightning.data.labels import is_polygons, parse_label_file
from aigp_lightning.data.likely_keypoints import settle
from aigp_lightning.data.listing import find_images
from aigp_lightning.data.other_endings import other_endings
from aigp_lightning.data.problems import Problem
from aigp_lightning.data.records import ImageRecord, ScanResult
from aigp_lightning.data.repeats import repeated
from aigp_lightning.data.scan_cache import Columns
from aigp_lightning.data.unused_labels import unused_labels
from aigp_lightning.data.usual_labels import usual_labels
from aigp_lightning.data.verify import check_image
from aigp_lightning.errors import DataError
from aigp_lightning.terminal.progress import Bar, progress_bar

if TYPE_CHECKING:
    from aigp_lightning.data.data_yaml import DataSpec

CHUNK = 64
"""Images that a thread checks in one go."""

Checked = tuple["tuple[int, int] | None", "NDArray[np.int64]", "NDArray[np.float32]", "NDArray[np.float32] | None"]
"""Shape of an image, or None where it is set aside; its classes, boxes and keypoints."""


@dataclass(frozen=True)
class _Settings:
    """Options on which the outcome of a scan depends, besides the files."""

    nc: int
    kpt_shape: tuple[int, int] | None
    pose: bool
    single_cls: bool
    outside: Outside

    @property
    def keypoints(self) -> int | None:
        """Number of keypoints of a record's objects, or None."""
        return self.kpt_shape[0] if self.pose and self.kpt_shape else None


def scan_split(
    spec: DataSpec,
    split: str,
    *,
    pose: bool = False,
    single_cls: bool = False,
    strict: bool = False,
    outside: Outside = "clip",
    part: Part = ALL,
    cache_dir: Path | None = None,
    workers: int = 8,
    progress: bool = True,
) -> ScanResult:
    """Check a split, or recall an earlier check of the same files.

    Args:
        spec: data set.
        split: `train`, `val` or `test`.
        pose: keypoints are wanted too.
        single_cls: every class becomes 0.
        strict: an image that has to be set aside, or a label or image that is passed over, is an error.
        outside: what becomes of objects that reach out of the picture.
        part: share or number of the split's images that is returned; all are checked, and kept in the cache.
        cache_dir: folder for the outcome if the folder of the labels cannot be written to.
        workers: threads.
        progress: show a progress bar.

    Returns:
        Usable images and all problems; the same whether scanned or recalled.

    Raises:
        DataError: there are no images, none is usable, or one is not and `strict` is set.

    Example:
        >>> import tempfile
        >>> from aigp_lightning.data.data_yaml import read_data_yaml
        >>> from aigp_lightning.data.synthetic import MakeDataOptions, make_data
        >>> options = MakeDataOptions(tempfile.mkdtemp(dir="."), train=2, val=1, test=0, imgsz=(64, 64), workers=1)
        >>> spec = read_data_yaml(make_data(options, progress=False))
        >>> result = scan_split(spec, "train", progress=False)
        >>> len(result.records), result.records[0].shape, result.problems
        (2, (64, 64), [])
    """
    if pose and spec.kpt_shape is None:
        raise DataError(f"{spec.file}: keypoints are wanted, but 'kpt_shape' is missing; add it, as [4, 3]")
    folders = Folders()
    images, listed = find_images(spec, split, folders)
    unique = list(dict.fromkeys(images))
    labels = [label_path(image) for image in unique]
    settings = _Settings(spec.nc, spec.kpt_shape, pose, single_cls, outside)
    name = f"{split}{'-pose' * pose}{'-single' * single_cls}.aigp-cache.npz"
    places = [Path(labels[0]).parent / name, *([Path(cache_dir) / name] if cache_dir else [])]
    bar = progress_bar(f"checking {split}", len(unique), progress)
    columns, cache_file, from_cache = _recall_or_scan(settings, unique, labels, places, workers, bar)
    unused = [*unused_labels(unique, labels, folders, str(spec.root)), *other_endings(folders.passed)]
    repeats = repeated(images, dict(zip(unique, labels, strict=True)))
    problems = [*listed, *repeats, *unused, *columns.problems]
    chosen = images[: count_of(part, len(images))]
    result = ScanResult(split, [], problems, len(chosen), from_cache, cache_file, outside)
    result.listed = len(images) if len(chosen) < len(images) else 0
    result.records = _records(chosen, unique, columns)
    if not result.records:
        raise DataError(f"{spec.file}: no usable image in '{split}'; mend or remove these files\n{result.summary()}")
    if strict and (result.set_aside or unused):
        raise DataError(f"{spec.file}: strict is set and '{split}' has bad files; mend them\n{result.summary()}")
    return result


def _recall_or_scan(
    settings: _Settings, images: Sequence[str], labels: Sequence[str], places: Sequence[Path], workers: int, bar: Bar
) -> tuple[Columns, Path | None, bool]:
    """Return the outcome of a scan, the file that keeps it, and whether it comes from there."""
    files = [*images, *labels]
    digest, fresh = file_stamps.fingerprint((scan_cache.VERSION, *astuple(settings)), files, workers)
    for place in places:
        if (found := scan_cache.load(place, digest, len(images), settings.nc, settings.keypoints, files)) is not None:
            columns, contents = found
            if contents and not fresh:  # from now on their times tell
                scan_cache.save(place, digest, columns)
            return columns, place, True
    contents = file_stamps.contents(files, fresh)  # before they are scanned: a change from here on is seen
    columns = _scan(settings, images, labels, workers, bar)
    return columns, _save_cache(places, digest, columns, contents), False


def _save_cache(files: Sequence[Path], digest: str, columns: Columns, contents: dict[int, str]) -> Path | None:
    """Write the cache to the first place that can be written to, and return that place."""
    for file in files[1:]:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
    return next((file for file in files if scan_cache.save(file, digest, columns, contents)), None)


def _records(images: Sequence[str], unique: Sequence[str], columns: Columns) -> list[ImageRecord]:
    """Make a record of each usable image; the arrays are views of the columns."""
    ends = np.cumsum(columns.count)
    starts, stops = (ends - columns.count).tolist(), ends.tolist()
    shapes, usable = columns.shape.tolist(), columns.usable.tolist()
    cls, boxes, points = columns.cls, columns.bboxes, columns.keypoints
    by_file = {
        file: ImageRecord(file, (h, w), cls[a:b], boxes[a:b], None if points is None else points[a:b])
        for file, good, (h, w), a, b in zip(unique, usable, shapes, starts, stops, strict=True)
        if good
    }
    return [by_file[file] for file in images if file in by_file]


def _scan(settings: _Settings, images: Sequence[str], labels: Sequence[str], workers: int, bar: Bar) -> Columns:
    """Check all files in threads; reading and decoding leave the interpreter free."""

    def check(start: int) -> list[tuple[Checked, list[Problem]]]:
        part = slice(start, start + CHUNK)
        usual = _usual(labels[part], settings)
        return [_check(*each, settings) for each in zip(images[part], labels[part], usual, strict=True)]

    found: list[tuple[Checked, list[Problem]]] = []
    with warnings.catch_warnings(), bar as advance:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files; what matters becomes a problem
        pool = ThreadPoolExecutor(max(1, workers))
        try:
            for part in pool.map(check, range(0, len(images), CHUNK)):
                found += part
                advance(len(part))
        finally:
            pool.shutdown(cancel_futures=True)
    settled = settle([problems for _, problems in found], labels, is_polygons)
    return _columns(
        [
            (_set_aside(checked) if any(p.fatal for p in problems) else checked, problems)
            for (checked, _), problems in zip(found, settled, strict=True)
        ],
        settings.keypoints,
    )


def _set_aside(checked: Checked) -> Checked:
    """Return no shape and no labels."""
    _, cls, boxes, points = checked
    return None, cls[:0], boxes[:0], None if points is None else points[:0]


def _columns(found: Sequence[tuple[Checked, list[Problem]]], kpt: int | None) -> Columns:
    """Join the outcomes of all images to flat arrays."""
    shapes, cls, bboxes, keypoints = zip(*(f for f, _ in found), strict=True)
    points = None if kpt is None else np.concatenate([np.zeros((0, kpt, 3), np.float32), *keypoints])
    return Columns(
        usable=np.array([s is not None for s in shapes], np.bool_),
        shape=np.array([s or (0, 0) for s in shapes], np.int64).reshape(-1, 2),
        count=np.array([len(c) for c in cls], np.int64),
        cls=np.concatenate([np.zeros(0, np.int64), *cls]),
        bboxes=np.concatenate([np.zeros((0, 4), np.float32), *bboxes]),
        keypoints=points,
        problems=[problem for _, problems in found for problem in problems],
    )


def _usual(labels: Sequence[str], settings: _Settings) -> Sequence[Arrays | None]:
    """Read the label files in which there is nothing to find wrong; None for the others."""
    if settings.outside == "error" or (settings.kpt_shape and not settings.pose):
        return [None] * len(labels)
    return usual_labels(labels, settings.nc, settings.kpt_shape, settings.single_cls)


def _check(image: str, label: str, usual: Arrays | None, settings: _Settings) -> tuple[Checked, list[Problem]]:
    """Return shape, labels and problems of one image; it is set aside later, if a problem is fatal."""
    shape, problem = check_image(image)
    if usual is not None:
        return (shape, *usual), [] if problem is None else [problem]
    cls, boxes, points, problems = parse_label_file(
        label, settings.nc, settings.kpt_shape, settings.single_cls,
        boxes_only=not settings.pose, outside=settings.outside,
    )  # fmt: skip
    if problem is not None:
        problems = [problem, *problems]
    return (shape, cls, boxes, points), problems
