"""Reading a checkpoint outside a trainer, as data."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from aigp_lightning.checkpoints.plain_values import read_plain_value
from aigp_lightning.checkpoints.schema import LEDGER, METADATA, checkpoint_metadata
from aigp_lightning.errors import WeightsError, first_line


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint without running code that it may carry.

    Args:
        path: the `.ckpt`.

    Returns:
        Its contents, tensors on the CPU.

    Raises:
        WeightsError: missing, unreadable, or another program's.
    """
    import torch

    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"there is no checkpoint at {path}.")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen types for a file that is cut off or no checkpoint
        # Torch's advice for what holds more than plain values is to run the code in it.
        reason = "" if isinstance(error, UnpicklingError | EOFError) else f": {first_line(error)}"
        raise WeightsError(f"cannot read {path}: it is cut off, or of another kind than ours{reason}.") from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise WeightsError(
            f"{path} was not written by aigp_lightning. Weights of other programs go to --model.weights."
        )
    checkpoint_metadata(content, path)
    return content


def read_ledger_anchor(path: Path) -> Any:
    """Read from a checkpoint what it says of the ledger, without its weights and without running code.

    Args:
        path: the `.ckpt`.

    Returns:
        What stands there, unchecked; None in checkpoints of earlier versions.

    Raises:
        WeightsError: it cannot be read.
    """
    return read_plain_value(path, LEDGER)


def read_metadata(path: Path) -> dict[str, Any]:
    """Read what this package adds to a checkpoint: classes, task, network and options; without weights or torch.

    Args:
        path: the `.ckpt`.

    Returns:
        See `checkpoint_metadata`.

    Raises:
        WeightsError: it cannot be read, or is another program's.
    """
    return checkpoint_metadata({METADATA: read_plain_value(path, METADATA)}, path)
