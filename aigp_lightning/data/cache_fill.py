"""Training pictures that are to be cached, and how they are read into a cache: by threads, each once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from aigp_lightning.data.cache_room import check_room, told_size
from aigp_lightning.data.picture_cache import Layout, PictureCache, new_block, training_layout
from aigp_lightning.data.records import ImageRecord
from aigp_lightning.data.resizing import LETTERBOX, Resizing
from aigp_lightning.errors import ConfigError, DataError, tell_user
from aigp_lightning.terminal.output import console

CHUNK = 16
"""Pictures that a thread reads in one go."""

Put = Callable[[int, Any], None]
"""Writes bytes at a place."""


@dataclass(frozen=True)
class Pictures:
    """Training pictures to be cached.

    Args:
        records: images that a scan found usable.
        imgsz: length of the long side in training, pixels.
        resizing: way to resize them.

    Example:
        >>> Pictures([], imgsz=64).layout.size
        0
    """

    records: Sequence[ImageRecord]
    imgsz: int
    resizing: Resizing = LETTERBOX

    @cached_property
    def layout(self) -> Layout:
        """Places of the pictures in the cache."""
        return training_layout([record.shape for record in self.records], self.imgsz, self.resizing)

    def told(self) -> str:
        """Say how many there are, and how large they are together."""
        return f"{len(self.records):,} training pictures at {self.imgsz} px, {told_size(self.layout.size)}"


def cache_in_memory(pictures: Pictures, *, threads: int, progress: bool = False) -> PictureCache:
    """Decode pictures into memory that all processes of this machine can share.

    Args:
        pictures: what to read.
        threads: how many read at once.
        progress: show a progress bar.

    Raises:
        ConfigError: there is not enough memory.

    Example:
        >>> import lightning.pytorch  # sets the rank, by which one process alone prints
        >>> record = ImageRecord("gone.jpg", (48, 64), np.zeros(0), np.zeros((0, 4), np.float32), None)
        >>> cache = cache_in_memory(Pictures([record], 64), threads=1)
        >>> cache.get(0) is None, cache.missing()  # it cannot be read: whoever wants it finds out why
        (True, 1)
    """
    layout = pictures.layout
    check_room("ram", layout.size, len(pictures.records))
    tell_user(f"cache: {pictures.told()}, in memory")
    try:
        block = new_block(layout.size)
    except OSError as error:
        raise ConfigError(
            f"--data.cache ram: {told_size(layout.size)} of memory cannot be had ({error.strerror}); use "
            "--data.cache disk, or a smaller --data.imgsz."
        ) from error
    fill(pictures, block.write, threads, progress)
    return PictureCache(layout, block)


def fill(pictures: Pictures, put: Put, threads: int, progress: bool) -> None:
    """Read all pictures in threads, since reading and decoding leave the interpreter free.

    Args:
        pictures: what to read.
        put: writes to the block; several threads call it.
        threads: how many read at once.
        progress: show a progress bar.

    Example:
        >>> record = ImageRecord("gone.jpg", (48, 64), np.zeros(0), np.zeros((0, 4), np.float32), None)
        >>> fill(Pictures([record], 64), lambda start, data: print(start, data.tolist()), threads=1, progress=False)
        0 [0]
    """
    layout = pictures.layout
    there = np.zeros(len(pictures.records), np.uint8)

    def read(start: int) -> int:
        stop = min(start + CHUNK, len(there))
        for index in range(start, stop):
            record = pictures.records[index]
            with suppress(DataError):  # whoever asks for it reads the file, and is told why it cannot be
                image = np.ascontiguousarray(pictures.resizing.training_image(record, pictures.imgsz))
                if image.shape[:2] == tuple(layout.shapes[index].tolist()):
                    put(layout.place(index).start, image.reshape(-1))
                    there[index] = 1
        return stop - start

    with _bar(len(there), progress) as shown:
        pool = ThreadPoolExecutor(max(1, threads))
        try:
            for done in pool.map(read, range(0, len(there), CHUNK)):
                if shown is not None:
                    shown.update(shown.task_ids[0], advance=done)
        finally:
            pool.shutdown(cancel_futures=True)
    if len(there):
        put(0, there)


def _bar(total: int, progress: bool) -> Any:
    """Make a progress bar with one task, or a context that yields None."""
    if not progress:
        return nullcontext()
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    bar = Progress(*columns, transient=True, console=console())
    if not bar.console.is_interactive:
        return nullcontext()
    bar.add_task("filling the cache", total=total)
    return bar
