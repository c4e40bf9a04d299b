"""Videos: their lengths, and their frames by number."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

VIDEO_SUFFIXES = frozenset(
    (".asf", ".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")
)
COUNTED = frozenset((".avi", ".m4v", ".mov", ".mp4"))  # their headers tell the number of frames; others guess it


class VideoReader:
    """A video's frames by number, fast where the numbers rise; the file is opened at the first read.

    Args:
        path: video file.

    Example:
        >>> import tempfile
        >>> import cv2
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     writer = cv2.VideoWriter(f"{folder}/flight.avi", cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
        ...     for _ in range(3):
        ...         _ = writer.write(np.zeros((48, 64, 3), np.uint8))
        ...     writer.release()
        ...     reader = VideoReader(f"{folder}/flight.avi")
        ...     reader.frame(2).shape, reader.frame(3)
        ...     reader.close()
        ((48, 64, 3), None)
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._capture: Any = None
        self._next = 0
        self._end: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the open file, so that a worker opens its own."""
        return {"path": self.path, "_capture": None, "_next": 0, "_end": None}

    def frame(self, number: int) -> NDArray[np.uint8] | None:
        """Decode a frame.

        Frames between are decoded and thrown away, rather than jumped over: jumps miss in many videos.

        Args:
            number: counted from 0.

        Returns:
            (H, W, 3) uint8 RGB, or None where the video has no such frame, or none that can be decoded.
        """
        import cv2

        if self._end is not None and number >= self._end:
            return None
        if self._capture is None or number < self._next:
            self.close()
            self._capture = cv2.VideoCapture(self.path)
        while self._next < number and self._capture.grab():
            self._next += 1
        done, image = self._capture.read() if self._next == number else (False, None)
        if not done or image is None:
            self._end = self._next
            return None
        self._next += 1
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._capture is not None:
            self._capture.release()
        self._capture, self._next, self._end = None, 0, None


def probe(path: str) -> tuple[tuple[int, int], int, float] | None:
    """Find a video's size, length and speed.

    Args:
        path: video file.

    Returns:
        Height and width in pixels, the number of frames, frames a second (0 if not told); None if it has no picture.

    Example:
        >>> import tempfile
        >>> import cv2
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     writer = cv2.VideoWriter(f"{folder}/flight.avi", cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
        ...     for _ in range(3):
        ...         _ = writer.write(np.zeros((48, 64, 3), np.uint8))
        ...     writer.release()
        ...     probe(f"{folder}/flight.avi")
        ((48, 64), 3, 10.0)
    """
    import cv2

    capture = cv2.VideoCapture(path)
    try:
        done, image = capture.read() if capture.isOpened() else (False, None)
        if not done or image is None:
            return None
        fps, frames = float(capture.get(cv2.CAP_PROP_FPS)), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        trusted = os.path.splitext(path)[1].lower() in COUNTED and frames > 1
        # Trust the header if there is one frame at its end, and none after it.
        trusted = trusted and capture.set(cv2.CAP_PROP_POS_FRAMES, frames - 1) and capture.grab() and not capture.grab()
    finally:
        capture.release()
    return (image.shape[0], image.shape[1]), frames if trusted else _count_frames(path), fps


def _count_frames(path: str) -> int:
    """Count the frames by decoding them all."""
    import cv2

    capture = cv2.VideoCapture(path)
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    return count
