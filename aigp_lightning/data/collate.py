"""Collation of samples to a batch, and the loader that yields the batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, get_worker_info

from aigp_lightning.boxes import to_fractions, xyxy_to_xywh
from aigp_lightning.data.hand_over import NotSent
from aigp_lightning.data.lost_files import Lost
from aigp_lightning.data.slots import InSlot, Slots
from aigp_lightning.data.workers import Workers
from aigp_lightning.errors import UserError

if TYPE_CHECKING:
    from aigp_lightning.data.items import Item
    from aigp_lightning.types import DetectionBatch

EMPTY_SIDE = 32


class LazyLoader(DataLoader[Any]):
    """A loader that asks its workers for samples at the first `next`, not when the iteration is set up.

    Lightning sets up the first iteration of a process before it says which epoch it is and before callbacks hear that
    it starts. Workers that prefetch by then would make samples of epoch 0 for a resumed run, and mosaics for an epoch
    that should have none.

    Example:
        >>> list(LazyLoader([1, 2, 3], batch_size=2, collate_fn=list))
        [[1, 2], [3]]
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override,unused-ignore]
        """Iterate; nothing happens before the first `next`.

        Raises:
            UserError: a sample cannot be made; said as in the worker, without the traceback that torch wraps it in.
        """
        workers = self.multiprocessing_context if isinstance(self.multiprocessing_context, Workers) else None
        try:
            if workers is None:
                yield from super().__iter__()
                return
            batches, end = super().__iter__(), object()
            while True:
                with workers.waiting():
                    batch = next(batches, end)
                if batch is end:
                    return
                if isinstance(batch, NotSent):
                    raise batch.error()
                yield batch
        except UserError as error:
            raise type(error)(_original_message(error)) from None
        except Exception as error:
            known = workers.explain(error) if workers is not None else error
            if known is error:
                raise
            raise known from error


def _original_message(error: Exception) -> str:
    """Return the text of an error, also of one that torch re-raised from a worker, which wraps it in a traceback."""
    kind = type(error)
    return str(error).rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].strip()


class SlotCollate:
    """Collates like `collate`, in a worker to memory that is used again.

    Args:
        slots: the memory.

    Example:
        >>> from aigp_lightning.data.items import unlabelled
        >>> from aigp_lightning.data.slots import Slots
        >>> item = unlabelled(np.zeros((32, 64, 3), np.uint8), "000.jpg", (32, 64), ((1.0, 1.0), (0.0, 0.0)))
        >>> SlotCollate(Slots(workers=1, size=6144))([item])["img"].shape  # not in a worker
        torch.Size([1, 3, 32, 64])
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots

    def __call__(self, found: Sequence[Item | Lost]) -> DetectionBatch:
        """Collate; in a worker `img` may be an `InSlot`, which the loader's queue turns into a tensor."""
        worker, taken = get_worker_info(), None
        images = [each["image"] for each in found if not isinstance(each, Lost)]
        if worker is not None and images:
            taken = self._slots.take(worker.id, (len(images), *images[0].shape))
        batch = collate(found, None if taken is None else taken[1])
        if taken is not None:
            slot, pixels = taken
            batch["img"] = InSlot(slot, pixels.shape)  # type: ignore[typeddict-item]
        return batch


def collate(found: Sequence[Item | Lost], out: np.ndarray | None = None) -> DetectionBatch:
    """Stack samples to a batch; labels become fractions of the network input.

    The pixels stay as they lie in memory, height × width × channel, and are only called (B, 3, H, W): the layout that
    `channels_last` networks want, without a copy.

    Args:
        found: samples of one shape; none at all gives an empty batch. Images that could not be read are named between
            them, and then in the batch as `lost`, which the datamodule takes out.
        out: (B, H, W, 3) uint8 memory for the pixels; None: new.

    Example:
        >>> from aigp_lightning.data.items import unlabelled
        >>> item = unlabelled(np.zeros((32, 64, 3), np.uint8), "000.jpg", (32, 64), ((1.0, 1.0), (0.0, 0.0)))
        >>> item["bboxes"], item["cls"] = np.array([[0, 0, 32, 16]], np.float32), np.array([0])
        >>> batch = collate([item, item])
        >>> batch["img"].shape, batch["bboxes"][0].tolist(), batch["batch_idx"].tolist()
        (torch.Size([2, 3, 32, 64]), [0.25, 0.25, 0.5, 0.5], [0, 1])
    """
    lost = [each for each in found if isinstance(each, Lost)]
    batch = _collated([each for each in found if not isinstance(each, Lost)], out)
    if lost:
        batch["lost"] = lost  # type: ignore[typeddict-unknown-key]
    return batch


def _collated(items: Sequence[Item], out: np.ndarray | None) -> DetectionBatch:
    if not items:
        return _batch(torch.zeros(0, 3, EMPTY_SIDE, EMPTY_SIDE, dtype=torch.uint8), [], np.zeros((0, 4), np.float32))
    pixels = torch.from_numpy(np.stack([item["image"] for item in items], out=out)).permute(0, 3, 1, 2)
    height, width = pixels.shape[2:]
    corners = np.concatenate([item["bboxes"] for item in items]).astype(np.float32, copy=False)
    bboxes = to_fractions(xyxy_to_xywh(corners), (height, width))
    batch = _batch(pixels, items, bboxes)
    if items[0]["keypoints"] is not None:
        points = np.concatenate([item["keypoints"] for item in items])  # type: ignore[misc]
        fractions = points / np.array([width, height, 1], dtype=np.float32)
        batch["keypoints"] = torch.from_numpy(fractions.astype(np.float32, copy=False))  # type: ignore[typeddict-unknown-key]
    if "masks" in items[0]:
        batch["masks"] = _joined_masks([item["masks"] for item in items])  # type: ignore[typeddict-unknown-key]
        batch["overlap_mask"] = items[0]["masks"].ndim == 2  # type: ignore[typeddict-unknown-key]  # noqa: PLR2004
    return batch


def _joined_masks(masks: Sequence[np.ndarray]) -> torch.Tensor:
    """Join masks: one of numbers an image (h, w), or one an object (n, h, w)."""
    if masks[0].ndim == 2:  # noqa: PLR2004
        return torch.from_numpy(np.stack([each.astype(np.result_type(*masks), copy=False) for each in masks]))
    return torch.from_numpy(np.concatenate(masks))


def _batch(pixels: torch.Tensor, items: Sequence[Item], bboxes: np.ndarray) -> DetectionBatch:
    counts = [len(item["cls"]) for item in items]
    classes = np.concatenate([item["cls"] for item in items]) if items else np.zeros(0)
    return {
        "img": pixels,
        "cls": torch.from_numpy(classes.astype(np.int64, copy=False)),
        "bboxes": torch.from_numpy(bboxes),
        "batch_idx": torch.from_numpy(np.repeat(np.arange(len(items)), counts)),
        "im_file": [item["im_file"] for item in items],
        "ori_shape": [item["ori_shape"] for item in items],
        "ratio_pad": [item["ratio_pad"] for item in items],
        "sources": [item["sources"] for item in items],
        "counts": counts,
    }
