"""A video with what was found in it, as a video and as pictures of its frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigp_lightning.data.video import VideoReader
from aigp_lightning.errors import DataError
from aigp_lightning.files import write_atomic
from aigp_lightning.media.encode import encode
from aigp_lightning.media.plots.boxes import draw_boxes

if TYPE_CHECKING:
    from aigp_lightning.data.sources import SourceFile
    from aigp_lightning.media.detections import ImageDetections
    from aigp_lightning.media.plots.skeleton import Edges

USUAL_FPS, MOST_FPS = 30.0, 1000.0
CODECS = ((".mp4", "mp4v"), (".avi", "MJPG"))


class DrawnVideo:
    """A video with boxes on it: as a video, as a picture a frame, or both.

    Args:
        file: the original.
        target: file to write, without suffix; pictures are `<target>_frames/<name>_<frame>.jpg`.
        video: write the video.
        frames: write the pictures.
    """

    def __init__(self, file: SourceFile, target: Path, video: bool = True, frames: bool = False) -> None:
        self.file, self._reader, self._target, self._video = file, VideoReader(file.path), target, video
        self._writer: Any = self._open() if video else None
        self._frames = target.with_name(f"{target.name}_frames") if frames else None
        if self._frames is not None:
            self._frames.mkdir(parents=True, exist_ok=True)

    def _open(self) -> Any:
        """Open the file to write, with the first encoder that is there; None without one."""
        import cv2

        fps = self.file.fps if math.isfinite(self.file.fps) and 0 < self.file.fps < MOST_FPS else USUAL_FPS
        # Frames that are left out make the copy no shorter.
        fps = max(fps / self.file.stride, 1.0) if self.file.stride > 1 else fps
        for suffix, codec in CODECS:
            path = self._target.parent / f"{self._target.name}{suffix}"
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, self.file.shape[::-1])
            if writer.isOpened():
                return writer
        return None

    def draw(self, frame: int, found: ImageDetections, names: Mapping[int, str], edges: Edges) -> None:
        """Add a frame.

        Raises:
            DataError: it cannot be read, or no video can be written.
        """
        import cv2

        if (image := self._reader.frame(frame)) is None:
            raise DataError("this frame cannot be decoded")
        picture = drawn(image, found, names, edges)
        if self._frames is not None:
            path = self._frames / f"{self._target.name}_{frame}.jpg"
            write_atomic(path, encode(picture, ".jpg"), sync=False)
        if not self._video:
            return
        if self._writer is None:
            raise DataError("no drawn video: this OpenCV has no encoder for MP4 or AVI")
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        if picture.shape[:2] != self.file.shape:  # the encoder drops frames of another size without a word
            picture = cv2.resize(picture, self.file.shape[::-1], interpolation=cv2.INTER_LINEAR)
        self._writer.write(picture)

    def close(self) -> None:
        """Finish the file."""
        self._reader.close()
        if self._writer is not None:
            self._writer.release()


def drawn(image: Any, found: ImageDetections, names: Mapping[int, str], edges: Edges) -> Any:
    """Return a picture with what was found in it.

    Args:
        image: (H, W, 3) RGB.
        found: in its pixels.
        names: class names by id.
        edges: lines between keypoints.
    """
    return draw_boxes(image, found.boxes, found.labels, found.scores, names, found.keypoints, edges, found.masks)
