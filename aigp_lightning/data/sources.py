"""Sources of `predict`: pictures, folders, globs and videos, as one indexed data set."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.images import IMAGE_SUFFIXES, read_image
from aigp_lightning.data.items import Item
from aigp_lightning.data.other_endings import other_endings
from aigp_lightning.data.resizing import LETTERBOX, Resizing, Shape
from aigp_lightning.data.video import VIDEO_SUFFIXES, VideoReader, probe
from aigp_lightning.errors import DataError, printable
from aigp_lightning.paths import Spellings, expand_home, is_glob, matches

SHOWN = 5


@dataclass(frozen=True)
class SourceFile:
    """One picture or video.

    Attributes:
        path: as it was found.
        shape: height and width, pixels, upright.
        frames: number of frames of a video; 0 for a picture.
        fps: frames a second of a video; 0 where it is not told.
        stride: of a video, every so many frames are looked at, the last of each so many, as Ultralytics does.

    Example:
        >>> SourceFile("flight.mp4", (720, 1280), frames=300, fps=30.0, stride=5).images
        60
    """

    path: str
    shape: tuple[int, int]
    frames: int = 0
    fps: float = 0.0
    stride: int = 1

    @property
    def images(self) -> int:
        """Count the images to look at: 1 for a picture, and for a video that is shorter than its stride."""
        return max(self.frames // self.stride, 1)

    def frame(self, number: int) -> int | None:
        """Return the frame, from 0, that is the image of a number, from 0; None for a picture."""
        return min((number + 1) * self.stride, self.frames) - 1 if self.frames else None


class SourceDataset:
    """Pictures and video frames, each letterboxed to its own smallest rectangle, as Ultralytics predicts, or stretched.

    Args:
        files: pictures and videos that could be opened.
        imgsz: length of the network input's long side, pixels; a multiple of 32.
        unreadable: what is wrong with the others, by path.
        resizing: way to resize them.

    Example:
        >>> files = [SourceFile("gate.jpg", (480, 640)), SourceFile("flight.mp4", (720, 1280), frames=2, fps=30.0)]
        >>> dataset = SourceDataset(files, imgsz=640)
        >>> [dataset.name(index) for index in range(len(dataset))]
        ['gate.jpg', 'flight.mp4#0', 'flight.mp4#1']
    """

    def __init__(
        self,
        files: Sequence[SourceFile],
        imgsz: int,
        unreadable: dict[str, str] | None = None,
        resizing: Resizing = LETTERBOX,
    ) -> None:
        self.files, self.imgsz, self.unreadable = list(files), imgsz, dict(unreadable or {})
        self.resizing = resizing
        self.starts = [0, *accumulate(file.images for file in self.files)]
        self._reader: VideoReader | None = None

    def __len__(self) -> int:
        return self.starts[-1]

    def locate(self, index: int) -> tuple[SourceFile, int | None]:
        """Return the file of an image, and its frame (from 0) or None for a picture."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        place = bisect_right(self.starts, index) - 1
        file = self.files[place]
        return file, file.frame(index - self.starts[place])

    def name(self, index: int) -> str:
        """Return the `im_file` of an image: the picture's path, or `path#frame`."""
        file, frame = self.locate(index)
        return file.path if frame is None else f"{file.path}#{frame}"

    def input_shape(self, file: SourceFile) -> Shape:
        """Return height and width of the network's input for this picture or video, pixels."""
        return self.resizing.prediction_size(file.shape, self.imgsz)

    def __getitem__(self, index: int) -> Item:
        """Decode and resize one image.

        Raises:
            DataError: it cannot be decoded.
        """
        file, frame = self.locate(index)
        if frame is None:
            image: NDArray[np.uint8] | None = read_image(file.path)
        else:
            if self._reader is None or self._reader.path != file.path:
                if self._reader is not None:
                    self._reader.close()
                self._reader = VideoReader(file.path)
            image = self._reader.frame(frame)
        if image is None:
            raise DataError(f"{printable(file.path)}: frame {frame} cannot be decoded")
        return self.resizing.predicted(image, self.name(index), self.imgsz, file.shape)

    def __getitems__(self, indices: Sequence[int]) -> list[Item]:
        """Decode and resize a batch, without images that cannot be decoded: one is no reason to end a run."""
        items = []
        for index in indices:
            try:
                items.append(self[index])
            except DataError:
                continue
        return items


