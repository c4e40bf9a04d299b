"""The flights that `--sequence` names: their frames in order, and what is known to be in them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aigp_lightning.data.data_yaml import DataSpec, read_data_yaml
from aigp_lightning.data.images import is_image, label_path
from aigp_lightning.data.sources import SourceFile, open_sources
from aigp_lightning.data.video import VIDEO_SUFFIXES
from aigp_lightning.errors import DataError, printable
from aigp_lightning.evaluation.sequence.recording import Bools, Floats, Ints
from aigp_lightning.evaluation.sequence.truth import Labels, Truth, read_truth
from aigp_lightning.paths import expand_home

if TYPE_CHECKING:
    from aigp_lightning.data.records import ImageRecord
    from aigp_lightning.types import Keypoints

USUAL_FPS = 30.0
SPLITS = ("train", "val", "test")
NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Flight:
    """Frames in order.

    Attributes:
        name: of the flight.
        files: pictures, one a frame; or one video.
        position: (F,) place of each frame; of two that follow each other it differs by one.
        time: (F,) seconds.
        turning: (F,) how fast the camera turns, rad/s; NaN where nobody said.
        labels: the objects in the frames; None where nothing is labelled.
        spec: the data set that the labels are of; None without.
        timed: where the times are from: `truth`, `video`, `--fps`, or `assumed`.
    """

    name: str
    files: tuple[SourceFile, ...]
    position: Ints
    time: Floats
    turning: Floats
    labels: Labels | None
    spec: DataSpec | None
    timed: str

    @property
    def hz(self) -> float:
        """Frames a second."""
        steps = np.diff(self.time) / np.diff(self.position) if len(self.time) > 1 else np.zeros(0)
        return float(1 / np.median(steps)) if len(steps) else USUAL_FPS


def find_flights(
    source: str, split: str, fps: float | None, names: Mapping[int, str], keypoints: Keypoints | None
) -> list[Flight]:
    """Find the flights of a data set, a folder or a video.

    Args:
        source: see `SequenceOptions.sequence`.
        split: of a data set; `all` for all of its splits.
        fps: frames a second where no time is known; None for the video's, else 30.
        names: the model's classes, for labels beside pictures without a data set.
        keypoints: that the model finds; None without.

    Raises:
        DataError: nothing is there, or it cannot be read.
    """
    path = Path(os.path.abspath(expand_home(source)))
    yaml = path if path.suffix in (".yaml", ".yml") else path / "data.yaml"
    if yaml.is_file():
        return _of_data_set(read_data_yaml(yaml), split, fps, keypoints is not None)
    if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        return [_of_video(path, fps)]
    if not path.is_dir():
        raise DataError(f"--sequence {printable(source)}: no data set, folder of pictures or video is there.")
    folders = [path] if _pictures(path) else sorted(each for each in path.rglob("*") if each.is_dir())
    folders = [folder for folder in folders if _pictures(folder)]
    if not folders:
        raise DataError(f"--sequence {printable(source)}: there is no picture in this folder, nor below it.")
    return [_of_folder(folder, fps, names, keypoints) for folder in folders]


def in_order(name: str) -> list[tuple[int, str]]:
    """Return what file names are sorted by: numbers count as numbers.

    Example:
        >>> sorted(["f10.jpg", "f9.jpg"], key=in_order)
        ['f9.jpg', 'f10.jpg']
    """
    return [(int(part), "") if part.isdigit() else (-1, part) for part in NUMBER.split(name)]


def positions(names: Sequence[str]) -> Ints:
    """Return the places of frames by the last number in their names; where one is missing there is a gap.

    Args:
        names: of the files, in order.

    Returns:
        (F,) rising by one, or by two where the number rises by another step than it mostly does.

    Example:
        >>> positions(["000010.jpg", "000020.jpg", "000030.jpg", "000070.jpg"]).tolist()
        [0, 1, 2, 4]
    """
    found = [NUMBER.findall(Path(name).stem) for name in names]
    if len(names) < 2 or not all(found):  # noqa: PLR2004
        return np.arange(len(names))
    steps = np.diff([float(each[-1]) for each in found])
    values, counts = np.unique(steps, return_counts=True)
    usual = values[counts.argmax()]
    return np.concatenate(([0], np.cumsum(np.where(steps == usual, 1, 2)))).astype(np.int64)


def _pictures(folder: Path) -> list[str]:
    return sorted((name for name in os.listdir(folder) if is_image(name) and name[0] != "."), key=in_order)


def _of_video(path: Path, fps: float | None) -> Flight:
    (file,) = open_sources(str(path), imgsz=32).files
    told = fps or (file.fps if 0 < file.fps < 1000 else None)  # noqa: PLR2004
    place = np.arange(file.images)
    timed = "--fps" if fps else "video" if told else "assumed"
    nothing = np.full(len(place), np.nan)
    return Flight(path.stem, (file,), place, place / (told or USUAL_FPS), nothing, None, None, timed)


def _of_folder(folder: Path, fps: float | None, names: Mapping[int, str], keypoints: Keypoints | None) -> Flight:
    """Return the pictures of a folder, with labels where there are any beside them."""
    files = [str(folder / name) for name in _pictures(folder)]
    truth = folder.parent.parent / "truth" / f"{folder.name}.jsonl" if folder.parent.name == "images" else None
    if truth is not None and truth.is_file():
        spec = DataSpec(folder / "data.yaml", folder.parent.parent, dict(names), {}, keypoints)
        return _with_truth(folder.name, open_sources(files, imgsz=32).files, truth, spec, fps)
    if any(os.path.isfile(label_path(file)) for file in files):
        spec = DataSpec(folder / "data.yaml", folder, dict(names), {"val": (str(folder),)}, keypoints)
        records = _scanned(spec, "val", keypoints is not None)
        return _labelled(folder.name, sorted(records, key=lambda each: in_order(each.im_file)), spec, fps)
    opened = open_sources(files, imgsz=32).files
    return _untold(folder.name, opened, fps, None, None)


def _of_data_set(spec: DataSpec, split: str, fps: float | None, pose: bool) -> list[Flight]:
    splits = [name for name in SPLITS if name in spec.splits] if split == "all" else [split]
    pose = pose and spec.keypoints is not None
    records = {each.im_file: each for name in splits for each in _scanned(spec, name, pose)}
    folders: dict[str, list[ImageRecord]] = {}
    for file, record in records.items():
        folders.setdefault(os.path.dirname(file), []).append(record)
    short = [Path(folder).name for folder in folders]
    flights = []
    for folder, mine in folders.items():
        name = Path(folder).name if short.count(Path(folder).name) == 1 else os.path.relpath(folder, spec.root)
        truth = spec.root / "truth" / f"{Path(folder).name}.jsonl"
        mine.sort(key=lambda each: in_order(each.im_file))
        if truth.is_file():
            files = [SourceFile(each.im_file, each.shape) for each in mine]
            flights.append(_with_truth(name, files, truth, spec, fps))
        elif any(os.path.isfile(label_path(each.im_file)) for each in mine):
            flights.append(_labelled(name, mine, spec, fps))
        else:  # frames that nobody has labelled, rather than frames without any object
            flights.append(_untold(name, [SourceFile(each.im_file, each.shape) for each in mine], fps, None, None))
    return sorted(flights, key=lambda flight: in_order(flight.name))


def _scanned(spec: DataSpec, split: str, pose: bool) -> list[ImageRecord]:
    from aigp_lightning.data.scan import scan_split

    return scan_split(spec, split, pose=pose).records


def _with_truth(name: str, files: Sequence[SourceFile], path: Path, spec: DataSpec, fps: float | None) -> Flight:
    """Return the frames of a flight that are in a list of files, in the order of its truth."""
    truth = read_truth(path, spec.keypoints.count if spec.keypoints is not None else 0)
    there = {os.path.normpath(file.path): file for file in files}
    lines = [os.path.normpath(os.path.join(spec.root, image)) for image in truth.images]
    if unknown := set(there) - set(lines):
        raise DataError(f"{path} has no line for {printable(min(unknown))}; there must be one for each frame.")
    kept = np.array([line in there for line in lines])
    place = np.flatnonzero(kept)
    time = place / fps if fps else truth.time[kept]
    labels, mine = _of_frames(truth, kept), tuple(there[line] for line in lines if line in there)
    return Flight(name, mine, place, time, truth.turning[kept], labels, spec, "--fps" if fps else "truth")


def _of_frames(truth: Truth, kept: Bools) -> Labels:
    """Return the labels of the frames that are kept, numbered anew."""
    rows = kept[truth.labels.frame]
    number = np.cumsum(kept) - 1
    labels = truth.labels
    return Labels(
        number[labels.frame[rows]], labels.cls[rows], labels.box[rows], labels.points[rows], labels.ident[rows],
        labels.place[rows],
    )  # fmt: skip


def _labelled(name: str, records: Sequence[ImageRecord], spec: DataSpec, fps: float | None) -> Flight:
    """Return the frames of records, with their labels; numbers of the objects are not known."""
    from aigp_lightning.data.items import labels_in_pixels

    count = spec.keypoints.count if spec.keypoints is not None else 0
    pixels = [labels_in_pixels(record, *record.shape) for record in records]
    frame = np.repeat(np.arange(len(records)), [len(record.cls) for record in records])
    points = [np.zeros((len(box), count, 3)) if each is None else each for box, each in pixels]
    labels = Labels(
        frame=frame,
        cls=np.concatenate([record.cls for record in records]),
        box=np.concatenate([box for box, _ in pixels]).astype(np.float64),
        points=np.concatenate(points).astype(np.float64),
        ident=np.full(len(frame), -1),
        place=np.full((len(frame), 3), np.nan),
    )
    files = [SourceFile(record.im_file, record.shape) for record in records]
    return _untold(name, files, fps, labels, spec)


def _untold(
    name: str, files: Sequence[SourceFile], fps: float | None, labels: Labels | None, spec: DataSpec | None
) -> Flight:
    """Return pictures without time stamps."""
    place = positions([file.path for file in files])
    nothing = np.full(len(place), np.nan)
    timed = "--fps" if fps else "assumed"
    return Flight(name, tuple(files), place, place / (fps or USUAL_FPS), nothing, labels, spec, timed)
