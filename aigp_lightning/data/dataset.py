"""Datasets that make samples from images and labels, in a loader's worker."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from aigp_lightning.data.items import Item, labels_in_pixels, segments_in_pixels
from aigp_lightning.data.lost_files import Lost
from aigp_lightning.data.requests import TrainRequest
from aigp_lightning.data.resizing import LETTERBOX, Resizing
from aigp_lightning.data.samplers import POOL_BATCHES, POOL_IMAGES, EvalRequest
from aigp_lightning.errors import DataError, RunError

if TYPE_CHECKING:
    from aigp_lightning.data.augment import Sample
    from aigp_lightning.data.augment.mixing import Ingredients
    from aigp_lightning.data.augment.pipeline import TrainPipeline
    from aigp_lightning.data.masks import MaskDrawing
    from aigp_lightning.data.picture_cache import PictureCache
    from aigp_lightning.data.records import ImageRecord


TRIES = 20
"""Images that may take the place of one that cannot be read, before it is plain that none can."""


class TrainDataset:
    """Augmented samples, each made as a `TrainRequest` asks.

    Args:
        records: images and labels of the split.
        imgsz: network input, pixels.
        pipeline: the augmentations.
        batch_size: images a batch; with it the buffer of decoded images is sized to hold all mosaic partners.
        cache: pictures that are decoded already.
        resizing: way to resize them.
        masks: draws masks from outlines; None: there are none.

    Example:
        >>> import tempfile
        >>> import cv2
        >>> from aigp_lightning.data.augment import AugmentConfig
        >>> from aigp_lightning.data.augment.pipeline import TrainPipeline
        >>> from aigp_lightning.data.records import ImageRecord
        >>> pipeline = TrainPipeline(64, AugmentConfig())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = f"{folder}/000.png"
        ...     _ = cv2.imwrite(file, np.zeros((48, 64, 3), np.uint8))
        ...     record = ImageRecord(file, (48, 64), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), None)
        ...     dataset = TrainDataset([record], imgsz=64, pipeline=pipeline, batch_size=2)
        ...     item = dataset[TrainRequest(index=0, seed=1)]
        >>> item["image"].shape, item["ori_shape"]
        ((64, 64, 3), (48, 64))
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        imgsz: int,
        pipeline: TrainPipeline,
        batch_size: int,
        cache: PictureCache | None = None,
        resizing: Resizing = LETTERBOX,
        masks: MaskDrawing | None = None,
    ) -> None:
        self.records, self.imgsz, self.pipeline, self.cache = records, imgsz, pipeline, cache
        self.resizing, self.masks = resizing, masks
        self.capacity = max(min(POOL_BATCHES * batch_size, POOL_IMAGES), batch_size)
        self.buffer: OrderedDict[int, Sample] = OrderedDict()

    def __len__(self) -> int:
        return len(self.records)

    def sample(self, index: int) -> Sample:
        """Return an image before augmentation, with its labels in pixels; buffered, and not to be written to."""
        known = self.buffer.get(index)
        if known is not None:
            return known
        record, image = self.records[index], self._image(index)
        bboxes, keypoints = labels_in_pixels(record, *image.shape[:2])
        known = self.buffer[index] = {
            "image": image,
            "bboxes": bboxes,
            "cls": record.cls,
            "keypoints": keypoints,
            "segments": segments_in_pixels(record, *image.shape[:2]),
            "im_file": record.im_file,
            "ori_shape": record.shape,
        }
        if len(self.buffer) > self.capacity:
            self.buffer.popitem(last=False)
        return known

    def _image(self, index: int) -> np.ndarray:
        """Return an image from the cache, or read it: (h, w, 3) uint8 RGB, at the size of training."""
        if self.cache is not None and (cached := self.cache.get(index)) is not None:
            return cached
        return self.resizing.training_image(self.records[index], self.imgsz)

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
        found, index = self._gather(request, lost, own_turn=True)
        augmented = self._augment(found)
        return {
            **(augmented if self.masks is None else self.masks.added(augmented)),
            "ori_shape": self.records[index].shape,
            "ratio_pad": ((1.0, 1.0), (0.0, 0.0)),
            "sources": found.files,
        }

    def _augment(self, found: Ingredients) -> Sample:
        """Augment a sample; overridden where the pixels are augmented elsewhere."""
        return self.pipeline.make(found)

    def _gather(self, request: TrainRequest, lost: list[Lost], own_turn: bool = False) -> tuple[Ingredients, int]:
        """Read all images that a sample is made of; its own comes with its place."""
        from aigp_lightning.data.augment.mixing import Ingredients

        index, mine = self._readable(request.index, request.seed, lost)
        if own_turn:  # which alone keeps an image young, as partners are drawn; before they can push it out
            self.buffer.move_to_end(index)
        partners = [self._readable(partner, request.seed, lost)[1] for partner in request.partners]
        pasted, mixup, cutmix = (
            None if other is None else self._gather(other, lost)[0]
            for other in (request.pasted, request.mixup, request.cutmix)
        )
        how = request.seed, request.paste_own, pasted, mixup, cutmix, request.shape
        return Ingredients(mine, partners, *how), index

    def _readable(self, index: int, seed: int, lost: list[Lost]) -> tuple[int, Sample]:
        """Return a sample before augmentation and its place: the one asked for, else another, drawn by the seed.

        What is lost is asked for again in the next epoch: a network share comes back. So the sample depends on what
        can be read now, and on nothing that the worker remembers.
        """
        others: Iterator[int] | None = None
        while True:
            try:
                return index, self.sample(index)
            except DataError as error:
                lost.append(Lost(self.records[index].im_file, str(error)))
                if others is None:
                    random = np.random.default_rng((seed, index))
                    others = iter(random.integers(len(self.records), size=TRIES).tolist())
                try:
                    index = next(others)
                except StopIteration:
                    raise RunError(
                        f"{TRIES + 1} training images in a row cannot be read, the last: {error}. Is the disk with the "
                        "data still there? What was trained so far is in the run folder, weights/last.ckpt."
                    ) from None


