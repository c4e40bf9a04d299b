"""Batch samplers: the images of each batch, and the random seed of each sample.

Everything that chance decides about a sample is drawn here, in the main process, and travels to the worker in a
request. A sample therefore depends on the seed, the epoch and its place in it, and on nothing that a worker remembers:
a restart, or worker processes kept alive over the epochs, change nothing. The number of workers changes which images
meet in a mosaic, and nothing else.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from aigp_lightning.data.requests import Mixing, TrainRequest

POOL_BATCHES = 8
"""Mosaic partners come from this many of a worker's latest batches."""
POOL_IMAGES = 1000
"""… and from no more than this many images, whatever the batch."""


@dataclass(frozen=True)
class EvalRequest:
    """One validation sample to make.

    Attributes:
        index: the image.
        shape: (height, width) to letterbox it to, pixels.

    Example:
        >>> EvalRequest(index=3, shape=(384, 640))
        EvalRequest(index=3, shape=(384, 640))
    """

    index: int
    shape: tuple[int, int]


class TrainBatchSampler:
    """Shuffled batches of `TrainRequest`, split over processes.

    Mosaic partners are drawn from what the same worker has lately decoded (its own batches, since a loader deals
    batches to its workers in turn), so that a sample costs about one decode.

    Args:
        images: number of training images.
        batch_size: images a batch, in this process.
        seed: of order and augmentation.
        rank: number of this process.
        world_size: number of processes; each gets as many images, the last ones repeated if need be.
        workers: worker processes of the loader.
        mosaic: chance of a mosaic, 0…1.
        shuffle: False: the data set's own order in every epoch, so that the first batches hold the same images.
        least: fewest images of a batch; a smaller last one is filled up with images of the first.
        mixing: chances of what else is mixed into a sample; it ends with the mosaics.

    Example:
        >>> batches = TrainBatchSampler(5, batch_size=2, seed=0, rank=0, world_size=1, workers=0, mosaic=0.0)
        >>> [len(batch) for batch in batches]
        [2, 2, 1]
        >>> sorted(request.index for batch in batches for request in batch)
        [0, 1, 2, 3, 4]
    """

    def __init__(
        self, images: int, batch_size: int, seed: int, rank: int, world_size: int, workers: int, mosaic: float,
        shuffle: bool = True, least: int = 1, mixing: Mixing = Mixing(),
    ) -> None:  # fmt: skip
        self.images, self.batch_size, self.seed = images, batch_size, seed
        self.shuffle, self.least, self.mixing = shuffle, least, mixing
        self.rank, self.world_size, self.lanes, self.mosaic = rank, world_size, max(workers, 1), mosaic
        self.mosaic_open = True
        self.epoch = 0

    @property
    def sampler(self) -> TrainBatchSampler:
        """This sampler: Lightning looks for `batch_sampler.sampler.set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(math.ceil(self.images / self.world_size) / self.batch_size)

    def _share(self) -> np.ndarray:
        """Return the images of this process in this epoch's order."""
        random = np.random.default_rng((self.seed, self.epoch))
        order = random.permutation(self.images) if self.shuffle else np.arange(self.images)
        share = math.ceil(self.images / self.world_size)
        share += max(self.least - share % self.batch_size, 0) if share % self.batch_size else 0
        return np.resize(order, share * self.world_size)[self.rank :: self.world_size]

    def __iter__(self) -> Iterator[list[TrainRequest]]:
        random = np.random.default_rng((self.seed, self.epoch, self.rank))
        # Of its own: what else is mixed into a sample changes neither the sample itself nor those after it.
        mixer = np.random.default_rng((self.seed, self.epoch, self.rank, 1))
        room = max(min(POOL_BATCHES * self.batch_size, POOL_IMAGES), self.batch_size)
        pools: list[deque[int]] = [deque(maxlen=room) for _ in range(self.lanes)]
        mine = self._share()
        for number, start in enumerate(range(0, len(mine), self.batch_size)):
            batch = mine[start : start + self.batch_size].tolist()
            pool = pools[number % self.lanes]
            pool.extend(batch)
            images = np.array(pool)
            requests = self._requests(batch, images, random, self._shape(number))
            mixed = self.mixing if self.mosaic_open else Mixing()
            yield [mixed.draw(request, images, mixer) for request in requests] if mixed else requests

    def _shape(self, number: int) -> tuple[int, int] | None:
        """Return (height, width) of the samples of a batch by its number in the epoch; None for the usual square."""
        return None

    def _requests(
        self, batch: list[int], pool: np.ndarray, random: np.random.Generator, shape: tuple[int, int] | None
    ) -> list[TrainRequest]:
        """Draw seeds and mosaic partners for the images of a batch."""
        seeds = random.integers(2**32, size=len(batch)).tolist()
        partners = random.choice(pool, size=(len(batch), 3)).tolist()
        wanted = random.random(len(batch)) < (self.mosaic if self.mosaic_open else 0.0)
        return [
            TrainRequest(index, seed, tuple(others) if mixed else (), shape=shape)
            for index, seed, others, mixed in zip(batch, seeds, partners, wanted, strict=True)
        ]


