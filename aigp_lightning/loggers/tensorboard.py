"""Lightning's TensorBoard logger: a disk that does not take its events ends no run, and no scalar comes twice."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import TensorBoardLogger

from aigp_lightning.errors import warn_user
from aigp_lightning.logfiles.event_file import event_files, read_event_file
from aigp_lightning.logfiles.logged import LoggedScalars, SkipsLogged, logged_scalars
from aigp_lightning.loggers.epoch_axis import EpochAxis

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class ResilientTensorBoardLogger(SkipsLogged, TensorBoardLogger):
    """Lightning's logger with a fence: the first failure is reported, and the next events go to a new file.

    TensorBoard's writer is of no use after its thread failed: every later call would fail too. A folder may hold any
    number of event files, and TensorBoard shows every complete record in each of them.

    A resumed run writes no scalar of a step a second time. TensorBoard's own `purge_step` would hide what was written
    before, by steps; pictures count epochs, and in a run of one batch an epoch they would be hidden too.

    Args:
        *args: Lightning's.
        skip_logged: do not write what event files in the logger's folder hold already.
        **kwargs: Lightning's.
    """

    failed = False

    def __init__(self, *args: Any, skip_logged: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._as_written = _exists_as_written(self.save_dir)
        logged = logged_scalars(Path(self.log_dir)) if skip_logged else LoggedScalars(Counter(), set())
        self._logged, self._axis = logged.points, EpochAxis(logged.epochs)

    @property
    @rank_zero_experiment
    def experiment(self) -> SummaryWriter:
        """The writer of the event files, made when it is first asked for."""
        if self._experiment is None:
            from aigp_lightning.loggers.event_writer import EventWriter

            if self.root_dir:
                self._fs.makedirs(self.root_dir, exist_ok=True)
            self._experiment = EventWriter(log_dir=self.log_dir, **self._kwargs)
        return self._experiment

    @property
    def log_dir(self) -> str:
        """Folder of the event files; `$` and `~` in a path that exists are no variable and no home."""
        if not self._as_written:
            return super().log_dir
        version = self.version if isinstance(self.version, str) else f"version_{self.version}"
        return os.path.join(self.root_dir, version, *([self.sub_dir] if isinstance(self.sub_dir, str) else []))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add scalars, except those that an earlier start of the run has written, at the epoch as pictures are."""
        step = self._axis.place(metrics, step)
        new = {name: value for name, value in metrics.items() if not self._is_logged(name, step)}
        if new:
            with self._fence():
                super().log_metrics(new, step)

    def _is_logged(self, name: str, step: int | None) -> bool:
        point = name, 0 if step is None else step
        if self._logged[point] < 1:
            return False
        self._logged[point] -= 1
        return True

    def forget_logged(self) -> int:
        """Skip nothing any more where steps count batches; epochs stay the same whatever the batches are."""
        return super().forget_logged() if self._axis.by_step else -1

    def logged_pictures(self, epoch: int) -> set[tuple[str, str]]:
        """Return key and SHA-256 of an epoch's pictures in the event file that was written to last."""
        files = event_files(Path(self.log_dir))
        last = max(files, key=lambda path: path.stat().st_mtime_ns, default=None)
        images = read_event_file(last).images if last is not None else []
        return {(image.tag, image.sha256) for image in images if image.step == epoch}

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Add hyperparameters, inside the fence."""
        with self._fence():
            super().log_hyperparams(*args, **kwargs)

    def save(self) -> None:
        """Write what waits, inside the fence."""
        if self._experiment is not None:
            with self._fence():
                super().save()

    def finalize(self, status: str) -> None:
        """Write what waits, and close, inside the fence."""
        with self._fence():
            super().finalize(status)

    @contextmanager
    def _fence(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            cause: BaseException | None = error  # Lightning wraps what goes wrong in a ValueError about the value
            while cause is not None and not isinstance(cause, OSError):
                cause = cause.__cause__
            if cause is None:
                raise
            self._experiment = None
            if not self.failed:
                warn_user(f"TensorBoard's events could not be written ({cause}); some are lost. Training goes on.")
            self.failed = True


def _exists_as_written(path: str | os.PathLike[str]) -> bool:
    """True if `$` and `~` in a path belong to names of folders that are there, and are no variable and no home."""
    there = Path(path)
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    rest = str(Path(path))[len(str(there)) :] if os.path.lexists(there) and str(there) != "." else str(path)
    return not any(mark in rest for mark in "$~")


@contextmanager
def quiet_writer() -> Iterator[None]:
    """Keep tracebacks of TensorBoard's thread off the terminal: the logger learns of its failure, and reports it."""
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if not (isinstance(args.exc_value, OSError) and type(args.thread).__module__.startswith("tensorboard.")):
            before(args)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
