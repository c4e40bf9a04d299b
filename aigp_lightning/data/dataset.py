"""Datasets that make samples from images and labels, in a loader's worker."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from aigp_lightning.boxes import to_pixels, xywh_to_xyxy
from aigp_lightning.data.lost_files import Lost
from aigp_lightning.data.samplers import POOL_BATCHES, POOL_IMAGES, EvalRequest, TrainRequest
from aigp_lightning.errors import DataError, RunError
from aigp_lightning.types import RatioPad

if TYPE_CHECKING:
    from aigp_lightning.data.augment import Sample
    from aigp_lightning.data.augment.pipeline import TrainPipeline
    from aigp_lightning.data.records import ImageRecord


TRIES = 20
"""Images that may take the place of one that cannot be read, before it is plain that none can."""


class Item(TypedDict):
    """One sample, ready to be collated.

    Attributes:
        image: (H, W, 3) uint8 RGB, the network's input.
        bboxes: (n, 4) float32 xyxy, pixels of `image`.
        cls: (n,) int64.
        keypoints: (n, K, 3) float32 pixels and visibility, or None.
        im_file, ori_shape, ratio_pad, sources: see `DetectionBatch`.
    """

    image: np.ndarray
    bboxes: np.ndarray
    cls: np.ndarray
    keypoints: np.ndarray | None
    im_file: str
    ori_shape: tuple[int, int]
    ratio_pad: RatioPad
    sources: tuple[str, ...]


def labels_in_pixels(record: ImageRecord, height: int, width: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Convert a record's labels to pixels of an image of this size.

    Args:
        record: labels as fractions of the image.
        height: of the image, pixels.
        width: of the image, pixels.

    Returns:
        (n, 4) xyxy float32, and (n, K, 3) float32 or None.
    """
    bboxes = to_pixels(xywh_to_xyxy(record.bboxes), (height, width))
    if record.keypoints is None:
        return bboxes, None
    return bboxes, record.keypoints * np.array([width, height, 1], dtype=np.float32)


