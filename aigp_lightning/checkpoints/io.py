"""Atomic writes of checkpoints, and those of one epoch committed together."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from aigp_lightning.checkpoints.paths import LAST, resume_hint, run_folder_of
from aigp_lightning.checkpoints.schema import LEDGER
from aigp_lightning.checkpoints.snapshot import same_content, snapshot
from aigp_lightning.errors import RunError
from aigp_lightning.files import DISK_FULL, disk_full, is_half_written, write_atomic

NEXT = ".next"
"""Ends the name of a checkpoint that is written and does not count yet."""
ASIDE = re.compile(r"\.(.+\.ckpt\.next|(best|last)\.ckpt\.[0-9]+)", re.DOTALL)
"""Names of checkpoints that do not count: kept aside; half of one, by an earlier version."""
WRITTEN = (
    *("best.*", "last.ckpt", f"last.ckpt{NEXT}", f".last.ckpt{NEXT}", f".best.ckpt{NEXT}"),
    *("epoch*.ckpt", f".epoch*.ckpt{NEXT}"),
)
"""Patterns of the names of files that a run writes into its folder of weights."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write beside the target and move into place, so that a full disk or a kill leaves the old checkpoint as it was.

    Lightning's own writer goes through the system's temporary folder, and copies from there when that is another
    disk: a copy that stops half way leaves half a checkpoint under the right name.

    Between `hold` and `commit` what is saved within `of_epoch` is not moved into place: a run resumes from `last.ckpt`,
    and that must not know more than `best.ckpt`, `results.csv` and the loggers have. What other callbacks save, a
    user's own `ModelCheckpoint` say, is in place at once.

    What is kept aside is written by a thread of its own, in order, from a copy: training goes on meanwhile. What fails
    there is raised by whatever waits for it, `is_written` and `commit`, and then nothing of that epoch is left.
    """

    def __init__(self) -> None:
        super().__init__()
        self._holding = self._of_epoch = False
        self._written: dict[Path, Path] = {}
        self._removed: list[Path] = []
        self._thread: ThreadPoolExecutor | None = None
        self._writes: list[Future[None]] = []
        self._latest: tuple[dict[str, Any], memoryview] | None = None  # the thread's own

    @property
    def waiting(self) -> bool:
        """True if all of an epoch is kept aside, or about to be: its `last.ckpt`, which is written last, is."""
        return any(path.name == LAST.name for path in self._written)

    def is_written(self) -> bool:
        """True if nothing is being written any more.

        Raises:
            RunError: see `save_checkpoint`; nothing is kept aside any more.
            OSError: see `save_checkpoint`; nothing is kept aside any more.
        """
        if not all(write.done() for write in self._writes):
            return False
        self._finish_writes()
        return True

    def hold(self) -> None:
        """Keep aside what is written within `of_epoch` from now on, until `commit` or `discard`."""
        self._holding = True

    @contextmanager
    def of_epoch(self) -> Iterator[None]:
        """Save or remove checkpoints that count together, when their epoch does."""
        self._of_epoch = True
        try:
            yield
        finally:
            self._of_epoch = False

    def commit(self) -> None:
        """Wait for what is being written, and move what was kept aside into place, `last.ckpt` first.

        `finish_commit` does the rest after a kill.

        Raises:
            RunError: see `save_checkpoint`; nothing is kept aside any more.
            OSError: a file cannot be written or moved.
        """
        self._finish_writes()
        for target in sorted(self._written, key=lambda path: path.name != LAST.name):
            with suppress(FileNotFoundError):  # the folder is gone; `LastCheckpoint` says so when the epoch ends
                self._written[target].replace(target)
        for path in self._removed:
            super().remove_checkpoint(path)
        self._forget()

    def discard(self) -> None:
        """Forget what was kept aside, and keep nothing aside any more."""
        self._drop()
        self._holding = False

    def teardown(self) -> None:
        """End the thread when all is written."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    def _finish_writes(self) -> None:
        """Wait for the thread; raise what failed first, and keep nothing of its epoch."""
        try:
            for write in self._writes:
                write.result()
        except Exception:
            self._drop()
            raise
        self._writes = []

    def _drop(self) -> None:
        for write in self._writes:
            write.exception()  # waits
        for temporary in self._written.values():
            temporary.unlink(missing_ok=True)
        self._forget()

    def _forget(self) -> None:
        self._written, self._removed, self._writes = {}, [], []

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Save to a local path; beside the training, what is kept aside.

        Raises:
            RunError: the disk is full; nothing was changed.
            OSError: the disk is not writable; nothing was changed.
        """
        target = Path(path)
        if not (self._holding and self._of_epoch):
            _write(_serialized(checkpoint), target, target)
            return
        place = held_aside(target)
        try:
            content = snapshot(checkpoint)
        except Exception:  # a user's callback has something in it that can be pickled, and not copied
            _write(_serialized(checkpoint), place, target)
        else:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "checkpoints")
            self._writes.append(self._thread.submit(self._write_aside, content, place, target))
        self._written[target] = place

    def _write_aside(self, content: Callable[[], dict[str, Any]], place: Path, target: Path) -> None:
        """Write what was copied; what the epoch's best and last checkpoints have in common is serialised once."""
        latest, self._latest = self._latest, None
        copied = content()
        # The ledger first: it is the part in which they differ where pictures were drawn meanwhile.
        same = latest is not None and all(same_content(*parts) for parts in _ledger_first(latest[0], copied))
        data = latest[1] if latest is not None and same else _serialized(copied)
        if target.name != LAST.name:  # which is the last of its epoch
            self._latest = copied, data
        with suppress(FileNotFoundError):  # as in `commit`
            _write(data, place, target)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = lambda storage, _: storage, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Load tensors and plain values; what else a file asks for is not built.

        Args:
            path: where it is.
            map_location: see `torch.load`.
            weights_only: not asked: our checkpoints hold nothing else.

        Raises:
            UnpicklingError: it holds something else.
        """
        return super().load_checkpoint(path, map_location, weights_only=True)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint; with the next commit, while things are kept aside."""
        kept = self._written.pop(Path(path), None)
        if kept is not None:
            self._finish_writes()
            kept.unlink(missing_ok=True)
        elif self._holding and self._of_epoch:
            self._removed.append(Path(path))
            return
        super().remove_checkpoint(path)


