"""Checkpoints that are written whole or not at all."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO


class WholeCheckpointIO(TorchCheckpointIO):
    """Write beside the target and move into place, so that a full disk or a kill leaves the old checkpoint as it was.

    Lightning's own writer goes through the system's temporary folder, and copies from there when that is another
    disk: a copy that stops half way leaves half a checkpoint under the right name.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Save to a local path.

        Raises:
            OSError: the disk is full or not writable; nothing was changed.
        """
        target = Path(path)
        buffer = io.BytesIO()  # torch's own file writer turns a full disk into a RuntimeError without its number
        torch.save(checkpoint, buffer)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with temporary.open("wb") as file:
                file.write(buffer.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except OSError as error:
            error.filename = str(target)
            raise
        finally:
            temporary.unlink(missing_ok=True)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = lambda storage, _: storage, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Load tensors and plain values; what else a file asks for is not built.

        Args:
            path: where it is.
            map_location: see `torch.load`.
            weights_only: not asked: our checkpoints hold nothing else.

        Raises:
            UnpicklingError: it holds something else.
        """
        return super().load_checkpoint(path, map_location, weights_only=True)
