"""Learning rates, momentum and accumulation over a run, by Ultralytics' recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aigp_lightning.modules.run_length import Extension
from aigp_lightning.modules.yolo.optim import OptimConfig, ResolvedOptimizer

if TYPE_CHECKING:
    from torch.optim import Optimizer


@dataclass(frozen=True)
class Schedule:
    """Learning rates, momentum and accumulation as closed functions of the iteration.

    Being closed, they need no state in a checkpoint: a resumed run is where it was. An iteration is a share of its
    epoch: a run that is resumed with more or fewer batches an epoch goes on at the same point of warm-up and schedule.

    Args:
        epochs: length of the run when it began.
        batches: batches an epoch.
        warmup: iterations of warm-up.
        accumulate: batches an optimizer step, after warm-up.
        lrf, cos: see `OptimConfig`.
        momentum, warmup_momentum, warmup_bias_lr: see `OptimConfig`.
        extensions: how the run was made longer, in order. The rate then goes on at that of the epoch before, and falls
            over the epochs that are left: there is no step, neither up nor down.
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
    extensions: tuple[Extension, ...] = ()

    @classmethod
    def plan(
        cls, config: OptimConfig, resolved: ResolvedOptimizer, epochs: int, batches: int, batch_size: int,
        extensions: tuple[Extension, ...] = (),
    ) -> Schedule:  # fmt: skip
        """Lay out a run of `epochs` × `batches` at a global batch of `batch_size` images, and its extensions."""
        warmup_epochs = min(config.warmup_epochs, max(epochs - 1, 0))  # the last epoch is always a regular one
        accumulate = max(round(config.nbs / batch_size), 1)
        return cls(
            epochs=epochs,
            batches=batches,
            warmup=round(warmup_epochs * batches) if warmup_epochs > 0 else 0,
            accumulate=min(accumulate, max(batches * (extensions[-1].epochs if extensions else epochs), 1)),
            lrf=config.lrf,
            cos=config.cos_lr,
            momentum=config.momentum,
            warmup_momentum=config.warmup_momentum,
            warmup_bias_lr=resolved.warmup_bias_lr,
            extensions=extensions,
        )

    def factor(self, epoch: int) -> float:
        """Return the share of lr0 in an epoch, from 0: from 1 to `lrf`, linear or half a cosine."""
        return self._factor(epoch, self.extensions)

    def _factor(self, epoch: int, extensions: tuple[Extension, ...]) -> float:
        for number in reversed(range(len(extensions))):
            if epoch >= (start := extensions[number].start):
                before = self._factor(start - 1, extensions[:number])
                return self._fallen(before, start, extensions[number].epochs, epoch)
        return self._fallen(1.0, 0, self.epochs, epoch)

    def _fallen(self, share: float, start: int, end: int, epoch: int) -> float:
        """Return the share of lr0 in an epoch of a stretch that begins at `share` and falls to `lrf` at its end."""
        if self.cos:
            return max((1 - math.cos((epoch - start) * math.pi / (end - start))) / 2, 0) * (self.lrf - share) + share
        return max(1 - (epoch - start) / (end - start), 0) * (share - self.lrf) + self.lrf

    def rate(self, initial: float, group: object, epoch: int, batch: int) -> float:
        """Return the learning rate of a parameter group at an iteration.

        Args:
            initial: its rate at the start of the schedule.
            group: its name, see `build_optimizer`.
            epoch: from 0.
            batch: from 0, in its epoch.
        """
        iteration, target = batch + self.batches * epoch, initial * self.factor(epoch)
        if not self._warming(iteration):
            return target
        start = self.warmup_bias_lr if group == "bias" else 0.0
        return start + (target - start) * (iteration / self.warmup)

    def _warming(self, iteration: int) -> bool:
        return bool(self.warmup) and iteration <= self.warmup

    def apply(self, optimizer: Optimizer, epoch: int, batch: int) -> int:
        """Set this iteration's rates and momentum.

        Returns:
            Over how many batches to accumulate at this iteration.
        """
        iteration = batch + self.batches * epoch
        warming = self._warming(iteration)
        share = iteration / self.warmup if warming else 1.0
        for group in optimizer.param_groups:
            initial = group.setdefault("initial_lr", group["lr"])
            group["lr"] = self.rate(initial, group.get("param_group"), epoch, batch)
            if self.warmup and "momentum" in group:  # afterwards too: a resumed run may have skipped the end of it
                group["momentum"] = self.warmup_momentum + (self.momentum - self.warmup_momentum) * share
        if not warming or iteration == self.warmup:
            return self.accumulate
        return max(1, round(1 + (self.accumulate - 1) / self.warmup * iteration))  # in this order ties round as theirs
