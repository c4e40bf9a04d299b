"""The thread that renders and delivers pictures while training continues."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from aigp_lightning.errors import first_line

if TYPE_CHECKING:
    from aigp_lightning.media.delivery import Delivery
    from aigp_lightning.media.renderer import Renderer
    from aigp_lightning.media.types import MediaStatus, RenderGroup

QUEUE_SIZE = 8  # groups that may wait before training waits too: a picture late is better than memory full
NICE = 10
PATIENCE = 300.0
"""Seconds without any progress after which a run that ends waits no longer: a network disk that is gone."""


class RenderWorker:
    """Renders and delivers groups of pictures in order, in a thread of its own.

    A picture that fails is a line in the ledger and a warning; never the end of a run.

    Args:
        renderer: draws and encodes.
        delivery: decides, delivers and records.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from aigp_lightning.media.patterns.image_patterns import ImagePatterns
        >>> from aigp_lightning.media.pipeline import start_pipeline  # makes renderer, delivery and worker
        >>> from aigp_lightning.media.routing import Routes, Routing
        >>> from aigp_lightning.media.types import RenderGroup, RenderJob
        >>> job = RenderJob("results", "results.png", lambda masked: np.full((8, 8, 3), 90, np.uint8))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     worker = start_pipeline(Path(folder), Routing(Routes(), []), ImagePatterns(None, "--media.private"))
        ...     worker.put(RenderGroup([job], epoch=0, step=0))
        ...     worker.close()
        ...     worker.begun, worker.status.drawn
        (1, 1)
    """

    def __init__(self, renderer: Renderer, delivery: Delivery) -> None:
        self.renderer, self.delivery = renderer, delivery
        self._queue: queue.Queue[RenderGroup | Callable[[], None] | None] = queue.Queue(QUEUE_SIZE)
        self._thread = threading.Thread(target=self._run, name="media", daemon=True)
        self._begun = self._ended = 0  # groups; each is counted by one thread alone
        self._given_up = False
        self._thread.start()

    @property
    def begun(self) -> int:
        """The number of groups that were put."""
        return self._begun

    def ended(self, groups: int) -> bool:
        """True if so many groups are delivered, from the first one on."""
        return self._ended >= groups or not self._thread.is_alive()

    @property
    def status(self) -> MediaStatus:
        """Counters of what was done so far."""
        return self.delivery.status

    def put(self, group: RenderGroup) -> None:
        """Queue a group; returns at once unless the thread is far behind. Does nothing after `close`."""
        if self._thread.is_alive():
            self._begun += 1
            self.status.pending = self._begun - self._ended
            self._queue.put(group)

    def call(self, task: Callable[[], None]) -> None:
        """Queue a call to be made in the thread, after all that was put before. Does nothing after `close`.

        Args:
            task: the call; what it raises is a warning.
        """
        if self._thread.is_alive():
            self._begun += 1
            self._queue.put(task)

    def close(self) -> None:
        """Wait until every group is delivered, or nothing has moved for `PATIENCE`. A second call does nothing."""
        if self._given_up:
            return
        if self._finish():
            self.delivery.record.close()
            return
        self._given_up = True  # the thread ends with the process; meanwhile the ledger is its own
        self.delivery.say(
            f"nothing was drawn or delivered for {PATIENCE:.0f} s (a disk or a logger hangs): the run ends without "
            f"the rest. What was being handed over counts as sent."
        )

    def _finish(self) -> bool:
        """End the thread after what is queued; returns whether it has ended."""
        asked, seen, since = False, None, time.monotonic()
        while self._thread.is_alive():
            if asked:
                self._thread.join(PATIENCE / 100)
            else:
                with contextlib.suppress(queue.Full):
                    self._queue.put(None, timeout=PATIENCE / 100)
                    asked = True
            status = self.status
            gone = status.sent, status.waiting, status.kept, status.withheld, status.failed, status.unknown
            now = self._ended, status.drawn, gone
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                return False
        return True

    # ---- in the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        if sys.platform == "linux":  # where a thread has its own priority; training comes first
            with contextlib.suppress(OSError):  # a run that is nicer already may not take that back
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while (work := self._queue.get()) is not None:
            if callable(work):
                self._call(work)
            else:
                self._draw(work)
            self._ended += 1
            self.status.pending = self._begun - self._ended

    def _draw(self, group: RenderGroup) -> None:
        try:
            self.delivery.deliver(self.renderer.render_group(group, self.delivery.ledger), group)
        except BaseException as error:  # a logger's `sys.exit` too: without this thread there are no pictures
            self.status.failed += 1
            self.delivery.say(f"pictures of epoch {group.epoch} failed: {first_line(error)}")

    def _call(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception as error:
            self.delivery.say(f"beside the pictures: {first_line(error)}")
