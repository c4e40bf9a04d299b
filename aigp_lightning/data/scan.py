"""Checks every image and label file of a split, in parallel, and remembers the outcome."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data import scan_cache
from aigp_lightning.data.images import find_images, label_path
from aigp_lightning.data.labels import Problem, parse_label_file, printable
from aigp_lightning.data.scan_cache import Columns
from aigp_lightning.data.verify import check_image
from aigp_lightning.errors import DataError

if TYPE_CHECKING:
    from aigp_lightning.data.data_yaml import DataSpec

CHUNK = 64
SHOWN = 5

Found = tuple["tuple[int, int] | None", "NDArray[np.int64]", "NDArray[np.float32]", "NDArray[np.float32] | None"]


@dataclass(frozen=True)
class _Settings:
    """What besides the files decides the outcome."""

    nc: int
    kpt_shape: tuple[int, int] | None
    pose: bool
    single_cls: bool

    @property
    def keypoints(self) -> int | None:
        """How many keypoints a record has, or None."""
        return self.kpt_shape[0] if self.pose and self.kpt_shape else None


@dataclass(frozen=True)
class ImageRecord:
    """One usable image and its labels.

    Attributes:
        im_file: path, links unresolved.
        shape: height and width, pixels, after EXIF rotation.
        cls: int64 (n,).
        bboxes: float32 (n, 4) cxcywh, fractions of the image.
        keypoints: float32 (n, K, 3) x, y as fractions of the image and visibility 0, 1 or 2; None without keypoints.
    """

    im_file: str
    shape: tuple[int, int]
    cls: NDArray[np.int64]
    bboxes: NDArray[np.float32]
    keypoints: NDArray[np.float32] | None


@dataclass
class ScanResult:
    """What a scan found.

    Attributes:
        split: which split was scanned.
        records: the usable images, in order.
        problems: everything wrong, also what was mended.
        images: number of images listed.
        from_cache: nothing had changed since an earlier scan.
        cache_file: where the outcome is kept, or None if it could not be written.
    """

    split: str
    records: list[ImageRecord]
    problems: list[Problem]
    images: int
    from_cache: bool = False
    cache_file: Path | None = field(default=None, compare=False)

    @property
    def backgrounds(self) -> int:
        """Usable images without a box."""
        return sum(len(r.cls) == 0 for r in self.records)

    @property
    def set_aside(self) -> int:
        """Images that cannot be used."""
        return self.images - len(self.records)

    @property
    def instances(self) -> int:
        """Boxes in usable images."""
        return sum(len(r.cls) for r in self.records)

    @property
    def counts(self) -> dict[str, int]:
        """The four totals by name."""
        return {
            "images": self.images,
            "backgrounds": self.backgrounds,
            "set_aside": self.set_aside,
            "instances": self.instances,
        }

    def summary(self) -> str:
        """Totals, then for every kind of problem how many, and the first few with file and line."""
        lines = [
            f"{self.split}: {self.images} images, {self.backgrounds} backgrounds, {self.set_aside} set aside, "
            f"{self.instances} instances"
        ]
        if self.records and not self.instances and not self.set_aside:
            lines.append(f"  no image has a label; the first was looked for at {label_path(self.records[0].im_file)}")
        lines += problem_lines(self.problems, lambda problem: "set aside" if problem.fatal else "mended")
        return "\n".join([lines[0], *(printable(line) for line in lines[1:])])

    def write_problems(self, path: str | Path, more: Sequence[Problem] = ()) -> None:
        """Write all problems, one on each line.

        Args:
            path: text file to write; its folder is made.
            more: what others found in the same split.
        """
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{p}\n" for p in (*self.problems, *more))
        Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")


def problem_lines(problems: Sequence[Problem], outcome: Callable[[Problem], str]) -> list[str]:
    """For every kind of problem how many there are, and the first few with file and line; fatal ones first.

    Args:
        problems: of any kind.
        outcome: what became of one, such as "mended".
    """
    kinds: dict[tuple[str, bool], list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.kind, problem.fatal].append(problem)
    lines = []
    for (kind, _), found in sorted(kinds.items(), key=lambda item: (not item[0][1], -len(item[1]))):
        files = len({p.file for p in found})
        lines.append(f"  {kind}: {len(found)} in {files} file{'s' * (files != 1)}, {outcome(found[0])}")
        lines += [f"    {p}" for p in found[:SHOWN]]
        if len(found) > SHOWN:
            lines.append(f"    … and {len(found) - SHOWN} more")
    return lines


def scan_split(
    spec: DataSpec,
    split: str,
    *,
    pose: bool = False,
    single_cls: bool = False,
    strict: bool = False,
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
        strict: an image that has to be set aside is an error.
        cache_dir: where to keep the outcome if the folder of the labels cannot be written to.
        workers: threads.
        progress: show a progress bar.

    Returns:
        Usable images and all problems; the same whether scanned or recalled.

    Raises:
        DataError: there are no images, none is usable, or one is not and `strict` is set.
    """
    if pose and spec.kpt_shape is None:
        raise DataError(f"{spec.file}: keypoints are wanted, but 'kpt_shape' is missing; add it, as [4, 3]")
    images, listed = find_images(spec, split)
    unique = list(dict.fromkeys(images))
    labels = [label_path(image) for image in unique]
    settings = _Settings(spec.nc, spec.kpt_shape, pose, single_cls)
    digest = scan_cache.fingerprint(astuple(settings), unique, labels, workers)
    name = f"{split}{'-pose' * pose}{'-single' * single_cls}.aigp-cache.npz"
    files = [Path(labels[0]).parent / name, *([Path(cache_dir) / name] if cache_dir else [])]
    recalled = ((file, scan_cache.load(file, digest, len(unique), spec.nc, settings.keypoints)) for file in files)
    cache_file, columns = next(((f, c) for f, c in recalled if c is not None), (None, None))
    from_cache = columns is not None
    if columns is None:
        columns = _scan(settings, unique, labels, workers, _bar(split, len(unique), progress))
        cache_file = _keep(files, digest, columns)
    result = ScanResult(split, [], [*listed, *columns.problems], len(images), from_cache, cache_file)
    result.records = _records(images, unique, columns)
    if not result.records:
        raise DataError(f"{spec.file}: no usable image in '{split}'; mend or remove these files\n{result.summary()}")
    if strict and result.set_aside:
        raise DataError(f"{spec.file}: strict is set and '{split}' has bad files; mend them\n{result.summary()}")
    return result


