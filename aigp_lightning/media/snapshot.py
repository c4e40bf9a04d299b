"""Copies of a batch for the drawing thread, taken without holding up the step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aigp_lightning.media.types import BatchSnapshot

if TYPE_CHECKING:
    from aigp_lightning.types import DetectionBatch


LABELS = ("bboxes", "cls", "batch_idx", "keypoints", "masks")


def to_host(tensors: dict[str, Tensor]) -> Callable[[], dict[str, Tensor]]:
    """Start copying tensors to the host.

    On a GPU the copies run beside the step, into pinned memory; whoever calls the result waits for them. Elsewhere
    they are made at once.

    Returns:
        A function that gives the copies.

    Example:
        >>> weights = torch.ones(2)
        >>> copies = to_host({"weights": weights})
        >>> weights += 1
        >>> copies()["weights"].tolist()
        [1.0, 1.0]
    """
    if not any(tensor.is_cuda for tensor in tensors.values()):
        copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
        return lambda: copies
    pinned = {}
    for name, tensor in tensors.items():
        pinned[name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        pinned[name].copy_(tensor.detach(), non_blocking=True)
    done: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
    done.record()

    def wait() -> dict[str, Tensor]:
        done.synchronize()
        return pinned

    return wait


def snapshot_batch(batch: DetectionBatch, limit: int) -> Callable[[], BatchSnapshot]:
    """Copy the first images of a batch, as the network gets them, with their labels.

    Args:
        batch: on the device, `img` (B, 3, H, W) in 0…1.
        limit: most images.

    Returns:
        A function that gives the copy; to be called once the step is under way.

    Example:
        >>> batch = {"img": torch.ones(2, 3, 4, 6), "bboxes": torch.zeros(0, 4), "cls": torch.zeros(0),
        ...          "batch_idx": torch.zeros(0), "im_file": ["a.jpg", "b.jpg"], "sources": [("a.jpg",), ("b.jpg",)]}
        >>> snapshot = snapshot_batch(batch, limit=1)()
        >>> snapshot.images.shape, int(snapshot.images.max()), snapshot.files
        ((1, 4, 6, 3), 255, ['a.jpg'])
    """
    mine = batch["img"][:limit]
    labels: dict[str, Any] = {key: value for key, value in batch.items() if key in LABELS}
    tensors: dict[str, Tensor] = {
        **labels,
        "img": (mine * 255).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous(),
    }
    host, files, sources = to_host(tensors), list(batch["im_file"]), list(batch["sources"])
    overlap = bool(batch.get("overlap_mask", True))

    def snapshot() -> BatchSnapshot:
        arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in host().items()}
        return BatchSnapshot(
            images=arrays["img"],
            bboxes=arrays["bboxes"],
            cls=arrays["cls"],
            batch_idx=arrays["batch_idx"],
            keypoints=arrays.get("keypoints"),
            files=files[:limit],
            sources=sources[:limit],
            masks=arrays.get("masks"),
            overlap_mask=overlap,
        )

    return snapshot
