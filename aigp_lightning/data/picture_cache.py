"""Decoded training pictures in one block of memory that all processes of a machine share.

In memory (`ram`) the block has no name in any file system, so that nothing of it can outlive the processes that use it,
however they end: on Linux it is a `memfd`, which other processes open by the number of the first process and of its
descriptor; on Windows a mapping with a tag, which is gone with its last user. A file in `/dev/shm` would stay after a
kill, and in a container there is mostly room for 64 MB. On a disk (`disk`) the block is a file, mapped for reading.
"""

from __future__ import annotations

import mmap
import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aigp_lightning.data.resizing import LETTERBOX, Resizing
from aigp_lightning.errors import ConfigError

CHANNELS = 3


@dataclass(frozen=True)
class Layout:
    """The places of pictures in a block: a byte for each that says whether it is there, then their pixels.

    Args:
        shapes: (n, 2) height and width of each picture, pixels.

    Example:
        >>> layout = Layout(np.array([[2, 3], [1, 1]]))
        >>> layout.size, layout.place(1)
        (23, slice(20, 23, None))
    """

    shapes: NDArray[np.int64]

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.concatenate(([0], np.cumsum(self.shapes.prod(1) * CHANNELS))) + len(self.shapes)

    @property
    def size(self) -> int:
        """Bytes of the block."""
        return int(self._ends[-1])

    def place(self, index: int) -> slice:
        """Return where the pixels of a picture are."""
        return slice(int(self._ends[index]), int(self._ends[index + 1]))


class Block:
    """Memory of a fixed size that other processes can map by its address.

    Args:
        address: `fd:…`, `tag:…` or `file:…`, as another process has it; empty for new memory.
        size: bytes.
        descriptor: of new memory, where it has one; it stays open as long as this object lives.
        identity: device and inode that another process has mapped there; another run may have replaced the file.

    Raises:
        OSError: there is none at this address, or another one.

    Example:
        >>> if sys.platform == "linux":
        ...     block = new_block(16)
        ...     block.write(4, b"abcd")
        ...     bytes(Block(block.address, 16).read()[4:8])
        ... else:
        ...     b"abcd"
        b'abcd'
    """

    def __init__(
        self, address: str, size: int, descriptor: int | None = None, identity: tuple[int, int] | None = None
    ) -> None:
        self.address, self.size, self._descriptor, self._creator = address, size, descriptor, os.getpid()
        self._writable: mmap.mmap | None = None
        self.identity = identity
        kind, _, where = address.partition(":")
        if kind == "tag":
            self._map = mmap.mmap(-1, size, tagname=where)  # type: ignore[call-arg,unused-ignore]
            return
        opened = os.open(where, os.O_RDONLY | getattr(os, "O_BINARY", 0)) if descriptor is None else descriptor
        try:
            found = os.fstat(opened)
            self.identity = found.st_dev, found.st_ino
            if identity not in (None, self.identity):
                raise OSError(f"{where}: another run has replaced it")
            self._map = mmap.mmap(opened, size, access=mmap.ACCESS_READ)
        finally:
            if descriptor is None:
                os.close(opened)  # the mapping stays

    def write(self, start: int, data: Any) -> None:
        """Write to new memory; threads may write at once."""
        if self._writable is None:
            assert self._descriptor is not None or self.address.startswith("tag:")
            self._writable = self._map if self._descriptor is None else mmap.mmap(self._descriptor, self.size)
        target = np.frombuffer(self._writable, np.uint8)
        source = np.frombuffer(data, np.uint8)
        target[start : start + len(source)] = source

    def read(self) -> NDArray[np.uint8]:
        """Return its bytes, which cannot be written to; from now on nobody writes."""
        self._writable = None
        found = np.frombuffer(self._map, np.uint8)
        found.flags.writeable = False
        return found

    def __getstate__(self) -> tuple[Any, ...]:
        """Return what a process that is started, not forked, finds the same memory by."""
        return self.address, self.size, None, self.identity

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def __del__(self) -> None:
        if getattr(self, "_descriptor", None) is not None and os.getpid() == self._creator:
            os.close(self._descriptor)  # type: ignore[arg-type]


def new_block(size: int) -> Block:
    """Make shared memory without a name in a file system.

    Args:
        size: bytes, all of which are reserved at once where the system can.

    Raises:
        OSError: there is not as much memory.
        ConfigError: this system has no such memory.

    Example:
        >>> new_block(16).size if sys.platform in ("linux", "win32") else 16
        16
    """
    if sys.platform == "win32":
        return Block(f"tag:aigp-{os.getpid()}-{secrets.token_hex(8)}", size)
    if sys.platform != "linux":
        raise ConfigError(
            "--data.cache ram needs Linux or Windows; use --data.cache disk, which the system keeps in memory as long "
            "as there is room."
        )
    descriptor = os.memfd_create("aigp-pictures", os.MFD_CLOEXEC)
    try:
        os.posix_fallocate(descriptor, 0, size)  # now, rather than a signal that ends the process while it writes
        return Block(f"fd:/proc/{os.getpid()}/fd/{descriptor}", size, descriptor)
    except BaseException:
        os.close(descriptor)
        raise


class PictureCache:
    """Training pictures by their number, as they are before augmentation.

    Args:
        layout: places of the pictures.
        block: memory that is filled.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> layout = Layout(np.array([[1, 2], [1, 1]]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a").write_bytes(bytes([1, 0, 5, 6, 7, 8, 9, 10, 0, 0, 0]))
        ...     cache = PictureCache(layout, Block(f"file:{folder}/a", layout.size))
        ...     found = cache.get(0).tolist(), cache.get(1)
        ...     del cache  # Windows removes no file that is mapped
        >>> found
        ([[[5, 6, 7], [8, 9, 10]]], None)
    """

    def __init__(self, layout: Layout, block: Block) -> None:
        self.layout, self.block = layout, block

    @property
    def address(self) -> str:
        """Another process finds the same pictures by it."""
        return self.block.address

    @cached_property
    def _bytes(self) -> NDArray[np.uint8]:
        return self.block.read()

    def get(self, index: int) -> NDArray[np.uint8] | None:
        """Return a picture, (h, w, 3) uint8 RGB, not to be written to; None where it could not be read."""
        if not self._bytes[index]:
            return None
        height, width = self.layout.shapes[index].tolist()
        return self._bytes[self.layout.place(index)].reshape(height, width, CHANNELS)

    def missing(self) -> int:
        """Count the pictures that could not be read."""
        return int((self._bytes[: len(self.layout.shapes)] == 0).sum())

    def __getstate__(self) -> dict[str, Any]:
        return {"layout": self.layout, "block": self.block}


def training_layout(shapes: Sequence[tuple[int, int]], imgsz: int, resizing: Resizing = LETTERBOX) -> Layout:
    """Return the places of training pictures of which these are the full sizes.

    Args:
        shapes: height and width of each image file, pixels.
        imgsz: length of the long side in training, pixels.
        resizing: way to resize them.

    Example:
        >>> training_layout([(720, 1280)], imgsz=640).shapes.tolist()
        [[360, 640]]
    """
    sizes = [resizing.training_size(shape, imgsz) for shape in shapes]
    return Layout(np.array(sizes, np.int64).reshape(-1, 2))
