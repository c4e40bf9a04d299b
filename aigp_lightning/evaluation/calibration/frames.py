"""Frames that thresholds are chosen on: a split of a data set, a folder, pictures or videos, with what is labelled."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.boxes import to_pixels, xywh_to_xyxy
from aigp_lightning.data.class_filter import class_ids, only_classes
from aigp_lightning.data.class_names import match_classes, renumbered
from aigp_lightning.data.data_yaml import DataSpec, read_data_yaml
from aigp_lightning.data.fingerprint import fingerprint
from aigp_lightning.data.fraction import ALL, part_of
from aigp_lightning.data.images import label_path
from aigp_lightning.data.records import ImageRecord, ScanResult
from aigp_lightning.data.scan import scan_split
from aigp_lightning.data.sources import SourceDataset, SourceFile, open_sources
from aigp_lightning.errors import ConfigError, DataError, tell_user, warn_user
from aigp_lightning.files import sha256_of
from aigp_lightning.paths import expand_home
from aigp_lightning.run.cores import cores

if TYPE_CHECKING:
    from aigp_lightning.data.resizing import Resizing
    from aigp_lightning.types import Keypoints

Array = NDArray[Any]
YAMLS = (".yaml", ".yml")
DATA_YAML, TRUTH = "data.yaml", "truth"
"""In a data set's folder: its description, and of a rendered sequence the folder of what is true."""
FRAMES = "frames"
"""Name of a split that a folder of pictures is."""
OF_ITS_DATA = ("fraction", "classes")
"""Options of a run that say nothing of another data set."""
BLOCK = 30
"""Frames of a sequence that are drawn together: neighbours are alike."""


@dataclass(frozen=True)
class Frames:
    """Frames in order, and the objects that are labelled in them; coordinates are pixels of the original pictures.

    Attributes:
        dataset: reads and resizes them.
        labelled: (n,) whether it is known which objects are in a frame; one without any is empty then.
        image: (t,) which frame an object is in, rising.
        label: (t,) class by the model's ids.
        box: (t, 4) xyxy.
        points: (t, K, 3) x, y and visibility; K = 0 where there are no keypoints.
        source: what they are, for people.
        sha256: of the frames and their labels.
        keypoints: what the data set says of keypoints; None without a data set.
        block: frames that are drawn together by the bootstrap.
    """

    dataset: SourceDataset
    labelled: NDArray[np.bool_]
    image: NDArray[np.int64]
    label: NDArray[np.int64]
    box: Array
    points: Array
    source: str
    sha256: str
    keypoints: Keypoints | None = None
    block: int = 1

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def objects(self) -> NDArray[np.int64]:
        """Objects in each frame, (n,)."""
        return np.bincount(self.image, minlength=len(self))

    @property
    def empty(self) -> NDArray[np.bool_]:
        """Frames that are labelled and without an object, (n,)."""
        return np.asarray(self.labelled & (self.objects == 0), np.bool_)


@dataclass(frozen=True)
class FrameQuery:
    """The frames that are asked for, and the model that looks at them.

    Attributes:
        source: a `data.yaml` or a folder with one, a folder of pictures, a glob, a picture or a video; None: the data
            set of the model's run.
        split: of a data set.
        vid_stride: of a video, every so many frames are looked at.
        data: options of the run's data.
        names: the model's class names by id.
        keypoints: of the model; None where it finds none.
        model: its file, for messages.
        imgsz: long side of the network's input, pixels.
        resizing: way to bring pictures to it.
        block: see `Frames`; None: 30 for videos and rendered sequences, 1 for others.
        progress: show progress.
    """

    source: str | None
    split: str
    vid_stride: int
    data: dict[str, Any]
    names: dict[int, str]
    keypoints: Keypoints | None
    model: str
    imgsz: int
    resizing: Resizing
    block: int | None = None
    progress: bool = True


def find_frames(query: FrameQuery) -> Frames:
    """Find frames and read their labels.

    Args:
        query: see `FrameQuery`.

    Raises:
        ConfigError: no frames are named.
        DataError: they cannot be used.
        WeightsError: the data set has other classes than the model.
    """
    if query.source is None:
        if not query.data.get("data_yaml"):
            raise ConfigError(f"{query.model} does not say which data set it was trained on: give --data.source.")
        if not os.path.exists(query.data["data_yaml"]):
            raise ConfigError(
                f"the data set of {query.model} is not there any more: {query.data['data_yaml']}. Give --data.source."
            )
        return _of_data_set(query.data["data_yaml"], query, query.data)
    path = Path(expand_home(query.source))
    if path.suffix.lower() in YAMLS or (path / DATA_YAML).is_file():
        others = {name: value for name, value in query.data.items() if name not in OF_ITS_DATA}
        return _of_data_set(str(path), query, others)
    return _of_pictures(query.source, query)


