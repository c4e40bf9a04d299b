"""The sizes that training batches are drawn at, by Ultralytics' rule: a fraction of the input's size around it."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING, Any

from aigp_lightning.ranges import SHARE, check_range
from aigp_lightning.run.lightning_internals import batch_to_train, datamodule_of

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from torch import Tensor

STRIDE = 32
"""Pixels a cell of the last layers, as long as the network is not built; those with a P6 head have 64."""
OLD_WORD = 0.5
"""The fraction that `multi_scale: true` of Ultralytics' earlier versions means."""


def fraction_of(asked: float | bool) -> float:
    """Return the fraction by which sizes differ from the input's at most.

    Args:
        asked: `--model.multi_scale`; true is the word of Ultralytics' earlier versions for 0.5.

    Raises:
        ConfigError: it is not between 0 and 1.
    """
    fraction = OLD_WORD * asked if isinstance(asked, bool) else float(asked)
    check_range("--model.multi_scale", fraction, SHARE, "It is a fraction of --data.imgsz; 0 trains at one size.")
    return fraction


def size_limits(imgsz: int, fraction: float, stride: int) -> tuple[int, int]:
    """Return the smallest and the largest side that a batch is drawn at, pixels.

    Args:
        imgsz: side of the input, pixels.
        fraction: see `fraction_of`.
        stride: sides are multiples of it, pixels.
    """
    low, high = _range(imgsz, fraction, stride)
    return low // stride * stride, (high - 1) // stride * stride


def drawn_size(imgsz: int, fraction: float, stride: int, random: Random) -> int:
    """Draw the longer side of a batch, pixels, with the very call of Ultralytics' trainer.

    Args:
        imgsz: side of the input, pixels.
        fraction: see `fraction_of`.
        stride: sides are multiples of it, pixels.
        random: drawn from once.
    """
    return random.randrange(*_range(imgsz, fraction, stride)) // stride * stride


def batch_draw(seed: int, epoch: int, batch: int) -> Random:
    """Return the draw of a batch: of its place in the run alone, so a resumed run and all processes draw the same.

    Args:
        seed: of the data.
        epoch: from 0.
        batch: its number in the epoch, from 0.
    """
    return Random(f"{seed} {epoch} {batch}")


def resized(images: Tensor, size: int, stride: int) -> Tensor:
    """Resize a batch so that its longer side has a size; the other is rounded up to a multiple of the stride.

    Args:
        images: (B, 3, H, W).
        size: pixels.
        stride: pixels.
    """
    from torch.nn.functional import interpolate

    scale = size / max(images.shape[2:])
    if scale == 1:
        return images
    sides = [math.ceil(side * scale / stride) * stride for side in images.shape[2:]]
    return interpolate(images, size=sides, mode="bilinear", align_corners=False)


class TrainingSizes:
    """The sizes of a module's training batches.

    Args:
        asked: `--model.multi_scale`.

    Attributes:
        fraction: by which sizes differ from the input's at most.

    Raises:
        ConfigError: see `fraction_of`.
    """

    def __init__(self, asked: float | bool) -> None:
        self.fraction = fraction_of(asked)

    def least_images(self, network: Any, imgsz: int) -> int:
        """Return the fewest images of a batch: 2 where the last layers may see one cell an image.

        Args:
            network: None as long as it is not built.
            imgsz: side of the input, pixels.
        """
        cell = max(int(stride) for stride in getattr(network, "stride", (STRIDE,)))
        return 2 if size_limits(imgsz, self.fraction, _stride(network))[0] <= cell else 1

    def largest(self, network: Any, imgsz: int) -> int:
        """Return the largest side that a batch is drawn at, pixels; see `least_images`."""
        return size_limits(imgsz, self.fraction, _stride(network))[1]

    def resized(self, images: Tensor, trainer: pl.Trainer, network: Any) -> Tensor:
        """Return the images of a training batch at the size that its place in the run draws.

        Args:
            images: (B, 3, H, W), on the device; nobody waits for it.
            trainer: about to train with them.
            network: that is trained.
        """
        if not self.fraction:
            return images
        data, stride = datamodule_of(trainer), _stride(network)
        draw = batch_draw(getattr(data, "seed", 0), trainer.current_epoch, batch_to_train(trainer))
        size = drawn_size(getattr(data, "imgsz", max(images.shape[2:])), self.fraction, stride, draw)
        return resized(images, size, stride)


def _stride(network: Any) -> int:
    """Return what sides are multiples of: the largest stride of the network, and 32 at least, pixels."""
    return max((STRIDE, *(int(stride) for stride in getattr(network, "stride", ()))))


def _range(imgsz: int, fraction: float, stride: int) -> tuple[int, int]:
    return max(stride, int(imgsz * (1.0 - fraction))), int(imgsz * (1.0 + fraction) + stride)
