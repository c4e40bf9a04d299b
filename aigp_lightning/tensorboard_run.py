"""Lightning's TensorBoard logger in a run that goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger


class SteadyTensorBoardLogger(TensorBoardLogger):
    """Lightning's TensorBoard logger, which writes no scalar of a step a second time.

    TensorBoard's own `purge_step` would hide what was written before, by steps; pictures count epochs, and in a run of
    one batch an epoch they would be hidden too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.known: Counter[tuple[str, int]] = Counter()
        """Scalars that an earlier start of this run has written: they come again, and are passed over."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write scalars."""
        new = {}
        for name, value in metrics.items():
            point = name, 0 if step is None else step
            if self.known[point] > 0:
                self.known[point] -= 1
            else:
                new[name] = value
        if new:
            super().log_metrics(new, step)
