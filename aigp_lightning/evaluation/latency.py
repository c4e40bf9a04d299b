"""Time that two models take for one picture, measured in turns, so that a busy machine slows both."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

WARM_UP = 3
"""Calls of each model before any is timed: they choose algorithms and fill caches."""
IN_TURN = 5
"""Calls of one model before the other's turn."""
MOST, LEAST = 200, 10
"""Calls of each model, as the time allows."""
SECONDS = 4.0
"""Time for all calls together; after it each model still gets `LEAST`."""

Call = Callable[[], tuple[float, float]]
"""Looks at one picture; returns the seconds for resizing it, and from there to the detections."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one picture.

    Attributes:
        median: from the picture in memory to its detections.
        p95: in 95 of 100 calls it is no more.
        resizing: median of the part that brings the picture to the network's input.
        model: median of the rest: the network and the choice among its detections.
        calls: that were timed.
        imgsz: side of the network's input, pixels.
        device: it ran on, with threads.
    """

    median: float
    p95: float
    resizing: float
    model: float
    calls: int
    imgsz: int
    device: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def time_in_turns(calls: Sequence[Call], seconds: float = SECONDS) -> list[np.ndarray]:
    """Time calls in turns.

    Args:
        calls: of each model one.
        seconds: after which they end, once each has been called often enough.

    Returns:
        (n, 2) seconds of each model, as its calls returned them.

    Example:
        >>> [times.shape for times in time_in_turns([lambda: (0.0, 0.1), lambda: (0.0, 0.2)], seconds=0.0)]
        [(10, 2), (10, 2)]
    """
    for call in calls:
        for _ in range(WARM_UP):
            call()
    times: list[list[tuple[float, float]]] = [[] for _ in calls]
    end = time.perf_counter() + seconds
    while len(times[0]) < LEAST or (len(times[0]) < MOST and time.perf_counter() < end):
        for call, taken in zip(calls, times, strict=True):
            taken.extend(call() for _ in range(IN_TURN))
    return [np.array(each) for each in times]


def sum_up(times: np.ndarray, imgsz: int, device: str) -> Latency:
    """Sum up the times of a model.

    Args:
        times: (n, 2) seconds, see `time_in_turns`.
        imgsz: side of the network's input, pixels.
        device: it ran on.

    Example:
        >>> sum_up(np.array([[0.001, 0.002], [0.001, 0.004], [0.001, 0.003]]), 640, "cpu").median
        4.0
    """
    whole = times.sum(1)
    resizing, model = np.median(times, axis=0)
    figures = (np.median(whole), np.percentile(whole, 95), resizing, model)
    first, last, before, after = (round(float(value) * 1e3, 4) for value in figures)
    return Latency(first, last, before, after, calls=len(times), imgsz=imgsz, device=device)