def _keep(files: Sequence[Path], digest: str, columns: Columns) -> Path | None:
    """Write the cache to the first place that takes it."""
    for file in files[1:]:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
    return next((file for file in files if scan_cache.save(file, digest, columns)), None)


def _records(images: Sequence[str], unique: Sequence[str], columns: Columns) -> list[ImageRecord]:
    """One record for each usable image; the arrays are views of the columns."""
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


def _scan(settings: _Settings, images: Sequence[str], labels: Sequence[str], workers: int, bar: Any) -> Columns:
    """Check all files in threads; reading and decoding leave the interpreter free."""

    def check(start: int) -> list[tuple[Found, list[Problem]]]:
        part = slice(start, start + CHUNK)
        return [_check(image, label, settings) for image, label in zip(images[part], labels[part], strict=True)]

    found: list[tuple[Found, list[Problem]]] = []
    with warnings.catch_warnings(), bar as shown:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files; what matters becomes a problem
        pool = ThreadPoolExecutor(max(1, workers))
        try:
            for part in pool.map(check, range(0, len(images), CHUNK)):
                found += part
                if shown is not None:
                    shown.update(shown.task_ids[0], advance=len(part))
        finally:
            pool.shutdown(cancel_futures=True)
    return _columns(found, settings.keypoints)


def _columns(found: Sequence[tuple[Found, list[Problem]]], kpt: int | None) -> Columns:
    """The outcomes of all images as flat arrays."""
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


def _check(image: str, label: str, settings: _Settings) -> tuple[Found, list[Problem]]:
    """Shape and labels of one image; the shape is None and the labels are empty if it is set aside."""
    shape, problem = check_image(image)
    cls, boxes, points, problems = parse_label_file(
        label, settings.nc, settings.kpt_shape, settings.single_cls, boxes_only=not settings.pose
    )
    if problem is not None:
        problems = [problem, *problems]
    if any(p.fatal for p in problems):
        return (None, cls[:0], boxes[:0], None if points is None else points[:0]), problems
    return (shape, cls, boxes, points), problems


def _bar(split: str, total: int, progress: bool) -> Any:
    """A progress bar with one task, or a context that yields None."""
    if not progress:
        return nullcontext()
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True
    )
    bar.add_task(f"checking {split}", total=total)
    return bar
