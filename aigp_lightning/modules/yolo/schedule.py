"""Learning rates, momentum and accumulation over a run, by Ultralytics' recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aigp_lightning.modules.yolo.optim import OptimConfig, ResolvedOptimizer

if TYPE_CHECKING:
    from torch.optim import Optimizer


@dataclass(frozen=True)
class Schedule:
    """Learning rates, momentum and accumulation as closed functions of the iteration.

    Being closed, they need no state in a checkpoint: a resumed run is where it was.

    Args:
        epochs: length of the run.
        batches: batches an epoch.
        warmup: iterations of warm-up.
        accumulate: batches an optimizer step, after warm-up.
        lrf, cos: see `OptimConfig`.
        momentum, warmup_momentum, warmup_bias_lr: see `OptimConfig`.
    """

    epochs: int
    batches: int
    warmup: int
    accumulate: int
    lrf: float
    cos: bool
    momentum: float
    warmup_momentum: float
    warmup_bias_lr: float

    @classmethod
    def plan(
        cls, config: OptimConfig, resolved: ResolvedOptimizer, epochs: int, batches: int, batch_size: int
    ) -> Schedule:
        """Lay out a run of `epochs` × `batches` at a global batch of `batch_size` images."""
        warmup_epochs = min(config.warmup_epochs, max(epochs - 1, 0))  # the last epoch is always a regular one
        accumulate = max(round(config.nbs / batch_size), 1)
        return cls(
            epochs=epochs,
            batches=batches,
            warmup=round(warmup_epochs * batches) if warmup_epochs > 0 else 0,
            accumulate=min(accumulate, max(batches * epochs, 1)),
            lrf=config.lrf,
            cos=config.cos_lr,
            momentum=config.momentum,
            warmup_momentum=config.warmup_momentum,
            warmup_bias_lr=resolved.warmup_bias_lr,
        )

    def factor(self, epoch: int) -> float:
        """Return the share of lr0 in an epoch, from 0: from 1 to `lrf`, linear or half a cosine."""
        if self.cos:
            return max((1 - math.cos(epoch * math.pi / self.epochs)) / 2, 0) * (self.lrf - 1) + 1
        return max(1 - epoch / self.epochs, 0) * (1 - self.lrf) + self.lrf

    def apply(self, optimizer: Optimizer, epoch: int, batch: int) -> int:
        """Set this iteration's rates and momentum.

        Returns:
            Over how many batches to accumulate at this iteration.
        """
        iteration, factor = batch + self.batches * epoch, self.factor(epoch)
        warming = bool(self.warmup) and iteration <= self.warmup
        share = iteration / self.warmup if warming else 1.0
        for group in optimizer.param_groups:
            target = group.setdefault("initial_lr", group["lr"]) * factor
            if not warming:
                group["lr"] = target
                continue
            start = self.warmup_bias_lr if group.get("param_group") == "bias" else 0.0
            group["lr"] = start + (target - start) * share
            if "momentum" in group:
                group["momentum"] = self.warmup_momentum + (self.momentum - self.warmup_momentum) * share
        if not warming or iteration == self.warmup:
            return self.accumulate
        return max(1, round(1 + (self.accumulate - 1) / self.warmup * iteration))  # in this order ties round as theirs
