"""The trainer's limits against the size of a data set, checked before the first batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from aigp_lightning.errors import ConfigError
from aigp_lightning.run.lightning_internals import overfit_batches

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

LIMITS = {"train": "limit_train_batches", "val": "limit_val_batches", "test": "limit_test_batches"}
"""The trainer's option for each split; `overfit_batches` sets the first two."""


def batches_of(images: dict[str, int], batch_size: int, processes: int) -> dict[str, int]:
    """Return how many batches each split has, in every process.

    Args:
        images: of each split.
        batch_size: training images a step, over all processes; others take twice as many.
        processes: that share them.

    Example:
        >>> batches_of({"train": 9, "val": 9}, batch_size=4, processes=2)
        {'train': 3, 'val': 2}
    """
    share = max(batch_size // processes, 1)
    return {
        split: math.ceil(math.ceil(count / processes) / share)
        if split == "train"
        else math.ceil(count / 2 / batch_size)
        for split, count in images.items()
    }


def check_limits(trainer: Trainer, batches: dict[str, int]) -> None:
    """Refuse limits that leave no batch, and validations that would come after the epoch's end.

    `overfit_batches` as a share of few validation batches takes one of them; the trainer is changed then.

    Args:
        trainer: about to run.
        batches: of each split that it will use, in one process.

    Raises:
        ConfigError: naming the option, and what it may be.

    Example:
        >>> import lightning.pytorch as pl
        >>> trainer = pl.Trainer(limit_train_batches=0.1, logger=False, enable_checkpointing=False, accelerator="cpu")
        >>> try:
        ...     check_limits(trainer, {"train": 4, "val": 1})
        ... except ConfigError as error:
        ...     print(error)
        --trainer.limit_train_batches 0.1 of 4 batches is less than one; take 0.25 or more, or a number of batches.
    """
    for split, there in batches.items():
        limit = getattr(trainer, LIMITS[split])
        if split == "train" and limit == 0:
            raise ConfigError("--trainer.limit_train_batches 0: nothing would be trained. `validate` measures a model.")
        if not isinstance(limit, float) or not limit or int(there * limit):
            continue
        if split == "val" and overfit_batches(trainer):
            trainer.limit_val_batches = 1
            continue
        option = "overfit_batches" if split == "train" and overfit_batches(trainer) else LIMITS[split]
        least = math.ceil(1000 / there) / 1000
        raise ConfigError(
            f"--trainer.{option} {limit:g} of {there} batches is less than one; take {least:g} or more, or a number of "
            "batches."
        )
    if "train" in batches and trainer.limit_val_batches:
        _check_interval(trainer, batches["train"])


def _check_interval(trainer: Trainer, there: int) -> None:
    """Refuse a validation after more training batches than an epoch has."""
    limit, every = trainer.limit_train_batches, trainer.val_check_interval
    used = min(there, limit) if isinstance(limit, int) else int(there * limit)
    if isinstance(every, int) and trainer.check_val_every_n_epoch is not None and every > used:
        raise ConfigError(
            f"--trainer.val_check_interval {every}: an epoch has {used} batches. To validate after as many batches "
            "over several epochs, add --trainer.check_val_every_n_epoch null."
        )


def check_batch(batch_size: int, processes: int, imgsz: int, least: int, smaller_by: str = "") -> None:
    """Refuse batches with fewer images than the network can be trained on.

    Args:
        batch_size: images a step, over all processes.
        processes: that share them.
        imgsz: side of the network's input, pixels.
        least: fewest images of a batch, in one process.
        smaller_by: the option that makes pictures smaller than `imgsz` in some batches, with its value.

    Raises:
        ConfigError: naming the options that are the cause, and the smallest batch that will do.

    Example:
        >>> try:
        ...     check_batch(batch_size=1, processes=1, imgsz=32, least=2)
        ... except ConfigError as error:
        ...     print(error)
        --data.batch_size 1: at --data.imgsz 32 the last layers see one cell an image, and batch norm has no variance \
of one value. Take --data.batch_size 2 or a larger --data.imgsz.
    """
    if least <= 1 or batch_size // processes >= least:
        return
    shared = f" is {batch_size // processes} in each of {processes} processes" if processes > 1 else ""
    ways = [f"--data.batch_size {least * processes}", *(["fewer processes"] if processes > 1 else [])]
    at = f"at --data.imgsz {imgsz}"
    if smaller_by:
        at += f", which {smaller_by} makes smaller in some batches,"
        ways.append(f"a smaller {smaller_by.partition(' ')[0]}")
    ways.append("a larger --data.imgsz")
    raise ConfigError(
        f"--data.batch_size {batch_size}{shared}: {at} the last layers see one cell an image, and batch norm has no "
        f"variance of one value. Take {', '.join(ways[:-1])} or {ways[-1]}."
    )
