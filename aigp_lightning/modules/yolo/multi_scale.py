"""The sizes that training batches are drawn at, by Ultralytics' rule: a fraction of the input's size around it."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING

from aigp_lightning.ranges import SHARE, check_range
from aigp_lightning.run.lightning_internals import batch_to_train, datamodule_of

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from torch import Tensor

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


def at_drawn_size(images: Tensor, trainer: pl.Trainer, fraction: float, stride: int) -> Tensor:
    """Return the images of a training batch at the size that its place in the run draws.

    Args:
        images: (B, 3, H, W), on the device; nobody waits for it.
        trainer: about to train with them.
        fraction: see `fraction_of`.
        stride: of the network, pixels.
    """
    data = datamodule_of(trainer)
    draw = batch_draw(getattr(data, "seed", 0), trainer.current_epoch, batch_to_train(trainer))
    return resized(images, drawn_size(getattr(data, "imgsz", max(images.shape[2:])), fraction, stride, draw), stride)


def _range(imgsz: int, fraction: float, stride: int) -> tuple[int, int]:
    return max(stride, int(imgsz * (1.0 - fraction))), int(imgsz * (1.0 + fraction) + stride)
