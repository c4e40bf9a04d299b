"""Losses and gradients that are nan or inf: stop the run, or skip the step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from lightning.pytorch.callbacks import Callback

from aigp_lightning.checkpoints.io import AtomicCheckpointIO
from aigp_lightning.checkpoints.paths import LAST
from aigp_lightning.errors import RunError, warn_user
from aigp_lightning.media.snapshot import to_host
from aigp_lightning.media.suspect_batch import keep_batch
from aigp_lightning.ranges import COUNT_OR_NONE, check_range

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from torch import Tensor
    from torch.optim import Optimizer

FOLDER = "nonfinite"
CHECKED = ("gradient", "loss")
KEPT = 3
"""Batches that are left out and written down: they can be large."""


@dataclass(frozen=True)
class _Step:
    """A training step that was enqueued; what came of it may not be known yet."""

    epoch: int
    batch_idx: int
    batch: Any
    items: dict[str, Tensor]
    flags: Callable[[], dict[str, Tensor]]


class NonFinite(Callback):
    """Watch for losses and gradients that are nan or inf.

    Nothing is read back from a GPU within a step: whether a step was bad is a tensor there. What depends on it (left
    out gradients, batch statistics put back) is chosen there too, and the answer is looked at one step later, when
    the next is already enqueued. All processes of a run see the same answer at the same step.

    With `stop` the run ends; no checkpoint has weights from after the bad step. With `skip` the gradients of the whole
    optimizer step count as zero (momentum goes on), and batch norm keeps the statistics from before the batch. Under
    16-bit precision gradients that overflow are common and the gradient scaler's business; there the loss decides.

    The callback goes before the EMA, which would average what it puts back.

    Args:
        action: stop the run, or skip the step.
        limit: with skip, most batches an epoch that may be bad; one more ends the run.

    Example:
        >>> import lightning.pytorch as pl
        >>> from lightning.pytorch.demos.boring_classes import BoringModel
        >>> check = NonFinite("skip", limit=3)
        >>> quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        >>> trainer = pl.Trainer(accelerator="cpu", max_steps=2, callbacks=[check], enable_model_summary=False, **quiet)
        >>> trainer.fit(BoringModel())
        >>> check.bad_batches
        0
    """

    def __init__(self, action: Literal["stop", "skip"] = "stop", limit: int = 10) -> None:
        check_range("--nonfinite.limit", limit, COUNT_OR_NONE)
        self.action, self.limit = action, limit
        self.bad_batches = self._kept = 0
        self._waiting: deque[_Step] = deque()
        self._window: Tensor | None = None
        self._bad: Tensor | None = None
        self._bad_rank: Tensor | None = None
        self._before: Tensor | None = None

    # ---- within a step, on the device -------------------------------------------------------------------------------

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the batch statistics, which the forward pass is about to change."""
        self._bad = self._bad_rank = None
        if self.action == "skip" and (buffers := _statistics(pl_module)):
            self._before = _flat(buffers)

    @torch.no_grad()
    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Note on the device whether the loss is finite."""
        self._bad_rank = ~loss.detach().isfinite().all() * (trainer.global_rank + 1)
        if trainer.world_size > 1:
            torch.distributed.all_reduce(self._bad_rank, torch.distributed.ReduceOp.MAX)
        self._bad = _either(self._bad, self._bad_rank > 0)
        self._window = _either(self._window, self._bad)

    @torch.no_grad()
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Note whether the gradients, the same on all processes, are finite; zero them if the step is to be skipped."""
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        bad, self._window = self._window, None
        if not gradients or self._bad is None or bad is None:
            return
        if getattr(trainer.precision_plugin, "scaler", None) is None:
            wrong = ~torch.nn.utils.get_total_norm(gradients).isfinite()
            self._bad |= wrong & ~bad  # after a bad loss, its gradients are no news
            bad = bad | wrong
        if self.action == "skip":
            flat = _flat(gradients)
            _put(gradients, torch.where(bad, torch.zeros_like(flat), flat))

    # ---- a step later, on the host ----------------------------------------------------------------------------------

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Read the result of the step before; of this one too where that needs no waiting, or nothing comes after.

        Raises:
            RunError: the run is to stop.
        """
        if self._bad is None or self._bad_rank is None:
            return
        self._restore_statistics(pl_module, self._bad)
        items = outputs.get("loss_items", {}) if isinstance(outputs, dict) else {}
        flags = to_host({"bad": self._bad, "bad_rank": self._bad_rank})
        self._waiting.append(_Step(trainer.current_epoch, batch_idx, batch, dict(items), flags))
        late = 0 if trainer.is_last_batch or not self._bad.is_cuda else 1
        while len(self._waiting) > late:
            self._read(trainer, pl_module, self._waiting.popleft())

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reset the count of bad batches."""
        self.bad_batches = 0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read what is left where no batch was known to be the last, and warn of the steps that the epoch lacks."""
        while self._waiting:
            self._read(trainer, pl_module, self._waiting.popleft())
        if self.bad_batches:
            warn_user(
                f"epoch {trainer.current_epoch + 1}: {self.bad_batches} batches had a loss or a gradient that is no "
                f"number; their steps were left out. {Path(trainer.default_root_dir) / FOLDER} has the first ones."
            )

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Release batches that were not looked at."""
        self._waiting.clear()

    @torch.no_grad()
    def _restore_statistics(self, module: pl.LightningModule, bad: Tensor) -> None:
        """Restore batch statistics from before a bad batch; not earlier, since the backward pass needs its own."""
        if self._before is not None:
            buffers = _statistics(module)
            _put(buffers, torch.where(bad, self._before, _flat(buffers)))
            self._before = None

    def _read(self, trainer: pl.Trainer, module: pl.LightningModule, step: _Step) -> None:
        flags = step.flags()
        if not bool(flags["bad"]):
            return
        self.bad_batches += 1
        bad_rank = int(flags["bad_rank"]) - 1  # −1: every loss is a number, and the gradient is not
        losses = {name: float(value) for name, value in step.items.items()}
        ends = self.action == "stop" or self.bad_batches > self.limit
        if bad_rank in (trainer.global_rank, -1) and (ends or self._kept < KEPT):
            self._keep(trainer, module, step, losses)
        told = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
        told = f" ({told})" if bad_rank == trainer.global_rank else f" (on process {bad_rank})" if bad_rank >= 0 else ""
        what = f"epoch {step.epoch + 1}, batch {step.batch_idx + 1}: the {CHECKED[bad_rank >= 0]} is no number{told}"
        if not ends:
            warn_user(f"{what}; the step is left out.")
            return
        trainer.strategy.barrier("nonfinite")  # a process that ends may end the others, and they write
        raise RunError(f"{what}. {self._advice(trainer)}", shared=True)

    def _advice(self, trainer: pl.Trainer) -> str:
        folder, store = Path(trainer.default_root_dir), trainer.strategy.checkpoint_io
        last, more = folder / LAST, ""
        on_the_way = isinstance(store, AtomicCheckpointIO) and store.waiting  # it counts when the run ends
        kept = f" {last} has the weights of the epoch before." if last.is_file() or on_the_way else ""
        if self.action == "skip":
            more = f" More batches of this epoch than --nonfinite.limit {self.limit} allows."
        other = ", or --nonfinite.action skip" if self.action == "stop" else ""
        return (
            f"The batch is in {folder / FOLDER}, as picture, tensors and list of images.{kept}{more} Look at these "
            f"images and their labels; then try a lower rate (--model.optim.*) or --trainer.precision 32-true{other}."
        )

    def _keep(self, trainer: pl.Trainer, module: pl.LightningModule, step: _Step, losses: dict[str, float]) -> None:
        self._kept += 1
        rank = f"_process{trainer.global_rank}" if trainer.world_size > 1 else ""
        name = f"epoch{step.epoch + 1:04d}_batch{step.batch_idx + 1:05d}{rank}"
        facts = {"epoch": step.epoch + 1, "batch": step.batch_idx + 1, "losses": losses}
        try:
            keep_batch(Path(trainer.default_root_dir) / FOLDER / name, step.batch, facts, module)
        except Exception as error:  # what is said of the loss matters more
            warn_user(f"the batch of epoch {step.epoch + 1} could not be kept: {error}", everywhere=True)


def _either(one: Tensor | None, other: Tensor) -> Tensor:
    return other if one is None else one | other


def _statistics(module: torch.nn.Module) -> list[Tensor]:
    """Return the buffers that a forward pass may change: those of floating point."""
    return [buffer for buffer in module.buffers() if buffer.is_floating_point()]


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def _put(tensors: Sequence[Tensor], flat: Tensor) -> None:
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    torch._foreach_copy_(list(tensors), [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)])
