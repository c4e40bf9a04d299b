"""CRC-32C as TFRecord files hold it, computed by the processor's own instruction where it has one."""

from __future__ import annotations

from crc32c import crc32c


def masked_crc32c(data: bytes) -> int:
    """Return the CRC-32C of some bytes, rotated and offset, so that a CRC of CRCs stays useful.

    Args:
        data: a record's length, 8 bytes, or its content.
    """
    crc = int(crc32c(data))
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
