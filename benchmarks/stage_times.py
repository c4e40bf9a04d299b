"""Stopwatches for the stages of a program: one after the other, or one within another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Stages:
    """Seconds of named stages, wall and processor time, each counted once.

    A stage within another interrupts it: the outer one gets what is left. Processor time is that of the whole process,
    of all its threads, so that of a step on several threads is more than its wall time.

    Args:
        gpu: the device's work is waited for at every border, so that each stage has what it has begun.
    """

    def __init__(self, gpu: bool = False) -> None:
        self.gpu, self.on = gpu, True
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self._open: list[str] = []
        self._last = self._now()

    def _now(self) -> tuple[float, float]:
        if self.gpu:
            import torch

            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()

    def start(self) -> None:
        """Forget the time since the last border."""
        if self.on:
            self._last = self._now()

    def mark(self, name: str) -> None:
        """Give the time since the last border to a stage."""
        if not self.on:
            return
        now = self._now()
        self.wall[name] = self.wall.get(name, 0.0) + now[0] - self._last[0]
        self.cpu[name] = self.cpu.get(name, 0.0) + now[1] - self._last[1]
        self._last = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Give the time within this context to a stage, less that of stages within it."""
        if self._open:
            self.mark(self._open[-1])
        else:
            self.start()
        self._open.append(name)
        try:
            yield
        finally:
            self.mark(self._open.pop())

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same, as a stage."""

        def call(*args: Any, **options: Any) -> Any:
            with self.part(name):
                return function(*args, **options)

        return call

    def per_image(self, images: int) -> dict[str, tuple[float, float]]:
        """Return wall and processor milliseconds an image of every stage.

        Args:
            images: how many went through all stages.
        """
        return {name: (1000 * wall / images, 1000 * self.cpu[name] / images) for name, wall in self.wall.items()}


@contextmanager
def calls_timed(stages: Stages, kinds: dict[type, str]) -> Iterator[None]:
    """Time the calls of objects of some classes, within this context.

    Args:
        stages: the stopwatch.
        kinds: classes whose objects are called, and the names of their stages.
    """
    before = {kind: kind.__dict__.get("__call__") for kind in kinds}

    def replacement(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **options: Any) -> Any:
            with stages.part(name):
                return original(self, *args, **options)

        return call

    originals: dict[type, Any] = {kind: kind.__call__ for kind in kinds}  # type: ignore[operator]  # those of parents too
    for kind, name in kinds.items():
        setattr(kind, "__call__", replacement(name, originals[kind]))  # noqa: B010
    try:
        yield
    finally:
        for kind, own in before.items():
            if own is None:
                del kind.__call__
            else:
                setattr(kind, "__call__", own)  # noqa: B010
