"""The samples of a split: augmented ones to train on, whole ones to evaluate on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aigp_lightning.data.augment.config import AugmentConfig
from aigp_lightning.data.augment.mirrors import allowed_flips
from aigp_lightning.data.augment.pipeline import TrainPipeline
from aigp_lightning.data.dataset import EvalDataset, TrainDataset
from aigp_lightning.data.input_size import STRIDE
from aigp_lightning.data.lint import propose_mirror
from aigp_lightning.data.rect_batches import RectBatchSampler
from aigp_lightning.data.requests import Mixing
from aigp_lightning.data.resizing import LETTERBOX, Resizing
from aigp_lightning.data.samplers import EvalBatchSampler, TrainBatchSampler

if TYPE_CHECKING:
    from aigp_lightning.data.data_yaml import DataSpec
    from aigp_lightning.data.masks import MaskDrawing
    from aigp_lightning.data.picture_cache import PictureCache
    from aigp_lightning.data.records import ImageRecord

EvalSet = tuple[EvalDataset, EvalBatchSampler]
"""Samples, and their batches."""

Mirrors = tuple["tuple[int, ...] | None", "tuple[int, ...] | None"]
"""The keypoint that takes each place, mirrored left to right and upside down."""


def training_set(
    records: Sequence[ImageRecord],
    spec: DataSpec,
    augment: AugmentConfig,
    *,
    imgsz: int,
    batch_size: int,
    pose: bool,
    cache: PictureCache | None = None,
    kind: type[TrainDataset] = TrainDataset,
    resizing: Resizing = LETTERBOX,
    masks: MaskDrawing | None = None,
) -> TrainDataset:
    """Build the training samples.

    Args:
        records: images and labels.
        spec: the data set.
        augment: the user's choice of augmentation.
        imgsz: side of the network's input, pixels.
        batch_size: images a batch, in this process.
        pose: keypoints are wanted.
        cache: the pictures, decoded already.
        kind: class of the samples.
        resizing: way to resize the pictures.
        masks: draws masks from outlines; None: none are wanted.

    Raises:
        ConfigError: the augmentation is out of range, or cannot be done with these keypoints.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from aigp_lightning.data.data_yaml import DataSpec
        >>> from aigp_lightning.data.records import ImageRecord
        >>> record = ImageRecord("000.jpg", (100, 200), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), None)
        >>> spec = DataSpec(Path("data.yaml"), Path("."), {0: "gate"}, {})
        >>> len(training_set([record], spec, AugmentConfig(), imgsz=64, batch_size=2, pose=False))
        1
    """
    config, (flip_idx, flip_idx_vertical) = _mirrored(records, spec, augment) if pose else (augment, (None, None))
    pipeline = TrainPipeline(imgsz, config, flip_idx, flip_idx_vertical, keypoints=pose)
    return kind(records, imgsz, pipeline, batch_size, cache, resizing, masks)


def training_batches(
    records: Sequence[ImageRecord],
    batch_size: int,
    seed: int,
    *,
    imgsz: int,
    mosaic: float,
    rect: bool = False,
    rank: int = 0,
    world_size: int = 1,
    workers: int = 0,
    shuffle: bool = True,
    least: int = 1,
    mixing: Mixing = Mixing(),
) -> TrainBatchSampler:
    """Build the batches of training.

    Args:
        records: images and labels.
        batch_size: images a batch, in this process.
        seed: of order and augmentation.
        imgsz: side of the network's input, pixels.
        mosaic: chance of a mosaic, 0…1; there are none with `rect`.
        rect: batches of pictures with like aspect ratios, each with a rectangle of its own.
        rank: number of this process.
        world_size: number of processes.
        workers: worker processes of the loader.
        shuffle: False: the same order in every epoch.
        least: fewest images of a batch.
        mixing: chances of what else is mixed into a sample.

    Example:
        >>> import numpy as np
        >>> from aigp_lightning.data.records import ImageRecord
        >>> record = ImageRecord("000.jpg", (100, 200), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), None)
        >>> batches = training_batches([record] * 3, batch_size=2, seed=0, imgsz=640, mosaic=1.0, rect=True)
        >>> [[request.shape for request in batch] for batch in batches]
        [[(320, 640), (320, 640)], [(320, 640)]]
    """
    if rect:
        shapes = [record.shape for record in records]
        return RectBatchSampler(shapes, batch_size, seed, imgsz, STRIDE, rank, world_size, shuffle, least, mixing)
    return TrainBatchSampler(len(records), batch_size, seed, rank, world_size, workers, mosaic, shuffle, least, mixing)


def evaluation_set(
    records: Sequence[ImageRecord],
    imgsz: int,
    batch_size: int,
    rect: bool,
    *,
    rank: int = 0,
    world_size: int = 1,
    resizing: Resizing = LETTERBOX,
    masks: MaskDrawing | None = None,
) -> EvalSet:
    """Build the samples of validation or test, and their batches.

    Args:
        records: images and labels.
        imgsz: length of the network input's long side, pixels.
        batch_size: training images a step, over all processes; evaluation takes twice as many.
        rect: letterbox each batch to its own rectangle instead of a square; stretched pictures are squares anyway.
        rank: number of this process.
        world_size: number of processes.
        resizing: way to resize the pictures.
        masks: draws masks from outlines; None: none are wanted.

    Example:
        >>> import numpy as np
        >>> from aigp_lightning.data.records import ImageRecord
        >>> record = ImageRecord("000.jpg", (100, 200), np.zeros(1, np.int64), np.full((1, 4), 0.5, np.float32), None)
        >>> dataset, batches = evaluation_set([record] * 5, imgsz=640, batch_size=2, rect=True)
        >>> len(dataset), [len(batch) for batch in batches], batches.shapes
        (5, [4, 1], [(352, 672), (352, 672)])
    """
    shapes = [record.shape for record in records]
    group = 2 * batch_size  # no gradients to keep: twice the images fit
    rect = rect and resizing.keeps_aspect
    batches = EvalBatchSampler(shapes, group, imgsz, STRIDE, rect, rank, world_size)
    return EvalDataset(records, imgsz, resizing, masks), batches


def largest_batch(batches: EvalBatchSampler) -> int:
    """Return the bytes of the largest batch's pixels in this process.

    Args:
        batches: of validation or test.

    Example:
        >>> largest_batch(EvalBatchSampler([(480, 640)] * 3, group=2, imgsz=640))
        2064384
    """
    shares = [len(members[batches.rank :: batches.world_size]) for members in batches.groups]
    return max((n * h * w * 3 for n, (h, w) in zip(shares, batches.shapes, strict=True)), default=0)


def _mirrored(records: Sequence[ImageRecord], spec: DataSpec, augment: AugmentConfig) -> tuple[AugmentConfig, Mirrors]:
    """Return the augmentation without flips that the data set does not allow, and its mirror orders."""
    keypoints = spec.keypoints
    if keypoints is None:
        return augment, (None, None)
    config = allowed_flips(augment, keypoints, spec.file, lambda axis: propose_mirror(records, keypoints, axis))
    return config, (keypoints.flip_idx, keypoints.flip_idx_vertical)
