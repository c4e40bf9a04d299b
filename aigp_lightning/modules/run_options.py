"""The options of a run that a checkpoint carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from aigp_lightning.run.lightning_internals import datamodule_of
from aigp_lightning.types import HasCheckpointOptions

if TYPE_CHECKING:
    import lightning.pytorch as pl


@runtime_checkable
class Extends(Protocol):
    """A module whose run can be resumed with more epochs than it was planned for.

    Attributes:
        extend: whether more are meant; else another number of epochs than the checkpoint's is refused.
    """

    extend: bool


def run_options(trainer: pl.Trainer | None, module: object) -> dict[str, dict[str, Any]]:
    """Return the options of a run by group, as plain values; `checkpoints/schema.py` says which.

    Args:
        trainer: it trains the module; None leaves the trainer's and the data's out.
        module: whose options are kept.

    Example:
        >>> class Module:
        ...     def checkpoint_options(self):
        ...         return {"conf": 0.001, "gains": {"box": 7.5}}
        >>> run_options(None, Module())
        {'model': {'conf': 0.001, 'gains': {'box': 7.5}}}
    """
    data = datamodule_of(trainer) if trainer is not None else None
    groups: dict[str, dict[str, Any]] = {}
    for name, owner in (("data", data), ("model", module)):
        if isinstance(owner, HasCheckpointOptions):
            groups[name] = plain(owner.checkpoint_options())
    if trainer is not None:
        groups["trainer"] = {
            "max_epochs": trainer.max_epochs,
            "precision": str(trainer.precision),
            "world_size": trainer.world_size,
            "batches": int(trainer.num_training_batches),
        }
        if data is not None and hasattr(data, "train_images"):
            groups["trainer"]["train_images"] = int(data.train_images)
    return groups


def plain(value: Any) -> Any:
    """Return a value as numbers, texts, lists and dicts, by which a checkpoint opens without running code.

    Args:
        value: any; what is none of these becomes text.

    Example:
        >>> from pathlib import PurePosixPath
        >>> plain({"sizes": (1, 2), "file": PurePosixPath("a.yaml")})
        {'sizes': [1, 2], 'file': 'a.yaml'}
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return str(value)
