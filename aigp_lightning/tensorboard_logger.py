"""Lightning's TensorBoard logger, fenced: a disk that does not take its events ends no training run."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger

from aigp_lightning.errors import warn_user


class SturdyTensorBoardLogger(TensorBoardLogger):
    """Write events; what cannot be written is said once, and the next events go to a new file beside the old one.

    TensorBoard's writer is of no use after its thread failed: every later call would fail too. A folder may hold any
    number of event files, and what is whole in each of them is shown.
    """

    failed = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add scalars."""
        with self._fence():
            super().log_metrics(metrics, step)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Add hyperparameters."""
        with self._fence():
            super().log_hyperparams(*args, **kwargs)

    def save(self) -> None:
        """Write what waits."""
        if self._experiment is not None:
            with self._fence():
                super().save()

    def finalize(self, status: str) -> None:
        """Write what waits, and close."""
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


@contextmanager
def quiet_writer() -> Iterator[None]:
    """Let TensorBoard's thread fail without a traceback on the terminal: the logger hears of it, and says so."""
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if not (isinstance(args.exc_value, OSError) and type(args.thread).__module__.startswith("tensorboard.")):
            before(args)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
