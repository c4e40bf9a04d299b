"""Memory of a training: of this process, its loaders and its GPU."""

from __future__ import annotations

import time

import torch

MEMORY_EVERY = 5.0
"""Seconds between two readings of the memory in use, at least."""


class MemoryUse:
    """Memory in use, cached for some seconds: reading it for many loader processes is slow."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._next = float("-inf")

    def read(self, device: torch.device) -> list[str]:
        """Return the memory of this process and its loaders, and the peak reserved on its GPU, in words."""
        began = time.monotonic()
        if began >= self._next:
            self._lines = [f"memory {_memory_in_use() / 1e9:.2f} GB"]
            if device.type == "cuda":
                self._lines.append(f"GPU memory {torch.cuda.max_memory_reserved(device) / 1e9:.2f} GB")
            ended = time.monotonic()
            self._next = ended + max(MEMORY_EVERY, 100 * (ended - began))
        return self._lines


def _memory_in_use() -> int:
    """Return the bytes that this process and its children hold; shared pages count once on Linux."""
    import psutil  # type: ignore[import-untyped]

    process, total = psutil.Process(), 0
    for each in (process, *process.children()):
        try:
            total += each.memory_full_info().pss if psutil.LINUX else each.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return total
