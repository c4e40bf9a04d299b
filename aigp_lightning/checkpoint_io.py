"""Checkpoints that are written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from aigp_lightning.errors import RunError
from aigp_lightning.failures import FULL, disk_full
from aigp_lightning.whole_file import write_whole


class WholeCheckpointIO(TorchCheckpointIO):
    """Write beside the target and move into place, so that a full disk or a kill leaves the old checkpoint as it was.

    Lightning's own writer goes through the system's temporary folder, and copies from there when that is another
    disk: a copy that stops half way leaves half a checkpoint under the right name.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Save to a local path.

        Raises:
            RunError: the disk is full; nothing was changed.
            OSError: the disk is not writable; nothing was changed.
        """
        buffer = io.BytesIO()  # torch's own file writer turns a full disk into a RuntimeError without its number
        torch.save(checkpoint, buffer)
        try:
            write_whole(Path(path), buffer.getbuffer())
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise RunError(disk_full(error, path, buffer.tell())) from error