class EvalDataset:
    """Letterboxed or stretched samples, each made as an `EvalRequest` asks.

    Args:
        records: images and labels of the split.
        imgsz: length that an image's long side gets before it is letterboxed, pixels.
        resizing: way to resize them.
        masks: draws masks from outlines; None: there are none.

    Example:
        >>> import tempfile
        >>> import cv2
        >>> from aigp_lightning.data.records import ImageRecord
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = f"{folder}/000.png"
        ...     _ = cv2.imwrite(file, np.zeros((48, 64, 3), np.uint8))
        ...     record = ImageRecord(file, (48, 64), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), None)
        ...     item = EvalDataset([record], imgsz=64)[EvalRequest(index=0, shape=(64, 64))]
        >>> item["image"].shape, item["bboxes"].tolist()
        ((64, 64, 3), [[16.0, 20.0, 48.0, 44.0]])
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        imgsz: int,
        resizing: Resizing = LETTERBOX,
        masks: MaskDrawing | None = None,
    ) -> None:
        self.records, self.imgsz, self.resizing, self.masks = records, imgsz, resizing, masks

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
        item = self.resizing.evaluated(read_image(record.im_file), record.im_file, self.imgsz, request.shape)
        (gain_h, gain_w), (left, top) = item["ratio_pad"]
        bboxes, keypoints = labels_in_pixels(record, *item["ori_shape"])
        gain, pad = np.array([gain_w, gain_h], dtype=np.float32), np.array([left, top], dtype=np.float32)
        item["bboxes"], item["cls"] = bboxes * np.tile(gain, 2) + np.tile(pad, 2), record.cls
        if keypoints is not None:
            moved = keypoints.copy()
            moved[..., :2] = keypoints[..., :2] * gain + pad
            item["keypoints"] = moved
        if (segments := segments_in_pixels(record, *item["ori_shape"])) is not None:
            item["segments"] = segments * gain + pad
        return item if self.masks is None else self.masks.added(item)