class EvalBatchSampler:
    """Batches of `EvalRequest` that hold every image exactly once, on any number of processes.

    Images are put into groups (one batch of a single process); every process takes its share of every group. The
    letterbox of an image depends on its group alone, so metrics are the same for any number of processes, and every
    process runs the same number of steps: a share may be empty.

    Args:
        shapes: (height, width) of every image, pixels.
        group: images a group, over all processes.
        imgsz: network input, pixels.
        stride: sides are multiples of it.
        rect: letterbox each group to its own rectangle instead of a square.
        rank: number of this process.
        world_size: number of processes.

    Example:
        >>> batches = EvalBatchSampler([(480, 640)] * 3, group=2, imgsz=640)
        >>> [[request.index for request in batch] for batch in batches]
        [[0, 1], [2]]
        >>> next(iter(batches))[0].shape
        (512, 672)
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int]],
        group: int,
        imgsz: int,
        stride: int = 32,
        rect: bool = True,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.rank, self.world_size = rank, world_size
        sizes = np.asarray(shapes, dtype=np.float64).reshape(-1, 2)
        aspect = sizes[:, 0] / sizes[:, 1]
        order = aspect.argsort() if rect else np.arange(len(sizes))
        self.groups = [order[start : start + group] for start in range(0, len(order), group)]
        self.shapes = [rectangle(aspect[members], imgsz, stride) if rect else (imgsz, imgsz) for members in self.groups]

    def __len__(self) -> int:
        return len(self.groups)

    def __iter__(self) -> Iterator[list[EvalRequest]]:
        for members, shape in zip(self.groups, self.shapes, strict=True):
            yield [EvalRequest(int(index), shape) for index in members[self.rank :: self.world_size]]


def rectangle(aspect: np.ndarray, imgsz: int, stride: int, spare: float = 0.5) -> tuple[int, int]:
    """Return the smallest rectangle for images of several aspect ratios, as Ultralytics has it.

    Args:
        aspect: height by width of each image.
        imgsz: length of the long side, pixels.
        stride: sides are multiples of it.
        spare: strides that are added before rounding up; half of one in validation.

    Returns:
        Height and width, pixels.

    Example:
        >>> rectangle(np.array([0.5, 0.75]), imgsz=640, stride=32), rectangle(np.array([0.5, 0.75]), 640, 32, spare=0.0)
        ((512, 672), (480, 640))
    """
    low, high = aspect.min(), aspect.max()
    sides = np.array([high, 1.0] if high < 1 else [1.0, 1 / low] if low > 1 else [1.0, 1.0])
    height, width = (np.ceil(sides * imgsz / stride + spare).astype(int) * stride).tolist()
    return height, width
