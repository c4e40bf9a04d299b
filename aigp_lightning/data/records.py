"""The usable images of a split with their labels, and the outcome of the scan that found them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.images import label_path
from aigp_lightning.data.label_bounds import Outside
from aigp_lightning.data.polygons import Polygons
from aigp_lightning.data.problems import Problem, problem_lines
from aigp_lightning.errors import printable
from aigp_lightning.files import write_atomic


@dataclass(frozen=True)
class ImageRecord:
    """One usable image and its labels.

    Attributes:
        im_file: path, links unresolved.
        shape: height and width, pixels, after EXIF rotation.
        cls: int64 (n,).
        bboxes: float32 (n, 4) cxcywh, fractions of the image.
        keypoints: float32 (n, K, 3) x, y as fractions of the image and visibility 0, 1 or 2; None without keypoints.
        polygons: outlines of all objects, fractions of the image; None where nobody asked for them.

    Example:
        >>> record = ImageRecord("000.jpg", (100, 200), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), None)
        >>> record.shape, record.bboxes.tolist()
        ((100, 200), [[0.5, 0.5, 0.5, 0.5]])
    """

    im_file: str
    shape: tuple[int, int]
    cls: NDArray[np.int64]
    bboxes: NDArray[np.float32]
    keypoints: NDArray[np.float32] | None
    polygons: Polygons | None = None


@dataclass
class ScanResult:
    """The outcome of a scan.

    Attributes:
        split: the name of the split.
        records: the usable images, in order.
        problems: everything wrong, also what was mended.
        images: number of images listed; of a part of the split, its images.
        from_cache: nothing had changed since an earlier scan.
        cache_file: file in which the outcome is kept, or None if it could not be written.
        outside: what became of objects that reach out of the picture.
        listed: number of images of the whole split, where `images` are a part of it; else 0.

    Example:
        >>> record = ImageRecord("000.jpg", (100, 200), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), None)
        >>> result = ScanResult("val", [record], [], images=1)
        >>> result.summary(), result.instances
        ('val: 1 images, 0 backgrounds, 0 set aside, 1 instances', 1)
    """

    split: str
    records: list[ImageRecord]
    problems: list[Problem]
    images: int
    from_cache: bool = False
    cache_file: Path | None = field(default=None, compare=False)
    outside: Outside = "clip"
    listed: int = field(default=0, compare=False)

    @property
    def backgrounds(self) -> int:
        """Number of usable images without a box."""
        return sum(len(r.cls) == 0 for r in self.records)

    @property
    def set_aside(self) -> int:
        """Number of images that cannot be used."""
        return self.images - len(self.records)

    @property
    def instances(self) -> int:
        """Number of boxes in usable images."""
        return sum(len(r.cls) for r in self.records)

    @property
    def unlabelled(self) -> bool:
        """True if all images can be used, and not one of them has a label."""
        return bool(self.records) and not self.instances and not self.set_aside

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
        """Tell the totals, then for every kind of problem how many there are, and the first few with file and line."""
        lines = [
            f"{self.split}: {self.images} images, {self.backgrounds} backgrounds, {self.set_aside} set aside, "
            f"{self.instances} instances"
        ]
        if self.unlabelled:
            lines.append(f"  no image has a label; the first was looked for at {label_path(self.records[0].im_file)}")
        lines += problem_lines(self.problems, lambda problem: problem.became)
        return "\n".join([lines[0], *(printable(line) for line in lines[1:])])

    def label_table(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return all labels: classes int64 (N,), and boxes float32 (N, 4) cxcywh as fractions of their image."""
        cls = np.concatenate([np.zeros(0, np.int64), *(record.cls for record in self.records)])
        return cls, np.concatenate([np.zeros((0, 4), np.float32), *(record.bboxes for record in self.records)])

    def write_problems(self, path: str | Path, more: Sequence[Problem] = ()) -> None:
        """Write all problems, one on each line.

        Args:
            path: text file to write; its folder is made.
            more: further problems in the same split.

        Raises:
            OSError: the file cannot be written.
        """
        text = "".join(f"{p}\n" for p in (*self.problems, *more))
        write_atomic(Path(path), text.encode("utf-8", errors="backslashreplace"))
