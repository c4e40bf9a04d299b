"""Lightning's private names that this package relies on, each in one place; contract tests hold what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import lightning.pytorch as pl


def batches_stepped(trainer: pl.Trainer) -> int:
    """Return the step at which Lightning logs scalars now: training batches, from 0, and not optimizer steps."""
    return int(trainer.fit_loop.epoch_loop._batches_that_stepped)
