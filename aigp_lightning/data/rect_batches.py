"""Training batches of pictures with like aspect ratios, each with a rectangle of its own: `--data.rect_training`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aigp_lightning.data.augment.config import FLIP, AugmentConfig
from aigp_lightning.data.device_side import PROCESSOR
from aigp_lightning.data.requests import Mixing
from aigp_lightning.data.resizing import Resizing
from aigp_lightning.data.samplers import TrainBatchSampler, rectangle
from aigp_lightning.errors import ConfigError

OPTION = "--data.rect_training"
CLOSE_FITTING = 0.0
"""Strides that a rectangle is larger than its pictures: in training none."""


class RectBatchSampler(TrainBatchSampler):
    """Batches in the order of aspect ratios, as Ultralytics trains with `rect`; no mosaics.

    Images are put into groups, one batch of a single process each, and every process takes its share of every group.
    So the rectangle of an image depends on its group alone, and the batches of several processes together are those of
    one. They come in the same order in every epoch, unless all rectangles are the same one: then they are shuffled.

    Args:
        shapes: (height, width) of every image, pixels.
        batch_size: images a batch, in this process.
        seed: of augmentation, and of the order if there is a choice.
        imgsz: long side of the network's input, pixels.
        stride: sides are multiples of it, pixels.
        rank: number of this process.
        world_size: number of processes.
        shuffle: False: the same order in every epoch whatever the rectangles are.
        least: fewest images of a batch; a smaller last one is filled up with images of its group.
        mixing: chances of what else is mixed into a sample.

    Example:
        >>> batches = RectBatchSampler([(480, 640), (640, 480), (480, 640)], batch_size=2, seed=0, imgsz=640)
        >>> [[(request.index, request.shape) for request in batch] for batch in batches]
        [[(0, (480, 640)), (2, (480, 640))], [(1, (640, 480))]]
    """

    def __init__(
        self, shapes: Sequence[tuple[int, int]], batch_size: int, seed: int, imgsz: int, stride: int = 32,
        rank: int = 0, world_size: int = 1, shuffle: bool = True, least: int = 1, mixing: Mixing = Mixing(),
    ) -> None:  # fmt: skip
        super().__init__(len(shapes), batch_size, seed, rank, world_size, 0, 0.0, shuffle, least, mixing)
        sizes = np.asarray(shapes, dtype=np.float64).reshape(-1, 2)
        aspect = sizes[:, 0] / sizes[:, 1]
        order, group = aspect.argsort(), batch_size * world_size
        self.groups = [order[start : start + group] for start in range(0, len(order), group)]
        self.shapes = [rectangle(aspect[members], imgsz, stride, CLOSE_FITTING) for members in self.groups]
        self.alike = len(set(self.shapes)) == 1

    def _share(self) -> np.ndarray:
        if self.alike and self.shuffle:
            return super()._share()
        return np.concatenate([self._share_of(members) for members in self.groups])

    def _share_of(self, members: np.ndarray) -> np.ndarray:
        """Return this process's images of a group, repeated where its share would be too small."""
        each = max(-(-len(members) // self.world_size), self.least)
        return np.resize(members, each * self.world_size)[self.rank :: self.world_size]

    def _shape(self, number: int) -> tuple[int, int]:
        return self.shapes[number]


def check_rect_training(resizing: Resizing, augment: AugmentConfig, augment_on: str) -> None:
    """Refuse what makes squares of all pictures.

    Args:
        resizing: way to resize pictures.
        augment: the augmentations.
        augment_on: who augments.

    Raises:
        ConfigError: naming the option that does.

    Example:
        >>> from aigp_lightning.data.resizing import STRETCH
        >>> check_rect_training(STRETCH, AugmentConfig(), "cpu")
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --data.rect_training true: --data.resize stretch makes squares. Leave one \
of the two out.
    """
    squares = {
        f"--data.resize {resizing.name} makes squares": not resizing.keeps_aspect,
        f"--data.augment.crop {augment.crop:g} makes squares": augment.crop > 0,
        f"--data.augment.copy_paste_mode {augment.copy_paste_mode} pastes from squares": augment.copy_paste > 0
        and augment.copy_paste_mode != FLIP,
        f"--data.augment_on {augment_on} makes squares": augment_on != PROCESSOR,
    }
    for why, holds in squares.items():
        if holds:
            raise ConfigError(f"{OPTION} true: {why}. Leave one of the two out.")
