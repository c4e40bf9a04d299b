"""CRC-32C of large blocks, fast enough for event files full of pictures."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78
"""Castagnoli's, bits reversed (RFC 3720, appendix B.4)."""
LANES = 2048


def _make_table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ np.where(table & 1, np.uint32(POLYNOMIAL), np.uint32(0))
    return table


TABLE = _make_table()
_PLAIN: list[int] = TABLE.tolist()


def masked_crc32c(data: bytes) -> int:
    """Return the CRC-32C as TFRecord files hold it: rotated and offset, so that a CRC of CRCs stays useful."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of some bytes.

    A CRC is linear: lanes of equal length are worked off side by side, each from zero, and then joined by the map that
    a lane's length of zero bytes applies to a state.
    """
    columns = len(data) // LANES
    head = len(data) - columns * LANES
    state = 0xFFFFFFFF
    for byte in data[:head]:
        state = _PLAIN[(state ^ byte) & 0xFF] ^ (state >> 8)
    if columns:
        low, second, third, high = _shift(columns)
        for lane in _lanes(np.frombuffer(data, np.uint8, offset=head).reshape(LANES, columns)):
            state = low[state & 0xFF] ^ second[state >> 8 & 0xFF] ^ third[state >> 16 & 0xFF] ^ high[state >> 24] ^ lane
    return state ^ 0xFFFFFFFF


def _lanes(data: NDArray[np.uint8]) -> list[int]:
    """Return the state after each row, from zero.

    Args:
        data: (lanes, columns)
    """
    states = np.zeros(len(data), np.uint32)
    for column in np.ascontiguousarray(data.T):
        states = TABLE[(states ^ column) & 0xFF] ^ (states >> 8)
    lanes: list[int] = states.tolist()
    return lanes


@lru_cache(maxsize=16)
def _shift(count: int) -> list[list[int]]:
    """Return what `count` zero bytes make of a state: a table of 256 for each of its four bytes."""
    states = (np.arange(256, dtype=np.uint32)[None] << np.array([[0], [8], [16], [24]], np.uint32)).ravel()
    for _ in range(count):
        states = TABLE[states & 0xFF] ^ (states >> 8)
    tables: list[list[int]] = states.reshape(4, 256).tolist()
    return tables
