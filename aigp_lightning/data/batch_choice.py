"""The batch as the user gives it: a number of images, or a share of a GPU's memory by which it is chosen."""

from __future__ import annotations

from typing import Any

from aigp_lightning.errors import ConfigError
from aigp_lightning.ranges import COUNT, check_range

BatchSize = int | float | str
"""Images a step over all processes, a share of the GPU's memory below 1, or `auto`."""
AUTO = "auto"
AUTO_SHARE = 0.6
"""Share of the memory that `auto` stands for, as in Ultralytics."""
USUAL_BATCH = 16
"""Images a step where no GPU can be asked, as in Ultralytics."""
OPTION = "--data.batch_size"


def memory_share(batch_size: Any) -> float | None:
    """Return the share of a GPU's memory that a batch is to fill; None where it is given as a number of images.

    Args:
        batch_size: the option's value.

    Raises:
        ConfigError: it is neither a number of images, nor a share, nor `auto`.

    Example:
        >>> memory_share("auto"), memory_share(0.75), memory_share(32)
        (0.6, 0.75, None)
        >>> memory_share(-1)
        Traceback (most recent call last):
        aigp_lightning.errors.ConfigError: --data.batch_size -1: what fits into memory is called auto.
    """
    if batch_size == AUTO:
        return AUTO_SHARE
    if batch_size == -1:
        raise ConfigError(f"{OPTION} -1: what fits into memory is called {AUTO}.")
    if isinstance(batch_size, str | bool):
        raise ConfigError(f"{OPTION} {batch_size}: a number of images, a share of the GPU's memory, or {AUTO}.")
    if isinstance(batch_size, float) and 0 < batch_size < 1:
        return batch_size
    if isinstance(batch_size, float):
        raise ConfigError(
            f"{OPTION} {batch_size:g}: a whole number of images, or a share of the GPU's memory between 0 and 1."
        )
    check_range(OPTION, batch_size, COUNT)
    return None


def settled_batch(batch_size: Any, before: Any = None) -> int:
    """Return the batch of a run that cannot measure one: as given, else that of the run before, else the usual one.

    Args:
        batch_size: the option's value.
        before: batch of the run that is resumed, or that a checkpoint is of; None where there is none.

    Example:
        >>> settled_batch(8), settled_batch("auto", 24), settled_batch(0.5)
        (8, 24, 16)
    """
    if memory_share(batch_size) is None:
        return int(batch_size)
    return before if isinstance(before, int) else USUAL_BATCH
