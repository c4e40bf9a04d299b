"""Draws and writes predictions in a thread of its own: pictures, videos, text and lines for the JSON."""

from __future__ import annotations

import errno
import json
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from aigp_lightning.data.images import read_image
from aigp_lightning.data.video import VideoReader
from aigp_lightning.errors import DataError, UserError, printable, warn_user
from aigp_lightning.files import write_atomic
from aigp_lightning.media.detections import only_seen
from aigp_lightning.media.encode import encode
from aigp_lightning.predictions.collect import LISTED, CollectOptions, judge
from aigp_lightning.predictions.collected_files import save_frame
from aigp_lightning.predictions.crops import write_crops
from aigp_lightning.predictions.drawn_video import DrawnVideo, drawn
from aigp_lightning.predictions.formats import json_entry, yolo_lines
from aigp_lightning.predictions.merge import cut_names, output_names, part_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aigp_lightning.data.sources import SourceDataset, SourceFile
    from aigp_lightning.media.detections import ImageDetections
    from aigp_lightning.types import Keypoints

QUEUE_SIZE = 64  # images that may wait to be drawn before the network waits too


class PredictionFiles:
    """The output of one process: a queue, and a thread that draws and writes what is put into it, in order.

    A picture that cannot be drawn is noted and left out; a disk that cannot be written to ends the run.

    Args:
        folder: where everything goes.
        rank: number of this process.
        dataset: the images.
        names: class names by id.
        images: draw pictures and videos.
        txt: write YOLO text files.
        keypoints: what the module says about its keypoints, where it finds any.
        ids: (C,) the id that each class gets in the text files; None: the model's own.
        conf: write confidences into the text files.
        crops: cut out every object.
        frames: draw each frame of a video as a picture too.
        collecting: where pictures with something that is not labelled are collected; None: nowhere.
        keypoint_conf: lowest confidence of a keypoint that counts as seen; None: none is marked.
    """

    def __init__(
        self,
        folder: Path,
        rank: int,
        dataset: SourceDataset,
        names: Mapping[int, str],
        images: bool,
        txt: bool,
        keypoints: Keypoints | None = None,
        ids: NDArray[np.int64] | None = None,
        conf: bool = True,
        crops: bool = False,
        frames: bool = False,
        collecting: CollectOptions | None = None,
        keypoint_conf: float | None = None,
    ) -> None:
        self.folder, self.dataset, self.names, self.images, self.txt = folder, dataset, names, images, txt
        self.ids, self.conf, self.crops, self.frames, self.collecting = ids, conf, crops, frames, collecting
        self.keypoints, self.edges = keypoints, keypoints.edges if keypoints is not None else ()
        self.keypoint_conf = keypoint_conf
        self.outputs = output_names(dataset.files)
        if cut := cut_names(self.outputs, names.values() if crops else ()):
            warn_user(cut)
        self.failure: UserError | None = None
        self._part = part_file(folder, rank)
        self._video: DrawnVideo | None = None
        self._reader: VideoReader | None = None
        self._discard = threading.Event()
        self._tasks: queue.Queue[tuple[int, ImageDetections | None] | None] = queue.Queue(QUEUE_SIZE)
        self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)
        self._thread.start()

    def put(self, index: int, found: ImageDetections | None) -> None:
        """Queue what was found in an image, or None for one that could not be read.

        Raises:
            UserError: an earlier one could not be written.
        """
        if self.failure is not None:
            raise self.failure
        self._tasks.put((index, found))

    def close(self, discard: bool = False) -> UserError | None:
        """Wait until all is written, or stop after the image in work. A second call does nothing.

        Returns:
            Why it failed, if it did.
        """
        if discard:
            self._discard.set()
        if self._thread.is_alive():
            self._tasks.put(None)
            self._thread.join()
        return self.failure

    # ---- in the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._part.open("w", encoding="utf-8") as part:
                while (task := self._tasks.get()) is not None:
                    if not self._discard.is_set():
                        self._one(part, *task)
            self._close_video()
            if self._reader is not None:
                self._reader.close()
        except Exception as error:
            self.failure = UserError(f"{self.folder}: predictions cannot be written: {error}")
            while self._tasks.get() is not None:  # or the network would wait for room in the queue forever
                pass

    def _one(self, part: TextIO, index: int, found: ImageDetections | None) -> None:
        file, frame = self.dataset.locate(index)
        line: dict[str, Any] = {"index": index}
        try:
            if found is None:
                raise DataError(self._why(file, frame))
            line["entry"] = json_entry(found, file.path, frame, self.names, self.keypoints, self.keypoint_conf)
            if self.txt:
                self._write_txt(file, frame, found)
            if self.crops and len(found.boxes):
                self._crop(file, frame, found)
            if self.collecting is not None:
                line["collected"] = self._collect(file, frame, found, self.collecting)
            if self.images or (self.frames and frame is not None):
                self._draw(file, frame, only_seen(found, self.keypoint_conf))
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            line["problem"] = f"{printable(self.dataset.name(index))}: its name is too long here for files named so"
        except Exception as error:  # whatever OpenCV throws at a broken picture
            name = self.dataset.name(index)
            line["problem"] = str(error) if file.path in str(error) else f"{printable(name)}: {error}"
        part.write(json.dumps(line, allow_nan=False) + "\n")

    @staticmethod
    def _why(file: SourceFile, frame: int | None) -> str:
        """Say what is wrong with an image that the loader, in another process, could not read."""
        if frame is not None:
            return "this frame cannot be decoded"
        read_image(file.path)
        return "could not be read just then, though it can now"

    def _target(self, kind: str, name: str) -> Path:
        path = self.folder / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _write_txt(self, file: SourceFile, frame: int | None, found: ImageDetections) -> None:
        path = self._target("labels", f"{self._name(file, frame)}.txt")
        if len(found.boxes):
            write_atomic(path, yolo_lines(found, self.keypoints, self.ids, self.conf).encode(), sync=False)
        else:
            path.unlink(missing_ok=True)  # an earlier run's

    def _name(self, file: SourceFile, frame: int | None) -> str:
        return self.outputs[file.path] + ("" if frame is None else f"_{frame}")

    def _crop(self, file: SourceFile, frame: int | None, found: ImageDetections) -> None:
        """Cut out what was found."""
        name, image = self._name(file, frame), self._image(file, frame)
        write_crops(self.folder / "crops", name, image, found.boxes, found.labels, self.names)

    def _collect(
        self, file: SourceFile, frame: int | None, found: ImageDetections, options: CollectOptions
    ) -> dict[str, Any] | None:
        """Return what is found and not labelled; a frame that goes into the list is saved as a picture."""
        judged = judge(file.path, frame, found, options)
        if judged is not None and frame is not None and judged["kind"] in LISTED:
            judged["path"] = save_frame(options, self.outputs[file.path], frame, self._image(file, frame))
            judged["frame"] = None
        return judged

    def _image(self, file: SourceFile, frame: int | None) -> NDArray[np.uint8]:
        """Read a picture, or a frame of a video by a reader of its own.

        Raises:
            DataError: it cannot be decoded.
        """
        if frame is None:
            return read_image(file.path)
        if self._reader is None or self._reader.path != file.path:
            if self._reader is not None:
                self._reader.close()
            self._reader = VideoReader(file.path)
        if (decoded := self._reader.frame(frame)) is None:
            raise DataError("this frame cannot be decoded")
        return decoded

    def _draw(self, file: SourceFile, frame: int | None, found: ImageDetections) -> None:
        if frame is not None:
            if self._video is None or self._video.file != file:
                self._close_video()
                target = self._target("videos", self.outputs[file.path])
                self._video = DrawnVideo(file, target, self.images, self.frames)
            self._video.draw(frame, found, self.names, self.edges)
            return
        data = encode(drawn(read_image(file.path), found, self.names, self.edges), ".jpg")
        write_atomic(self._target("images", f"{self.outputs[file.path]}.jpg"), data, sync=False)

    def _close_video(self) -> None:
        if self._video is not None:
            self._video.close()
        self._video = None
