"""The device's part of the augmentation: from the pixels of files and what was drawn to the network's input."""

from __future__ import annotations

import torch
from torch import Tensor

from aigp_lightning.data.augment.on_device.colour import shift_hsv, to_gray
from aigp_lightning.data.augment.on_device.contrast import clahe
from aigp_lightning.data.augment.on_device.filters import blur, median_blur
from aigp_lightning.data.augment.on_device.inputs import AugmentInputs
from aigp_lightning.data.augment.on_device.jpeg import decode_files
from aigp_lightning.data.augment.on_device.warp import pack, warp

AT_ONCE = 1 << 23
"""Pixels of output that are made at once, 20 pictures of 640 px: they need about 100 bytes each meanwhile."""


def make_pictures(inputs: AugmentInputs) -> Tensor:
    """Make the augmented pictures of a batch, on the device where its tensors are.

    The processor does not wait for the device, unless that decodes files.

    Args:
        inputs: as `pack_inputs` returns them, its tensors moved, but for `files`.

    Returns:
        (B, 3, size, size) uint8 RGB; in memory the channels of a pixel lie together.

    Example:
        >>> import numpy as np
        >>> from aigp_lightning.data.augment.instances import Instances
        >>> from aigp_lightning.data.augment.on_device.draws import Draws
        >>> from aigp_lightning.data.augment.on_device.inputs import pack_inputs
        >>> from aigp_lightning.data.augment.tiles import Tile
        >>> tile = Tile(np.full((2, 2, 3), 200, np.uint8), rect=(0, 0, 2, 2), offset=(1, 0), seams=(False, False))
        >>> nothing = Instances(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), None)
        >>> draws = Draws(nothing, [tile], np.eye(2, 3), (0, 1.0, 0.5), {})
        >>> make_pictures(pack_inputs([draws], size=3, straight=True, recolour=True))[0, 0].tolist()
        [[57, 100, 100], [57, 100, 100], [57, 57, 57]]
    """
    count, size, device = len(inputs["tiles"]), inputs["size"], inputs["pixels"].device
    pictures = torch.empty(count, size, size, 3, dtype=torch.uint8, device=device)
    source = pack(inputs["pixels"])
    if inputs["encoded"]:
        source = torch.cat([source, *map(pack, decode_files(inputs["files"], inputs["encoded"], device))])
    step = max(AT_ONCE // size**2, 1)
    for start in range(0, count, step):
        some = slice(start, start + step)
        pictures[some] = warp(
            source, inputs["tiles"][some], inputs["to_canvas"][some], size, inputs["straight"], inputs["cropped"][some]
        )
    for name, number, first, end in inputs["rare"]:
        for start in range(first, end, step):
            rows, values = inputs["rows"][start : min(start + step, end)].unbind(1)
            chosen = pictures.index_select(0, rows)
            pictures.index_copy_(0, rows, _changed(chosen, name, number, values))
    if inputs["recolour"]:
        for start in range(0, count, step):
            some = slice(start, start + step)
            pictures[some] = shift_hsv(pictures[some], inputs["colour"][some])
    if len(swapped := inputs["swapped"]):
        pictures.index_copy_(0, swapped, pictures.index_select(0, swapped).flip(-1))
    return pictures.permute(0, 3, 1, 2)


def _changed(images: Tensor, name: str, number: int, values: Tensor) -> Tensor:
    """Return pictures, (n, H, W, 3) uint8, after a transform that only they get."""
    if name == "blur":
        return blur(images, number)
    if name == "median_blur":
        return median_blur(images, number)
    return to_gray(images) if name == "to_gray" else clahe(images, values)
