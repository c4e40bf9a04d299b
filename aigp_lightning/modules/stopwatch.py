"""Times of the stages in which a model looks at a batch, on the device's own clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import torch

WARM_UP = 1
"""Batches at the start that do not count: they choose algorithms and fill caches."""


class Stopwatch:
    """Measures stages batch by batch. On CUDA events are put into the stream, and the device is waited for once.

    Args:
        device: that the batches are on.

    Example:
        >>> import torch
        >>> watch = Stopwatch(torch.device("cpu"))
        >>> for images in (8, 8, 4):
        ...     with watch.measure("network"):
        ...         pass
        ...     watch.end_batch(images)
        >>> found = watch.milliseconds()
        >>> list(found), watch.images, 0 <= found["network"] < 1
        (['network'], 12, True)
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda, self._known = device.type == "cuda", device.type in ("cuda", "cpu")
        self._marks: dict[str, list[tuple[int, Any, Any]]] = {}
        self._batches: list[int] = []

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Measure what is done inside, as part of a stage of this batch.

        Args:
            stage: its name.
        """
        start = self._now()
        yield
        self._marks.setdefault(stage, []).append((len(self._batches), start, self._now()))

    def end_batch(self, images: int) -> None:
        """End a batch.

        Args:
            images: that it had.
        """
        self._batches.append(images)

    @property
    def images(self) -> int:
        """Images of the batches that count."""
        return sum(self._batches[WARM_UP:])

    def milliseconds(self, first_too: bool = False) -> dict[str, float]:
        """Return the milliseconds for an image by stage; empty after one batch alone, which does not count.

        Args:
            first_too: count the batches at the start as well.
        """
        begin = 0 if first_too else WARM_UP
        images = sum(self._batches[begin:])
        if not images or not self._known:
            return {}
        if self._cuda:
            import torch

            torch.cuda.synchronize()
        return {
            stage: sum(self._between(start, end) for batch, start, end in marks if batch >= begin) / images
            for stage, marks in self._marks.items()
        }

    def _now(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        import torch

        event = cast("Any", torch.cuda.Event)(enable_timing=True)
        event.record()
        return event

    def _between(self, start: Any, end: Any) -> float:
        return float(start.elapsed_time(end)) if self._cuda else (end - start) * 1e3


class Timed:
    """A module that says in which stages it looks at a batch, so that they can be measured.

    Attributes:
        stopwatch: measures them; None where nobody asks.

    Example:
        >>> with Timed().timed("network"):  # nobody asks
        ...     pass
    """

    stopwatch: Stopwatch | None = None

    def timed(self, stage: str) -> AbstractContextManager[None]:
        """Return the context in which a stage is measured.

        Args:
            stage: `pre`, `network` or `post`.
        """
        return self.stopwatch.measure(stage) if self.stopwatch is not None else nullcontext()