class TrainDataset:
    """Augmented samples, each made as a `TrainRequest` asks.

    Args:
        records: images and labels of the split.
        imgsz: network input, pixels.
        pipeline: the augmentations.
        batch_size: images a batch; with it the buffer of decoded images is sized to hold all mosaic partners.
    """

    def __init__(self, records: Sequence[ImageRecord], imgsz: int, pipeline: TrainPipeline, batch_size: int) -> None:
        self.records, self.imgsz, self.pipeline = records, imgsz, pipeline
        self.capacity = max(min(POOL_BATCHES * batch_size, POOL_IMAGES), batch_size)
        self.buffer: OrderedDict[int, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return len(self.records)

    def image(self, index: int) -> np.ndarray:
        """Return a buffered image, (h, w, 3) uint8 RGB with its long side at `imgsz`; not to be written to."""
        from aigp_lightning.data.augment.letterbox import resize_long_side
        from aigp_lightning.data.images import read_image

        if index not in self.buffer:
            self.buffer[index] = resize_long_side(read_image(self.records[index].im_file), self.imgsz)
            if len(self.buffer) > self.capacity:
                self.buffer.popitem(last=False)
        return self.buffer[index]

    def sample(self, index: int) -> Sample:
        """Return an image before augmentation, with its labels in pixels."""
        record, image = self.records[index], self.image(index)
        bboxes, keypoints = labels_in_pixels(record, *image.shape[:2])
        return {
            "image": image,
            "bboxes": bboxes,
            "cls": record.cls,
            "keypoints": keypoints,
            "im_file": record.im_file,
        }

    def __getitem__(self, request: TrainRequest) -> Item:
        """Make one sample; an image that cannot be read is replaced silently.

        Raises:
            RunError: no image can be read.
        """
        return self._make(request, [])

    def __getitems__(self, requests: Sequence[TrainRequest]) -> list[Item | Lost]:
        """Make the samples of a batch, and append the images that should be in it and cannot be read."""
        lost: list[Lost] = []
        return [*[self._make(request, lost) for request in requests], *lost]

    def _make(self, request: TrainRequest, lost: list[Lost]) -> Item:
        index, mine = self._readable(request.index, request.seed, lost)
        self.buffer.move_to_end(index)  # only its own turn keeps an image young: that is how partners are drawn
        others = [self._readable(partner, request.seed, lost)[1] for partner in request.partners]
        done = self.pipeline(mine, others, request.seed)
        return {
            "image": done["image"],
            "bboxes": done["bboxes"],
            "cls": done["cls"],
            "keypoints": done["keypoints"],
            "im_file": mine["im_file"],
            "ori_shape": self.records[index].shape,
            "ratio_pad": ((1.0, 1.0), (0.0, 0.0)),
            "sources": (mine["im_file"], *(other["im_file"] for other in others)),
        }

    def _readable(self, index: int, seed: int, lost: list[Lost]) -> tuple[int, Sample]:
        """Return a sample before augmentation and its place: the one asked for, else another, drawn by the seed.

        What is lost is asked for again in the next epoch: a network share comes back. So the sample depends on what
        can be read now, and on nothing that the worker remembers.
        """
        others = iter(np.random.default_rng((seed, index)).integers(len(self.records), size=TRIES).tolist())
        while True:
            try:
                return index, self.sample(index)
            except DataError as error:
                lost.append(Lost(self.records[index].im_file, str(error)))
                try:
                    index = next(others)
                except StopIteration:
                    raise RunError(
                        f"{TRIES + 1} training images in a row cannot be read, the last: {error}. Is the disk with the "
                        "data still there? What was trained so far is in --ckpt_path last."
                    ) from None


class EvalDataset:
    """Letterboxed samples, each made as an `EvalRequest` asks.

    Args:
        records: images and labels of the split.
        imgsz: length that an image's long side gets before it is letterboxed, pixels.
    """

    def __init__(self, records: Sequence[ImageRecord], imgsz: int) -> None:
        self.records, self.imgsz = records, imgsz

    def __len__(self) -> int:
        return len(self.records)

    def __getitems__(self, requests: Sequence[EvalRequest]) -> list[Item | Lost]:
        """Make the samples of a batch; a `Lost` stands in the place of an image that cannot be read."""
        items: list[Item | Lost] = []
        for request in requests:
            try:
                items.append(self[request])
            except DataError as error:
                items.append(Lost(self.records[request.index].im_file, str(error)))
        return items

    def __getitem__(self, request: EvalRequest) -> Item:
        """Make one sample.

        Raises:
            DataError: the image cannot be read.
        """
        from aigp_lightning.data.images import read_image

        record = self.records[request.index]
        item = letterboxed(read_image(record.im_file), record.im_file, self.imgsz, request.shape)
        (gain_h, gain_w), (left, top) = item["ratio_pad"]
        bboxes, keypoints = labels_in_pixels(record, *item["ori_shape"])
        gain, pad = np.array([gain_w, gain_h], dtype=np.float32), np.array([left, top], dtype=np.float32)
        item["bboxes"], item["cls"] = bboxes * np.tile(gain, 2) + np.tile(pad, 2), record.cls
        if keypoints is not None:
            moved = keypoints.copy()
            moved[..., :2] = keypoints[..., :2] * gain + pad
            item["keypoints"] = moved
        return item


def letterboxed(image: np.ndarray, im_file: str, imgsz: int, shape: tuple[int, int]) -> Item:
    """Fit an image into the network's input as Ultralytics validates: long side to `imgsz`, grey round the rest.

    Args:
        image: (H, W, 3) uint8 RGB.
        im_file: its name, carried along.
        imgsz: length of the long side, pixels.
        shape: (height, width) of the network input, pixels.

    Example:
        >>> item = letterboxed(np.zeros((360, 640, 3), np.uint8), "000.jpg", 640, (384, 640))
        >>> item["image"].shape, item["ratio_pad"]
        ((384, 640, 3), ((1.0, 1.0), (0.0, 12.0)))
    """
    from aigp_lightning.data.augment.letterbox import letterbox, resize_long_side

    height, width = image.shape[:2]
    resized = resize_long_side(image, imgsz)
    done, (gain_h, gain_w), (left, top) = letterbox(resized, shape)
    total = (gain_h * resized.shape[0] / height, gain_w * resized.shape[1] / width)
    return unlabelled(done, im_file, (height, width), (total, (float(left), float(top))))


def unlabelled(image: np.ndarray, im_file: str, ori_shape: tuple[int, int], ratio_pad: RatioPad) -> Item:
    """Make an item without labels from a letterboxed (H, W, 3) image; see `Item` for the rest."""
    return {
        "image": image,
        "bboxes": np.zeros((0, 4), dtype=np.float32),
        "cls": np.zeros(0, dtype=np.int64),
        "keypoints": None,
        "im_file": im_file,
        "ori_shape": ori_shape,
        "ratio_pad": ratio_pad,
        "sources": (im_file,),
    }


def init_worker(worker: int) -> None:
    """Keep a loader's worker to one thread: the workers are the parallelism."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
