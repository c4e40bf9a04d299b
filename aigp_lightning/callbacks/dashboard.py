"""Progress of a training: a live view on a terminal, a line every half minute elsewhere. Nothing is sent anywhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.pytorch.callbacks import Callback, ProgressBar
from rich import get_console

from aigp_lightning.callbacks.progress_tracker import ProgressTracker
from aigp_lightning.callbacks.results import Results, short_loss_name
from aigp_lightning.modules.metrics.false_alarms import FALSE_ALARMS
from aigp_lightning.terminal.memory import MemoryUse
from aigp_lightning.terminal.output import has_live_terminal, print_line
from aigp_lightning.terminal.screen import Screen
from aigp_lightning.terminal.view import View, duration, pictures_line
from aigp_lightning.types import ReportsPictures

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from rich.console import Console

READ_EVERY = 1.0
SHORT = {FALSE_ALARMS: "false alarms"}
"""Seconds between two reads of losses from a GPU, each of which waits for the device."""


def progress_callback(wanted: bool | None, others: Iterable[Callback]) -> Callback | None:
    """Return the callback that shows the progress of `fit` here.

    Args:
        wanted: the trainer's `enable_progress_bar`; None leaves it to the terminal.
        others: the user's callbacks; a progress bar among them is kept instead.

    Returns:
        The callback to add; None when there is a bar already.

    Example:
        >>> type(progress_callback(wanted=False, others=[])).__name__
        'PlainProgress'
    """
    if wanted is not False and any(isinstance(callback, ProgressBar) for callback in others):
        return None
    return Dashboard() if has_live_terminal() and wanted is not False else PlainProgress()


class Dashboard(ProgressTracker, ProgressBar):
    """A live view of epochs, batches, losses, metrics with their best values, speed, memory and pictures.

    A thread of its own draws the view and waits for losses on a GPU; what is printed meanwhile appears above it.
    Metrics and their best values come from the run's `Results` callback.

    Args:
        rate: redraws a second, at most 4.
        console: to draw on; the terminal by default.

    Example:
        >>> Dashboard(rate=1.0).rate  # Trainer(callbacks=[Results(), Dashboard(rate=1.0)])
        1.0
    """

    def __init__(self, rate: float = 2.0, console: Console | None = None) -> None:
        super().__init__()
        self.rate, self.enabled = min(rate, 4.0), True
        self._console = console
        self._screen: Screen | None = None
        self._sums: tuple[tuple[str, ...], torch.Tensor | None, int] = ((), None, 0)
        self._losses: dict[str, float] = {}
        self._read_at = float("-inf")
        self._memory = MemoryUse()

    # ---- Lightning's progress-bar switch ----------------------------------------------------------------------------

    def enable(self) -> None:
        """Show the view, from the next start on."""
        self.enabled = True

    def disable(self) -> None:
        """Stop showing the view."""
        self.enabled = False
        self._close()

    # ---- Lightning's hooks ------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the view."""
        super().on_train_start(trainer, pl_module)
        self._open()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's mean losses anew."""
        self._sums = ((), None, 0)
        super().on_train_epoch_start(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the losses to the epoch's sums on their device, without waiting for it."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if self._screen is None or not isinstance(outputs, dict):
            return
        items: dict[str, torch.Tensor] = outputs.get("loss_items") or {"loss": outputs["loss"]}
        values = torch.stack([value.detach() for value in items.values()])
        _, total, steps = self._sums
        self._sums = tuple(items), values if total is None else total + values, steps + 1

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the view with a bar alone, outside `fit`."""
        super().on_validation_start(trainer, pl_module)
        if trainer.state.fn == "validate":
            self._open()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Close the view; what it showed was printed, epoch by epoch."""
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Close the view, so that the error stands on a usable terminal."""
        self._close()

    def _open(self) -> None:
        if self.active and self.enabled and self._screen is None:
            self._screen = Screen(self._console or get_console(), self.view, self.rate)

    def _close(self) -> None:
        if self._screen is not None:
            self._screen.close()
            self._screen = None

    # ---- the view ---------------------------------------------------------------------------------------------------

    def view(self) -> View:
        """Return what is to be shown now."""
        val = self.val_batch, self.val_batches
        if self.trainer.state.fn != "fit":
            return View(val=val)
        results = next((each for each in self._callbacks() if isinstance(each, Results)), None)
        return View(
            epoch=self.epoch, epochs=self.epochs, batch=self.batch, batches=self.batches,
            val=val if self.validating else None, speed=self.pace.speed, left=self.time_left,
            elapsed=results.seconds if results is not None else self.pace.elapsed,
            losses=self._loss_rows(results), metrics=_metric_rows(results),
            footer=[*_rates(self.trainer), *self._memory.read(self.trainer.strategy.root_device)],
            pictures=self._pictures(),
        )  # fmt: skip

    def _loss_rows(self, results: Results | None) -> dict[str, tuple[float | None, float | None]]:
        names, total, steps = self._sums
        now = time.monotonic()
        if total is not None and (total.device.type == "cpu" or now - self._read_at >= READ_EVERY):
            self._losses = dict(zip(names, (value / steps for value in total.tolist()), strict=True))
            self._read_at = now
        last = results.last if results is not None else {}
        return {short_loss_name(name): (value, last.get(f"val/{name}")) for name, value in self._losses.items()}

    def _pictures(self) -> str | None:
        reporting = (each for each in self._callbacks() if isinstance(each, ReportsPictures) and callable(each.status))
        reports = (each.status() for each in reporting)
        return pictures_line(next((report for report in reports if report is not None), None))

    def _callbacks(self) -> list[Any]:
        return cast("list[Any]", self.trainer.callbacks)  # type: ignore[attr-defined]


class PlainProgress(ProgressTracker):
    """A line every `every` seconds within long epochs, where no live view can be shown.

    Args:
        every: seconds between two lines.

    Example:
        >>> PlainProgress(every=60.0).every  # Trainer(callbacks=[PlainProgress(every=60.0)])
        60.0
    """

    def __init__(self, every: float = 30.0) -> None:
        super().__init__()
        self.every = every
        self._printed_at = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restart the interval: the epoch before has just printed its line."""
        super().on_train_epoch_start(trainer, pl_module)
        self._printed_at = time.monotonic()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restart the interval for a validation by itself: another line has just been printed, too."""
        super().on_validation_start(trainer, pl_module)
        if not self.fitting:
            self._printed_at = time.monotonic()

    def tick(self) -> None:
        """Print a line if `every` seconds have passed since the last one."""
        now = time.monotonic()
        if not self.active or now - self._printed_at < self.every:
            return
        self._printed_at = now
        label, done, of = "batch", self.batch, self.batches
        if self.validating:
            label, done, of = "validation batch", self.val_batch, self.val_batches
        parts = [f"{label} {done}" + (f"/{of}" if of else "")]
        if self.fitting:  # else a validation by itself, as of the best epoch when all are over
            parts = [f"epoch {self.epoch}" + (f"/{self.epochs}" if self.epochs else ""), *parts]
            parts += [f"{self.pace.speed:.3g} images/s"] if self.pace.speed else []
            parts += [f"eta {duration(self.time_left)}"] if self.time_left is not None else []
        print_line("  ".join(parts))


def _rates(trainer: pl.Trainer) -> list[str]:
    rates = dict.fromkeys(f"{float(group['lr']):.3g}" for each in trainer.optimizers for group in each.param_groups)
    return ["learning rate " + " ".join(rates)] if rates else []


def _metric_rows(results: Results | None) -> dict[str, tuple[float, float, int]]:
    if results is None:
        return {}
    last, best = results.last, results.best  # the training thread may replace the first meanwhile
    names = [key for key in last if key.startswith("metrics/") and key in best]
    shown = _without_box_suffix([SHORT.get(key, key.removeprefix("metrics/")) for key in names])
    return {short: (last[key], *best[key]) for short, key in zip(shown, names, strict=True)}


def _without_box_suffix(names: Sequence[str]) -> list[str]:
    """Return the names without the `(B)` of boxes, if all are of boxes."""
    marked = {name[name.find("(") :] for name in names if name.endswith(")")}
    return [name.removesuffix("(B)") for name in names] if marked <= {"(B)"} else [*names]
