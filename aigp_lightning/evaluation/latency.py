"""Time that models take for a picture, measured in turns, so that a busy machine slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

WARM_UP = 3
"""Calls of each model before any is timed: they choose algorithms and fill caches."""
IN_TURN = 5
"""Calls of one model before the next one's turn."""
MOST, LEAST = 200, 10
"""Calls of each model, as the time allows."""
SECONDS = 4.0
"""Time for all calls together; after it each model still gets `LEAST`."""

Call = Callable[[], tuple[float, ...]]
"""Looks at a picture; returns the seconds of each part of that, the same parts in every call."""


@dataclass(frozen=True)
class Turns:
    """How often models are called, and for how long.

    Attributes:
        warm_up: calls of each before any is timed.
        least: timed calls of each, however long they take.
        most: timed calls of each, at most.
        seconds: after which no round begins, once each has been called often enough; None: no limit.

    Example:
        >>> Turns(warm_up=10, least=100, most=100).seconds
        4.0
    """

    warm_up: int = WARM_UP
    least: int = LEAST
    most: int = MOST
    seconds: float | None = SECONDS


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


def time_in_turns(
    calls: Sequence[Call], turns: Turns = Turns(), advance: Callable[[int], object] | None = None
) -> list[np.ndarray]:
    """Time calls in turns.

    Args:
        calls: of each model one.
        turns: how often, and for how long.
        advance: is told how many timed calls were made, after each turn.

    Returns:
        (n, parts) seconds of each model, as its calls returned them.

    Example:
        >>> turns = Turns(least=4, most=4)
        >>> [times.shape for times in time_in_turns([lambda: (0.0, 0.1), lambda: (0.0, 0.2)], turns)]
        [(4, 2), (4, 2)]
    """
    for call in calls:
        for _ in range(turns.warm_up):
            call()
    times: list[list[tuple[float, ...]]] = [[] for _ in calls]
    end = None if turns.seconds is None else time.perf_counter() + turns.seconds
    done = 0
    while done < turns.least or (done < turns.most and (end is None or time.perf_counter() < end)):
        turn = min(IN_TURN, turns.most - done)
        for call, taken in zip(calls, times, strict=True):
            taken.extend(call() for _ in range(turn))
            if advance is not None:
                advance(turn)
        done += turn
    return [np.array(each) for each in times]


def sum_up(times: np.ndarray, imgsz: int, device: str) -> Latency:
    """Sum up the times of a model.

    Args:
        times: (n, parts) seconds, see `time_in_turns`; the first part is the resizing.
        imgsz: side of the network's input, pixels.
        device: it ran on.

    Example:
        >>> sum_up(np.array([[0.001, 0.002], [0.001, 0.004], [0.001, 0.003]]), 640, "cpu").median
        4.0
    """
    whole = times.sum(1)
    figures = (np.median(whole), np.percentile(whole, 95), np.median(times[:, 0]), np.median(whole - times[:, 0]))
    first, last, before, after = (round(float(value) * 1e3, 4) for value in figures)
    return Latency(first, last, before, after, calls=len(times), imgsz=imgsz, device=device)
