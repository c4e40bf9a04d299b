"""Checks every image and label file of a split, in parallel, and caches the outcome."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.data import file_stamps, scan_cache
from aigp_lightning.data.folders import Folders
from aigp_lightning.data.fraction import ALL, Part, count_of
from aigp_lightning.data.images import label_path
from aigp_lightning.data.label_bounds import Outside
from aigp_lightning.data.label_values import Arrays
from aigp_lightning.data.labels import is_polygons, parse_label_file, parse_outlines
from aigp_lightning.data.likely_keypoints import settle
from aigp_lightning.data.listing import find_images
from aigp_lightning.data.other_endings import other_endings
from aigp_lightning.data.outlines import Outlines, settle_outlines
from aigp_lightning.data.polygons import no_polygons
from aigp_lightning.data.problems import Problem
from aigp_lightning.data.records import ScanResult
from aigp_lightning.data.repeats import repeated
from aigp_lightning.data.scan_cache import Columns
from aigp_lightning.data.scan_columns import Checked, records_of, to_columns, without_labels
from aigp_lightning.data.unused_labels import unused_labels
from aigp_lightning.data.usual_labels import usual_labels
from aigp_lightning.data.verify import check_image
from aigp_lightning.errors import DataError
from aigp_lightning.terminal.progress import Bar, progress_bar

if TYPE_CHECKING:
    from aigp_lightning.data.data_yaml import DataSpec

CHUNK = 64
"""Images that a thread checks in one go."""


@dataclass(frozen=True)
class _Settings:
    """Options on which the outcome of a scan depends, besides the files."""

    nc: int
    kpt_shape: tuple[int, int] | None
    pose: bool
    single_cls: bool
    outside: Outside
    outlines: bool = False

    @property
    def identity(self) -> tuple[Any, ...]:
        """Values by which outcomes are told apart; without outlines those of before there was a choice."""
        values = astuple(self)
        return values if self.outlines else values[:-1]

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
    outlines: Outlines = None,
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
        outlines: objects' polygons are kept: `all` refuses a split in which an object has none; `any` leaves the
            polygons out then, and says so. None: only their boxes are read.
        part: share or number of the split's images that is returned; all are checked, and kept in the cache.
        cache_dir: folder for the outcome if the folder of the labels cannot be written to.
        workers: threads.
        progress: show a progress bar.

    Returns:
        Usable images and all problems; the same whether scanned or recalled.

    Raises:
        DataError: there are no images, none is usable, or one is not and `strict` is set; or an object has no outline.

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
    settings = _Settings(spec.nc, spec.kpt_shape, pose, single_cls, outside, outlines is not None)
    name = f"{split}{'-pose' * pose}{'-outlines' * settings.outlines}{'-single' * single_cls}.aigp-cache.npz"
    places = [Path(labels[0]).parent / name, *([Path(cache_dir) / name] if cache_dir else [])]
    bar = progress_bar(f"checking {split}", len(unique), progress)
    columns, cache_file, from_cache = _recall_or_scan(settings, unique, labels, places, workers, bar)
    unused = [*unused_labels(unique, labels, folders, str(spec.root)), *other_endings(folders.passed)]
    repeats = repeated(images, dict(zip(unique, labels, strict=True)))
    problems = [*listed, *repeats, *unused, *columns.problems]
    chosen = images[: count_of(part, len(images))]
    result = ScanResult(split, [], problems, len(chosen), from_cache, cache_file, outside)
    result.listed = len(images) if len(chosen) < len(images) else 0
    columns = columns if outlines is None else settle_outlines(columns, outlines, unique, str(spec.file), split)
    result.records = records_of(chosen, unique, columns)
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
    digest, fresh = file_stamps.fingerprint((scan_cache.VERSION, *settings.identity), files, workers)
    for place in places:
        found = scan_cache.load(
            place, digest, len(images), settings.nc, settings.keypoints, files, outlines=settings.outlines
        )
        if found is not None:
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
    return to_columns(
        [
            (without_labels(checked) if any(p.fatal for p in problems) else checked, problems)
            for (checked, _), problems in zip(found, settled, strict=True)
        ],
        settings.keypoints,
        outlines=settings.outlines,
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
        return (shape, *usual, no_polygons(len(usual[0]))), [] if problem is None else [problem]
    if settings.outlines and not settings.pose:
        found, polygons = parse_outlines(
            label, settings.nc, settings.kpt_shape, settings.single_cls, outside=settings.outside
        )
    else:
        found = parse_label_file(
            label, settings.nc, settings.kpt_shape, settings.single_cls,
            boxes_only=not settings.pose, outside=settings.outside,
        )  # fmt: skip
        polygons = no_polygons(len(found[0]))
    cls, boxes, points, problems = found
    if problem is not None:
        problems = [problem, *problems]
    return (shape, cls, boxes, points, polygons), problems