def _of_data_set(data_yaml: str, query: FrameQuery, options: dict[str, Any]) -> Frames:
    """Return the frames of a split, all of which are labelled."""
    spec = read_data_yaml(data_yaml)
    scan = _scanned(spec, query.split, query, options)
    if scan.set_aside:
        warn_user(f"{scan.set_aside} of {scan.images} pictures cannot be used; `lint {spec.file}` says why")
    records = list({record.im_file: record for record in scan.records}.values())
    files = [SourceFile(record.im_file, record.shape) for record in records]
    dataset = SourceDataset(files, query.imgsz, resizing=query.resizing)
    digest = fingerprint(records, query.names, query.progress).sha256
    block = (BLOCK if (spec.file.parent / TRUTH).is_dir() else 1) if query.block is None else query.block
    return replace(
        _labelled(dataset, dict(enumerate(records)), query), source=f"{spec.file}: {query.split}", sha256=digest,
        keypoints=spec.keypoints, block=block,
    )  # fmt: skip


def _of_pictures(source: str, query: FrameQuery) -> Frames:
    """Return the frames of pictures and videos; labelled are those that have a label file."""
    dataset = open_sources(source, query.imgsz, query.resizing, query.vid_stride)
    if dataset.unreadable:
        warn_user(f"{len(dataset.unreadable)} files of {source} cannot be read, and are left out")
    pictures = {file.path: place for place, file in enumerate(dataset.files) if not file.frames}
    known = [path for path in pictures if os.path.isfile(label_path(os.path.abspath(path)))]
    records: dict[int, ImageRecord] = {}
    if known:
        paths = {os.path.abspath(path): dataset.starts[pictures[path]] for path in known}
        spec = DataSpec(Path(source), Path("."), query.names, {FRAMES: tuple(paths)}, query.keypoints)
        scan = _scanned(spec, FRAMES, query, {})
        records = {paths[record.im_file]: record for record in scan.records}
        tell_user(f"{len(records)} of {len(dataset)} frames have label files; the others count as not labelled")
    digest = hashlib.sha256()
    for path in sorted(file.path for file in dataset.files):
        digest.update(f"{Path(path).name}\0{sha256_of(Path(path))}\0".encode("utf-8", "surrogateescape"))
    digest.update(fingerprint(list(records.values()), query.names).sha256.encode() if records else b"")
    is_video = any(file.frames for file in dataset.files)
    block = (BLOCK if is_video else 1) if query.block is None else query.block
    found = _labelled(dataset, records, query)
    return replace(found, source=source, sha256=digest.hexdigest(), block=block)


def _scanned(spec: DataSpec, split: str, query: FrameQuery, options: dict[str, Any]) -> ScanResult:
    """Return a split with the model's class ids, read as the model's run read its own."""
    if split not in spec.splits:
        raise DataError(f"{spec.file}: no '{split}' split; it has {', '.join(spec.splits)}.")
    single, classes = bool(options.get("single_cls")), options.get("classes")
    scan = scan_split(
        spec, split, pose=query.keypoints is not None, single_cls=single and not classes,
        outside=options.get("outside", "clip"), part=part_of(options.get("fraction", ALL), split),
        workers=cores(), progress=query.progress,
    )  # fmt: skip
    if classes:
        scan = only_classes(scan, class_ids(classes, spec.names, str(spec.file)), spec.names, single)
    if single and len(query.names) == 1:
        return scan
    order = match_classes(query.names, spec.names, query.model, str(spec.file))
    return scan if order.ids is None else renumbered(scan, order.ids)


def _labelled(dataset: SourceDataset, records: dict[int, ImageRecord], query: FrameQuery) -> Frames:
    """Return frames with the labels of some of them, by the frames' numbers."""
    known = sorted(records)
    labelled = np.zeros(len(dataset), np.bool_)
    labelled[known] = True
    chosen = [records[number] for number in known]
    count = query.keypoints.count if query.keypoints is not None else 0
    boxes = [to_pixels(xywh_to_xyxy(record.bboxes), record.shape) for record in chosen]
    return Frames(
        dataset,
        labelled,
        np.repeat(np.array(known, np.int64), [len(record.cls) for record in chosen]),
        _joined([record.cls for record in chosen], np.zeros(0, np.int64)),
        _joined(boxes, np.zeros((0, 4), np.float32)),
        _joined(list(_points(chosen)), np.zeros((0, count, 3))),
        source="",
        sha256="",
    )


def _points(records: Sequence[ImageRecord]) -> Iterator[Array]:
    """Yield the keypoints of each record in pixels; none of a record without."""
    for record in records:
        if record.keypoints is not None:
            yield record.keypoints.astype(np.float64) * (record.shape[1], record.shape[0], 1)


def _joined(parts: Sequence[Array], nothing: Array) -> Array:
    return np.concatenate([nothing, *parts])
