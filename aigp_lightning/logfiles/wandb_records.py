"""The frame of a W&B run file: LevelDB's log format behind a header of its own.

Blocks of 32 KiB hold chunks: CRC-32 (4 bytes) of type and data, length (2), type (1), data. A record is one chunk
(FULL) or several (FIRST, MIDDLE, LAST). LevelDB masks a CRC-32C there; W&B uses the plain CRC-32.
See https://github.com/google/leveldb/blob/main/doc/log_format.md.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

HEADER = b":W&B"
HEADER_SIZE = 7
BLOCK = 32768
CHUNK_HEADER = 7
LARGEST = 1 << 28
"""Bytes of a record that is put together; a row has a few thousand."""
BROKEN, FULL, FIRST, MIDDLE, LAST = range(5)


def read_records(path: Path, damage: list[str], tail: int | None = None) -> Iterator[bytes]:
    """Read every complete record of a run file.

    Args:
        path: the file.
        damage: gets a sentence for whatever cannot be read. Reading goes on at the next block.
        tail: only those that begin in about this many last bytes.

    Raises:
        OSError: the file cannot be read.
    """
    record = bytearray()
    open_at: int | None = None  # where the record began whose last chunk has not come
    for at, kind, data in _chunks(path, damage, tail):
        if kind in (FULL, FIRST):
            if open_at is not None:
                damage.append(f"the record at byte {open_at} has no end.")
            record, open_at = bytearray(data), at
        elif kind == BROKEN or open_at is None:  # the rest of a record that is damaged, which was said
            open_at = None
            continue
        elif len(record) > LARGEST:
            damage.append(f"the record at byte {open_at} is larger than {LARGEST} bytes and is not read.")
            record, open_at = bytearray(), None
            continue
        else:
            record += data
        if kind in (FULL, LAST):
            open_at = None
            yield bytes(record)
    if open_at is not None:
        damage.append(_cut(open_at))


def record_cut(path: Path) -> int | None:
    """Find where the last record of a run file begins if it was cut off; None if it ends with a complete one.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be read.
    """
    damage: list[str] = []
    end = HEADER_SIZE
    for at, kind, data in _chunks(path, damage):
        if kind in (FULL, LAST):
            end = at + CHUNK_HEADER + len(data)
    with path.open("rb") as file:
        file.seek(end)
        rest = file.read(BLOCK)
    return end if len(rest) >= CHUNK_HEADER or any(rest) else None


def _chunks(path: Path, damage: list[str], tail: int | None = None) -> Iterator[tuple[int, int, bytes]]:
    """Read place, type and data of every sound chunk."""
    with path.open("rb") as file:
        start, offset = 0, HEADER_SIZE
        if not file.read(HEADER_SIZE).startswith(HEADER):
            damage.append("it does not begin as a W&B run file does.")
        if tail is not None and (first := (path.stat().st_size - tail) // BLOCK) > 0:
            start, offset = first * BLOCK, 0
        file.seek(start)
        while block := file.read(BLOCK):
            yield from _block(block, offset, start, damage)
            start, offset = start + len(block), 0


def _block(block: bytes, offset: int, start: int, damage: list[str]) -> Iterator[tuple[int, int, bytes]]:
    while offset + CHUNK_HEADER <= len(block) and any(block[offset : offset + CHUNK_HEADER]):  # zeros fill up a block
        check, length, kind = struct.unpack_from("<IHB", block, offset)
        at, end = start + offset, offset + CHUNK_HEADER + length
        if end > len(block):
            damage.append(_cut(at) if len(block) < BLOCK else f"the length of the record at byte {at} is damaged.")
            yield at, BROKEN, b""
            return
        if FULL <= kind <= LAST and zlib.crc32(block[offset + 6 : end]) == check:
            yield at, kind, block[offset + CHUNK_HEADER : end]
        else:
            damage.append(f"the record at byte {at} ({length} bytes) was changed: its checksum differs.")
            yield at, BROKEN, b""
        offset = end
    if block[offset:].strip(b"\0"):
        where = f"the bytes from {start + offset} on, to the end of their block, are of no record."
        damage.append(_cut(start + offset) if len(block) < BLOCK else where)
        yield start + offset, BROKEN, b""


def _cut(at: int) -> str:
    return f"it ends within the record at byte {at}: W&B was killed while writing it, or the file was cut."
