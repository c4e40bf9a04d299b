"""A callback that says what a run is about to do, so that it can be killed there."""

from __future__ import annotations

import os
from typing import Any

import lightning.pytorch as pl


class Phases(pl.Callback):
    """Print a line when a phase begins: its name, the epoch, the process."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Mark the middle of training."""
        if batch_idx == 1:
            self._say("batch", trainer)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Within an epoch, or of the best one at the end."""
        self._say("validation" if trainer.state.fn == "fit" else "best", trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Mark the moment before checkpoints are written."""
        self._say("epoch end", trainer)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Those of the epoch before are about to be moved into place."""
        if trainer.current_epoch:
            self._say("next epoch", trainer)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Closing pictures are drawn."""
        self._say("closing", trainer)

    @staticmethod
    def _say(phase: str, trainer: Any) -> None:
        print(f"phase:{phase},{trainer.current_epoch},{os.getpid()}", flush=True)
