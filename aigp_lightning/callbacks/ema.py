"""Exponential moving average of the weights, on Lightning's weight averaging."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch.optim.swa_utils import AveragedModel

from aigp_lightning.ranges import POSITIVE, SHARE, check_ranges

if TYPE_CHECKING:
    import lightning.pytorch as pl
    from torch import Tensor


class EMA(WeightAveraging):
    """Average parameters and buffers after every optimizer step; validate, checkpoint and finish with the average.

    The decay rises as ``decay · (1 − exp(−steps / tau))``, so that early epochs forget quickly (Ultralytics' ramp).
    Lightning's class does the swapping and the checkpointing; the update itself is ours, since Lightning's reads a
    counter back from the device in every step and keeps the average on the CPU when the model moves to a GPU.

    Args:
        decay: what the decay approaches, 0…1.
        tau: steps of the ramp.

    Example:
        >>> import lightning.pytorch as pl
        >>> from lightning.pytorch.demos.boring_classes import BoringModel
        >>> quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        >>> ema = EMA(decay=1.0, tau=1e-6)  # the average of the first weights alone
        >>> trainer = pl.Trainer(accelerator="cpu", max_steps=2, callbacks=[ema], enable_model_summary=False, **quiet)
        >>> module = BoringModel()
        >>> before = module.layer.weight.detach().clone()
        >>> trainer.fit(module)
        >>> torch.equal(module.layer.weight, before)
        True
    """

    def __init__(self, decay: float = 0.9999, tau: float = 2000.0) -> None:
        super().__init__()
        check_ranges("--ema", {"decay": decay, "tau": tau}, {"decay": SHARE, "tau": POSITIVE})
        self.decay, self.tau = decay, tau
        self._pairs: tuple[list[Tensor], list[Tensor]] | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Build the model if it is not yet, and copy it."""
        if stage == "fit":
            pl_module.configure_model()
            self._average_model = AveragedModel(pl_module, use_buffers=True)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move the average to the model's device."""
        assert self._average_model is not None
        self._average_model.to(pl_module.device)
        self._pairs = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the average after an optimizer step."""
        if trainer.global_step > self._latest_update_step:
            self._latest_update_step = trainer.global_step
            self._update(pl_module, trainer.global_step)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Do nothing: the average moves by steps."""

    @torch.no_grad()
    def _update(self, pl_module: pl.LightningModule, step: int) -> None:
        if self._pairs is None:
            assert self._average_model is not None
            averages, currents = _tensors(self._average_model.module), _tensors(pl_module)
            pairs = [(a, c) for a, c in zip(averages, currents, strict=True) if a.is_floating_point()]
            self._pairs = [a for a, _ in pairs], [c for _, c in pairs]
        share = 1 - self.decay * (1 - math.exp(-step / self.tau))
        torch._foreach_lerp_(*self._pairs, share)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Forget the average, which the model holds now: what is loaded from now on is not to be swapped."""
        self._average_model = self._pairs = None

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Resume the average; outside training the checkpoint's weights are the average already."""
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the average in, the same on every process."""
        if self._average_model is not None and trainer.world_size > 1:
            for buffer in self._average_model.module.buffers():  # batch statistics differ between processes
                if buffer.is_floating_point():
                    torch.distributed.broadcast(buffer, src=0)
        super().on_validation_epoch_start(trainer, pl_module)


def _tensors(module: torch.nn.Module) -> list[Tensor]:
    return [tensor.data for tensor in chain(module.parameters(), module.buffers())]
