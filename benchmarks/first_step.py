"""A callback for `startup.py`: it writes down when the first batch is done, and ends the process there."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import psutil
from lightning.pytorch.callbacks import Callback


class FirstStep(Callback):
    """Ends a process after its first batch of training, or of a `validate`.

    Args:
        file: gets wall and processor seconds since the process was started.
    """

    def __init__(self, file: str) -> None:
        self.file = file

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Note the first step."""
        self._end(pl_module)

    def on_validation_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Note the first batch of a `validate`."""
        if trainer.state.fn == "validate":
            self._end(pl_module)

    def _end(self, module: Any) -> None:
        import torch

        if module.device.type == "cuda":
            torch.cuda.synchronize()
        wall, cpu = time.time() - psutil.Process().create_time(), time.process_time()
        Path(self.file).write_text(json.dumps({"wall": wall, "cpu": cpu}), encoding="utf-8")
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(0)
