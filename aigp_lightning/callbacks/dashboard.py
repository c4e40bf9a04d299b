"""What a training run shows: a live view on a terminal, a line now and then elsewhere. Nothing is sent anywhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.pytorch.callbacks import Callback, ProgressBar
from rich import get_console

from aigp_lightning.callbacks.pace import Tracker
from aigp_lightning.callbacks.results import Results
from aigp_lightning.terminal.screen import Screen
from aigp_lightning.terminal.view import View, duration, pictures_line

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from rich.console import Console

READ_EVERY = 1.0
"""Seconds between two looks at numbers that are on a GPU, for which one waits."""
MEMORY_EVERY = 5.0


def progress_callback(wanted: bool | None, others: Iterable[Callback]) -> Callback | None:
    """Choose what shows the progress of `fit`.

    Args:
        wanted: the trainer's `enable_progress_bar`; None leaves it to the terminal.
        others: the user's callbacks; a progress bar among them is left alone.

    Returns:
        The callback to add; None when there is a bar already.
    """
    if wanted is not False and any(isinstance(callback, ProgressBar) for callback in others):
        return None
    terminal = sys.stdout.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
    return Dashboard() if terminal and wanted is not False else PlainProgress()


class Dashboard(Tracker, ProgressBar):
    """Show epochs, batches, losses, metrics with their best, speed, memory and pictures while training.

    The view is drawn by a thread of its own, which is also the one that waits for numbers on a GPU; what others print
    appears above it. Metrics and their best come from the run's `Results` callback.

    Args:
        rate: views a second, at most 4.
        console: where to; the terminal by default.
    """

    def __init__(self, rate: float = 2.0, console: Console | None = None) -> None:
        super().__init__()
        self.rate, self.enabled = min(rate, 4.0), True
        self._console = console
        self._screen: Screen | None = None
        self._sums: tuple[tuple[str, ...], torch.Tensor | None, int] = ((), None, 0)
        self._losses: dict[str, float] = {}
        self._read_at = float("-inf")
        self._memory = _Memory()

    # ---- Lightning's switch -----------------------------------------------------------------------------------------

    def enable(self) -> None:
        """Show it, from the next start on."""
        self.enabled = True

    def disable(self) -> None:
        """Stop showing it."""
        self.enabled = False
        self._close()

    # ---- when -------------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the view up."""
        super().on_train_start(trainer, pl_module)
        self._open()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the epoch's means."""
        self._sums = ((), None, 0)
        super().on_train_epoch_start(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the losses, where they are: nothing is read."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if self._screen is None or not isinstance(outputs, dict):
            return
        items: dict[str, torch.Tensor] = outputs.get("loss_items") or {"loss": outputs["loss"]}
        values = torch.stack([value.detach() for value in items.values()])
        _, total, steps = self._sums
        self._sums = tuple(items), values if total is None else total + values, steps + 1

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Outside `fit`, put a bar up."""
        super().on_validation_start(trainer, pl_module)
        if trainer.state.fn == "validate":
            self._open()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Take the view down: what it showed was printed, epoch by epoch."""
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Give the terminal back."""
        self._close()

    def _open(self) -> None:
        if self.active and self.enabled and self._screen is None:
            self._screen = Screen(self._console or get_console(), self.view, self.rate)

    def _close(self) -> None:
        if self._screen is not None:
            self._screen.close()
            self._screen = None

    # ---- what -------------------------------------------------------------------------------------------------------

    def view(self) -> View:
        """Gather what is shown now."""
        val = self.val_batch, self.val_batches
        if self.trainer.state.fn != "fit":
            return View(val=val)
        results = next((each for each in self._others() if isinstance(each, Results)), None)
        return View(
            epoch=self.epoch, epochs=self.epochs, batch=self.batch, batches=self.batches,
            val=val if self.validating else None, speed=self.pace.speed, left=self.left,
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
        return {_short(name): (value, last.get(f"val/{name}")) for name, value in self._losses.items()}

    def _pictures(self) -> str | None:
        told = (each.status() for each in self._others() if callable(getattr(each, "status", None)))
        return pictures_line(next((status for status in told if status is not None), None))

    def _others(self) -> list[Any]:
        return cast("list[Any]", self.trainer.callbacks)  # type: ignore[attr-defined]


class PlainProgress(Tracker):
    """Print a line now and then within long epochs, where no live view can be.

    Args:
        every: seconds between two lines.
    """

    def __init__(self, every: float = 30.0) -> None:
        super().__init__()
        self.every = every
        self._printed_at = time.monotonic()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Wait anew: the epoch before has just printed its line."""
        super().on_train_epoch_start(trainer, pl_module)
        self._printed_at = time.monotonic()

    def tick(self) -> None:
        """Print, when it is time."""
        now = time.monotonic()
        if not self.active or now - self._printed_at < self.every:
            return
        self._printed_at = now
        label, done, of = "batch", self.batch, self.batches
        if self.validating:
            label, done, of = "validation batch", self.val_batch, self.val_batches
        parts = [f"epoch {self.epoch}" + (f"/{self.epochs}" if self.epochs else "")]
        parts.append(f"{label} {done}" + (f"/{of}" if of else ""))
        parts += [f"{self.pace.speed:.3g} images/s"] if self.pace.speed else []
        left = self.left
        parts += [f"eta {duration(left)}"] if left is not None else []
        print("  ".join(parts), flush=True)


class _Memory:
    """Memory in use, looked up now and then: for many loaders it takes long, so then less often."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._next = float("-inf")

    def read(self, device: torch.device) -> list[str]:
        """Return what this process and its loaders hold, and the most that was ever reserved on its GPU."""
        began = time.monotonic()
        if began >= self._next:
            self._told = [f"memory {_held_memory() / 1e9:.2f} GB"]
            if device.type == "cuda":
                self._told.append(f"GPU memory {torch.cuda.max_memory_reserved(device) / 1e9:.2f} GB")
            ended = time.monotonic()
            self._next = ended + max(MEMORY_EVERY, 100 * (ended - began))
        return self._told


def _held_memory() -> int:
    """Bytes of this process and its children; on Linux, where they share most of it, shared pages count once."""
    import psutil  # type: ignore[import-untyped]

    process, held = psutil.Process(), 0
    for each in (process, *process.children()):
        try:
            held += each.memory_full_info().pss if psutil.LINUX else each.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return held


def _rates(trainer: pl.Trainer) -> list[str]:
    rates = dict.fromkeys(f"{float(group['lr']):.3g}" for each in trainer.optimizers for group in each.param_groups)
    return ["learning rate " + " ".join(rates)] if rates else []


def _metric_rows(results: Results | None) -> dict[str, tuple[float, float, int]]:
    if results is None:
        return {}
    last, best = results.last, results.best  # the training thread may replace the first meanwhile
    names = [key for key in last if key.startswith("metrics/") and key in best]
    shown = _without_common_mark([key.removeprefix("metrics/") for key in names])
    return {short: (last[key], *best[key]) for short, key in zip(shown, names, strict=True)}


def _without_common_mark(names: Sequence[str]) -> list[str]:
    """Drop the `(B)` of boxes where there is nothing but boxes."""
    return [name.removesuffix("(B)") for name in names] if all(name.endswith("(B)") for name in names) else [*names]


def _short(loss: str) -> str:
    return loss.removesuffix("_loss")
