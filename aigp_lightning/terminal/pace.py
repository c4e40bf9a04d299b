"""Speed of a training, and the time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW = 10.0
"""Length of the window over which the speed is measured, seconds."""


class Pace:
    """A stopwatch that measures images a second and estimates the time left.

    Args:
        clock: returns seconds; tests bring their own.

    Example:
        >>> seconds = iter([0.0, 0.0, 1.0, 2.0, 2.0, 2.0])
        >>> pace = Pace(clock=lambda: next(seconds))
        >>> pace.step(images=16)
        >>> pace.step(images=16)
        >>> pace.speed
        16.0
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self._epoch_began = clock()
        self._first: float | None = None
        self._durations: deque[float] = deque(maxlen=11)
        self._marks: deque[tuple[float, int]] = deque()
        self._images = self._steps = 0
        self._speed: float | None = None

    def start(self) -> None:
        """Start the clocks anew, at the beginning of a run or of a resumed one."""
        self.__init__(self._clock)  # type: ignore[misc]

    def start_epoch(self, first: bool) -> None:
        """Start timing an epoch, and note how long the one before took.

        Args:
            first: the first epoch that this process trains, so that there is none before it to note.
        """
        now = self._clock()
        if not first:
            self._durations.append(now - self._epoch_began)
        self._epoch_began, self._first, self._steps = now, None, 0
        self.pause()

    def pause(self) -> None:
        """Stop measuring until the next training batch; `speed` keeps its last value."""
        self._speed = self.speed
        self._marks.clear()

    def step(self, images: int) -> None:
        """Count a training batch.

        Args:
            images: in the batch, over all processes.
        """
        now = self._clock()
        self._first = now if self._first is None else self._first
        self._images += images
        self._steps += 1
        self._marks.append((now, self._images))
        while len(self._marks) > 2 and self._marks[1][0] < now - WINDOW:  # noqa: PLR2004  a speed needs two
            self._marks.popleft()

    @property
    def speed(self) -> float | None:
        """Images a second over the last `WINDOW` seconds of training; None before two batches."""
        marks = self._marks
        if len(marks) < 2 or marks[-1][0] <= marks[0][0]:  # noqa: PLR2004
            return self._speed
        return (marks[-1][1] - marks[0][1]) / (marks[-1][0] - marks[0][0])

    @property
    def elapsed(self) -> float:
        """Seconds since the run was started or resumed."""
        return self._clock() - self._began

    def time_left(self, batches: int | None, further_epochs: int) -> float | None:
        """Estimate the seconds to the end of the run; validation is included after the first epoch.

        Args:
            batches: training batches an epoch; None when not known.
            further_epochs: epochs after this one.

        Returns:
            Seconds; None before anything was measured.
        """
        now = self._clock()
        lengths = list(self._durations)
        if lengths:
            whole = lengths[1:] or lengths  # loaders start and caches fill in the first
            typical = sum(whole) / len(whole)
        elif batches and self._first is not None and self._steps > 1:
            typical = (now - self._first) / (self._steps - 1) * max(batches, self._steps)
        else:
            return None
        return max(0.0, typical - (now - self._epoch_began)) + typical * further_epochs
