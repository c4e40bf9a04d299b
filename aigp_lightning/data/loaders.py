"""Loaders of batches, and the number of their worker processes."""

from __future__ import annotations

import multiprocessing
import os
from contextlib import suppress
from typing import Any

import torch
from torch.utils.data import DataLoader

from aigp_lightning.data.collate import LazyLoader, SlotCollate, collate
from aigp_lightning.data.slots import Slots
from aigp_lightning.data.workers import Workers
from aigp_lightning.run.cores import cores
from aigp_lightning.terminal.streams import PATIENCE, protect_streams

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Variables that say how many threads a library makes when it is loaded."""


def make_loader(
    dataset: Any, batches: Any, *, workers: int, seed: int, pin_memory: bool = False, batch_bytes: int = 0
) -> DataLoader[Any]:
    """Make a loader whose workers stay alive from epoch to epoch.

    Args:
        dataset: makes the samples of a batch; they are collated by its own `collate` where it has one.
        batches: a batch sampler.
        workers: worker processes; never more than there are batches.
        seed: of torch's generator in the workers.
        pin_memory: batches go to a GPU.
        batch_bytes: of the pixels of the largest batch, for which memory is kept; 0: each batch gets its own.

    Example:
        >>> import numpy as np
        >>> from aigp_lightning.data.items import unlabelled
        >>> item = unlabelled(np.zeros((32, 64, 3), np.uint8), "000.jpg", (32, 64), ((1.0, 1.0), (0.0, 0.0)))
        >>> [batch["img"].shape for batch in make_loader([item] * 3, [[0, 1], [2]], workers=0, seed=0)]
        [torch.Size([2, 3, 32, 64]), torch.Size([1, 3, 32, 64])]
    """
    import cv2

    workers = min(workers, len(batches))
    if workers:
        # OpenCV's threads do not survive a fork, and a worker that then asks for fewer of them waits forever.
        cv2.setNumThreads(1)
    own = getattr(dataset, "collate", None)  # of samples whose pixels are not made yet
    slots = _slots(workers, batch_bytes) if workers and batch_bytes and own is None else None
    return LazyLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=own or (collate if slots is None else SlotCollate(slots)),
        worker_init_fn=_init_worker,
        # Of its own: starting workers must not move the generator that the model may draw from.
        generator=torch.Generator().manual_seed(seed),
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
        multiprocessing_context=Workers(slots) if workers else None,
    )


def _slots(workers: int, batch_bytes: int) -> Slots | None:
    """Return memory for batches; None where workers are not forked, or the system refuses it."""
    if multiprocessing.get_start_method() != "fork":
        return None
    try:
        return Slots(workers, batch_bytes)
    except (OSError, OverflowError):
        return None  # batches are sent the usual way


def worker_count(wanted: int, processes: int) -> int:
    """Bound the worker processes of one training process by its share of the cores.

    Args:
        wanted: how many the user asks for.
        processes: training processes on this machine.

    Example:
        >>> worker_count(0, processes=1), worker_count(1, processes=1)
        (0, 1)
    """
    bound = min(int(os.environ.get("SLURM_CPUS_PER_TASK", "0")), cores())  # SLURM may have shared them out already
    return min(wanted, max(cores() // max(processes, 1), bound, 1))


def _init_worker(worker: int) -> None:
    """Keep a loader's worker to one thread: the workers are the parallelism."""
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)  # OpenMP's and MKL's too
    os.environ.update(dict.fromkeys(THREADS, "1"))  # libraries that the user's transforms load later
    with suppress(ImportError):
        from threadpoolctl import threadpool_limits  # type: ignore[import-not-found,unused-ignore]

        threadpool_limits(1)  # OpenBLAS, which is loaded already
    protect_streams(PATIENCE)  # where workers are spawned they have streams of their own
