"""The outcome of a scan as columns, and the file that keeps them until the data set changes.

One flat array for each quantity instead of one for each image: 100,000 images load in a second. The file is a NumPy
archive read without pickle, since a data set may come from anywhere and unpickling runs code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data import file_stamps
from aigp_lightning.data.array_cache import save_arrays
from aigp_lightning.data.label_bounds import TOLERANCE
from aigp_lightning.data.polygons import Polygons
from aigp_lightning.data.problems import Problem

VERSION = 4  # raise it whenever the rules for images or labels change


@dataclass
class Columns:
    """A scanned split: `n` images, `m` boxes.

    Attributes:
        usable: bool (n,), False for an image that was set aside.
        shape: int64 (n, 2) height and width, pixels, after EXIF rotation.
        count: int64 (n,) boxes in each image.
        cls: int64 (m,).
        bboxes: float32 (m, 4) cxcywh, fractions of the image.
        keypoints: float32 (m, K, 3), or None.
        polygons: outlines of the m objects; None where nobody asked for them.
        problems: everything found wrong.

    Example:
        >>> columns = Columns(
        ...     usable=np.ones(1, bool),
        ...     shape=np.array([[48, 64]]),
        ...     count=np.ones(1, np.int64),
        ...     cls=np.zeros(1, np.int64),
        ...     bboxes=np.full((1, 4), 0.5, np.float32),
        ...     keypoints=None,
        ...     problems=[],
        ... )
        >>> columns.shape.tolist(), int(columns.count.sum())
        ([[48, 64]], 1)
    """

    usable: NDArray[np.bool_]
    shape: NDArray[np.int64]
    count: NDArray[np.int64]
    cls: NDArray[np.int64]
    bboxes: NDArray[np.float32]
    keypoints: NDArray[np.float32] | None
    problems: list[Problem]
    polygons: Polygons | None = None


def load(
    file: Path, digest: str, n: int, nc: int, kpt: int | None, files: Sequence[str] = (), *, outlines: bool = False
) -> tuple[Columns, dict[int, str]] | None:
    """Read a cache, if it is there, undamaged, and about these very files.

    Args:
        file: cache file.
        digest: fingerprint it must carry.
        n: number of images it must describe.
        nc: number of classes.
        kpt: number of keypoints, or None where there must be none.
        files: the files that were fingerprinted. Those that were fresh at the scan must have the content of then.
        outlines: the objects' outlines must be there.

    Returns:
        The columns, and the contents of the fresh files, see `file_stamps`; None if the split has to be scanned.

    Example:
        >>> load(Path("train.aigp-cache.npz"), "0f", n=1, nc=1, kpt=None) is None  # there is no such file
        True
    """
    try:
        with np.load(file, allow_pickle=False) as data:
            if bytes(data["digest"]).decode("ascii") != digest:
                return None
            names = ["usable", "shape", "count", "cls", "bboxes", *(["keypoints"] if kpt is not None else [])]
            arrays = {name: data[name] for name in names}
            polygons = Polygons(data["corners"], data["corner_counts"]) if outlines else None
            listed = json.loads(bytes(data["problems"]).decode("utf-8", "surrogatepass"))
            contents = {int(i): str(content) for i, content in json.loads(bytes(data["contents"])).items()}
        problems = [Problem(*_checked(row)) for row in listed]
        columns = Columns(**{"keypoints": None, **arrays}, problems=problems, polygons=polygons)
        same = contents == file_stamps.contents(files, [i for i in contents if 0 <= i < len(files)])
        return (columns, contents) if same and _is_consistent(columns, n, nc, kpt) else None
    except Exception:  # a missing or damaged file fails in many ways, and all of them mean: scan again
        return None


def _checked(row: Any) -> tuple[str, int | None, str, str, bool, str]:
    """Return the parts of a stored problem, if they have the right types.

    Raises:
        TypeError: they have not.
    """
    file, line, kind, text, fatal, outcome = row
    if not (all(isinstance(v, str) for v in (file, kind, text, outcome)) and isinstance(line, int | None)):
        raise TypeError("damaged problem list")
    return file, line, kind, text, bool(fatal), outcome


def _is_consistent(columns: Columns, n: int, nc: int, kpt: int | None) -> bool:
    """True if the columns fit each other and hold possible values."""
    c, m = columns, len(columns.cls)
    wanted: list[tuple[NDArray[Any], tuple[int, ...], type]] = [
        (c.usable, (n,), np.bool_),
        (c.shape, (n, 2), np.int64),
        (c.count, (n,), np.int64),
        (c.cls, (m,), np.int64),
        (c.bboxes, (m, 4), np.float32),
    ]
    if c.keypoints is not None:
        wanted.append((c.keypoints, (m, kpt or 0, 3), np.float32))
    if c.polygons is not None:
        corners = int(c.polygons.counts.sum())
        wanted += [(c.polygons.points, (corners, 2), np.float32), (c.polygons.counts, (m,), np.int64)]
    if any(array.shape != shape or array.dtype != dtype for array, shape, dtype in wanted):
        return False
    if (c.count < 0).any() or c.count.sum() != m or c.count[~c.usable].any() or (c.shape[c.usable] < 1).any():
        return False
    if c.polygons is not None and not ((c.polygons.counts >= 0).all() and np.isfinite(c.polygons.points).all()):
        return False
    boxes = (np.abs(c.bboxes) <= 1 + TOLERANCE + 1e-6).all()  # False for NaN
    points = c.keypoints is None or (np.abs(c.keypoints) <= 2).all()  # noqa: PLR2004  visibility
    return bool(boxes and points and (c.cls >= 0).all() and (c.cls < nc).all())


def save(file: Path, digest: str, columns: Columns, contents: Mapping[int, str] = MappingProxyType({})) -> bool:
    """Write a cache so that a reader sees the old or the new one, never a part.

    Args:
        file: the cache file; its folder must exist, since a data set gets no folder that it did not have.
        digest: fingerprint of the files and settings that were scanned.
        columns: outcome of the scan.
        contents: of the files that were fresh, from before the scan.

    Returns:
        True if it could be written.

    Example:
        >>> import tempfile
        >>> columns = Columns(
        ...     usable=np.ones(1, bool),
        ...     shape=np.array([[48, 64]]),
        ...     count=np.ones(1, np.int64),
        ...     cls=np.zeros(1, np.int64),
        ...     bboxes=np.full((1, 4), 0.5, np.float32),
        ...     keypoints=None,
        ...     problems=[],
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "train.aigp-cache.npz")
        ...     save(file, "0f", columns), load(file, "0f", n=1, nc=1, kpt=None)[0].bboxes.tolist()
        (True, [[0.5, 0.5, 0.5, 0.5]])
    """
    rows = [[p.file, p.line, p.kind, p.text, p.fatal, p.outcome] for p in columns.problems]
    arrays = {
        "digest": np.frombuffer(digest.encode("ascii"), np.uint8),
        "problems": np.frombuffer(json.dumps(rows, ensure_ascii=False).encode("utf-8", "surrogatepass"), np.uint8),
        "contents": np.frombuffer(json.dumps(dict(contents)).encode("ascii"), np.uint8),
        **{name: getattr(columns, name) for name in ("usable", "shape", "count", "cls", "bboxes")},
        **({} if columns.keypoints is None else {"keypoints": columns.keypoints}),
        **({} if (p := columns.polygons) is None else {"corners": p.points, "corner_counts": p.counts}),
    }
    return save_arrays([file], arrays)
