"""The pictures of a flight: one after the other, from files or a video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.images import read_image
from aigp_lightning.data.sources import SourceFile
from aigp_lightning.data.video import VideoReader
from aigp_lightning.errors import DataError, printable


class FrameReader:
    """Frames by number: of pictures in any order and from several threads, of a video fast where the numbers rise.

    Args:
        files: pictures, one a frame; or one video.

    Example:
        >>> FrameReader([SourceFile("flight.mp4", (360, 640), frames=30)]).name(2)
        'flight.mp4#2'
    """

    def __init__(self, files: Sequence[SourceFile]) -> None:
        self.files = files
        self._video = VideoReader(files[0].path) if files and files[0].frames else None

    def __len__(self) -> int:
        return self.files[0].images if self._video is not None else len(self.files)

    @property
    def is_video(self) -> bool:
        """Whether the frames are those of a video."""
        return self._video is not None

    def file(self, index: int) -> SourceFile:
        """Return the file that a frame is in."""
        return self.files[0] if self._video is not None else self.files[index]

    def name(self, index: int) -> str:
        """Return a frame's name: the picture's path, or `path#frame`."""
        return f"{self.file(index).path}#{index}" if self._video is not None else self.files[index].path

    def image(self, index: int) -> NDArray[np.uint8]:
        """Decode a frame: (H, W, 3) uint8 RGB.

        Raises:
            DataError: it cannot be decoded.
        """
        if self._video is None:
            return read_image(self.files[index].path)
        image = self._video.frame(index)
        if image is None:
            raise DataError(f"{printable(self.files[0].path)}: frame {index} cannot be decoded.")
        return image

    def close(self) -> None:
        """Close the video."""
        if self._video is not None:
            self._video.close()
