"""Training processes and threads on a CPU: how many of each.

A training step is hundreds of small kernels, and waking a second thread for each costs more than it saves. So what
scales on a CPU is what scales on GPUs: processes, here of one thread each, that exchange their gradients.
`benchmarks/cpu_processes.py` has the figures behind the numbers in this file.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

LEAST_IMAGES = 8
"""Images of a step that a process must get: batch norms are computed from them. Those of four cost much accuracy, those
of eight some where images are few."""
LEAST_WORK = 4e7
"""Pixels of all images of a run below which one process is done before a second one has started."""
PROCESS_MEMORY = 1_500_000_000
"""Bytes of memory that a further process needs for PyTorch, its copy of the weights, and its loader's workers."""
PLATFORMS = ("linux",)
"""Systems on which several processes are the default; elsewhere they are started only where asked for."""
THREADED_WORK = 4e6
"""Pixels of a process's share of a batch from which on its further threads save time."""


@dataclass(frozen=True)
class CpuRun:
    """The size of a training run.

    Attributes:
        images: that it trains on, those of all epochs counted.
        batch_size: images a step.
        imgsz: their sides, pixels.
    """

    images: int
    batch_size: int
    imgsz: int

    @property
    def work(self) -> float:
        """Pixels of all images that the run trains on."""
        return float(self.images * self.imgsz**2)


def process_count(run: CpuRun, cores: int, memory: int, platform: str = sys.platform) -> int:
    """Return how many training processes a CPU run should have.

    As many as there are cores, if each gets enough images of a step and there is memory for all; they must share a
    batch evenly. One for a run that would be over before another has started.

    Args:
        run: its size.
        cores: that may be used.
        memory: bytes that are free.
        platform: as `sys.platform`.

    Example:
        >>> quick = CpuRun(images=32 * 384, batch_size=16, imgsz=160)
        >>> process_count(quick, cores=2, memory=16 * 2**30, platform="linux")
        2
        >>> process_count(quick, cores=32, memory=16 * 2**30, platform="linux")
        2
    """
    if platform not in PLATFORMS or run.work < LEAST_WORK:
        return 1
    most = min(cores, run.batch_size // LEAST_IMAGES, memory // PROCESS_MEMORY)
    return next((count for count in range(most, 1, -1) if run.batch_size % count == 0), 1)


def thread_count(images: int, imgsz: int, cores: int, processes: int = 1) -> int:
    """Return how many threads a process should compute with.

    Args:
        images: of a batch, in this process.
        imgsz: their sides, pixels.
        cores: of the machine that may be used.
        processes: of this run on the machine.

    Example:
        >>> thread_count(images=8, imgsz=160, cores=8), thread_count(images=16, imgsz=640, cores=8, processes=2)
        (1, 4)
    """
    return max(cores // processes, 1) if images * imgsz**2 >= THREADED_WORK else 1
