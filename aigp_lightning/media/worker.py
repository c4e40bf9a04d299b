"""The thread that draws, writes and hands over, while training goes on."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from aigp_lightning.media.encode import encode
from aigp_lightning.media.jobs import Done, Group, Job, Status, reason_of
from aigp_lightning.media.sinks import Picture

if TYPE_CHECKING:
    from aigp_lightning.media.delivery import Delivery
    from aigp_lightning.media.image_patterns import ImagePatterns

WAITING = 8  # groups that may wait for the pen before training waits too: a picture late is better than memory full
NICE = 10
MASKED = "masked"
HISTORY = "history"


@dataclass
class RenderWorker:
    """Takes groups of jobs and works them off in order, in a thread of its own.

    A picture that fails is a line in the ledger and a warning; never the end of a run.

    Args:
        folder: the run folder.
        delivery: who gets what is drawn.
        private: images that must not leave the machine.
        withhold: withhold a picture with a private image from remote destinations, rather than mask its cell.
        keep_history: keep every epoch's file.
    """

    folder: Path
    delivery: Delivery
    private: ImagePatterns
    withhold: bool = False
    keep_history: bool = False
    _fixed: dict[tuple[str, bool], tuple[str, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tasks: queue.Queue[Group | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="media", daemon=True)
        self._begun = self._ended = 0  # groups; each is counted by one thread alone
        self._thread.start()

    @property
    def begun(self) -> int:
        """How many groups it was given."""
        return self._begun

    def ended(self, groups: int) -> bool:
        """Whether so many groups are worked off, from the first on."""
        return self._ended >= groups or not self._thread.is_alive()

    @property
    def status(self) -> Status:
        """How much was done so far."""
        return self.delivery.status

    def put(self, group: Group) -> None:
        """Hand over a group; returns at once unless the thread is far behind."""
        if self._thread.is_alive():
            self._begun += 1
            self.status.pending = self._begun - self._ended
            self._tasks.put(group)

    def close(self) -> None:
        """Wait until all is drawn and handed over. A second call does nothing."""
        if self._thread.is_alive():
            self._tasks.put(None)
            self._thread.join()
        self.delivery.ledger.close()

    # ---- in the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        if sys.platform == "linux":  # where a thread has its own priority; training comes first
            with contextlib.suppress(OSError):  # a run that is nicer already may not take that back
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while (group := self._tasks.get()) is not None:
            try:
                self.work(group)
            except Exception as error:
                self.status.failed += 1
                self.delivery.say(f"pictures of epoch {group.epoch} failed: {reason_of(error)}")
            self._ended += 1
            self.status.pending = self._begun - self._ended

    def work(self, group: Group) -> None:
        """Draw a group's pictures, write them and hand them over."""
        jobs = group.jobs if not callable(group.jobs) else group.jobs()
        due = [job for job in jobs if self.delivery.routing.wanted(job.kind) and not self.delivery.done(job, group)]
        local = [done for job in due if (done := self._file(job, group))]
        self.delivery.deliver(local, [self._for_remote(done) for done in local], group)

    def _file(self, job: Job, group: Group) -> Done | None:
        """Draw a picture and put it into the run folder."""
        try:
            data = self._encoded(job, frozenset())
            picture = self._write(job.name, data)
            if self.keep_history:
                self._write(f"{HISTORY}/epoch{group.epoch:04d}/{job.name}", data)
        except Exception as error:
            self.status.failed += 1
            self.delivery.say(f"{job.name} could not be drawn: {reason_of(error)}")
            missing = Picture(job.key, self.folder / job.name, b"")
            self.delivery.note(Done(job, missing, group, reason_of(error)), "file", "failed")
            return None
        self.status.drawn += 1
        done = Done(job, picture, group)
        self.delivery.note(done, "file", "written")
        return done

    def _for_remote(self, done: Done) -> Done:
        """What a remote destination may see: the same, or the same with private cells masked, or nothing."""
        job = done.job
        hidden = job.private_cells(self.private)
        if not hidden or not self.delivery.routing.remote_takers(job.kind):
            return done
        if self.withhold:
            return replace(done, reason="private image")
        try:
            picture = self._write(f"{MASKED}/{job.name}", self._encoded(job, hidden))
        except Exception as error:
            return replace(done, reason=f"private image, and masking it failed: {reason_of(error)}")
        return replace(done, picture=picture, hidden=hidden)

    def _encoded(self, job: Job, masked: frozenset[int]) -> bytes:
        suffix, place = Path(job.name).suffix, (job.name, bool(masked))
        if job.fixed is None:
            return encode(job.draw(masked), suffix)
        known = self._fixed.get(place)
        if known is None or known[0] != job.fixed:
            known = self._fixed[place] = (job.fixed, encode(job.draw(masked), suffix))
        return known[1]

    def _write(self, name: str, data: bytes) -> Picture:
        """Write a file whole or not at all."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.part")
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return Picture(path.stem, path, data)
