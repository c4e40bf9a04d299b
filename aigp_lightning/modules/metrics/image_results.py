"""Results of one validation, image by image: what was found, what is labelled, and how both go together; as a file."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.errors import DataError, first_line
from aigp_lightning.files import read_regular, write_atomic
from aigp_lightning.modules.metrics.about_results import about_problem

RESULTS_FILE = "image_results.npz"
"""In a run folder: results of the best epoch on the validation split."""
VERSION = 1
THRESHOLDS = 10
"""Overlaps 0.50, 0.55, … 0.95 at which a detection is right or not."""
FILES, ABOUT = "files", "about"
KINDS = {"B": "correct", "P": "correct_pose", "M": "correct_mask"}
"""Arrays of right detections by the letter in the names of metrics, as in `metrics/mAP50-95(M)`."""
KIND_NAMES = {"B": "boxes", "P": "keypoints", "M": "masks"}
SECOND = {"pose": "P", "segment": "M"}
"""Key of `KINDS` by which a task is judged beside its boxes."""


@dataclass(frozen=True)
class ImageResults:
    """Detections and labels of n images: d detections, best first within an image, and t labelled objects.

    All coordinates are pixels of the original pictures. Keypoints have K = 0 where the task has none.

    Attributes:
        files: (n,) path of each image, as the data set found it.
        shapes: int32 (n, 2) height and width.
        found_image: int32 (d,) which image a detection is in, rising.
        found_label: int32 (d,) class id.
        found_score: float32 (d,) confidence.
        found_box: float32 (d, 4) xyxy.
        found_points: float32 (d, K, 3) x, y, confidence.
        correct: bool (d, 10) right by box overlap at 0.50 … 0.95, as mAP counts it.
        correct_pose: bool (d, 10) the same by keypoints; (d, 0) where there are none.
        correct_mask: bool (d, 10) the same by masks; (d, 0) where there are none, or they were not kept.
        match: int32 (d,) the labelled object of the same class that a detection covers by at least half, the surest
            detection first, so that leaving out weak detections changes no other pair; -1 for a false alarm.
        true_image: int32 (t,) which image a labelled object is in, rising.
        true_label: int32 (t,) class id.
        true_box: float32 (t, 4) xyxy.
        true_points: float32 (t, K, 3) x, y, visibility.
        corner_rows: float32 (t, width) see `modules/metrics/corners.py`; (t, 0) for detectors.
        about: plain values: `task`, `family`, `names` (id as text to name), `keypoints` (names, or None), `bands`
            (limits between bands of distance, metres, or None), `object_points` (K × 3, metres, or None), `settings`
            (of the evaluation: `imgsz`, `conf`, `iou`, `max_det`, `resize`, …), `data` (`data_yaml`, `split`,
            `sha256`, `images`, `labels`), `model` (`file`, `sha256`), `metrics` (by Ultralytics' names) and `table` (a
            row for all classes, and one for each).

    Example:
        >>> results = empty_results(["a.jpg"], {"task": "detect"})
        >>> len(results.files), results.found_box.shape, results.about["task"]
        (1, (0, 4), 'detect')
    """

    files: tuple[str, ...]
    shapes: NDArray[np.int32]
    found_image: NDArray[np.int32]
    found_label: NDArray[np.int32]
    found_score: NDArray[np.float32]
    found_box: NDArray[np.float32]
    found_points: NDArray[np.float32]
    correct: NDArray[np.bool_]
    correct_pose: NDArray[np.bool_]
    correct_mask: NDArray[np.bool_]
    match: NDArray[np.int32]
    true_image: NDArray[np.int32]
    true_label: NDArray[np.int32]
    true_box: NDArray[np.float32]
    true_points: NDArray[np.float32]
    corner_rows: NDArray[np.float32]
    about: dict[str, Any]

    @property
    def names(self) -> dict[int, str]:
        """Class names by id."""
        return {int(key): str(name) for key, name in self.about.get("names", {}).items()}

    @property
    def judged(self) -> dict[str, NDArray[np.bool_]]:
        """Which detections are right, (d, 10), by a key of `KINDS` for each kind that was measured."""
        arrays = {kind: getattr(self, name) for kind, name in KINDS.items()}
        return {kind: array for kind, array in arrays.items() if array.shape[1]}

    @property
    def not_kept(self) -> str:
        """`masks` or `keypoints`, where the task is judged by them and they were not kept; else empty."""
        kind = SECOND.get(str(self.about.get("task")))
        return "" if kind is None or kind in self.judged else KIND_NAMES[kind]

    def save(self, path: Path) -> None:
        """Write all of it atomically.

        Args:
            path: of the file, `.npz`.

        Raises:
            OSError: it cannot be written.
        """
        buffer = io.BytesIO()
        texts = {FILES: _bytes_of(list(self.files)), ABOUT: _bytes_of({"version": VERSION, **self.about})}
        np.savez_compressed(buffer, **texts, **{name: getattr(self, name) for name in SHAPES})  # type: ignore[arg-type]
        write_atomic(path, buffer.getvalue())


SHAPES: dict[str, tuple[type[Any], str, tuple[int | None, ...]]] = {
    "shapes": (np.int32, "n", (2,)),
    "found_image": (np.int32, "d", ()),
    "found_label": (np.int32, "d", ()),
    "found_score": (np.float32, "d", ()),
    "found_box": (np.float32, "d", (4,)),
    "found_points": (np.float32, "d", (None, 3)),
    "correct": (np.bool_, "d", (THRESHOLDS,)),
    "correct_pose": (np.bool_, "d", (None,)),
    "correct_mask": (np.bool_, "d", (None,)),
    "match": (np.int32, "d", ()),
    "true_image": (np.int32, "t", ()),
    "true_label": (np.int32, "t", ()),
    "true_box": (np.float32, "t", (4,)),
    "true_points": (np.float32, "t", (None, 3)),
    "corner_rows": (np.float32, "t", (None,)),
}
"""Type, first axis and further axes of each array; None is any length."""
POINTERS = (("found_image", "n", 0), ("true_image", "n", 0), ("match", "t", -1))
"""Arrays that number rows of others: which axis, and the least number."""
RISING = ("found_image", "true_image")
NOT_NEGATIVE = ("shapes", "found_label", "true_label")
FINITE = ("found_score", "found_box", "found_points", "true_box", "true_points")
"""Arrays without NaN and infinity; `corner_rows` has NaN where nothing was solved."""


def read_results(path: Path) -> ImageResults:
    """Read a file of `ImageResults.save`; nothing in it is run.

    Args:
        path: of the file.

    Raises:
        DataError: it is missing, or none of these files.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / RESULTS_FILE
        ...     empty_results(["a.jpg"], {"task": "detect"}).save(path)
        ...     read_results(path).files
        ('a.jpg',)
    """
    try:
        with np.load(io.BytesIO(read_regular(path)), allow_pickle=False) as content:
            members = {name: content[name] for name in content.files}
        arrays = {name: array for name, array in members.items() if isinstance(array, np.ndarray)}
        files, about = (json.loads(arrays.pop(key).tobytes()) for key in (FILES, ABOUT))
    except Exception as error:  # of a damaged file, zipfile, zlib and NumPy raise nearly every kind there is
        raise DataError(f"{path}: the results of a validation cannot be read ({first_line(error)}).") from error
    if "correct_mask" not in arrays and "correct" in arrays:  # a file from before masks were kept
        arrays["correct_mask"] = np.zeros((len(np.atleast_1d(arrays["correct"])), 0), np.bool_)
    problem = _problem(arrays, files, about)
    if problem:
        raise DataError(f"{path} does not hold the results of a validation: {problem}.")
    return ImageResults(tuple(files), about=about, **{name: arrays[name] for name in SHAPES})


def empty_results(files: list[str], about: dict[str, Any]) -> ImageResults:
    """Return results without detections and labels.

    Args:
        files: the images.
        about: see `ImageResults`.

    Example:
        >>> empty_results([], {}).correct.shape
        (0, 10)
    """
    arrays = {
        name: np.zeros((len(files) if axis == "n" else 0, *(0 if size is None else size for size in rest)), kind)
        for name, (kind, axis, rest) in SHAPES.items()
    }
    return ImageResults(tuple(files), about=about, **arrays)


def _problem(arrays: dict[str, NDArray[Any]], files: Any, about: Any) -> str:
    """Say what is wrong with the contents of a file; empty where nothing is."""
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        return "it names no images"
    if not isinstance(about, dict) or about.get("version") != VERSION:
        return f"it is not of version {VERSION}"
    lengths = {"n": len(files)}
    for name in SHAPES:
        if problem := _problem_of_array(name, arrays.get(name), lengths):
            return problem
    return _problem_of_values(arrays, lengths) or about_problem(about, arrays)


def _problem_of_values(arrays: dict[str, NDArray[Any]], lengths: dict[str, int]) -> str:
    """Say which numbers cannot be; empty where all can."""
    astray = [name for name, axis, least in POINTERS if not _within(arrays[name], least, lengths[axis])]
    if astray:
        return f"{astray[0]} points nowhere"
    unsound = [
        *(f"{name} does not rise" for name in RISING if (np.diff(arrays[name]) < 0).any()),
        *(f"{name} has a negative number" for name in NOT_NEGATIVE if (arrays[name] < 0).any()),
        *(f"{name} has what is no number" for name in FINITE if not np.isfinite(arrays[name]).all()),
    ]
    pairs, scores = arrays["match"] >= 0, arrays["found_score"]
    if ((scores < 0) | (scores > 1)).any():
        unsound.append("found_score is not between 0 and 1")
    if (arrays["true_image"][arrays["match"][pairs]] != arrays["found_image"][pairs]).any():
        unsound.append("match goes with an object of another image")
    wrong = [name for name in KINDS.values() if arrays[name].shape[1] not in (0, THRESHOLDS)]
    unsound.extend(f"{name} has another shape" for name in wrong)
    if len({arrays[name].shape[1] for name in ("found_points", "true_points") if len(arrays[name])}) > 1:
        unsound.append("found_points and true_points are of different keypoints")
    return unsound[0] if unsound else ""


def _problem_of_array(name: str, array: NDArray[Any] | None, lengths: dict[str, int]) -> str:
    kind, axis, rest = SHAPES[name]
    if array is None or array.dtype != kind or array.ndim != len(rest) + 1:
        return f"{name} is missing or of another form"
    if any(size not in (None, length) for size, length in zip(rest, array.shape[1:], strict=True)):
        return f"{name} has another shape"
    return f"{name} has another length" if lengths.setdefault(axis, len(array)) != len(array) else ""


def _within(places: NDArray[Any], least: int, count: int) -> bool:
    """True if all places are from the least one to the last of so many."""
    return not len(places) or bool(least <= places.min() and places.max() < count)


def _bytes_of(value: Any) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode("utf-8"), np.uint8)


assert set(SHAPES) == {field.name for field in fields(ImageResults)} - {FILES, ABOUT}
