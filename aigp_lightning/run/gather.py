"""Collects plain values of all processes on the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import lightning.pytorch as pl


def gather_on_first(trainer: pl.Trainer, share: Any) -> list[Any]:
    """Collect every process's share on the first one. All processes call it.

    Args:
        trainer: it knows how many processes there are.
        share: this process's; anything that can be pickled.

    Returns:
        The shares by rank; on other processes an empty list.
    """
    if trainer.world_size == 1:
        return [share]
    import torch.distributed

    shares: list[Any] | None = [None] * trainer.world_size if trainer.is_global_zero else None
    torch.distributed.gather_object(share, shares)
    return shares or []
