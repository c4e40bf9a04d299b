"""Test-time augmentation: the boxes of an image at three sizes, one of them mirrored, before suppression."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad
from ultralytics.nn.modules.head import Detect

from aigp_lightning.errors import ConfigError
from aigp_lightning.modules.yolo.forward import network_outputs

VIEWS = ((1.0, False), (0.83, True), (0.67, False))
"""Scale of each view of an image, and whether it is mirrored left to right: Ultralytics' own."""
FILL = 0.447
"""Grey of the margin that fills a smaller view up to a multiple of the stride, 0…1."""


def check_augmentable(network: nn.Module) -> None:
    """Refuse test-time augmentation where Ultralytics has none: heads with more than boxes and classes.

    Args:
        network: from `build_model`.

    Raises:
        ConfigError: its head is such a one.
    """
    head: Any = cast("Any", network).model[-1]
    if type(head) is not Detect or head.end2end:
        raise ConfigError(
            f"--model.tta true: a head of class {type(head).__name__}{' without NMS' * bool(head.end2end)} has no "
            "test-time augmentation, in Ultralytics neither: leave it out. Detectors whose boxes pass through NMS do."
        )


def augmented_outputs(network: nn.Module, images: Tensor, full: bool = False) -> Any:
    """Run a network on three views of each image, and put the boxes of all in one list.

    Of the first view the largest cells are left out, of the last the smallest, as Ultralytics does.

    Args:
        network: from `build_model`, in evaluation.
        images: (B, 3, H, W) in 0…1.
        full: see `network_outputs`.

    Returns:
        Decoded rows (B, 4 + classes, A'), in pixels of `images`, and the raw outputs of the images as they are.
    """
    described: Any = network
    stride, levels = int(described.stride.max()), int(described.model[-1].nl)
    views, raw = [], None
    for scale, mirrored in VIEWS:
        rows, outputs = network_outputs(network, _view(images, scale, mirrored, stride), full)
        raw = outputs if raw is None else raw
        views.append(_placed(rows, scale, images.shape[3] if mirrored else None))
    grid = sum(4**level for level in range(levels))  # cells of all levels, of which the coarsest has one
    views[0] = views[0][..., : -(views[0].shape[-1] // grid)]
    views[-1] = views[-1][..., views[-1].shape[-1] // grid * 4 ** (levels - 1) :]
    return torch.cat(views, -1), raw


def _view(images: Tensor, scale: float, mirrored: bool, stride: int) -> Tensor:
    images = images.flip(3) if mirrored else images
    if scale == 1:
        return images
    sides = images.shape[2:]
    small = [int(side * scale) for side in sides]
    height, width = (math.ceil(side * scale / stride) * stride for side in sides)
    view = interpolate(images, size=small, mode="bilinear", align_corners=False)
    return pad(view, [0, width - small[1], 0, height - small[0]], value=FILL)


def _placed(rows: Tensor, scale: float, width: int | None) -> Tensor:
    """Return rows with their boxes in pixels of the image; `width` is that of one that was mirrored."""
    boxes = rows[:, :4] / scale
    if width is not None:
        boxes = torch.cat((width - boxes[:, :1], boxes[:, 1:]), 1)
    return torch.cat((boxes, rows[:, 4:]), 1)
