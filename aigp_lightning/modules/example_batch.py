"""A batch of random images, to measure what a batch of that size needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch

from aigp_lightning.types import DetectionBatch, Keypoints

if TYPE_CHECKING:
    from torch import device, memory_format


def random_batch(
    images: int, imgsz: int, crowd: int, where: device, layout: memory_format, keypoints: Keypoints | None = None
) -> DetectionBatch:
    """Return a batch as a module gets it after preprocessing, with boxes in the middle of its images.

    Args:
        images: how many.
        imgsz: their sides, pixels.
        crowd: objects in each.
        where: device of its tensors.
        layout: memory layout of the images.
        keypoints: the objects', where they have any.

    Example:
        >>> batch = random_batch(2, 32, 3, torch.device("cpu"), torch.contiguous_format)
        >>> tuple(batch["img"].shape), batch["batch_idx"].tolist()
        ((2, 3, 32, 32), [0, 0, 0, 1, 1, 1])
    """
    batch: dict[str, Any] = {
        "img": torch.rand(images, 3, imgsz, imgsz, device=where).contiguous(memory_format=layout),
        "cls": torch.zeros(images * crowd, dtype=torch.int64, device=where),
        "bboxes": torch.tensor([0.5, 0.5, 0.3, 0.3], device=where).repeat(images * crowd, 1),
        "batch_idx": torch.arange(images, device=where).repeat_interleave(crowd),
    }
    if keypoints is not None:
        batch["keypoints"] = torch.full((images * crowd, keypoints.count, 3), 0.5, device=where)
    return cast("DetectionBatch", batch)
