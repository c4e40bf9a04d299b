"""One cache of training pictures for all processes of a machine: its first process fills it, the others map it."""

from __future__ import annotations

import platform
from typing import Any, Literal, get_args

from aigp_lightning.data.agreement import agree
from aigp_lightning.data.cache_file import cache_on_disk, places
from aigp_lightning.data.cache_fill import Pictures, cache_in_memory
from aigp_lightning.data.picture_cache import Block, PictureCache
from aigp_lightning.data.records import ScanResult
from aigp_lightning.data.resizing import LETTERBOX, Resizing
from aigp_lightning.data.trainer_view import TrainerView
from aigp_lightning.errors import ConfigError, UserError
from aigp_lightning.run.cores import cores

Cache = Literal["ram", "disk"]
"""Places that can keep decoded training pictures."""


def check_cache(value: Any) -> Cache | None:
    """Return the option if it is one.

    Args:
        value: from wherever.

    Raises:
        ConfigError: it is not.

    Example:
        >>> check_cache("ram"), check_cache(None)
        ('ram', None)
    """
    if value is not None and value not in get_args(Cache):
        raise ConfigError(f"--data.cache {value}: it is {' or '.join(get_args(Cache))}, or null for none.")
    return value  # type: ignore[no-any-return]


def shared_cache(
    kind: Cache, scan: ScanResult, imgsz: int, run: TrainerView, resizing: Resizing = LETTERBOX
) -> PictureCache:
    """Return a cache that is filled. All processes of a run call it; the first on each machine fills it.

    Args:
        kind: in memory or on a disk.
        scan: of the training split.
        imgsz: length of the long side in training, pixels.
        run: tells this process from the others.
        resizing: way to resize the pictures.

    Raises:
        UserError: there is no room; in all processes, if on one machine.

    Example:
        >>> import lightning.pytorch  # sets the rank, by which one process alone prints
        >>> import numpy as np
        >>> from aigp_lightning.data.records import ImageRecord
        >>> record = ImageRecord("gone.jpg", (48, 64), np.zeros(0), np.zeros((0, 4), np.float32), None)
        >>> shared_cache("ram", ScanResult("train", [record], [], images=1), 64, TrainerView(None)).missing()
        1
    """
    pictures = Pictures(scan.records, imgsz, resizing)
    failure: UserError | None = None
    cache: PictureCache | None = None
    if run.local_rank == 0:
        try:
            if kind == "ram":
                cache = cache_in_memory(pictures, threads=cores(), progress=True)
            else:
                cache = cache_on_disk(pictures, places(scan, run.folder), threads=cores(), progress=True)
        except UserError as error:
            failure = error
    if run.world_size == 1:
        if failure is not None:
            raise failure
        assert cache is not None
        return cache
    agree(failure, dict)
    addresses = _addresses(cache, run.world_size)
    if cache is None:
        layout = pictures.layout
        try:
            cache = PictureCache(layout, Block(addresses[platform.node()], layout.size))
        except (OSError, ValueError, KeyError) as error:  # ValueError: the file is shorter
            other = "disk" if kind == "ram" else "ram"
            failure = ConfigError(
                f"--data.cache {kind}: process {run.local_rank} of {platform.node()} cannot map the pictures that the "
                f"first one there has read ({error}). Use --data.cache {other}, or no cache (null)."
            )
    agree(failure, dict)
    assert cache is not None
    return cache


def _addresses(cache: PictureCache | None, world_size: int) -> dict[str, str]:
    """Return the address of each machine's cache by the machine's name."""
    import torch.distributed as dist

    found: list[Any] = [None] * world_size
    dist.all_gather_object(found, (platform.node(), None if cache is None else cache.address))
    return {node: address for node, address in found if address is not None}