def open_sources(
    source: str | list[str], imgsz: int, resizing: Resizing = LETTERBOX, vid_stride: int = 1
) -> SourceDataset:
    """Find pictures and videos, and look at their headers.

    Files that cannot be read are set aside in `unreadable`, unless nothing is left.

    Args:
        source: a picture, a folder (its own files, not its subfolders'), a glob, a video, or several of them.
        imgsz: length of the network input's long side, pixels; a multiple of 32.
        resizing: way to resize them.
        vid_stride: look at every so many frames of a video.

    Returns:
        A data set of `Item`s, indexed by image.

    Raises:
        DataError: a source is missing or holds no picture or video, or not one of them can be read.

    Example:
        >>> import tempfile
        >>> import cv2
        >>> folder = tempfile.mkdtemp(dir=".")
        >>> cv2.imwrite(f"{folder}/000.png", np.zeros((36, 64, 3), np.uint8))
        True
        >>> dataset = open_sources(folder, imgsz=64)
        >>> len(dataset), dataset[0]["image"].shape
        (1, (64, 64, 3))
    """
    sources = [source] if isinstance(source, str) else list(source)
    if not sources or not all(sources):
        raise DataError("the source to predict is empty; name a picture, a folder, a glob or a video")
    paths = list({os.path.abspath(path): path for path in chain.from_iterable(map(_expand, sources))}.values())
    with ThreadPoolExecutor() as pool:
        looked = list(pool.map(_look, paths))
    files = [replace(found, stride=vid_stride) for found in looked if isinstance(found, SourceFile)]
    unreadable = {path: found for path, found in zip(paths, looked, strict=True) if isinstance(found, str)}
    if not files:
        shown = "; ".join(f"{printable(path)}: {what}" for path, what in list(unreadable.items())[:SHOWN])
        more = f"; and {len(unreadable) - SHOWN} more" if len(unreadable) > SHOWN else ""
        raise DataError(f"nothing to predict can be read: {shown}{more}")
    if len(paths) == 1 and not files[0].frames:
        read_image(paths[0])  # a lone picture that is broken further in is an error now, not a footnote at the end
    return SourceDataset(files, imgsz, unreadable, resizing)


def _known(path: str) -> bool:
    """True if the name ends like a picture's or a video's."""
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES


def _pictures(paths: Sequence[str]) -> list[str]:
    """Return pictures and videos, and what is a picture by content alone, which `_look` sets aside."""
    others = {problem.file for problem in other_endings([path for path in paths if not _known(path)])}
    return [path for path in paths if _known(path) or path in others]


def _expand(source: str) -> Iterable[str]:
    """Find the pictures and videos that one source names, sorted."""
    what = f"pictures ({' '.join(sorted(IMAGE_SUFFIXES))}) and videos ({' '.join(sorted(VIDEO_SUFFIXES))}) are read"
    name, source = printable(source), Spellings().find(expand_home(source))
    if os.path.isdir(source):
        entries = sorted(entry.path for entry in os.scandir(source) if entry.is_file() and entry.name[0] != ".")
        if not (found := _pictures(entries)):
            raise DataError(f"{name}: nothing to predict in this folder; {what}, in subfolders only by a glob like */*")
        return found
    if os.path.isfile(source):
        if not _known(source):
            raise DataError(f"{name}: neither a picture nor a video by its name; {what}")
        return [source]
    if not is_glob(source):
        raise DataError(f"{name}: there is no such file or folder; cameras and streams are not read")
    if not (found := [path for path in matches(source) if os.path.isfile(path)]):
        raise DataError(f"{name}: no file matches")
    if not (known := _pictures(found)):
        raise DataError(f"{name}: {len(found)} files match, none to predict; {what}")
    return known


def _look(path: str) -> SourceFile | str:
    """Open a file far enough to know its shape, or say what is wrong with it."""
    if not _known(path):
        return "a picture whose name does not end like one's; rename or convert it"
    if os.path.splitext(path)[1].lower() in VIDEO_SUFFIXES:
        looked = probe(path)
        return SourceFile(path, *looked) if looked else "not one frame of this video can be decoded"
    from aigp_lightning.data.verify import check_image

    shape, problem = check_image(path)
    if shape is None:
        return problem.text if problem is not None else "cannot be read"
    return SourceFile(path, shape)
