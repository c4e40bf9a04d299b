"""Memory that a loader's workers collate into and its process reads, used again as soon as nobody holds the batch.

torch makes new shared memory for each batch: pixels are copied once more, and the system clears and maps every page of
it, which takes longer than the copy. These slots are mapped before the workers are forked. A slot is taken by a worker,
and given back when the memory of the batch's tensor is released in the loader's process, views of it included. Where
none is free, or a batch is larger, the batch goes torch's way.
"""

from __future__ import annotations

import math
import mmap
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

IMAGES = "img"
PER_WORKER = 4
"""Slots a worker: torch asks each for two batches ahead, one is being used, and one may be held for pictures."""


@dataclass(frozen=True)
class InSlot:
    """Stands for the pixels of a batch on its way to the loader.

    Attributes:
        slot: their place.
        shape: batch, height, width and channels.

    Example:
        >>> InSlot(0, (2, 32, 64, 3)).shape
        (2, 32, 64, 3)
    """

    slot: int
    shape: tuple[int, ...]


class Slots:
    """Places for the pixels of batches, shared with the processes that are forked later.

    Args:
        workers: processes that fill them, each its own.
        size: bytes of the largest batch.

    Raises:
        OSError: there is not so much room for addresses.

    Example:
        >>> slots = Slots(workers=1, size=24)
        >>> place, pixels = slots.take(0, (1, 2, 4, 3))
        >>> pixels[:] = 7
        >>> batch = slots.received({"img": InSlot(place, pixels.shape)})
        >>> batch["img"].shape, int(batch["img"].sum()), slots.free()
        (torch.Size([1, 3, 2, 4]), 168, 3)
        >>> del batch
        >>> slots.free()
        4
    """

    def __init__(self, workers: int, size: int) -> None:
        self._size, self._count, self._owner = size, workers * PER_WORKER, os.getpid()
        self._start = (
            -(-self._count // mmap.PAGESIZE) * mmap.PAGESIZE
        )  # behind a byte for each slot: 1 while it is used
        self._stride = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        self._memory = mmap.mmap(-1, self._start + self._count * self._stride)  # pages are made when they are written

    def take(self, worker: int, shape: Sequence[int]) -> tuple[int, NDArray[np.uint8]] | None:
        """Take a slot of this worker's; None where all are used, or too small.

        Args:
            worker: number of the worker.
            shape: of the pixels.

        Returns:
            Its number, and its memory in this shape.
        """
        if math.prod(shape) > self._size:
            return None
        for slot in range(worker * PER_WORKER, (worker + 1) * PER_WORKER):
            if not self._memory[slot]:
                self._memory[slot] = 1
                return slot, self._pixels(slot, shape)
        return None

    def received(self, batch: Any) -> Any:
        """Put a tensor of the slot's memory in the place of an `InSlot`; anything else is returned as it is."""
        found = batch.get(IMAGES) if isinstance(batch, dict) else None
        if isinstance(found, InSlot):
            pixels = self._pixels(found.slot, found.shape)
            # The tensor's memory holds this very array, whichever views of it are left.
            weakref.finalize(pixels, self._give_back, found.slot).atexit = False
            batch[IMAGES] = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        return batch

    def free(self) -> int:
        """Count the slots that are not used."""
        return self._memory[: self._count].count(0)

    def _pixels(self, slot: int, shape: Sequence[int]) -> NDArray[np.uint8]:
        found: NDArray[np.uint8] = np.ndarray(
            tuple(shape), np.uint8, self._memory, self._start + slot * self._stride
        )  # fmt: skip
        return found

    def _give_back(self, slot: int) -> None:
        if os.getpid() == self._owner:  # a forked process has copies of tensors that are still used here
            self._memory[slot] = 0
