"""Processes that draw: as many as there are cores, each with one thread."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

Done = TypeVar("Done")
Job = tuple[Any, ...]
FEW_JOBS = 4
"""Up to here, starting processes takes longer than drawing."""
MOST_WORKERS = 60
"""Windows waits for at most 63 handles at a time."""


def run_jobs(function: Callable[..., Done], jobs: Sequence[Job], workers: int) -> Iterator[tuple[int, Done]]:
    """Call a function with each job's arguments, in this process or in several.

    Args:
        function: of a module, which other processes can import.
        jobs: its arguments, each time.
        workers: processes; 0: as many as there are cores, if there is enough to do.

    Yields:
        A job's number and its result, as they come.

    Raises:
        BrokenProcessPool: a process died.

    Example:
        >>> list(run_jobs(max, [(1, 2), (4, 3)], workers=1))
        [(0, 2), (1, 4)]
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    workers = min(workers or (cores if len(jobs) > FEW_JOBS else 1), len(jobs), MOST_WORKERS)
    if workers == 1:
        import cv2

        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            for number, job in enumerate(jobs):
                yield number, function(*job)
        finally:
            cv2.setNumThreads(threads)
        return
    # spawned, not forked: the caller may hold threads and locks of torch or OpenCV
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=start_worker)
    try:
        numbers = {pool.submit(function, *job): number for number, job in enumerate(jobs)}
        for done in as_completed(numbers):
            yield numbers[done], done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def start_worker() -> None:
    """Prepare a drawing process: one thread, and an interrupt is the parent's to handle."""
    import cv2

    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