def _ledger_first(*contents: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    yield tuple(content.get(LEDGER) for content in contents)
    yield contents


def _serialized(checkpoint: dict[str, Any]) -> memoryview:
    buffer = io.BytesIO()  # torch's own file writer turns a full disk into a RuntimeError without its number
    torch.save(checkpoint, buffer)
    return buffer.getbuffer()


def _write(data: memoryview, place: Path, target: Path) -> None:
    """Write a checkpoint to a place where it is kept for its target."""
    try:
        write_atomic(place, data)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        hint = resume_hint(run_folder_of(target))
        raise RunError(f"{disk_full(error, target, data.nbytes)}{hint}") from error


def held_aside(target: Path) -> Path:
    """Return where a checkpoint is kept until it counts.

    Args:
        target: where it will be.

    Example:
        >>> held_aside(Path("last.ckpt")).name
        '.last.ckpt.next'
    """
    return target.with_name(f".{target.name}{NEXT}")


def finish_commit(weights: Path) -> None:
    """Finish or undo a commit that a kill cut short: what is of `last.ckpt`'s epoch counts, the rest is removed.

    Args:
        weights: the folder.
    """
    last = _epoch(weights / LAST.name)
    for path in weights.glob(f".*.ckpt{NEXT}"):
        name = path.name.removeprefix(".").removesuffix(NEXT)
        if name != LAST.name and last is not None and _epoch(path) == last:
            path.replace(weights / name)
    for path in weights.glob(".*"):  # what else lies there is none of a run's
        if ASIDE.fullmatch(path.name) or is_half_written(path, WRITTEN):
            path.unlink(missing_ok=True)


def _epoch(path: Path) -> int | None:
    try:
        return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["epoch"])
    except Exception:  # there is none, or half of one: torch raises half a dozen types
        return None
